"""MNIST and Fashion-MNIST from their official files, in the idx format."""

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from thresher.data import digits
from thresher.data.columns import row_keys
from thresher.data.samples import Data, Samples
from thresher.errors import ThresherError, UsageError

ROOT = "THRESHER_DATA"
"""The environment variable that names the folder of official files."""

_UNSIGNED_BYTE = 0x08


@dataclass(frozen=True)
class Official:
    """What is known of a set of idx files: where they lie below the root, and what their labels mean."""

    folder: str
    classes: tuple[str, ...]
    confusions: dict[int, int]
    augment: tuple[str, ...] = ()


SETS = {
    "mnist": Official("MNIST/raw", digits.CLASSES, digits.CONFUSIONS),
    "fashion_mnist": Official(
        "FashionMNIST/raw",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        {0: 6, 2: 4, 5: 7, 7: 5},
        ("crop", "flip"),
    ),
}


def load_idx(source: str, root: str | Path | None = None, name: str | None = None) -> Data:
    """Read one of `SETS`: 60,000 training and 10,000 test images of 28 x 28, uint8 ``[N, 1, 28, 28]``.

    Args:
        source: a name of `SETS`.
        root: a folder that holds ``MNIST/raw/`` or ``FashionMNIST/raw/`` (as torchvision lays them out) or the files
            themselves, packed (.gz) or not; default the environment variable THRESHER_DATA.
        name: of the data set; default `source`.

    Raises:
        UsageError: no root, or a file that is not there.
        ThresherError: a damaged file.

    Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits"; H. Xiao, K. Rasul and
    R. Vollgraf, "Fashion-MNIST", 2017.

    Example:
        >>> load_idx("mnist", "nowhere")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: mnist: there is no folder nowhere: check --data-root or THRESHER_DATA
    """
    official = SETS[source]
    folder = official_folder(source, root, official.folder)
    parts = {part: _samples(source, official, folder, part) for part in ("train", "t10k")}
    return Data(
        name or source,
        parts["train"],
        parts["t10k"],
        official.classes,
        confusions=dict(official.confusions),
        augment=official.augment,
    )


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an idx file of unsigned bytes.

    Args:
        path: of the file; unpacked on the way if it ends in .gz.
        dimensions: how many the array must have.

    Returns:
        uint8, of the shape that the file states.

    Raises:
        ThresherError: not such a file, or one of another length than it states.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels"
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
        ...     read_idx(path, 1).tolist()
        [7, 9]
    """
    content = _content(path)
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise ThresherError(
            f"{path} is no idx file of bytes in {dimensions} dimensions, it starts with "
            f"{content[:4].hex() or 'nothing'}: fetch the official file again"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    if len(content) - header != math.prod(shape):
        raise ThresherError(
            f"{path} holds {len(content) - header} bytes where its header promises {math.prod(shape)}, it is cut "
            "off or damaged: fetch the official file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def official_root(source: str, root: str | Path | None, below: str) -> Path:
    """The folder that a user names for official files.

    Args:
        source: the set, for messages.
        root: of the files; default the environment variable THRESHER_DATA.
        below: the folder that is expected in it, for messages.

    Raises:
        UsageError: none is named, or there is no such folder.

    Example:
        >>> official_root("mnist", "nowhere", "MNIST/raw")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: mnist: there is no folder nowhere: check --data-root or THRESHER_DATA
    """
    root = root or os.environ.get(ROOT)
    if not root:
        raise UsageError(
            f"{source} needs its official files: name the folder that holds {below}/ with --data-root or {ROOT}"
        )
    if not Path(root).is_dir():
        raise UsageError(f"{source}: there is no folder {root}: check --data-root or {ROOT}")
    return Path(root)


def official_folder(source: str, root: str | Path | None, below: str) -> Path:
    """The folder that holds a set's files: the official place below the root, or the root itself.

    Args:
        source: the set, for messages.
        root: as for `official_root`.
        below: the official place.

    Raises:
        UsageError: as for `official_root`.

    Example:
        >>> official_folder("mnist", ".", "MNIST/raw").name
        ''
    """
    found = official_root(source, root, below)
    return found / below if (found / below).is_dir() else found


def official_file(source: str, folder: Path, below: str, *names: str) -> Path:
    """The first of the given files that is there.

    Args:
        source: the set, for the message.
        folder: where to look.
        below: the official place below the root, for the message.
        names: of the file, the first one the official.

    Raises:
        UsageError: none of them is there.

    Example:
        >>> official_file("cifar10", Path("nowhere"), "cifar-10-batches-py", "test_batch")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: cifar10: there is no file test_batch in nowhere: put the official files into \
cifar-10-batches-py/ below the folder that --data-root or THRESHER_DATA names
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    others = f" (or {' or '.join(names[1:])})" if names[1:] else ""
    raise UsageError(
        f"{source}: there is no file {names[0]}{others} in {folder}: put the official files into {below}/ below the "
        f"folder that --data-root or {ROOT} names"
    )


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ThresherError(f"{path} cannot be read ({error}): fetch the official file again") from error


def _samples(source: str, official: Official, folder: Path, part: str) -> Samples:
    images = read_idx(_packed_or_not(source, official, folder, f"{part}-images-idx3-ubyte"), 3)
    path = _packed_or_not(source, official, folder, f"{part}-labels-idx1-ubyte")
    labels = read_idx(path, 1)
    if len(labels) != len(images) or not len(labels):
        raise ThresherError(f"{path} has {len(labels)} labels for {len(images)} images: fetch the official files again")
    if labels.max() >= len(official.classes):
        raise ThresherError(
            f"{path} holds label {labels.max()}, and the classes are 0 to 9: fetch the official file again"
        )
    return Samples(torch.tensor(images[:, None]), torch.tensor(labels, dtype=torch.int64), row_keys(len(labels)))


def _packed_or_not(source: str, official: Official, folder: Path, name: str) -> Path:
    return official_file(source, folder, official.folder, name, f"{name}.gz")
