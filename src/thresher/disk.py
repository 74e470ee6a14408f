"""Files that appear whole or not at all, and errors of the disk in one sentence. Imports neither torch nor pandas."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

from thresher.errors import ThresherError


@contextlib.contextmanager
def plain_disk_errors(where: Path, failed: str = "written") -> Iterator[None]:
    """Say in one sentence when the disk is full or not writable.

    Args:
        where: what is being written, for the message.
        failed: what cannot be done with it, for the message.

    Raises:
        ThresherError: it could not be.

    Example:
        >>> with plain_disk_errors(Path("a.csv")):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        ...
        thresher.errors.ThresherError: no space is left on the device of a.csv: free some and resume
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        if _is_full(error):
            raise ThresherError(f"no space is left on the device of {where}: free some and resume") from error
        reason = getattr(error, "strerror", None) or error
        raise ThresherError(f"{where} cannot be {failed} ({reason}): check the folder") from error


def _is_full(error: Exception) -> bool:
    """Whether an error means a full disk; safetensors has its number in the text, numpy only says it wrote less."""
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in full
    return any(f"os error {number})" in str(error) for number in full) or "requested and" in str(error)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that appears whole, or not at all, also when the machine stops.

    Args:
        path: of the file; one that is there is replaced.

    Raises:
        ThresherError: it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "a") as file:
        ...         _ = file.write(b"all of it")
        ...     (Path(folder) / "a").read_bytes()
        b'all of it'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with plain_disk_errors(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """A file appears whole or not at all, also when the machine stops.

    Raises:
        ThresherError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(data)


def sync(path: Path) -> None:
    """Make sure that a file, or the names in a folder, have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
