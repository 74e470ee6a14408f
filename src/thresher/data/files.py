"""Images that stay in their files until they are wanted."""

import os
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thresher.data.ahead import in_order
from thresher.data.pixels import ENDINGS, decode, probe
from thresher.errors import ThresherError, UsageError

LARGEST_SIDE = 128
"""Pixels; of images whose size the user does not give."""

_ALONE = 16  # images that are decoded without other threads
_MARKED = 4096  # bytes at either end of a file that its mark depends on


@dataclass(eq=False)
class Files:
    """Image files as inputs of a network, decoded when they are wanted; fulfils `Lazy`. Not to be changed.

    Attributes:
        paths: of the files.
        size: S, the side of a decoded image in pixels.
        channels: C, 1 or 3.
        moments: mean and standard deviation per channel (float64 ``[C]``) where `settle` has found them.
        shape: ``(N, C, S, S)``.
    """

    paths: tuple[str, ...]
    size: int
    channels: int
    moments: tuple[Tensor, Tensor] | None = None
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.shape = (len(self.paths), self.channels, self.size, self.size)

    @classmethod
    def open(
        cls,
        paths: Sequence[str | Path],
        reading_size: int | None = None,
        *,
        skip_bad: bool = False,
        what: str,
        channels: int | None = None,
    ) -> tuple["Files", np.ndarray, list[str]]:
        """Look at the headers of all files, and decide the size and number of channels.

        Args:
            paths: of the files.
            reading_size: S; default the median of the shorter sides, at most 128.
            skip_bad: leave out files that cannot be read.
            what: the name of the source in messages.
            channels: C; default 1 if every image is grey, else 3.

        Returns:
            The files, which of `paths` they are (int64 ``[N]``), and one sentence per file that is left out.

        Raises:
            ThresherError: a file cannot be read, and `skip_bad` does not allow that; or none can be.
            UsageError: no files, or an impossible size.

        Example:
            >>> import tempfile
            >>> from PIL import Image
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Image.new("L", (20, 30)).save(folder + "/a.png")
            ...     Files.open([folder + "/a.png"], what="the folder")[0].shape
            (1, 1, 20, 20)
        """
        if reading_size is not None and reading_size < 1:
            raise UsageError(f"size is {reading_size}: give the side of the images in pixels, 1 or more")
        names = [os.fspath(path) for path in paths]
        if not names:
            raise UsageError(f"there are no images in {what}: give files that end in {', '.join(ENDINGS)}")
        with quiet_decoders():
            found = list(in_order(_try_probe, names))
        bad = {row: probed for row, probed in enumerate(found) if isinstance(probed, str)}
        refuse_bad(bad, len(names), what, skip_bad)
        good = [(row, probed) for row, probed in enumerate(found) if not isinstance(probed, str)]
        size = reading_size or min(LARGEST_SIDE, int(np.median([side for _, (side, _) in good])))
        if channels is None:
            channels = 1 if all(grey for _, (_, grey) in good) else 3
        kept = np.array([row for row, _ in good], dtype=np.int64)
        return cls(tuple(names[row] for row in kept), size, channels), kept, list(bad.values())

    @property
    def ndim(self) -> int:
        """4."""
        return 4

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Tensor) -> "Files":
        """Some of the files (int64 ``[n]``), in that order."""
        return Files(tuple(self.paths[row] for row in rows.tolist()), self.size, self.channels)

    def read(self, rows: Tensor) -> Tensor:
        """Decode some files (int64 ``[n]``); many of them in threads.

        Returns:
            uint8 ``[n, C, S, S]``.

        Raises:
            ThresherError: a file cannot be read.
        """
        wanted = rows.tolist()
        images = np.empty((len(wanted), *self.shape[1:]), dtype=np.uint8)

        def fill(place: int) -> None:
            images[place] = decode(self.paths[wanted[place]], self.size, self.channels)

        places = range(len(wanted))
        for _ in map(fill, places) if len(wanted) <= _ALONE else in_order(fill, places):
            pass
        return torch.from_numpy(images)

    def marks(self) -> list[str]:
        """A text per file from its size and the CRC-32 of its first and last 4 KiB.

        Raises:
            ThresherError: a file is gone.
        """
        return list(in_order(_mark, self.paths))


def images_below(folder: Path) -> list[Path]:
    """Image files in a folder and below it, in sorted order; hidden files and folders are ignored."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if is_image_name(name)]
    return sorted(found)


def is_image_name(name: str) -> bool:
    """Whether a file of that name is an image, and not hidden."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def refuse_bad(bad: Mapping[int, str], count: int, what: str, skip_bad: bool) -> None:
    """Raise the first of the sentences about unreadable images (by row), unless such images may be left out."""
    if bad and (not skip_bad or len(bad) == count):
        first = next(iter(bad.values()))
        rest = "" if len(bad) == 1 else f"; {len(bad)} of {count} images in {what} are like that"
        raise ThresherError(first + rest)


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Without the warnings of decoders; a file is read or named as unreadable. To be entered by one thread only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _try_probe(path: str) -> tuple[int, bool] | str:
    try:
        return probe(path)
    except ThresherError as error:
        return str(error)


def _mark(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            ends = stream.read(_MARKED)
            stream.seek(max(size - _MARKED, 0))
            return f"{size}-{zlib.crc32(stream.read(_MARKED), zlib.crc32(ends)):08x}"
    except OSError as error:
        raise ThresherError(f"{path} cannot be read any more ({error.strerror}): put it back") from error
