"""How many labels are wrong, and which class stands for which: ``cleanlab.count``."""

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np

from thresher.audit import confident
from thresher.audit.labels.filter import off_diagonal
from thresher.audit.labels.inputs import Labels, Names, Probabilities, check_name, class_numbers, prepared, square
from thresher.errors import UsageError

ESTIMATES = ("off_diagonal", "off_diagonal_calibrated", "off_diagonal_custom")

_ABSENT = 2  # the threshold of a class without samples: cleanlab's, which nothing reaches


@overload
def compute_confident_joint(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    calibrate: bool = True,
    return_indices_of_off_diagonals: Literal[False] = False,
    classes: Names | None = None,
) -> np.ndarray: ...
@overload
def compute_confident_joint(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    calibrate: bool = True,
    return_indices_of_off_diagonals: Literal[True],
    classes: Names | None = None,
) -> tuple[np.ndarray, np.ndarray]: ...
def compute_confident_joint(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    calibrate: bool = True,
    return_indices_of_off_diagonals: bool = False,
    classes: Names | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """How many samples are labelled ``i`` and confidently look like ``j`` (Northcutt et al., equations 1 and 3).

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        thresholds: the probability from which a class counts as confident, ``[K]``; default the mean self-confidence
            of each class.
        calibrate: scale every row to the number of samples with that label.
        return_indices_of_off_diagonals: return the row numbers that were counted off the diagonal, too.
        classes: the names of the columns in order, where labels are names and a class has no label.

    Returns:
        int64 ``[K, K]``, row = given class, column = likely true class; and integer ``[n]`` where asked for.

    Raises:
        UsageError: arrays that do not fit together.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> compute_confident_joint([0, 0, 0, 1, 1], p)
        array([[2, 1],
               [0, 2]])
    """
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    true = confident.likely_class(probabilities, _limits(given, probabilities, thresholds))
    joint = confident.count_joint(given, true, probabilities.shape[1], calibrated=calibrate)
    if return_indices_of_off_diagonals:
        return joint, np.flatnonzero((true >= 0) & (true != given))
    return joint


def get_confident_thresholds(labels: Labels, pred_probs: Probabilities, *, classes: Names | None = None) -> np.ndarray:
    """The mean probability of each class over the samples labelled so (Northcutt et al., equation 2).

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        classes: as for `compute_confident_joint`.

    Returns:
        float ``[K]``; 2 for a class without samples, so that nothing reaches it.

    Raises:
        UsageError: arrays that do not fit together.

    Example:
        >>> get_confident_thresholds([0, 0, 1], [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
        array([0.7, 0.8])
    """
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    means = confident.mean_confidence(given, probabilities)
    means[np.isinf(means)] = _ABSENT
    return means


def calibrate_confident_joint(
    confident_joint: np.ndarray, labels: Labels, *, classes: Names | None = None
) -> np.ndarray:
    """A joint whose rows add up to the numbers of samples with each label (Northcutt et al., equation 3).

    Args:
        confident_joint: counts or shares ``[K, K]``, row = given class, column = true class.
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        classes: as for `compute_confident_joint`.

    Returns:
        int64 ``[K, K]``.

    Raises:
        UsageError: a joint that is not square, or labels outside it.

    Example:
        >>> calibrate_confident_joint([[3, 1], [0, 2]], [0] * 8 + [1] * 4)
        array([[6, 2],
               [0, 4]])
    """
    joint = square(confident_joint)
    return confident.calibrate(joint, class_sizes(labels, len(joint), classes))


def estimate_joint(
    labels: Labels | None,
    pred_probs: Probabilities | None = None,
    *,
    confident_joint: np.ndarray | None = None,
    classes: Names | None = None,
) -> np.ndarray:
    """The share of all samples that is labelled ``i`` and truly ``j``.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names; None with a confident joint that is calibrated
            already.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``; not read where `confident_joint` is given.
        confident_joint: counts ``[K, K]`` to start from; default the estimated ones.
        classes: as for `compute_confident_joint`.

    Returns:
        float64 ``[K, K]`` with sum 1; a row's sum is the share of that label.

    Raises:
        UsageError: arrays that do not fit together, or are missing.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> estimate_joint([0, 0, 0, 1, 1], p)
        array([[0.4, 0.2],
               [0. , 0.4]])
    """
    if confident_joint is None:
        if labels is None or pred_probs is None:
            raise UsageError("estimate_joint needs labels and pred_probs, or a confident joint")
        joint = compute_confident_joint(labels, pred_probs, classes=classes)
    elif labels is None:
        joint = square(confident_joint)
    else:
        joint = calibrate_confident_joint(confident_joint, labels, classes=classes)
    return np.asarray(joint / max(float(joint.sum()), np.finfo(float).tiny))


def num_label_issues(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    confident_joint: np.ndarray | None = None,
    estimation_method: str = "off_diagonal",
    classes: Names | None = None,
) -> int:
    """How many labels are probably wrong.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        confident_joint: counts ``[K, K]``, for ``off_diagonal_custom``.
        estimation_method: ``off_diagonal`` counts what ``filter_by="confident_learning"`` finds,
            ``off_diagonal_calibrated`` what the calibrated joint has off its diagonal (never fewer),
            ``off_diagonal_custom`` the same of the given joint.
        classes: as for `compute_confident_joint`.

    Returns:
        A count, 0..N.

    Raises:
        UsageError: arrays that do not fit together, an unknown method, a joint that is missing or not read.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> num_label_issues([0, 0, 0, 1, 1], p)
        1
    """
    check_name("estimation_method", estimation_method, ESTIMATES)
    if (confident_joint is None) == (estimation_method == "off_diagonal_custom"):
        raise UsageError("confident_joint belongs to estimation_method 'off_diagonal_custom': give both, or neither")
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    if estimation_method == "off_diagonal":
        return int(np.count_nonzero(off_diagonal(given, probabilities)))
    start = compute_confident_joint(given, probabilities) if confident_joint is None else confident_joint
    joint = estimate_joint(given, confident_joint=square(start, probabilities.shape[1]))
    return int(np.rint((1.0 - joint.trace()) * len(given)))


def _limits(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float] | np.ndarray | None
) -> np.ndarray:
    """The user's thresholds, or the estimated ones."""
    if thresholds is None:
        return confident.mean_confidence(labels, probabilities)
    limits, classes = np.asarray(thresholds, dtype=np.float64).ravel(), probabilities.shape[1]
    if limits.shape != (classes,) or np.isnan(limits).any():
        raise UsageError(f"thresholds must be {classes} numbers, one per class: there are {limits.size}, or NaN")
    return limits


def class_sizes(labels: Labels, count: int, classes: Names | None = None) -> np.ndarray:
    """How many samples have each label.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        count: K.
        classes: the K names in order.

    Returns:
        int64 ``[K]``.

    Raises:
        UsageError: labels that do not fit K classes.

    Example:
        >>> class_sizes([0, 2, 2], 3)
        array([1, 0, 2])
    """
    numbers, _ = class_numbers(labels, count, classes)
    given, _ = confident.checked(numbers, np.broadcast_to(0.5, (len(numbers), count)))
    return np.bincount(given, minlength=count)
