"""CIFAR-10 and CIFAR-100 from their official python files, and CIFAR-N: labels by people for the same images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from thresher.data.columns import row_keys
from thresher.data.idx import official_file, official_folder, official_root
from thresher.data.samples import Data, Samples
from thresher.errors import ThresherError, UsageError
from thresher.foreign import read_pickle, read_torch

_HUMAN = {
    "cifar10n:aggre": "aggre_label",
    "cifar10n:random1": "random_label1",
    "cifar10n:random2": "random_label2",
    "cifar10n:random3": "random_label3",
    "cifar10n:worse": "worse_label",
    "cifar100n": "noisy_label",
}
NAMES = ("cifar10", "cifar100", *_HUMAN)
"""Every name that `load_cifar` takes."""

_PIXELS = 3 * 32 * 32
_SUPERCLASSES = 20
_AGAIN = "fetch the official file again"


@dataclass(frozen=True)
class _Official:
    """The files of one of the two sets, and the names of what is in them."""

    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    names: str
    labels: str
    coarse: str | None
    classes: int
    human: str
    confusions: dict[int, int]


_SETS = {
    "cifar10": _Official(
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        meta="batches.meta",
        names="label_names",
        labels="labels",
        coarse=None,
        classes=10,
        human="CIFAR-10_human.pt",
        confusions={9: 1, 2: 0, 3: 5, 5: 3, 4: 7},
    ),
    "cifar100": _Official(
        folder="cifar-100-python",
        train=("train",),
        test="test",
        meta="meta",
        names="fine_label_names",
        labels="fine_labels",
        coarse="coarse_labels",
        classes=100,
        human="CIFAR-100_human.pt",
        confusions={},
    ),
}


class _Batch(NamedTuple):
    """What one official file holds: pixels uint8 ``[n, 3072]``, labels and superclasses int64 ``[n]``."""

    pixels: np.ndarray
    labels: np.ndarray
    coarse: np.ndarray | None


def load_cifar(source: str, root: str | Path | None = None, name: str | None = None) -> Data:
    """Read one of `NAMES`: 50,000 training and 10,000 test images, uint8 ``[N, 3, 32, 32]``; keys are row numbers.

    CIFAR-N (`cifar10n:...`, `cifar100n`) has the labels by people as given and the official ones as clean. CIFAR-100
    and CIFAR-100N know the superclass of each class, as the files state it.

    Args:
        source: a name of `NAMES`.
        root: a folder that holds ``cifar-10-batches-py/`` or ``cifar-100-python/``, or the files themselves, and for
            CIFAR-N ``CIFAR-N/CIFAR-10_human.pt`` or ``CIFAR-N/CIFAR-100_human.pt``; default THRESHER_DATA.
        name: of the data set; default `source`.

    Raises:
        UsageError: an unknown name, no root, or a file that is not there.
        ThresherError: a file that is damaged or names code, or labels by people in another order than the images.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009; J. Wei et al., "Learning with
    noisy labels revisited: a study using real-world human annotations", ICLR 2022 (CIFAR-N).

    Example:
        >>> load_cifar("cifar10", "nowhere")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: cifar10: there is no folder nowhere: check --data-root or THRESHER_DATA
    """
    _check_name(source)
    official = _SETS["cifar100" if source.startswith("cifar100") else "cifar10"]
    data = _read_official(source, official, root)
    if source in _HUMAN:
        human = _human_labels(_human_file(source, official, root), _HUMAN[source], data)
        data = data.with_labels(human, clean=data.train.labels)
    return replace(data, name=name or source)


def _check_name(source: str) -> None:
    if source in NAMES:
        return
    family = source.partition(":")[0]
    near = [known for known in NAMES if known.partition(":")[0] == family] or NAMES
    raise UsageError(f"there is no set {source!r}: choose {'one of ' if near[1:] else ''}{', '.join(near)}")


def _read_official(source: str, official: _Official, root: str | Path | None) -> Data:
    """One of the two sets with its official labels."""
    folder = official_folder(source, root, official.folder)
    meta, test, *train = (
        official_file(source, folder, official.folder, name) for name in (official.meta, official.test, *official.train)
    )
    classes = _class_names(meta, official)
    batches = [_batch(path, official) for path in train]
    return Data(
        name=source,
        train=_samples(batches),
        test=_samples([_batch(test, official)]),
        classes=classes,
        confusions=dict(official.confusions),
        augment=("crop", "flip"),
        superclasses=_superclasses(train[0], batches[0], official.classes),
    )


def _class_names(path: Path, official: _Official) -> tuple[str, ...]:
    names = _entries(read_pickle, path, official.names)[official.names]
    if not isinstance(names, list) or [type(name) for name in names] != [str] * official.classes:
        raise ThresherError(f"{path} does not list the names of {official.classes} classes: {_AGAIN}")
    return tuple(names)


def _batch(path: Path, official: _Official) -> _Batch:
    """The rows of a file, each with its pixels and its labels."""
    found = _entries(read_pickle, path, "data", official.labels, *([official.coarse] if official.coarse else []))
    pixels = found["data"]
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise ThresherError(f"{path} does not hold images of 3 x 32 x 32 bytes: {_AGAIN}")
    labels = _class_numbers(found, official.labels, len(pixels), official.classes, path)
    if official.coarse is None:
        return _Batch(pixels, labels, None)
    return _Batch(pixels, labels, _class_numbers(found, official.coarse, len(pixels), _SUPERCLASSES, path))


def _class_numbers(found: dict[str, Any], key: str, rows: int, classes: int, path: Path) -> np.ndarray:
    """One class number per row, int64 ``[rows]``."""
    values = found[key]
    flat = isinstance(values, np.ndarray) or (isinstance(values, list) and all(type(value) is int for value in values))
    labels = np.asarray(values if flat else [])
    if labels.shape != (rows,) or labels.dtype.kind not in "iu" or not rows:
        raise ThresherError(f"{path} does not hold one whole number of {key} for each of {rows} images: {_AGAIN}")
    if labels.min() < 0 or labels.max() >= classes:
        worst = labels.min() if labels.min() < 0 else labels.max()
        raise ThresherError(f"{path} holds {worst} in {key}, and the classes are 0 to {classes - 1}: {_AGAIN}")
    return labels.astype(np.int64)


def _samples(batches: list[_Batch]) -> Samples:
    pixels = np.concatenate([batch.pixels for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches])
    return Samples(torch.from_numpy(pixels.reshape(-1, 3, 32, 32)), torch.from_numpy(labels), row_keys(len(labels)))


def _superclasses(path: Path, batch: _Batch, classes: int) -> np.ndarray | None:
    """The superclass of each class, int64 ``[K]``, where a file states one for every image."""
    if batch.coarse is None:
        return None
    fine, coarse = np.unique(np.stack([batch.labels, batch.coarse]), axis=1)
    if not np.array_equal(fine, np.arange(classes)):
        raise ThresherError(f"{path} does not give every class exactly one superclass: {_AGAIN}")
    return np.asarray(coarse)


def _human_file(source: str, official: _Official, root: str | Path | None) -> Path:
    places = (f"CIFAR-N/{official.human}", official.human, f"data/{official.human}")
    return official_file(source, official_root(source, root, "CIFAR-N"), "CIFAR-N", *places)


def _human_labels(path: Path, key: str, data: Data) -> Tensor:
    """Labels by people, int64 ``[N]``, once the file is known to have the images in the official order."""
    found = _entries(read_torch, path, "clean_label", key)
    clean, human = (_class_numbers(found, k, len(data.train), len(data.classes), path) for k in ("clean_label", key))
    differ = np.count_nonzero(clean != data.train.labels.numpy())
    if differ:
        raise ThresherError(
            f"{path} is in another order than the official images, for its clean_label differs from their labels in "
            f"{differ} of {len(clean)} rows: fetch the official files again"
        )
    return torch.from_numpy(human)


def _entries(read: Callable[[Path, str], dict[str, Any]], path: Path, *keys: str) -> dict[str, Any]:
    """What a file holds, with the given entries at least."""
    found = read(path, _AGAIN)
    missing = [key for key in keys if key not in found]
    if missing:
        raise ThresherError(f"{path} has no entry {missing[0]}: {_AGAIN}")
    return found
