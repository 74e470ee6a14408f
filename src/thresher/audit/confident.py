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

from collections.abc import Iterator, Sequence

import numpy as np

from thresher.audit.prune import by_noise_rate, prune_counts, round_rows, rows_by_class
from thresher.errors import UsageError

_CLOSE = 1e-6
_TINY = 1e-100
_BLOCK = 1 << 20


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
    labels, probabilities = checked(labels, probabilities)
    return thresholds_of(rows_by_class(labels, probabilities.shape[1]), probabilities)


def thresholds_of(groups: Sequence[np.ndarray], probabilities: np.ndarray) -> np.ndarray:
    """`class_thresholds` for arrays that are checked and grouped already.

    Args:
        groups: row numbers of each given class, K arrays from `rows_by_class`.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        float ``[K]``.

    Example:
        >>> thresholds_of([np.array([0, 1])], np.array([[0.9], [0.5]]))
        array([0.7])
    """
    means = [probabilities[rows, k].mean() if len(rows) else np.inf for k, rows in enumerate(groups)]
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
    true = likely_class(probabilities, thresholds_of(rows_by_class(labels, classes), probabilities))
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
    sure = true >= 0
    # True class first, then transposed: sums over the joint then run in cleanlab's order, to the last bit.
    pairs = true[sure] * classes + labels[sure]
    joint = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).T
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return calibrate(joint, np.bincount(labels, minlength=classes)) if calibrated else joint


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
    result = np.empty(len(probabilities), dtype=np.int64)
    for rows in blocks(probabilities):
        block = probabilities[rows]
        reached = block >= thresholds - _CLOSE
        count = reached.sum(axis=1)
        best = np.where(count > 0, reached.argmax(axis=1), -1)
        torn = np.flatnonzero(count > 1)
        best[torn] = block[torn].argmax(axis=1)
        result[rows] = best
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
    scaled = (joint.T / np.maximum(joint.sum(axis=1), _TINY) * counts).T
    # The second scaling changes last bits only; with it, halves round as they do in cleanlab.
    scaled = scaled / max(scaled.sum(), _TINY) * counts.sum()
    return round_rows(scaled)


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
    labels, probabilities = checked(labels, probabilities)
    groups = rows_by_class(labels, probabilities.shape[1])
    true = likely_class(probabilities, thresholds_of(groups, probabilities))
    counts = prune_counts(count_joint(labels, true, len(groups)), min_per_class)
    mask = by_noise_rate(groups, probabilities, counts, min_per_class)
    return np.asarray(mask & ~agrees(labels, probabilities))


def self_confidence(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The probability of the given label: a quality score, low = bad.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        ``[N]`` in 0..1, of the dtype of `probabilities`.

    Example:
        >>> self_confidence(np.array([1, 0]), np.array([[0.3, 0.7], [0.4, 0.6]]))
        array([0.7, 0.4])
    """
    return np.asarray(probabilities[np.arange(len(labels)), labels])


def normalized_margin(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(p_given - max of the others + 1) / 2``: a quality score, low = bad, below 0.5 where another class leads.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        ``[N]`` in 0..1, of the dtype of `probabilities`.

    Example:
        >>> normalized_margin(np.array([1, 0]), np.array([[0.25, 0.75], [0.25, 0.75]]))
        array([0.75, 0.25])
    """
    return np.asarray((label_margin(labels, probabilities) + 1) / 2)


def label_margin(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value of the given label minus the largest of the others: negative where another class leads.

    Args:
        labels: given labels, integer ``[N]``.
        values: class probabilities or logits, float ``[N, K]`` with K of two or more.

    Returns:
        ``[N]``, of the dtype of `values`.

    Example:
        >>> label_margin(np.array([1, 0]), np.array([[2.0, 5.0], [1.0, 4.0]]))
        array([ 3., -3.])
    """
    margin = self_confidence(labels, values)
    for rows in blocks(values):
        others = values[rows].copy()
        others[np.arange(len(others)), labels[rows]] = -np.inf
        margin[rows] -= others.max(axis=1)
    return margin


def agrees(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether the model would give the same label, ties in favour of the given one.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        bool ``[N]``.

    Example:
        >>> agrees(np.array([1, 0]), np.array([[0.5, 0.5], [0.4, 0.6]]))
        array([ True, False])
    """
    lead, most = self_confidence(labels, probabilities) + _CLOSE, probabilities.max(axis=1)
    result = np.asarray(lead >= most)
    level = np.flatnonzero(lead == most)  # of classes that lie exactly one tolerance above, the earlier ones win
    result[level] = probabilities[level].argmax(axis=1) >= labels[level]
    return result


def blocks(matrix: np.ndarray) -> Iterator[slice]:
    """Slices of rows of about a million entries, so that temporary arrays stay small beside the matrix.

    Args:
        matrix: ``[N, K]``.

    Example:
        >>> list(blocks(np.zeros((3, 2))))
        [slice(0, 524288, None)]
    """
    step = max(1, _BLOCK // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        yield slice(start, start + step)


def checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, after making sure that they mean something together.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1; lists and series too.
        probabilities: class probabilities, ``[N, K]``.

    Returns:
        int64 ``[N]``, and floats ``[N, K]`` of the dtype they had; neither is copied where that can be avoided.

    Raises:
        UsageError: the arrays do not fit together, or hold values that have no meaning.

    Example:
        >>> checked(np.array([0, 1, 1]), np.full((2, 2), 0.5))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there are 3 labels for 2 rows of probabilities
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.dtype.kind in "iub":
        probabilities = probabilities.astype(np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise UsageError(f"probabilities have shape {probabilities.shape}: they must be [samples, classes >= 2]")
    if probabilities.dtype.kind != "f":
        raise UsageError(f"probabilities are of type {probabilities.dtype}: they must be numbers")
    if labels.shape != probabilities.shape[:1]:
        raise UsageError(f"there are {labels.size} labels for {len(probabilities)} rows of probabilities")
    if labels.dtype.kind == "O" and all(isinstance(label, int | np.integer) for label in labels):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise UsageError(
            f"labels are of type {labels.dtype}: they must be integers from 0; of names, "
            "numpy.unique(names, return_inverse=True)[1] makes them, in sorted order"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise UsageError(
            f"labels go from {labels.min()} to {labels.max()}, but the probabilities have classes 0 to"
            f" {probabilities.shape[1] - 1}"
        )
    _check_values(probabilities)
    return labels.astype(np.int64, copy=False), probabilities


def _check_values(probabilities: np.ndarray) -> None:
    """Refuse what is no probability; NaN shows in the minimum and the maximum of its block."""
    ends = [(block.min(), block.max()) for block in (probabilities[rows] for rows in blocks(probabilities))]
    low, high = (min(a for a, _ in ends), max(b for _, b in ends)) if ends else (0.0, 1.0)
    if not all(np.isfinite(end).all() for end in ends):
        raise UsageError("probabilities hold NaN or infinite values: score these rows again or leave them out")
    if low < -_CLOSE or high > 1 + _CLOSE:
        raise UsageError(
            f"probabilities go from {low:.4g} to {high:.4g}: they must lie in 0 to 1; of logits, take the softmax first"
        )
