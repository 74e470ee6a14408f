"""One value per row, as people keep them: labels, ids and groups, as numbers, names or true/false."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from thresher.errors import UsageError

_NAMED = 3  # how many offending values a message lists
_LARGEST = 2**53  # beyond it, a float no longer holds every whole number


def to_numpy(values: object, what: str) -> np.ndarray:
    """An array of anything array-like: a tensor from any device, a list, a pandas series.

    Lists and tuples become arrays of Python objects, for numpy would turn ``["cat", 1]`` into two texts.

    Args:
        values: what the user gave.
        what: its name in messages.

    Raises:
        UsageError: a tensor without ordinary memory (sparse, quantised).

    Example:
        >>> to_numpy(torch.tensor([1.5], dtype=torch.bfloat16), "y")
        array([1.5], dtype=float32)
    """
    if isinstance(values, torch.Tensor):
        if values.layout != torch.strided or values.is_quantized:
            raise UsageError(f"{what} is a sparse or quantised tensor: pass a dense one")
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)


def column(values: object, what: str) -> np.ndarray:
    """One value per row, as int64, bool or text.

    Args:
        values: array-like ``[N]`` of whole numbers (whole floats too), true/false, or text.
        what: its name in messages.

    Raises:
        UsageError: not one-dimensional, missing or fractional values, a mixture of kinds, another kind.

    Example:
        >>> column([0.0, 2.0], "y"), column(["dog", "cat"], "y")
        (array([0, 2]), array(['dog', 'cat'], dtype='<U3'))
    """
    array = to_numpy(values, what)
    if array.ndim != 1:
        raise UsageError(f"{what} has shape {list(array.shape)} where one value per row is needed: {_flat_hint(array)}")
    if array.dtype.kind in "OT":
        array = _from_objects(array.tolist(), what)
    if array.dtype.kind == "f":
        array = _whole(array, what)
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise UsageError(f"{what} holds {array.max()}, which is too large for a number of 64 bits: pass text instead")
    if array.dtype.kind == "U":
        _refuse_where(array == "", what, "an empty or missing value")
        return array
    if array.dtype.kind not in "iub":
        raise UsageError(f"{what} has dtype {array.dtype}: give whole numbers, true/false, or text")
    return array.astype(bool if array.dtype.kind == "b" else np.int64)


def encode(values: object, what: str, classes: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn given labels into class numbers.

    Classes are in sorted order of their names, whole numbers (as numbers or as text) by value.

    Args:
        values: array-like ``[N]``, as for `column`.
        what: its name in messages.
        classes: their names, in the order of their numbers, where all are known; by default those that occur.

    Returns:
        Class numbers int64 ``[N]``, values 0..K-1, and the K class names.

    Raises:
        UsageError: as for `column`; negative numbers, a number missing in the middle, fewer than two classes, a label
            that is none of `classes`.

    Example:
        >>> encode(["b", "a", "b"], "y")
        (array([1, 0, 1]), ('a', 'b'))
    """
    if classes is not None:
        return lookup(values, tuple(classes), what, "the classes that are named"), tuple(classes)
    labels = column(values, what)
    if labels.dtype.kind == "i":
        _refuse_where(labels < 0, what, "a negative label")
    present, codes = np.unique(labels, return_inverse=True)
    if len(present) == 0:
        raise UsageError(f"{what} is empty: training needs labels of two classes or more")
    if len(present) == 1:
        raise UsageError(f"every label in {what} is {str(present[0])!r}: training needs two classes or more")
    if labels.dtype.kind == "i":
        _refuse_gap(present, what)
    names = [str(name) for name in present.tolist()]
    order = sorted(range(len(names)), key=lambda k: int(names[k])) if all(map(_is_number, names)) else range(len(names))
    rank = np.argsort(np.asarray(order))
    return rank[codes].astype(np.int64), tuple(names[k] for k in order)


def lookup(values: object, classes: tuple[str, ...], what: str, known: str = "the training labels") -> np.ndarray:
    """Class numbers of labels whose classes are known already.

    Args:
        values: array-like ``[N]``, as for `column`.
        classes: the class names.
        what: its name in messages.
        known: where the class names are from, in messages.

    Returns:
        int64 ``[N]``, values 0..K-1.

    Raises:
        UsageError: as for `column`; a label that is none of the classes.

    Example:
        >>> lookup(["b", "b"], ("a", "b"), "y_test")
        array([1, 1])
    """
    present, codes = np.unique(column(values, what), return_inverse=True)
    number = {name: k for k, name in enumerate(classes)}
    names = [str(name) for name in present.tolist()]
    unknown = [name for name in names if name not in number]
    if unknown:
        raise UsageError(
            f"{what} holds {listed(unknown)}, unknown to {known} ({listed(classes)}): give both the same classes"
        )
    return np.array([number[name] for name in names], dtype=np.int64)[codes]


def names(values: object, what: str) -> np.ndarray:
    """Ids or groups as text.

    Args:
        values: array-like ``[N]``, as for `column`.
        what: its name in messages.

    Returns:
        Object array ``[N]`` of strings.

    Raises:
        UsageError: as for `column`.

    Example:
        >>> names([7, 8], "id")
        array(['7', '8'], dtype=object)
    """
    return np.array([str(value) for value in column(values, what).tolist()], dtype=object)


def listed(values: Iterable[str]) -> str:
    """The first few names, and how many more there are.

    Example:
        >>> listed(["ant", "bee", "cat", "dog", "eel"])
        "'ant', 'bee', 'cat' and 2 more"
    """
    every = list(values)
    return ", ".join(map(repr, every[:_NAMED])) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")


def row_keys(rows: int) -> np.ndarray:
    """The keys of rows that have no names of their own: their numbers as text.

    Example:
        >>> row_keys(2)
        array(['0', '1'], dtype=object)
    """
    return np.array([str(row) for row in range(rows)], dtype=object)


def _flat_hint(array: np.ndarray) -> str:
    if array.ndim == 2 and array.shape[1] > 1:
        return "take the argmax over classes, or a single column"
    return "flatten it with .ravel()"


def _from_objects(values: list[object], what: str) -> np.ndarray:
    """The typed array of Python objects that are all of one kind."""
    kinds = [_kind(value) for value in values]
    missing = np.array([kind == "missing" for kind in kinds], dtype=bool)
    _refuse_where(missing, what, "an empty or missing value")
    found = sorted(set(kinds))
    if len(found) > 1:
        second = next(row for row, kind in enumerate(kinds) if kind != kinds[0])
        raise UsageError(f"{what} mixes {' and '.join(found)}, first in row {second}: give all labels as one of them")
    if found and found[0] not in ("numbers", "text", "true/false"):
        raise UsageError(f"{what} holds values of type {found[0]}: give whole numbers, true/false, or text")
    return np.asarray(values)


def _kind(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "missing"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "true/false"
    if isinstance(value, int | float | np.integer | np.floating):
        return "numbers"
    return type(value).__name__


def _whole(array: np.ndarray, what: str) -> np.ndarray:
    """Floats that are whole numbers, as int64."""
    _refuse_where(~np.isfinite(array), what, "a value that is NaN or infinite")
    _refuse_where(array != np.floor(array), what, "a fractional value, where whole numbers or names are needed")
    _refuse_where(np.abs(array) > _LARGEST, what, "a number too large to be exact")
    return array.astype(np.int64)


def _refuse_where(bad: np.ndarray, what: str, holds: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise UsageError(
            f"{what} holds {holds} in {len(rows)} of {len(bad)} rows, the first is row {rows[0]}: correct or remove it"
        )


def _refuse_gap(present: np.ndarray, what: str) -> None:
    """Refuse class numbers with a hole: it means a lost class far more often than one that never was."""
    holes = np.flatnonzero(np.diff(present) > 1)
    if len(holes):
        low, high = int(present[holes[0]]) + 1, int(present[holes[0] + 1]) - 1
        which = f"class {low} has" if low == high else f"classes {low} to {high} have"
        raise UsageError(
            f"{which} no row in {what}, though labels go from {present[0]} to {present[-1]}: "
            "bring the missing samples, number the classes without a gap, or pass names as text"
        )


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
