"""Reading many images: which of them can be read, what is in them, and new ones like those of a training."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from thresher.data.ahead import in_order
from thresher.data.arrays import read_inputs
from thresher.data.columns import row_keys
from thresher.data.files import Files, images_below, is_image_name, quiet_decoders, refuse_bad
from thresher.data.pixels import decode
from thresher.data.reading import Lazy, Reading
from thresher.data.resident import histogram, histogram_moments
from thresher.errors import ThresherError, UsageError

__all__ = ["Files", "ImageReader", "Skipped", "decode", "load_into_memory", "read_files", "settle", "survey"]

R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with the number of images read so far, and of all."""

RESIDENT = 2**29
"""Bytes up to which decoded images are kept in memory."""

_NAMED = 3  # files that a warning names
_CHUNK = 16  # images that one thread decodes at a time


class Skipped(UserWarning):
    """Images were left out, for they cannot be read.

    Attributes:
        sentences: one per image, in order.
    """

    def __init__(self, text: str, sentences: Sequence[str]) -> None:
        super().__init__(text, sentences)
        self.text, self.sentences = text, tuple(sentences)

    def __str__(self) -> str:
        return self.text


def survey(files: Lazy, progress: Progress = lambda done, of: None) -> tuple[Tensor, Tensor, np.ndarray, list[str]]:
    """Decode every image once, in threads, to see that it can be, and how the pixels are distributed.

    Args:
        files: the inputs.
        progress: called now and then.

    Returns:
        Mean and standard deviation per channel of the images that can be read (float64 ``[C]``, as `image_moments`
        would give them), the rows that cannot be (int64), and one sentence for each of these.
    """
    counts = torch.zeros(files.shape[1], 256, dtype=torch.int64)
    bad: dict[int, str] = {}

    def look(rows: Tensor) -> tuple[Tensor, dict[int, str]]:
        images, unread = _read_good(files, rows)
        return histogram(images), unread

    for chunk, unread in _chunks(files, look, progress):
        counts += chunk
        bad |= unread
    mean, std = histogram_moments(counts)
    return mean, std, np.array(list(bad), dtype=np.int64), list(bad.values())


def load_into_memory(
    files: Lazy, progress: Progress = lambda done, of: None, skip_bad: bool = False, what: str = "the data"
) -> tuple[Tensor, np.ndarray, list[str]]:
    """Decode every image, in threads.

    Args:
        files: the inputs.
        progress: called now and then.
        skip_bad: leave out images that cannot be read.
        what: the name of the source in messages.

    Returns:
        uint8 ``[N, C, H, W]``, which rows of `files` these are (int64 ``[N]``), and one sentence per image left out.

    Raises:
        ThresherError: an image cannot be read, and `skip_bad` does not allow that; or none can be.
    """
    images = torch.empty(files.shape, dtype=torch.uint8)
    bad: dict[int, str] = {}

    def fill(rows: Tensor) -> dict[int, str]:
        own, unread = _read_good(files, rows)
        good = [row for row in rows.tolist() if row not in unread]
        images.numpy()[good] = own.numpy()  # numpy copies in this thread; torch would start threads of its own
        return unread

    for unread in _chunks(files, fill, progress):
        bad |= unread
    refuse_bad(bad, len(files), what, skip_bad)
    kept = np.setdiff1d(np.arange(len(files)), np.array(list(bad), dtype=np.int64))
    for place, row in enumerate(kept.tolist() if bad else ()):  # in place: there may be no room for a second copy
        images[place] = images[row]
    return images[: len(kept)], kept, list(bad.values())


def settle(
    files: Files, *, skip_bad: bool, what: str, progress: Progress = lambda done, of: None
) -> tuple[Tensor | Files, np.ndarray, list[str]]:
    """Decode every image once: into memory if all of them fit into half a GiB, else to know that it can be read later.

    Args:
        files: the inputs.
        skip_bad: leave out images that cannot be read.
        what: the name of the source in messages.
        progress: called now and then.

    Returns:
        A tensor, or files with their `moments`; which rows of `files` these are (int64 ``[N]``); and one sentence per
        image left out.

    Raises:
        ThresherError: as for `load_into_memory`.
    """
    with quiet_decoders():
        if np.prod(files.shape) <= RESIDENT:
            return load_into_memory(files, progress, skip_bad, what)
        mean, std, rows, sentences = survey(files, progress)
    refuse_bad(dict(zip(rows.tolist(), sentences, strict=True)), len(files), what, skip_bad)
    kept = np.setdiff1d(np.arange(len(files)), rows)
    return replace(files[torch.from_numpy(kept)], moments=(mean, std)), kept, sentences


def read_files(
    paths: Sequence[Path],
    keys: Sequence[str],
    reading: Reading,
    what: str,
    like: "ImageReader | None" = None,
    progress: Progress = lambda done, of: None,
) -> tuple[Tensor | Files, np.ndarray, "ImageReader"]:
    """Read image files, and warn of those left out.

    Args:
        paths: of the files.
        keys: one per file, for the warning.
        reading: its `size` and `skip_bad` count.
        what: the name of the source in messages.
        like: gives size and channels instead.
        progress: called now and then.

    Returns:
        The inputs, which of `paths` they are (int64 ``[N]``), and a reader of more of the same.

    Raises:
        ThresherError: as for `Files.open` and `settle`.
    """
    size, channels = (like.size, like.channels) if like else (reading.size, None)
    files, opened, unopened = Files.open(paths, size, skip_bad=reading.skip_bad, what=what, channels=channels)
    inputs, settled, unread = settle(files, skip_bad=reading.skip_bad, what=what, progress=progress)
    kept = opened[settled]
    if len(kept) < len(paths):
        left = np.setdiff1d(np.arange(len(paths)), kept)
        named = ", ".join(keys[row] for row in left[:_NAMED])
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        text = f"{len(left)} of {len(paths)} images in {what} are left out, for they cannot be read: {named}{more}"
        warnings.warn(Skipped(text, [*unopened, *unread]), stacklevel=2)
    return inputs, kept, like or ImageReader(files.size, files.channels)


def _read_good(files: Lazy, rows: Tensor) -> tuple[Tensor, dict[int, str]]:
    """The images of those rows that can be read, and a sentence for each that cannot."""
    try:
        return files.read(rows), {}
    except ThresherError:
        pass
    images, bad = [torch.empty(0, *files.shape[1:], dtype=torch.uint8)], {}
    for row in rows.split(1):
        try:
            images.append(files.read(row))
        except ThresherError as error:
            bad[int(row)] = str(error)
    return torch.cat(images), bad


def _chunks(files: Lazy, work: Callable[[Tensor], R], progress: Progress) -> Iterator[R]:
    rows = torch.arange(len(files)).split(_CHUNK)
    for number, result in enumerate(in_order(work, rows), 1):
        progress(min(number * _CHUNK, len(files)), len(files))
        yield result


class ImageReader:
    """Reads new images at the size that a network was trained on; fulfils `Reader`.

    Args:
        size: S, the side in pixels.
        channels: C, 1 or 3.

    Example:
        >>> inputs, keys = ImageReader(2, 1).read([Image.new("L", (6, 4)), Image.new("RGB", (2, 2))], Reading())
        >>> inputs.shape, keys.tolist()
        (torch.Size([2, 1, 2, 2]), ['0', '1'])
    """

    def __init__(self, size: int, channels: int) -> None:
        self.size, self.channels = size, channels

    def facts(self) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """``{"kind": "images", "size": S, "channels": C}``, and no arrays."""
        return {"kind": "images", "size": self.size, "channels": self.channels}, {}

    def read(self, source: object, reading: Reading) -> tuple[Tensor | Files, np.ndarray]:
        """Read images without labels.

        Args:
            source: a folder (class folders or not), an image file, a list of image files or of Pillow images, or
                an array ``[n, H, W]`` or ``[n, H, W, C]`` as for `from_arrays`.
            reading: its `skip_bad` counts.

        Returns:
            uint8 ``[n, C, S, S]``, or `Files` where that is much; and the keys: paths relative to the folder, paths as
            given, or row numbers.

        Raises:
            ThresherError: files that cannot be read.
            UsageError: another kind of source, another size, no images.
        """
        if reading.size not in (None, self.size):
            raise UsageError(
                f"size is {reading.size}, and the network was trained on images of {self.size} pixels: leave it out"
            )
        if isinstance(source, str | os.PathLike):
            return self._from_path(Path(source), reading)
        if isinstance(source, list | tuple) and source:
            if all(isinstance(one, str | os.PathLike) for one in source):
                names = [os.fspath(one) for one in source]
                return self._from_files([Path(name) for name in names], names, reading, "the list")
            if all(isinstance(one, Image.Image) for one in source):
                decoded = np.stack([decode(one, self.size, self.channels) for one in source])
                return torch.from_numpy(decoded), row_keys(len(decoded))
        return self._from_array(source)

    def _from_path(self, path: Path, reading: Reading) -> tuple[Tensor | Files, np.ndarray]:
        if path.is_dir():
            paths = images_below(path)
            return self._from_files(paths, [one.relative_to(path).as_posix() for one in paths], reading, f"{path}")
        if not path.exists():
            raise UsageError(f"there is no file or folder {path}: check the path")
        if not is_image_name(path.name):
            raise UsageError(
                f"{path} is no image, and the run was trained on image files: give a folder or image files"
            )
        return self._from_files([path], [path.name], reading, f"{path}")

    def _from_files(
        self, paths: list[Path], names: list[str], reading: Reading, what: str
    ) -> tuple[Tensor | Files, np.ndarray]:
        inputs, kept, _ = read_files(paths, names, reading, what, self)
        return inputs, np.array(names, dtype=object)[kept]

    def _from_array(self, source: object) -> tuple[Tensor, np.ndarray]:
        images = read_inputs(source, "the array")
        wanted = (self.channels, self.size, self.size)
        if tuple(images.shape[1:]) != wanted:
            raise UsageError(
                f"the array has rows of shape {list(images.shape[1:])}, channels first, and the network was trained on "
                f"{list(wanted)}: give images of that size, or files, which are resized"
            )
        return images, row_keys(len(images))
