"""Labels of samples that may belong to several classes or to none, as a matrix of true and false."""

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
import pandas as pd

from thresher.errors import UsageError, nearest

Labels: TypeAlias = np.ndarray | pd.DataFrame | Sequence[Sequence[int]]

_CLOSE = 1e-6


def matrix(labels: Labels, classes: int) -> np.ndarray:
    """Labels as a matrix.

    Args:
        labels: per sample the list of its class numbers, as cleanlab takes them; or an array or a DataFrame ``[N, K]``
            of 0 and 1, or of booleans.
        classes: K.

    Returns:
        bool ``[N, K]``.

    Raises:
        UsageError: neither of the two; class numbers out of range, or twice in one sample.

    Example:
        >>> matrix([[0, 2], []], 3)
        array([[ True, False,  True],
               [False, False, False]])
    """
    if not isinstance(labels, np.ndarray | pd.DataFrame):
        return _from_lists(labels, classes)
    array = np.asarray(labels)
    if array.dtype != object:
        return _from_matrix(array, classes)
    if array.ndim == 2:
        raise UsageError("a matrix of labels must hold 0 and 1, or true and false: it holds Python objects")
    return _from_lists(array.tolist(), classes)


def _from_matrix(array: np.ndarray, classes: int) -> np.ndarray:
    if array.ndim != 2 or array.shape[1] != classes:
        raise UsageError(
            f"a matrix of labels has the shape [samples, classes], and this one is {list(array.shape)} for {classes} "
            "classes: one class per sample is no multi-label data"
        )
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "iuf" or not ((array == 0) | (array == 1)).all():
        raise UsageError("a matrix of labels must hold 0 and 1, or true and false: of class numbers, make lists")
    return np.asarray(array == 1)


def _from_lists(labels: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    try:
        sizes = np.array([len(own) for own in labels], dtype=np.int64)
        flat = list(chain.from_iterable(labels))
    except TypeError as error:
        raise UsageError("labels must be a list of class numbers per sample, as [[0, 2], [], [1]]") from error
    if not all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in flat):
        raise UsageError("labels must be class numbers, as [[0, 2], [], [1]]: of true and false, make a numpy array")
    rows, columns = np.repeat(np.arange(len(sizes)), sizes), np.asarray(flat, dtype=np.int64)
    if len(columns) and not 0 <= columns.min() <= columns.max() < classes:
        raise UsageError(f"class numbers go from {columns.min()} to {columns.max()}, and there are {classes} classes")
    result = np.zeros((len(sizes), classes), dtype=bool)
    result[rows, columns] = True
    if result.sum() < len(columns):
        row = int(np.flatnonzero(result.sum(axis=1) < sizes)[0])
        raise UsageError(
            f"sample {row} names a class twice: labels in lists are class numbers, and 0 and 1 for every class must be "
            "a numpy array"
        )
    return result


def checked(labels: Labels, pred_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities, after making sure that they mean something together.

    Args:
        labels: as for `matrix`.
        pred_probs: the probability of every class on its own, ``[N, K]``; a row need not sum to 1.

    Returns:
        bool ``[N, K]``, and floats ``[N, K]`` of the dtype they had.

    Raises:
        UsageError: the arrays do not fit together, or hold values that have no meaning.

    Example:
        >>> checked([[0], [1]], np.array([[0.9, 1.2], [0.2, 0.7]]))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: probabilities go from 0.2 to 1.2: take the sigmoid of logits, to have them in 0 to 1
    """
    probabilities = np.asarray(pred_probs)
    if probabilities.ndim != 2 or not probabilities.shape[1]:
        raise UsageError(f"probabilities have shape {probabilities.shape}: they must be [samples, classes]")
    if probabilities.dtype.kind in "iub":
        probabilities = probabilities.astype(np.float64)
    if probabilities.dtype.kind != "f":
        raise UsageError(f"probabilities are of type {probabilities.dtype}: they must be numbers")
    given = matrix(labels, probabilities.shape[1])
    if len(given) != len(probabilities):
        raise UsageError(f"there are {len(given)} labels for {len(probabilities)} rows of probabilities")
    low, high = (probabilities.min(), probabilities.max()) if probabilities.size else (0.0, 1.0)
    if not np.isfinite([low, high]).all():
        raise UsageError("probabilities hold NaN or infinite values: score these rows again or leave them out")
    if low < -_CLOSE or high > 1 + _CLOSE:
        raise UsageError(
            f"probabilities go from {low:.4g} to {high:.4g}: take the sigmoid of logits, to have them in 0 to 1"
        )
    return given, probabilities


def check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    """Refuse an unknown name, and say what it may have meant.

    Raises:
        UsageError: `name` is not among `known`.

    Example:
        >>> check_name("method", "softmin", ("softmin", "minimum"))
    """
    if name not in known:
        raise UsageError(f"there is no {what} {name!r}: {nearest(str(name), known)}")
