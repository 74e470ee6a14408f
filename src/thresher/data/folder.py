"""A folder of images whose class is the folder they lie in."""

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from thresher.data.arrays import augment
from thresher.data.columns import encode, listed, lookup
from thresher.data.files import images_below, is_image_name
from thresher.data.images import ImageReader, Progress, read_files
from thresher.data.pixels import ENDINGS
from thresher.data.reading import Reader, Reading
from thresher.data.samples import Data, Samples
from thresher.errors import UsageError

_TESTS = ("test", "val", "valid", "validation")  # the first that is there is the test set


def load_folder(
    path: str | Path,
    reading: Reading | None = None,
    name: str | None = None,
    progress: Progress = lambda done, of: None,
) -> Data:
    """Read ``class_name/*.jpg`` (png, webp, bmp, gif, tif; folders below a class count), as a whole or by train/test.

    Every image is decoded once, to see that it can be. Up to half a GiB they are then kept in memory, and are read
    from their files otherwise. A row's key is the image's path, relative to the folder that holds the classes.

    Args:
        path: of a folder of class folders, or of one with ``train/`` and maybe ``test/`` (or ``val/``) inside.
        reading: `size` and `skip_bad` count.
        name: of the data set; default the folder's name.
        progress: called with the number of images decoded, and of all, for the training and the test set.

    Raises:
        UsageError: no such folder; no images or classes in it; a class with fewer than two images; a test class that
            training does not have.
        ThresherError: an image cannot be read, and `skip_bad` does not allow that.

    Warns:
        Skipped: images were left out.
        UserWarning: images or folders beside the classes are not read.

    Example:
        >>> load_folder("absent")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no folder absent: check the path
    """
    path, reading = Path(path), reading or Reading()
    if not path.is_dir():
        raise UsageError(f"there is no folder {path}: check the path")
    base, test = _parts(path)
    files, given = _classified(base)
    keys = [file.relative_to(base).as_posix() for file in files]
    _check_keys(keys, base)
    inputs, kept, reader = read_files(files, keys, reading, f"{base}", progress=progress)
    codes, classes = encode(given[kept], f"the folder names in {base}")
    _check_counts(codes, classes, base)
    return Data(
        name=name or path.resolve().name,
        train=Samples(inputs, torch.from_numpy(codes), np.array(keys, dtype=object)[kept]),
        test=None if test is None else read_test(test, classes, reader, reading, progress),
        classes=classes,
        augment=augment(inputs),
        reader=reader,
    )


def read_test(
    path: str | Path,
    classes: tuple[str, ...],
    reader: Reader | None,
    reading: Reading,
    progress: Progress = lambda done, of: None,
) -> Samples:
    """Read a folder of class folders as a test set, at the size of the training images.

    Args:
        path: of the folder.
        classes: the class names of the training set; not all of them need a folder.
        reader: of the training set.
        reading: its `skip_bad` counts.
        progress: as for `load_folder`.

    Raises:
        UsageError: as for `load_folder`; or the training set has no square images.
        ThresherError: likewise.
    """
    path = Path(path)
    if not isinstance(reader, ImageReader):
        raise UsageError(f"the test set {path} is a folder of images, and the training set is not: give one like it")
    if not path.is_dir():
        raise UsageError(f"there is no folder {path}: check the path")
    files, given = _classified(path)
    codes = lookup(given, classes, f"the test folder {path}")
    keys = [file.relative_to(path).as_posix() for file in files]
    _check_keys(keys, path)
    inputs, kept, _ = read_files(files, keys, reading, f"{path}", reader, progress)
    return Samples(inputs, torch.from_numpy(codes[kept]), np.array(keys, dtype=object)[kept])


def _parts(path: Path) -> tuple[Path, Path | None]:
    """The folders that hold the classes of the training and of the test set."""
    names = {folder.name for folder in _folders(path)}
    if "train" not in names:
        return path, None
    others = sorted(names - {"train", *_TESTS})
    if others:
        if not _folders(path / "train"):
            return path, None  # a class may be called train
        raise UsageError(
            f"{path} holds train/ with folders in it, and {listed(others)} beside it: give the folder of the classes "
            f"itself, as in {path / 'train'}, or move the others away"
        )
    tests = [path / test for test in _TESTS if test in names]
    if len(tests) > 1:
        warnings.warn(f"{tests[1]} is not read: {tests[0]} is the test set", stacklevel=3)
    return path / "train", tests[0] if tests else None


def _classified(base: Path) -> tuple[list[Path], np.ndarray]:
    """All image files below class folders, sorted by path, and the class of each (text ``[N]``)."""
    folders, beside = _folders(base), [one.name for one in base.iterdir() if is_image_name(one.name) and one.is_file()]
    if not folders:
        raise UsageError(_without_classes(base, beside))
    if beside:
        text = f"{len(beside)} images lie beside the class folders in {base} and are not read: {listed(sorted(beside))}"
        warnings.warn(text, stacklevel=4)
    files = {folder.name: images_below(folder) for folder in folders}
    empty = [name for name, found in files.items() if not found]
    if empty:
        raise UsageError(
            f"no image ({_endings()}) is in {listed(empty)} in {base}, though each folder there is a class: "
            "remove the folder, or add images"
        )
    given = np.repeat(list(files), [len(found) for found in files.values()])
    return list(itertools.chain.from_iterable(files.values())), given


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


def _without_classes(base: Path, beside: Sequence[str]) -> str:
    if beside:
        return (
            f"{base} has {len(beside)} images and no class folders: put each into a folder with the name of its class"
        )
    return f"{base} is empty: put images ({_endings()}) into it, in one folder per class"


def _endings() -> str:
    return ", ".join(ending[1:] for ending in ENDINGS)


def _check_keys(keys: Sequence[str], base: Path) -> None:
    """Refuse names that are no text: no table or report could hold them."""
    for key in keys:
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the file name {key!r} in {base} is not valid UTF-8: rename the file") from error


def _check_counts(codes: np.ndarray, classes: tuple[str, ...], base: Path) -> None:
    """Refuse classes of a single image: nothing could be held out of them."""
    few = [name for name, count in zip(classes, np.bincount(codes), strict=True) if count < 2]
    if few:
        raise UsageError(
            f"there is only one image of {listed(few)} in {base}, and each class needs two or more: add images, or "
            "remove the folder"
        )
