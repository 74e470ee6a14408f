"""cleanlab's functions on labels and predicted probabilities, under cleanlab's names, with cleanlab's results.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021; names, meanings
and defaults as in cleanlab 2.9 (``cleanlab.filter``, ``.rank`` and ``.count``). Masks, counts and orders are the same
on the same machine (equal values at a cut are ordered by numpy's sort, in both), scores to rounding.

Labels are integers 0..K-1, as an array, a list or a pandas series, and the columns of `pred_probs` are in that order;
`pred_probs` is never copied. They must come from models that were not trained on the rows they score. Two things differ
on purpose: an option that the chosen filter does not read is refused instead of ignored, and there is no multi-label
mode.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from scipy.special import xlogy

from thresher.audit import confident, prune
from thresher.engine.options import nearest
from thresher.errors import UsageError

Labels: TypeAlias = np.ndarray | Sequence[int]

FILTERS = (
    *("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"),
    *("low_normalized_margin", "low_self_confidence"),
)
SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
ESTIMATES = ("off_diagonal", "off_diagonal_calibrated", "off_diagonal_custom")

_PRUNING = FILTERS[:3]
_FLOOR = 1e-6
_ABSENT = 2.0  # the threshold of a class without samples, where one is subtracted


def find_label_issues(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    return_indices_ranked_by: str | None = None,
    rank_by_kwargs: Mapping[str, Any] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: Sequence[int] | np.ndarray | None = None,
    min_examples_per_class: int = 1,
    confident_joint: np.ndarray | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> np.ndarray:
    """Find the labels that are probably wrong.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1; classes without samples are allowed.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        return_indices_ranked_by: None for a mask, or one of `SCORES` for row numbers, worst first.
        rank_by_kwargs: ``{"adjust_pred_probs": True}``, for the ranking only.
        filter_by: one of `FILTERS`. Per pair of given and true class the largest margins, per given class the lowest
            self-confidence, both of these; the off-diagonal of the confident joint; every row that the model would
            label otherwise; the lowest scores, as many as `num_label_issues` says.
        frac_noise: share of the estimated wrong labels to return, 0 to 1; for the first three filters.
        num_to_remove_per_class: how many to return of each class, integer ``[K]``; exact for ``prune_by_class``, for
            ``prune_by_noise_rate`` up to rounding.
        min_examples_per_class: samples of each given class that are kept at least; for the first three filters.
        confident_joint: counts ``[K, K]`` to use instead of the estimated ones; for the first three filters.
        n_jobs: accepted for cleanlab's sake; it has no meaning here, for there are no worker processes.
        verbose: accepted for cleanlab's sake; nothing is ever printed.

    Returns:
        bool ``[N]``, True = probably wrong; or integer row numbers, worst first.

    Raises:
        UsageError: arrays that do not fit together, unknown names, an option that the filter does not read.

    Example:
        >>> labels = [0, 0, 0, 1, 1]
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> find_label_issues(labels, p)
        array([False, False,  True, False, False])
        >>> find_label_issues(labels, p, return_indices_ranked_by="self_confidence")
        array([2])
    """
    _check_name("filter_by", filter_by, FILTERS)
    if return_indices_ranked_by is not None:
        _check_name("return_indices_ranked_by", return_indices_ranked_by, SCORES)
    _check_idle(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, confident_joint)
    given, probabilities = confident.checked(np.asarray(labels), pred_probs)
    if filter_by in _PRUNING:
        joint = None if confident_joint is None else _square(confident_joint, probabilities.shape[1])
        wanted = _per_class(num_to_remove_per_class, probabilities.shape[1])
        mask = _pruned(given, probabilities, filter_by, joint, wanted, frac_noise, min_examples_per_class)
    else:
        mask = _unpruned(given, probabilities, filter_by)
    if return_indices_ranked_by is None:
        return mask
    return _ordered(mask, given, probabilities, return_indices_ranked_by, rank_by_kwargs)


def get_label_quality_scores(
    labels: Labels, pred_probs: np.ndarray, *, method: str = "self_confidence", adjust_pred_probs: bool = False
) -> np.ndarray:
    """How likely each given label is right: 0..1, low = bad.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        method: ``self_confidence`` (the probability of the label), ``normalized_margin`` (its lead over the others,
            scaled to 0..1) or ``confidence_weighted_entropy`` (log(s + 1) / s, where s is the normalised entropy over
            the self-confidence).
        adjust_pred_probs: subtract the classes' mean self-confidence first and renormalise, against class imbalance;
            not for ``confidence_weighted_entropy``.

    Returns:
        float ``[N]``.

    Raises:
        UsageError: arrays that do not fit together, an unknown method, or an adjustment that it cannot take.

    Example:
        >>> get_label_quality_scores([1, 0], np.array([[0.25, 0.75], [0.25, 0.75]]), method="normalized_margin")
        array([0.75, 0.25])
    """
    _check_name("method", method, SCORES)
    if adjust_pred_probs and method == "confidence_weighted_entropy":
        raise UsageError("adjust_pred_probs cannot be combined with confidence_weighted_entropy: choose another method")
    given, probabilities = confident.checked(np.asarray(labels), pred_probs)
    return _scores(given, probabilities, method, adjust_pred_probs)


def order_label_issues(
    label_issues_mask: np.ndarray,
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    rank_by: str = "self_confidence",
    rank_by_kwargs: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Row numbers of the marked labels, worst first.

    Args:
        label_issues_mask: bool ``[N]``.
        labels: given labels, integer ``[N]``, values 0..K-1.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        rank_by: one of `SCORES`.
        rank_by_kwargs: ``{"adjust_pred_probs": True}``.

    Returns:
        Integer ``[n]``.

    Raises:
        UsageError: as for `get_label_quality_scores`; a mask of another length or kind.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
        >>> order_label_issues(np.array([False, True, True]), [0, 0, 0], p)
        array([2, 1])
    """
    _check_name("rank_by", rank_by, SCORES)
    given, probabilities = confident.checked(np.asarray(labels), pred_probs)
    mask = np.asarray(label_issues_mask)
    if mask.dtype.kind != "b" or mask.shape != given.shape:
        raise UsageError(f"the mask must be {len(given)} true/false values: it has {mask.dtype} {list(mask.shape)}")
    return _ordered(mask, given, probabilities, rank_by, rank_by_kwargs)


@overload
def compute_confident_joint(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    calibrate: bool = True,
    return_indices_of_off_diagonals: Literal[False] = False,
) -> np.ndarray: ...
@overload
def compute_confident_joint(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    calibrate: bool = True,
    return_indices_of_off_diagonals: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...
def compute_confident_joint(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    calibrate: bool = True,
    return_indices_of_off_diagonals: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """How many samples are labelled ``i`` and confidently look like ``j`` (equations 1 and 3).

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        thresholds: the probability from which a class counts as confident, ``[K]``; default the mean self-confidence
            of each class.
        calibrate: scale every row to the number of samples with that label.
        return_indices_of_off_diagonals: return the row numbers that were counted off the diagonal, too.

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
    given, probabilities = confident.checked(np.asarray(labels), pred_probs)
    classes = probabilities.shape[1]
    limits = None if thresholds is None else np.asarray(thresholds, dtype=np.float64).ravel()
    if limits is not None and (limits.shape != (classes,) or np.isnan(limits).any()):
        raise UsageError(f"thresholds must be {classes} numbers, one per class: there are {limits.size}, or NaN")
    true = _likely(given, probabilities, limits)
    joint = confident.count_joint(given, true, classes, calibrated=calibrate)
    if return_indices_of_off_diagonals:
        return joint, np.flatnonzero((true >= 0) & (true != given))
    return joint


def estimate_joint(
    labels: Labels | None, pred_probs: np.ndarray, *, confident_joint: np.ndarray | None = None
) -> np.ndarray:
    """The share of all samples that is labelled ``i`` and truly ``j``.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1; None with a confident joint that is calibrated already.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``; not read where `confident_joint` is given.
        confident_joint: counts ``[K, K]`` to start from; default the estimated ones.

    Returns:
        float64 ``[K, K]`` with sum 1; a row's sum is the share of that label.

    Raises:
        UsageError: arrays that do not fit together.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> estimate_joint([0, 0, 0, 1, 1], p)
        array([[0.4, 0.2],
               [0. , 0.4]])
    """
    if confident_joint is None:
        if labels is None:
            raise UsageError("estimate_joint needs labels, or a confident joint that is calibrated already")
        joint = compute_confident_joint(labels, pred_probs)
    else:
        joint = _square(confident_joint, len(np.asarray(confident_joint)))
        if labels is not None:
            given, _ = confident.checked(np.asarray(labels), np.broadcast_to(0.5, (len(labels), len(joint))))
            joint = confident.calibrate(joint, np.bincount(given, minlength=len(joint)))
    return np.asarray(joint / max(float(joint.sum()), np.finfo(float).tiny))


def num_label_issues(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    confident_joint: np.ndarray | None = None,
    estimation_method: str = "off_diagonal",
) -> int:
    """How many labels are probably wrong.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        confident_joint: counts ``[K, K]``, for ``off_diagonal_custom``.
        estimation_method: ``off_diagonal`` counts what ``filter_by="confident_learning"`` finds,
            ``off_diagonal_calibrated`` what the calibrated joint has off its diagonal (never fewer),
            ``off_diagonal_custom`` the same of the given joint.

    Returns:
        A count, 0..N.

    Raises:
        UsageError: arrays that do not fit together, an unknown method, a joint that is missing or not read.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> num_label_issues([0, 0, 0, 1, 1], p)
        1
    """
    _check_name("estimation_method", estimation_method, ESTIMATES)
    if (confident_joint is None) == (estimation_method == "off_diagonal_custom"):
        raise UsageError("confident_joint belongs to estimation_method 'off_diagonal_custom': give both, or neither")
    given, probabilities = confident.checked(np.asarray(labels), pred_probs)
    if estimation_method == "off_diagonal":
        return int(_unpruned(given, probabilities, "confident_learning").sum())
    start = compute_confident_joint(given, probabilities) if confident_joint is None else confident_joint
    joint = estimate_joint(given, probabilities, confident_joint=start)
    return int(np.rint((1.0 - joint.trace()) * len(given)))


def _likely(labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray | None = None) -> np.ndarray:
    """The class each sample confidently looks like, or -1: int64 ``[N]``."""
    if thresholds is None:
        groups = prune.rows_by_class(labels, probabilities.shape[1])
        thresholds = confident.thresholds_of(groups, probabilities)
    return confident.likely_class(probabilities, thresholds)


def _pruned(
    labels: np.ndarray,
    probabilities: np.ndarray,
    how: str,
    joint: np.ndarray | None,
    wanted: np.ndarray | None,
    fraction: float,
    keep: int,
) -> np.ndarray:
    """The filters that take counts from a joint: bool ``[N]``."""
    groups = prune.rows_by_class(labels, probabilities.shape[1])
    if joint is None:
        true = _likely(labels, probabilities, confident.thresholds_of(groups, probabilities))
        joint = confident.count_joint(labels, true, len(groups))
    counts = prune.prune_counts(joint, keep, fraction)
    if wanted is not None:
        counts = prune.counts_for(wanted, counts, np.array([len(rows) for rows in groups]))
    mask = ~confident.agrees(labels, probabilities)
    if how in ("prune_by_noise_rate", "both"):
        mask &= prune.by_noise_rate(groups, probabilities, counts, keep)
    if how in ("prune_by_class", "both"):
        mask &= prune.by_class(groups, probabilities, counts, keep)
    return mask


def _unpruned(labels: np.ndarray, probabilities: np.ndarray, how: str) -> np.ndarray:
    """The filters that take no counts: bool ``[N]``."""
    if how.startswith("low_"):
        count = int(_unpruned(labels, probabilities, "confident_learning").sum())
        return prune.largest(-_scores(labels, probabilities, how.removeprefix("low_")), count)
    doubted = ~confident.agrees(labels, probabilities)
    if how == "confident_learning":
        true = _likely(labels, probabilities)
        doubted &= (true >= 0) & (true != labels)
    return doubted


def _scores(labels: np.ndarray, probabilities: np.ndarray, method: str, adjusted: bool = False) -> np.ndarray:
    """Block by block, so that nothing as large as the probabilities is made."""
    thresholds = np.zeros(probabilities.shape[1])
    if adjusted:
        thresholds = confident.thresholds_of(prune.rows_by_class(labels, len(thresholds)), probabilities)
        thresholds[np.isinf(thresholds)] = _ABSENT
    parts = []
    for rows in confident.blocks(probabilities):
        block = probabilities[rows]
        if adjusted:
            block = block - thresholds
            block += thresholds.max()
            block /= block.sum(axis=1, keepdims=True)
        parts.append(_SCORING[method](labels[rows], block))
    return np.concatenate(parts) if parts else np.zeros(0)


def _weighted_entropy(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``log(s + 1) / s``, where ``s`` is the entropy (0..1) over the self-confidence."""
    p = np.clip(probabilities, 0, 1)
    entropy = -xlogy(p, p).sum(axis=1) / np.log(p.shape[1])
    weighted = entropy / np.maximum(confident.self_confidence(labels, p), _FLOOR)
    return np.asarray(np.log(weighted + 1) / np.maximum(weighted, _FLOOR))


_SCORING = {
    "self_confidence": confident.self_confidence,
    "normalized_margin": confident.normalized_margin,
    "confidence_weighted_entropy": _weighted_entropy,
}


def _ordered(
    mask: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, score: str, settings: Mapping[str, Any] | None
) -> np.ndarray:
    """The marked rows by score, lowest first."""
    settings = dict(settings or {})
    adjusted = bool(settings.pop("adjust_pred_probs", False))
    if settings:
        raise UsageError(f"rank_by_kwargs has {next(iter(settings))!r}: it takes adjust_pred_probs only")
    if adjusted and score == "confidence_weighted_entropy":
        raise UsageError("adjust_pred_probs cannot be combined with confidence_weighted_entropy: choose another score")
    rows = np.flatnonzero(mask)
    return np.asarray(rows[np.argsort(_scores(labels, probabilities, score, adjusted)[mask])])


def _check_name(what: str, name: object, known: Sequence[str]) -> None:
    if name not in known:
        raise UsageError(f"there is no {what} {name!r}: {nearest(str(name), known)}")


def _check_idle(how: str, fraction: float, wanted: object, keep: int, joint: object) -> None:
    """Refuse values out of range, and what the filter would not read."""
    if not 0 <= fraction <= 1:
        raise UsageError(f"frac_noise is {fraction}: it is a share, from 0 to 1")
    if keep < 0 or keep != int(keep):
        raise UsageError(f"min_examples_per_class is {keep}: it is a number of samples, 0 or more")
    said = {
        "frac_noise": fraction != 1,
        "num_to_remove_per_class": wanted is not None,
        "min_examples_per_class": keep != 1,
        "confident_joint": joint is not None,
    }
    idle = [name for name, given in said.items() if given]
    if idle and how not in _PRUNING:
        raise UsageError(f"{idle[0]} has no meaning for filter_by {how!r}: it belongs to {', '.join(_PRUNING)}")


def _per_class(wanted: Sequence[int] | np.ndarray | None, classes: int) -> np.ndarray | None:
    if wanted is None:
        return None
    counts = np.asarray(wanted)
    if counts.shape != (classes,) or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise UsageError(f"num_to_remove_per_class must be {classes} whole numbers of 0 or more, one per class")
    return counts


def _square(joint: np.ndarray, classes: int) -> np.ndarray:
    joint = np.asarray(joint)
    if joint.shape != (classes, classes) or joint.dtype.kind not in "iuf":
        raise UsageError(f"confident_joint has shape {list(joint.shape)}: it must be numbers [{classes}, {classes}]")
    if not np.isfinite(joint).all() or joint.min() < 0:
        raise UsageError("confident_joint holds negative, NaN or infinite values: it must hold counts")
    return joint
