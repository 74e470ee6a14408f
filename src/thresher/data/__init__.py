"""Where training data comes from: named sets, folders, tables, files, arrays and torch data sets, all as one `Data`."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from thresher.data import cifar
from thresher.data.arrays import KEYS, ArrayReader, from_arrays, from_npz
from thresher.data.columns import lookup
from thresher.data.delimited import TABLES
from thresher.data.digits import load_digits
from thresher.data.idx import SETS, load_idx
from thresher.data.reading import Lazy, Reader, Reading
from thresher.data.samples import Data, Samples
from thresher.errors import UsageError

__all__ = ["NAMES", "Data", "Lazy", "Reader", "Reading", "Samples", "load", "reader_from"]

NAMES = ("digits", *SETS, *cifar.NAMES)
"""The sets that are known by name."""

_COLUMNS = ("label", "path", "text", "text_model", "id", "group")
_OF_IMAGES = ("size", "skip_bad")

Progress = Callable[[int, int], None]
"""Called with the number of images read so far, and of all."""

_ACCEPTED = (
    f"a known name ({', '.join(NAMES)}), a folder of images, a .csv, .parquet or .npz file, arrays (x, y) or "
    f"(x, y, x_test, y_test), a dict of {', '.join(KEYS)}, a pandas DataFrame, or a torch Dataset"
)


def load(
    source: object,
    *,
    root: str | Path | None = None,
    name: str | None = None,
    reading: Reading | None = None,
    progress: Progress = lambda done, of: None,
) -> Data:
    """Load data from anything that Thresher reads.

    Args:
        source: a name of `NAMES`; the path of a folder of images, a .csv, .parquet or .npz file; arrays or tensors
            ``(x, y)`` or ``(x, y, x_test, y_test)``; a dict with `x`, `y` and optionally `x_test`, `y_test`, `id`,
            `group`; a pandas DataFrame; a torch Dataset of (input, label); or a `Data`.
        root: the folder of official files, for named sets; default the environment variable THRESHER_DATA.
        name: of the data set; default what was typed, the file's name without its ending, ``arrays`` or ``table``.
        reading: what the source does not say itself, such as the column of labels.
        progress: called with the number of images read so far, and of all, where there are files of images to read.

    Raises:
        UsageError: a source that cannot be read, or anything wrong inside it, in one sentence.

    Example:
        >>> data = load(([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]))
        >>> len(data.train), data.classes, data.test
        (4, ('no', 'yes'), None)
    """
    reading = reading or Reading()
    _refuse_idle(source, reading)
    data = _load(source, root, name, reading, progress)
    if data.reader is None:
        data = replace(data, reader=ArrayReader(tuple(data.train.inputs.shape[1:])))
    return data if reading.test is None else _with_test(data, reading, root, progress)


def _refuse_idle(source: object, reading: Reading) -> None:
    """Refuse what would say nothing about such a source: columns, without a table; sizes of images, without files."""
    if hasattr(source, "columns") or any(str(one).lower().endswith(TABLES) for one in (source, reading.test)):
        return
    if isinstance(source, str | os.PathLike):
        shown, pictures = os.fspath(source), Path(source).is_dir()
    else:
        shown, pictures = f"data of type {type(source).__name__}", not isinstance(source, Data | Mapping | tuple)
    idle = [*_COLUMNS, *(() if pictures else _OF_IMAGES)]
    if reading.annotator or reading.annotators:  # then these are columns of the annotators' table
        idle = [name for name in idle if name not in ("label", "id")]
    said = [name for name in idle if getattr(reading, name) != getattr(Reading, name)]
    if said:
        what = "columns" if said[0] in _COLUMNS else "files of images"
        raise UsageError(f"{shown} has no {what}, so {said[0].replace('_', '-')} means nothing: leave it out")


def _load(source: object, root: str | Path | None, name: str | None, reading: Reading, progress: Progress) -> Data:
    if isinstance(source, Data):
        return replace(source, name=name or source.name)
    if isinstance(source, Mapping):
        return from_arrays(source, name or "arrays")
    if isinstance(source, tuple):
        return from_arrays(_named(source), name or "arrays")
    if isinstance(source, str | os.PathLike):
        return _load_path(os.fspath(source), root, name, reading, progress)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        from thresher.data.table import load_table

        return load_table(cast(pd.DataFrame, source), reading, name)
    if hasattr(source, "__getitem__") and not isinstance(source, list | np.ndarray):
        from thresher.data.dataset import load_dataset

        return load_dataset(source, reading, name, progress)
    raise UsageError(f"data of type {type(source).__name__} cannot be read: give {_ACCEPTED}")


def _named(arrays: tuple[object, ...]) -> dict[str, object]:
    if len(arrays) not in (2, 4):
        raise UsageError(f"a tuple of {len(arrays)} is no data set: give (x, y) or (x, y, x_test, y_test)")
    return dict(zip(KEYS, arrays, strict=False))


def _load_path(source: str, root: str | Path | None, name: str | None, reading: Reading, progress: Progress) -> Data:
    for known, read in _BY_NAME:
        if known(source):
            return read(source, root, name)
    if source.lower().endswith(".npz"):
        return from_npz(source, name)
    if source.lower().endswith(TABLES):
        from thresher.data.table import load_table

        return load_table(Path(source), reading, name)
    if Path(source).is_dir():
        from thresher.data.folder import load_folder

        return load_folder(Path(source), reading, name, progress)
    if not Path(source).exists() and (os.sep in source or Path(source).suffix):
        raise UsageError(f"there is no file or folder {source}: check the path")
    near = difflib.get_close_matches(source.lower().replace("-", "_"), NAMES, n=2)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"{source!r} is no data that can be read: {hint}give {_ACCEPTED}")


_Load = Callable[[str, str | Path | None, str | None], Data]
_BY_NAME: tuple[tuple[Callable[[str], bool], _Load], ...] = (
    (lambda source: source == "digits", lambda source, root, name: load_digits(name or source)),
    (lambda source: source in SETS, load_idx),
    (lambda source: source.partition(":")[0] in {one.partition(":")[0] for one in cifar.NAMES}, cifar.load_cifar),
)


def _with_test(data: Data, reading: Reading, root: str | Path | None, progress: Progress) -> Data:
    """The data with a test set that lies elsewhere, read in the same way and with the same classes."""
    source = str(reading.test)
    if data.test is not None:
        raise UsageError(f"{data.name} has a test set of its own, and {source} is another: give one of them")
    if source.lower().endswith(TABLES):
        from thresher.data.table import load_test_table

        return replace(data, test=load_test_table(Path(source), reading, data.reader, data.classes))
    if Path(source).is_dir():
        from thresher.data.folder import read_test

        return replace(data, test=read_test(source, data.classes, data.reader, reading, progress))
    found = _load(source, root, None, reading, progress)
    other = found.train
    if other.inputs.shape[1:] != data.train.inputs.shape[1:]:
        raise UsageError(
            f"a row of the test set {source} has shape {tuple(other.inputs.shape[1:])} and one of {data.name} "
            f"{tuple(data.train.inputs.shape[1:])}: both sets need the same"
        )
    given = np.asarray(found.classes, dtype=object)[other.labels.numpy()]
    labels = lookup(given, data.classes, f"the test set {source}")
    return replace(data, test=replace(other, labels=torch.as_tensor(labels)))


def reader_from(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Reader:
    """The reader that `Reader.facts` described, to read new inputs like those a run was trained on.

    Example:
        >>> reader_from({"kind": "arrays", "shape": [2]}, {}).read([[1.0, 2.0]], Reading())[0]
        tensor([[1., 2.]])
    """
    kind = facts["kind"]
    if kind == "arrays":
        return ArrayReader(tuple(facts["shape"]))
    if kind == "images":
        from thresher.data.images import ImageReader

        return ImageReader(facts["size"], facts["channels"])
    from thresher.data import table

    return table.reader_from(facts, arrays)
