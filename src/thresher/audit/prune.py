"""Which samples to doubt, once a joint of given and true labels says how many.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021, section 3.2:
"prune by noise rate" takes, per pair of given and true class, the samples with the largest margin between the two;
"prune by class" takes, per given class, those with the lowest probability of it. Rounding and ties are cleanlab's
(version 2.9): of equal values at the cut those go first that numpy's default sort puts first.
"""

import numpy as np

from thresher.audit.blocks import blocks, share

FILTERS = (
    *("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"),
    *("low_normalized_margin", "low_self_confidence"),
)
"""cleanlab's names of the ways to choose which labels are wrong."""

PRUNING = FILTERS[:3]
"""Those that read how many samples of each pair of classes are wrong."""

_SURE = 2e-6  # above the tolerance of `agrees`: no sample with such a lead agrees with its label
_LEADS = 1 << 19  # a class of a million samples of ten classes at once
_VISIT = 1 << 16
_SMALL = 1 << 14  # joints of many classes are large beside the probabilities, and temporary arrays must not be


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
    result = np.empty(matrix.shape, dtype=np.int64)
    place = np.arange(matrix.shape[1])
    for rows in blocks(matrix, _SMALL):
        block, whole = matrix[rows], np.rint(matrix[rows])
        with np.errstate(invalid="ignore"):  # rows with infinite shares, of `counts_for`, are not mended
            short = (np.rint(block.sum(axis=1)) - whole.sum(axis=1))[:, None]
            order = np.argsort(block - whole, axis=1)
            up, down = place >= len(place) - short, place < -short
            row = np.arange(len(block))[:, None] + np.zeros_like(order)
            whole[row[up], order[up]] += 1
            whole[row[down], order[down]] -= 1
            result[rows] = whole
    return result


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
    taken = (kept - joint.diagonal()) / others
    result = np.empty(joint.shape, dtype=np.int64)
    for rows in blocks(joint, _SMALL):
        counts = np.maximum(joint[rows] - taken[rows, None], 0)
        own = np.arange(len(counts)), np.arange(len(joint))[rows]
        counts[own] = kept[rows]
        wanted = counts * fraction
        wanted[own] = kept[rows]
        wanted[own] += (counts - wanted).sum(axis=1)
        result[rows] = wanted
    return result


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
    labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray, doubted: np.ndarray, keep: int = 1
) -> np.ndarray:
    """Per pair of given and true class, the samples whose probability of the true class leads the given one most.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: class probabilities, float ``[N, K]``.
        counts: samples to doubt per pair, integer ``[K, K]``; the diagonal is not used.
        doubted: those whose label the model would not give, ``~agrees(labels, probabilities)``; no others are taken,
            though they count.
        keep: a class of so many samples or fewer is left alone, and one of a single sample always.

    Returns:
        bool ``[N]``: True = probably wrong.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])
        >>> by_noise_rate(np.array([0, 0, 0, 1]), p, np.array([[2, 1], [0, 1]]), p[:, 0] < 0.5)
        array([False,  True, False, False])
    """
    mask = np.zeros(len(labels), dtype=bool)
    enough = np.bincount(labels, minlength=len(counts)) > max(keep, 1)
    suspects = np.flatnonzero(doubted)
    sizes = np.bincount(labels[suspects], minlength=len(counts))
    groups = np.split(suspects[order_by_class(labels[suspects], len(counts))], sizes.cumsum()[:-1])

    def one(given: int) -> None:
        rows, pairs = groups[given], np.flatnonzero(counts[given] > 0)
        pairs = pairs[pairs != given]
        width = max(1, _LEADS // max(1, len(rows)))
        for true in (pairs[start : start + width] for start in range(0, len(pairs), width)):
            taken, unsure = _leaders(probabilities, rows, given, true, counts[given, true])
            mask[rows[taken]] = True
            if len(unsure):
                _take_from_all(mask, labels, probabilities, given, unsure, counts[given, unsure])

    share(one, np.flatnonzero(enough).tolist(), len(suspects))  # of each class so many leads, about
    mask &= doubted
    return mask


def _leaders(
    probabilities: np.ndarray, rows: np.ndarray, given: int, true: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the doubted rows are among the `counts` largest leads of their class, and for which pairs that is open.

    A lead that is large enough is larger than that of every sample which is not doubted, so that the doubted ones will
    do. It is open where the cut falls lower, or between equal leads.
    """
    size = len(rows)
    if not size:
        return np.zeros(0, dtype=bool), true[:0]
    lead = _leads(probabilities, rows, given, true)
    wanted = np.minimum(counts, size)
    top = min(size, int(wanted.max()) + 1)
    tail = np.sort(np.partition(lead, size - top, axis=1)[:, size - top :], axis=1)
    pair = np.arange(len(true))
    cut, below = tail[pair, top - wanted], tail[pair, np.maximum(top - wanted - 1, 0)]
    sure = (cut > _SURE) & ((below < cut) | (wanted == size))
    led = lead >= np.where(sure, cut, np.inf)[:, None]
    return np.asarray(led.any(axis=0)), true[~sure]


def _leads(matrix: np.ndarray, rows: np.ndarray, given: int, true: np.ndarray) -> np.ndarray:
    """The probability of each true class minus that of the given one, ``[len(true), len(rows)]``."""
    if not matrix.flags.c_contiguous or 4 * len(true) < matrix.shape[1]:
        lead = np.asarray(matrix[rows, true[:, None]])
        lead -= matrix[rows, given]
        return lead
    lead = np.empty((len(true), len(rows)), dtype=matrix.dtype)
    step = max(1, _VISIT // matrix.shape[1])
    for part in (slice(start, start + step) for start in range(0, len(rows), step)):
        block = matrix.take(rows[part], axis=0)  # far quicker than single entries
        np.subtract(block.T[true], block[:, given], out=lead[:, part])
    return lead


def _take_from_all(
    mask: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, given: int, true: np.ndarray, counts: np.ndarray
) -> None:
    """Mark the `counts` largest leads among all samples of a class."""
    rows = np.flatnonzero(labels == given)
    own = probabilities[rows, given]
    for k, count in zip(true, counts, strict=True):
        mask[rows[largest(probabilities[rows, k] - own, count)]] = True


def by_class(labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray, keep: int = 1) -> np.ndarray:
    """Per given class, the samples with the lowest probability of it: all that the diagonal of `counts` does not keep.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: class probabilities, float ``[N, K]``.
        counts: integer ``[K, K]``; its diagonal says how many samples of each class to keep.
        keep: a class of so many samples or fewer is left alone, and one of a single sample always.

    Returns:
        bool ``[N]``: True = doubted.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])
        >>> by_class(np.array([0, 0, 0, 1]), p, np.array([[2, 1], [0, 1]]))
        array([False,  True, False, False])
    """
    mask = np.zeros(len(labels), dtype=bool)
    small = labels.astype(np.min_scalar_type(len(counts) - 1))

    def one(given: int) -> None:
        rows = np.flatnonzero(small == given)
        doubted = len(rows) - counts[given, given]
        if len(rows) > max(keep, 1) and doubted > 0:
            mask[rows[largest(-probabilities[rows, given], doubted)]] = True

    share(one, range(len(counts)), len(labels))
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


def order_by_class(labels: np.ndarray, classes: int) -> np.ndarray:
    """The row numbers sorted by class, each class's in ascending order: in linear time up to 65,536 classes.

    Args:
        labels: integer ``[N]``, values 0..K-1.
        classes: K.

    Returns:
        int64 ``[N]``.

    Example:
        >>> order_by_class(np.array([1, 0, 1]), 2)
        array([1, 0, 2])
    """
    return np.argsort(labels.astype(np.min_scalar_type(classes - 1)), kind="stable")
