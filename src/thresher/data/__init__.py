"""Where training data comes from: named sets, files and arrays, all as one `Data`."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from thresher.data.arrays import KEYS, from_arrays, from_npz
from thresher.data.digits import load_digits
from thresher.data.idx import SETS, load_idx
from thresher.data.samples import Data, Samples
from thresher.errors import UsageError

__all__ = ["NAMES", "Data", "Samples", "load"]

NAMES = ("digits", *SETS)
"""The sets that are known by name."""

_ACCEPTED = f"{', '.join(NAMES)}, a .npz file, arrays (x, y) or (x, y, x_test, y_test), or a dict of {', '.join(KEYS)}"


def load(source: object, *, root: str | Path | None = None, name: str | None = None) -> Data:
    """Load data from anything that Thresher reads.

    Args:
        source: a name of `NAMES`; the path of a .npz file; arrays or tensors ``(x, y)`` or ``(x, y, x_test, y_test)``;
            a dict with `x`, `y` and optionally `x_test`, `y_test`, `id`, `group`; or a `Data`.
        root: the folder of official files, for named sets; default the environment variable THRESHER_DATA.
        name: of the data set; default what was typed, the file's name without its ending, or ``arrays``.

    Raises:
        UsageError: a source that cannot be read, or anything wrong inside it, in one sentence.

    Example:
        >>> data = load(([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]))
        >>> len(data.train), data.classes, data.test
        (4, ('no', 'yes'), None)
    """
    if isinstance(source, Data):
        return replace(source, name=name or source.name)
    if isinstance(source, Mapping):
        return from_arrays(source, name or "arrays")
    if isinstance(source, tuple):
        return from_arrays(_named(source), name or "arrays")
    if isinstance(source, str | os.PathLike):
        return _load_path(os.fspath(source), root, name)
    raise UsageError(f"data of type {type(source).__name__} cannot be read: give {_ACCEPTED}")


def _named(arrays: tuple[object, ...]) -> dict[str, object]:
    if len(arrays) not in (2, 4):
        raise UsageError(f"a tuple of {len(arrays)} is no data set: give (x, y) or (x, y, x_test, y_test)")
    return dict(zip(KEYS, arrays, strict=False))


def _load_path(source: str, root: str | Path | None, name: str | None) -> Data:
    if source == "digits":
        return load_digits(name or source)
    if source in SETS:
        return load_idx(source, root, name)
    if source.lower().endswith(".npz"):
        return from_npz(source, name)
    near = difflib.get_close_matches(source.lower().replace("-", "_"), NAMES, n=2)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"{source!r} is no data that can be read: {hint}give {_ACCEPTED}")
