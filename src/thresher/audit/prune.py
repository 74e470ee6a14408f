"""Which samples to doubt, once a joint of given and true labels says how many.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021, section 3.2:
"prune by noise rate" takes, per pair of given and true class, the samples with the largest margin between the two;
"prune by class" takes, per given class, those with the lowest probability of it. Rounding and ties are cleanlab's
(version 2.9): of equal values at the cut those go first that numpy's default sort puts first.
"""

from collections.abc import Sequence

import numpy as np


def round_rows(matrix: np.ndarray) -> np.ndarray:
    """Round to integers so that every row keeps its (rounded) sum; the entries that rounding hurt most give way.

    Args:
        matrix: float ``[R, C]``.

    Returns:
        int64 ``[R, C]``.

    Example:
        >>> round_rows(np.array([[0.4, 0.4, 2.2], [1.0, 2.0, 3.0]])).sum(axis=1)
        array([3, 6])
    """
    whole = np.rint(matrix)
    short = (np.rint(matrix.sum(axis=1)) - whole.sum(axis=1))[:, None]
    rank = np.argsort(np.argsort(matrix - whole, axis=1), axis=1)
    up, down = rank >= matrix.shape[1] - short, rank < -short
    return np.asarray(whole + up - down, dtype=np.int64)


def prune_counts(joint: np.ndarray, keep: int = 1, fraction: float = 1.0) -> np.ndarray:
    """Samples to doubt per pair of classes.

    Args:
        joint: counts ``[K, K]``, row = given class, column = true class.
        keep: samples of each given class that are kept at least; what that takes is taken evenly from its pairs.
        fraction: of the doubted samples that are wanted, 0 to 1.

    Returns:
        int64 ``[K, K]``: off the diagonal the samples to doubt, on the diagonal those to keep.

    Example:
        >>> prune_counts(np.array([[0, 4], [2, 6]]), keep=1)
        array([[1, 3],
               [2, 6]])
    """
    kept = np.maximum(joint.diagonal(), keep)
    others = np.maximum(np.count_nonzero(joint, axis=1) - 1, 1)
    counts = np.maximum(joint - ((kept - joint.diagonal()) / others)[:, None], 0)
    np.fill_diagonal(counts, kept)
    wanted = counts * fraction
    np.fill_diagonal(wanted, kept)
    np.fill_diagonal(wanted, kept + (counts - wanted).sum(axis=1))
    return np.asarray(wanted, dtype=np.int64)


def counts_for(wanted: np.ndarray, counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Counts to doubt when the number per class is given by the user, as cleanlab shares them out.

    Args:
        wanted: samples to doubt per class, integer ``[K]``.
        counts: int64 ``[K, K]``, from `prune_counts`.
        sizes: samples per given class, integer ``[K]``.

    Returns:
        int64 ``[K, K]``: the diagonal is exactly ``sizes - wanted``, the rest follows the proportions of `counts`, per
        true class, rounded.

    Example:
        >>> counts_for(np.array([1, 2]), np.array([[4, 2], [3, 5]]), np.array([6, 8]))
        array([[5, 2],
               [1, 6]])
    """
    by_true = np.ascontiguousarray(counts.T)
    with np.errstate(divide="ignore", invalid="ignore"):  # a class that nothing is confused with shares out nothing
        share = by_true / by_true.sum(axis=1)
        scaled = (share.T * wanted / (share.sum(axis=1) - share.diagonal())).T
        np.fill_diagonal(scaled, sizes - wanted)
        rounded = round_rows(scaled)
    return np.where(np.isfinite(scaled), rounded, 0).T


def by_noise_rate(
    groups: Sequence[np.ndarray], probabilities: np.ndarray, counts: np.ndarray, keep: int = 1
) -> np.ndarray:
    """Per pair of given and true class, the samples whose probability of the true class leads the given one most.

    Args:
        groups: row numbers of each given class, K arrays from `rows_by_class`.
        probabilities: class probabilities, float ``[N, K]``.
        counts: samples to doubt per pair, integer ``[K, K]``; the diagonal is not used.
        keep: a class of so many samples or fewer is left alone, and one of a single sample always.

    Returns:
        bool ``[N]``: True = doubted.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])
        >>> by_noise_rate(rows_by_class(np.array([0, 0, 0, 1]), 2), p, np.array([[2, 1], [0, 1]]))
        array([False,  True, False, False])
    """
    mask = np.zeros(len(probabilities), dtype=bool)
    for given, rows in enumerate(groups):
        if len(rows) <= max(keep, 1):
            continue
        own = probabilities[rows, given]
        for true in np.flatnonzero(counts[given] > 0):
            if true != given:
                lead = probabilities[rows, true] - own
                mask[rows[largest(lead, counts[given, true])]] = True
    return mask


def by_class(groups: Sequence[np.ndarray], probabilities: np.ndarray, counts: np.ndarray, keep: int = 1) -> np.ndarray:
    """Per given class, the samples with the lowest probability of it: all that the diagonal of `counts` does not keep.

    Args:
        groups: row numbers of each given class, K arrays from `rows_by_class`.
        probabilities: class probabilities, float ``[N, K]``.
        counts: integer ``[K, K]``; its diagonal says how many samples of each class to keep.
        keep: a class of so many samples or fewer is left alone, and one of a single sample always.

    Returns:
        bool ``[N]``: True = doubted.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])
        >>> by_class(rows_by_class(np.array([0, 0, 0, 1]), 2), p, np.array([[2, 1], [0, 1]]))
        array([False,  True, False, False])
    """
    mask = np.zeros(len(probabilities), dtype=bool)
    for given, rows in enumerate(groups):
        doubted = len(rows) - counts[given, given]
        if len(rows) > max(keep, 1) and doubted > 0:
            mask[rows[largest(-probabilities[rows, given], doubted)]] = True
    return mask


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Mark the `count` largest values, in linear time unless the cut falls between equal ones.

    Args:
        values: float ``[n]``, no NaN.
        count: how many; all are marked where it is n or more.

    Returns:
        bool ``[n]``.

    Example:
        >>> largest(np.array([0.1, 0.7, 0.3]), 2)
        array([False,  True,  True])
    """
    if count >= len(values):
        return np.ones(len(values), dtype=bool)
    mask = np.zeros(len(values), dtype=bool)
    if count <= 0:
        return mask
    mask = np.asarray(values >= np.partition(values, -count)[-count])
    if np.count_nonzero(mask) > count:  # only a sort can tell equal values apart as cleanlab's sort does
        mask[:] = False
        mask[np.argsort(-values)[:count]] = True
    return mask


def rows_by_class(labels: np.ndarray, classes: int) -> list[np.ndarray]:
    """The row numbers of every class, each in ascending order.

    Args:
        labels: integer ``[N]``, values 0..K-1.
        classes: K.

    Returns:
        K integer arrays.

    Example:
        >>> [rows.tolist() for rows in rows_by_class(np.array([1, 0, 1]), 3)]
        [[1], [0, 2], []]
    """
    ends = np.cumsum(np.bincount(labels, minlength=classes))
    small = labels.astype(np.uint16) if classes <= 1 << 16 else labels  # numpy sorts these in linear time
    return np.split(np.argsort(small, kind="stable"), ends[:-1])
