"""Confident learning: count the labels that a model confidently disagrees with, and pick those samples.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021. Each given
class ``k`` has a threshold ``t_k``, the mean probability of ``k`` over the samples labelled ``k`` (equation 2). A
sample counts as truly ``j`` if its probability of ``j`` reaches ``t_j``; the counts by given and true class are the
confident joint (equation 1), scaled so that its rows match the label counts (equation 3). The off-diagonal counts say
how many labels of each (given, true) pair to doubt; the samples with the largest margin between the two classes are
taken (section 3.2, "prune by noise rate").

Where the paper is silent the choices are those of cleanlab 2.9, so that the same labels are flagged: a probability
within 1e-6 of a threshold reaches it; a sample that reaches several counts for its most probable class; every class
keeps at least one sample; a label that the model itself would give is never flagged.

The probabilities must come from models that were not trained on the rows they score: use cross-fitting.
"""

import numpy as np

from thresher.audit.arrays import checked, checked_with_doubts
from thresher.audit.blocks import blocks, precise, share
from thresher.audit.margins import agrees, label_margin, normalized_margin, predicted, self_confidence
from thresher.audit.prune import by_noise_rate, order_by_class, prune_counts, round_rows

__all__ = [
    "agrees",
    "calibrate",
    "checked",
    "checked_with_doubts",
    "class_thresholds",
    "confident_joint",
    "count_joint",
    "find_issues",
    "label_margin",
    "likely_class",
    "mean_confidence",
    "normalized_margin",
    "predicted",
    "self_confidence",
]

_CLOSE = 1e-6
_TINY = 1e-100
_ROWS = 1 << 16


def class_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Mean probability of each class over the samples that are labelled so (equation 2).

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.

    Returns:
        float ``[K]``, of the dtype of `probabilities`; infinite (and float64) for a class that no sample is labelled
        with, so that nothing reaches it.

    Raises:
        UsageError: the arrays do not fit together, or hold values that have no meaning.

    Example:
        >>> class_thresholds(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
        array([0.7, 0.8])
    """
    return mean_confidence(*checked(labels, probabilities))


def mean_confidence(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """`class_thresholds` for arrays that are checked already.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        float ``[K]``.

    Example:
        >>> mean_confidence(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
        array([0.7, 0.8])
    """
    # Of each class all values at once, in the order of the rows: numpy's sum then is cleanlab's, to the last bit.
    means = [own.mean() if len(own) else np.inf for own in _confidence_by_class(labels, probabilities)]
    return np.asarray(np.maximum(means, 2 * _CLOSE))


def confident_joint(labels: np.ndarray, probabilities: np.ndarray, *, calibrated: bool = True) -> np.ndarray:
    """How many samples are labelled ``i`` and confidently look like ``j`` (equations 1 and 3).

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.
        calibrated: scale every row to the number of samples with that label; otherwise the raw counts, with a
            diagonal of at least one.

    Returns:
        int64 ``[K, K]``: row = given class, column = likely true class.

    Raises:
        UsageError: the arrays do not fit together, or hold values that have no meaning.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1])
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> confident_joint(labels, probabilities)
        array([[2, 1],
               [0, 2]])
    """
    labels, probabilities = checked(labels, probabilities)
    classes = probabilities.shape[1]
    true = likely_class(probabilities, mean_confidence(labels, probabilities))
    return count_joint(labels, true, classes, calibrated=calibrated)


def count_joint(labels: np.ndarray, true: np.ndarray, classes: int, *, calibrated: bool = True) -> np.ndarray:
    """`confident_joint` from the likely classes.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        true: from `likely_class`, int64 ``[N]``; -1 is not counted.
        classes: K.
        calibrated: as for `confident_joint`.

    Returns:
        int64 ``[K, K]``: row = given class, column = likely true class.

    Example:
        >>> count_joint(np.array([0, 0, 1, 1]), np.array([0, 1, 1, -1]), 2)
        array([[1, 1],
               [0, 2]])
    """
    if not calibrated:
        return _counted(labels, true, classes)
    return calibrate(_counted(labels, true, classes), np.bincount(labels, minlength=classes))


def likely_class(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The class each sample confidently looks like, or -1 where no class reaches its threshold.

    Args:
        probabilities: class probabilities, float ``[N, K]``.
        thresholds: the probability from which a class counts as confident, float ``[K]``.

    Returns:
        int64 ``[N]``.

    Example:
        >>> likely_class(np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]]), np.array([0.6, 0.7]))
        array([ 0, -1,  1])
    """
    parts = list(blocks(probabilities))
    classes = probabilities.shape[1]
    result = np.full(len(probabilities), -1)
    # A row of few classes is too short for numpy's loops: whole blocks are compared as one row.
    low = np.tile(thresholds - _CLOSE, len(probabilities[parts[0]]) if parts else 0)

    def one(rows: slice) -> None:
        block, best = precise(probabilities[rows]), result[rows]
        row, true = np.divmod(np.flatnonzero(block.reshape(-1) >= low[: block.size]), classes)
        best[row] = true
        torn = row[1:][row[1:] == row[:-1]]  # between several classes
        best[torn] = block[torn].argmax(axis=1)

    share(one, parts)
    return result


def calibrate(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scale the rows of a joint to the label counts and round, keeping every row's sum (equation 3).

    Args:
        joint: counts or shares ``[K, K]``, row = given class, column = true class.
        counts: samples per given class, integer ``[K]``.

    Returns:
        int64 ``[K, K]``; the row of a class without samples is zero.

    Example:
        >>> calibrate(np.array([[3, 1], [0, 2]]), np.array([8, 4]))
        array([[6, 2],
               [0, 4]])
    """
    scaled = joint.T / np.maximum(joint.sum(axis=1), _TINY)
    del joint  # with many classes each of these is large beside the probabilities
    scaled *= counts
    # The second scaling changes last bits only; with it, halves round as they do in cleanlab.
    scaled /= max(scaled.T.sum(), _TINY)
    scaled *= counts.sum()
    return round_rows(scaled.T)


def find_issues(labels: np.ndarray, probabilities: np.ndarray, *, min_per_class: int = 1) -> np.ndarray:
    """Mark the labels that are probably wrong: prune by noise rate (section 3.2), cleanlab's default filter.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1; classes without samples are allowed.
        probabilities: out-of-sample class probabilities, float32 or float64 ``[N, K]``; not copied.
        min_per_class: samples of each given class that are kept at least.

    Returns:
        bool ``[N]``: True = probably wrong.

    Raises:
        UsageError: the arrays do not fit together, or hold values that have no meaning.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1])
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> find_issues(labels, probabilities)
        array([False, False,  True, False, False])
    """
    labels, probabilities, doubted = checked_with_doubts(labels, probabilities)
    true = likely_class(probabilities, mean_confidence(labels, probabilities))
    counts = prune_counts(count_joint(labels, true, probabilities.shape[1]), min_per_class)
    del true
    return by_noise_rate(labels, probabilities, counts, doubted, min_per_class)


def _counted(labels: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """Samples per given and likely class, on the diagonal one at least: int64 ``[K, K]``."""
    counts = np.zeros((classes + 1) * classes, dtype=np.int64)
    for start in range(0, len(labels), _ROWS):
        rows = slice(start, start + _ROWS)
        counts += np.bincount((true[rows] + 1) * classes + labels[rows], minlength=len(counts))
    # True class first, then transposed: sums over the joint then run in cleanlab's order, to the last bit.
    joint = counts[classes:].reshape(classes, classes).T
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return joint


def _confidence_by_class(labels: np.ndarray, probabilities: np.ndarray) -> list[np.ndarray]:
    """The probabilities of the given labels, class by class, each in the order of the rows: K arrays."""
    classes = probabilities.shape[1]
    parts = [slice(start, start + _ROWS) for start in range(0, len(labels), _ROWS)]
    counts = np.array([np.bincount(labels[rows], minlength=classes) for rows in parts], dtype=np.int64)
    counts = counts.reshape(-1, classes)
    ends = counts.sum(axis=0).cumsum()
    place = ends - counts.sum(axis=0) + counts.cumsum(axis=0) - counts  # of the first of each part and class
    result = np.empty(len(labels), dtype=probabilities.dtype)

    def one(part: int) -> None:
        rows, count = parts[part], counts[part]
        into = np.repeat(place[part] - count.cumsum() + count, count)
        into += np.arange(len(into))
        entry = order_by_class(labels[rows], classes)
        entry *= classes
        entry += np.repeat(np.arange(classes), count)
        result[into] = probabilities[rows].reshape(-1).take(entry)

    share(one, range(len(parts)))
    return np.split(result, ends[:-1])
