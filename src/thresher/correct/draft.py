"""Several files that appear together or not at all, whatever ends the process, and that can be taken back.

What is written is first made in a hidden folder beside its place, the draft. A journal there lists the files and their
digests before the first of them is moved to its place; the one that counts is moved last. So a draft without a living
process tells what an ended one left behind, and the next process that wants the same place clears it away.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from thresher.disk import plain_disk_errors, sync
from thresher.errors import UsageError

_JOURNAL = "journal.json"
_LOCK = "lock"
_BLOCK = 1 << 20


@contextlib.contextmanager
def draft(out: Path) -> Iterator[Path]:
    """A hidden folder to make things in; it is gone afterwards, and so is what an ended process left of its own.

    Args:
        out: the place of what counts.

    Raises:
        UsageError: another process is writing there now.
        ThresherError: the folder cannot be written to.
    """
    folder = _folder(out)
    with plain_disk_errors(out):
        clear(out)
        folder.mkdir()
        lock = (folder / _LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with plain_disk_errors(out):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def clear(out: Path) -> bool:
    """Clear away what a process that was ended half-way left of `out`; its files are known by their digests.

    Returns:
        Whether there was anything.

    Raises:
        UsageError: a process is still writing there.

    Example:
        >>> clear(Path("absent.csv"))
        False
    """
    folder = _folder(out)
    if not folder.is_dir():
        return False
    with _held(folder, out):
        for name, told in _journal(folder).items():
            path = out.parent / name
            if not _there(out) and path != out and path.is_file() and digest(path) == told:
                path.unlink()
        shutil.rmtree(folder)
    return True


def place(folder: Path, files: Mapping[Path, str], sums: Mapping[Path, str]) -> None:
    """Move what a draft holds to its places, the last one last; where that fails, nothing stays.

    Args:
        folder: the draft.
        files: for each place, the name in the draft.
        sums: for each place, the digest.

    Raises:
        UsageError: something is there by now.
    """
    for name in files.values():
        _sync(folder / name)
    _note(folder, sums)
    done: list[Path] = []
    try:
        for path, name in files.items():
            if _there(path):
                raise UsageError(f"{path} exists, and nothing is overwritten: choose another --out, or move it away")
            (folder / name).rename(path)
            done.append(path)
        sync(folder.parent)
    except BaseException:
        for path in done:
            _remove(path)
        raise


def take_back(folder: Path, files: Mapping[Path, str]) -> None:
    """Move files out of their places into a draft, the first one first; with the draft they are deleted.

    Args:
        folder: the draft.
        files: for each place, the digest of what is there.
    """
    _note(folder, files)
    for number, path in enumerate(files):
        path.rename(folder / f"gone-{number}")
    sync(folder.parent)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names in it with where a link goes or what a file holds.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("key,label")
        ...     digest(Path(folder, "a.csv"))[:8]
        '498f5b3e'
    """
    if not path.is_dir() or path.is_symlink():
        return _content(path)
    total = hashlib.sha256()
    for parent, folders, files in os.walk(path):
        folders.sort()
        for name in sorted([*files, *(one for one in folders if Path(parent, one).is_symlink())]):
            one = Path(parent, name)
            total.update(
                os.fsencode(one.relative_to(path)) + b"\0" + _mark(one).encode(errors="surrogateescape") + b"\0"
            )
    return total.hexdigest()


def _mark(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    about = path.stat()
    if about.st_nlink > 1:  # a hard link: another file would have another number
        return f"= {about.st_dev}:{about.st_ino}"
    return _content(path)


def _content(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def _folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.draft")


@contextlib.contextmanager
def _held(folder: Path, out: Path) -> Iterator[None]:
    """While no other process uses a draft; the lock of an ended one is open."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):  # it was ended before it had made its lock
            lock: IO[str] = stack.enter_context((folder / _LOCK).open("r"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"{out} is being written by another process: wait for it, or write elsewhere"
                ) from error
        yield


def _note(folder: Path, files: Mapping[Path, str]) -> None:
    data = json.dumps({path.name: told for path, told in files.items()}).encode()
    temporary = folder / f"{_JOURNAL}.tmp"
    temporary.write_bytes(data)
    sync(temporary)
    temporary.rename(folder / _JOURNAL)
    sync(folder)


def _journal(folder: Path) -> dict[str, str]:
    """What a draft says it placed, or takes back; nothing where it had not come so far."""
    try:
        found = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: told for name, told in found.items() if Path(name).name == name and isinstance(told, str)}


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Everything below a path reaches the disk, and links as far as their folders do."""
    if path.is_dir():
        for parent, _, files in os.walk(path):
            for name in files:
                if not Path(parent, name).is_symlink() and Path(parent, name).stat().st_nlink == 1:
                    sync(Path(parent, name))
            sync(Path(parent))
    else:
        sync(path)
