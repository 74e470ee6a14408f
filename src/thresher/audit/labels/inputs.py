"""Labels and probabilities as people have them, in one form: class numbers and a matrix of floats."""

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from thresher.audit import confident
from thresher.errors import UsageError, nearest

Labels: TypeAlias = Any
"""Array-like ``[N]``: class numbers, or names; a numpy array, a list, a pandas series, a torch tensor."""

Names: TypeAlias = Sequence[Hashable] | np.ndarray
"""What the K columns stand for, in their order."""

Probabilities: TypeAlias = Any
"""Array-like ``[N, K]`` of floats: a numpy array, a DataFrame, a torch tensor, a list of lists."""


def prepared(
    labels: Labels, pred_probs: Probabilities, classes: Names | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[Hashable, ...] | None]:
    """Class numbers, the matrix, and the names of its columns; checked, and not copied where they are arrays.

    Labels that are integers are column numbers, as in cleanlab. Labels that are names belong to the columns in the
    order of `classes`; by default to the columns of a DataFrame by their names, to others in sorted order.

    Args:
        labels: integer or names ``[N]``.
        pred_probs: float ``[N, K]``.
        classes: what the K columns stand for, in their order; needed where a class has no label.

    Returns:
        int ``[N]``, values 0..K-1; float ``[N, K]``; the K names, or None for numbers.

    Raises:
        UsageError: the arrays do not fit together, hold values that have no meaning, or the order of the columns is
            open.

    Example:
        >>> prepared(["dog", "cat"], [[0.5, 0.5], [0.9, 0.1]])[0]
        array([1, 0])
    """
    given, probabilities, names = _as_arrays(labels, pred_probs, classes)
    return *confident.checked(given, probabilities), names


def prepared_with_doubts(
    labels: Labels, pred_probs: Probabilities, classes: Names | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`prepared`, and where the model would give another label (``~agrees``), in the same pass.

    Args:
        labels: as for `prepared`.
        pred_probs: as for `prepared`.
        classes: as for `prepared`.

    Returns:
        int ``[N]``, float ``[N, K]``, bool ``[N]``.

    Example:
        >>> prepared_with_doubts(["dog", "cat"], [[0.5, 0.5], [0.1, 0.9]])[2]
        array([False,  True])
    """
    given, probabilities, _ = _as_arrays(labels, pred_probs, classes)
    return confident.checked_with_doubts(given, probabilities)


def _as_arrays(
    labels: Labels, pred_probs: Probabilities, classes: Names | None
) -> tuple[np.ndarray, np.ndarray, tuple[Hashable, ...] | None]:
    if classes is None and _named(pred_probs) and not numbered(labels):
        classes = tuple(pred_probs.columns)
    probabilities = _matrix(pred_probs)
    given, names = class_numbers(labels, probabilities.shape[1] if probabilities.ndim == 2 else 0, classes)
    return given, probabilities, names


def class_numbers(
    labels: Labels, count: int, classes: Names | None = None
) -> tuple[np.ndarray, tuple[Hashable, ...] | None]:
    """Labels as class numbers, and the names of the classes; see `prepared`.

    Args:
        labels: integer or names ``[N]``.
        count: K.
        classes: the K names in the order of the columns.

    Raises:
        UsageError: labels of mixed or unknown kinds, missing ones, names that do not fit the columns.

    Example:
        >>> class_numbers(["b", "a"], 3, classes=["a", "b", "c"])
        (array([1, 0]), ('a', 'b', 'c'))
    """
    values = _plain(labels)
    if values is None:
        values = _column(labels)
    if classes is None and values.dtype.kind in "iu":
        return values, None
    codes, found = pd.factorize(values, sort=True)
    present = found.tolist()
    names = tuple(classes) if classes is not None else _in_order(present, count)
    number = {name: k for k, name in enumerate(names)}
    if len(number) != count or len(names) != count:
        raise UsageError(f"classes must be {count} different names, one per column: there are {len(number)}")
    strange = [name for name in present if name not in number]
    if strange:
        raise UsageError(f"labels hold {strange[0]!r}, which is no class: {nearest(str(strange[0]), map(str, names))}")
    return np.array([number[name] for name in present], dtype=np.int64)[codes], names


def check_name(what: str, name: object, known: Sequence[str]) -> None:
    """Refuse an unknown name of an option, and say the nearest known ones.

    Raises:
        UsageError: it is not among them.

    Example:
        >>> check_name("filter_by", "bothh", ["both"])
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no filter_by 'bothh': did you mean both?
    """
    if name not in known:
        raise UsageError(f"there is no {what} {name!r}: {nearest(str(name), known)}")


def square(matrix: Any, classes: int | None = None, what: str = "confident_joint") -> np.ndarray:
    """A ``[K, K]`` matrix of counts or shares.

    Args:
        matrix: array-like.
        classes: K, where it is known.
        what: its name in messages.

    Raises:
        UsageError: another shape, or values that are no counts.

    Example:
        >>> square([[1, 0], [0, 2]])
        array([[1, 0],
               [0, 2]])
    """
    array = np.asarray(matrix)
    count = classes or len(np.atleast_1d(array))
    if array.shape != (count, count) or array.dtype.kind not in "iuf":
        raise UsageError(f"{what} has shape {list(array.shape)}: it must be numbers [{count}, {count}]")
    if not np.isfinite(array).all() or array.min() < 0:
        raise UsageError(f"{what} holds negative, NaN or infinite values: it must hold counts or shares")
    return array


def numbered(labels: Labels) -> bool:
    """Whether labels are class numbers rather than names.

    Raises:
        UsageError: they are neither.

    Example:
        >>> numbered([0, 1]), numbered(["cat", "dog"])
        (True, False)
    """
    return _plain(labels) is not None or _column(labels).dtype.kind == "i"


def _named(pred_probs: Probabilities) -> bool:
    return isinstance(pred_probs, pd.DataFrame) and not pd.api.types.is_integer_dtype(pred_probs.columns)


def _plain(labels: Labels) -> np.ndarray | None:
    """Labels that numpy sees as integers, so that nothing has to be looked at; None for others."""
    if not isinstance(labels, np.ndarray | pd.Series | list | tuple) or not len(labels):
        return None
    try:
        array = np.asarray(labels)
    except ValueError:  # lists within the list, of several lengths
        return None
    return _flat(array) if array.dtype.kind in "iu" else None


def _column(labels: Labels) -> np.ndarray:
    """Labels of any other kind: whole numbers, true/false, or text."""
    flat = _flat(labels) if isinstance(labels, np.ndarray | pd.DataFrame) else labels
    if isinstance(flat, np.ndarray | pd.Series | list | tuple) and _texts(flat):
        return np.asarray(flat, dtype=object)
    from thresher.data.columns import column  # imports torch, which plain numbers and names do not need

    return column(flat, "labels")


def _texts(labels: np.ndarray | pd.Series | list | tuple) -> bool:
    """Whether these are names and nothing else, none of them empty or missing."""
    return pd.api.types.infer_dtype(labels, skipna=False) == "string" and "" not in set(labels)


def _flat(labels: Any) -> np.ndarray:
    """One column is as good as one dimension."""
    array = labels.to_numpy() if isinstance(labels, pd.DataFrame) else labels
    flat: np.ndarray = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    return flat


def _matrix(pred_probs: Probabilities) -> np.ndarray:
    if hasattr(pred_probs, "detach"):  # a tensor, without importing torch
        from thresher.data.columns import to_numpy

        return to_numpy(pred_probs, "pred_probs")
    try:
        return np.asarray(pred_probs)
    except ValueError as error:
        raise UsageError(f"pred_probs is no matrix: give [samples, classes] numbers ({error})") from error


def _in_order(names: list[Hashable], count: int) -> tuple[Hashable, ...]:
    """The names, sorted, as the columns; refused where a name is missing or the order is open."""
    if len(names) != count:
        raise UsageError(
            f"labels have {len(names)} names for {count} columns of probabilities: give classes=[...], the name of "
            "every column in order"
        )
    texts = [name for name in names if isinstance(name, str) and name.isascii() and name.isdigit()]
    if len(texts) == count and sorted(texts, key=int) != texts:
        raise UsageError(
            "labels are numbers written as text, and their order as text is not their order by value: give "
            "classes=[...], the name of every column in order"
        )
    return tuple(names)
