"""How good each label looks, and which look worst: ``cleanlab.rank`` for one model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import xlogy

from thresher.audit import confident
from thresher.audit.blocks import blocks, share
from thresher.audit.labels.inputs import Labels, Names, Probabilities, check_name, prepared
from thresher.errors import UsageError

SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")

_FLOOR = 1e-6
_ABSENT = 2.0  # the threshold of a class without samples, where one is subtracted


def get_label_quality_scores(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    classes: Names | None = None,
) -> np.ndarray:
    """How likely each given label is right: 0..1, low = bad.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        method: ``self_confidence`` (the probability of the label), ``normalized_margin`` (its lead over the others,
            scaled to 0..1) or ``confidence_weighted_entropy`` (log(s + 1) / s, where s is the normalised entropy over
            the self-confidence).
        adjust_pred_probs: subtract the classes' mean self-confidence first and renormalise, against class imbalance;
            not for ``confidence_weighted_entropy``.
        classes: the names of the columns in order, where labels are names and a class has no label.

    Returns:
        float ``[N]``.

    Raises:
        UsageError: arrays that do not fit together, an unknown method, or an adjustment that it cannot take.

    Example:
        >>> get_label_quality_scores([1, 0], np.array([[0.25, 0.75], [0.25, 0.75]]), method="normalized_margin")
        array([0.75, 0.25])
    """
    check_settings("method", method, {"adjust_pred_probs": adjust_pred_probs})
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    return scored(given, probabilities, method, adjust_pred_probs)


def get_self_confidence_for_each_label(labels: Labels, pred_probs: Probabilities) -> np.ndarray:
    """The probability of each label: `get_label_quality_scores` by ``self_confidence``.

    Example:
        >>> get_self_confidence_for_each_label([1, 0], [[0.25, 0.75], [0.25, 0.75]])
        array([0.75, 0.25])
    """
    return get_label_quality_scores(labels, pred_probs, method="self_confidence")


def get_normalized_margin_for_each_label(labels: Labels, pred_probs: Probabilities) -> np.ndarray:
    """The lead of each label over the others, scaled to 0..1: `get_label_quality_scores` by ``normalized_margin``.

    Example:
        >>> get_normalized_margin_for_each_label([1, 0], [[0.25, 0.75], [0.25, 0.75]])
        array([0.75, 0.25])
    """
    return get_label_quality_scores(labels, pred_probs, method="normalized_margin")


def get_confidence_weighted_entropy_for_each_label(labels: Labels, pred_probs: Probabilities) -> np.ndarray:
    """`get_label_quality_scores` by ``confidence_weighted_entropy``.

    Example:
        >>> get_confidence_weighted_entropy_for_each_label([1, 0], [[0.25, 0.75], [0.25, 0.75]]).round(2)
        array([0.68, 0.45])
    """
    return get_label_quality_scores(labels, pred_probs, method="confidence_weighted_entropy")


def find_top_issues(quality_scores: Any, *, top: int | None = 10) -> np.ndarray:
    """Row numbers of the lowest scores, lowest first.

    Args:
        quality_scores: float ``[N]``.
        top: how many; None, or more than there are, for all.

    Returns:
        int64 ``[min(top, N)]``.

    Raises:
        UsageError: a negative number, or scores that are no list.

    Example:
        >>> find_top_issues([0.5, 0.1, 0.9], top=2)
        array([1, 0])
    """
    scores = np.asarray(quality_scores)
    if scores.ndim != 1:
        raise UsageError(f"quality_scores has shape {list(scores.shape)}: it must be one number per sample")
    if top is not None and (top != int(top) or top < 0):
        raise UsageError(f"top is {top}: it is a number of samples, 0 or more")
    return np.asarray(scores.argsort()[:top])


def order_label_issues(
    label_issues_mask: Any,
    labels: Labels,
    pred_probs: Probabilities,
    *,
    rank_by: str = "self_confidence",
    rank_by_kwargs: Mapping[str, Any] | None = None,
    classes: Names | None = None,
) -> np.ndarray:
    """Row numbers of the marked labels, worst first.

    Args:
        label_issues_mask: bool ``[N]``.
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        rank_by: one of `SCORES`.
        rank_by_kwargs: ``{"adjust_pred_probs": True}``.
        classes: as for `get_label_quality_scores`.

    Returns:
        Integer ``[n]``.

    Raises:
        UsageError: as for `get_label_quality_scores`; a mask of another length or kind.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
        >>> order_label_issues(np.array([False, True, True]), [0, 0, 0], p)
        array([2, 1])
    """
    check_settings("rank_by", rank_by, rank_by_kwargs)
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    mask = np.asarray(label_issues_mask)
    if mask.dtype.kind != "b" or mask.shape != given.shape:
        raise UsageError(f"the mask must be {len(given)} true/false values: it has {mask.dtype} {list(mask.shape)}")
    return ordered(mask, given, probabilities, rank_by, rank_by_kwargs)


def check_settings(what: str, score: str, settings: Mapping[str, Any] | None) -> None:
    """Refuse an unknown score, and settings that it does not take.

    Raises:
        UsageError: it says which.

    Example:
        >>> check_settings("rank_by", "self_confidence", {"adjust_pred_probs": True})
    """
    check_name(what, score, SCORES)
    for name in settings or {}:
        if name != "adjust_pred_probs":
            raise UsageError(f"rank_by_kwargs has {name!r}: it takes adjust_pred_probs only")
    if (settings or {}).get("adjust_pred_probs") and score == "confidence_weighted_entropy":
        raise UsageError("adjust_pred_probs cannot be combined with confidence_weighted_entropy: choose another score")


def ordered(
    mask: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, score: str, settings: Mapping[str, Any] | None
) -> np.ndarray:
    """`order_label_issues` for arrays that are checked already.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
        >>> ordered(np.array([False, True, True]), np.array([0, 0, 0]), p, "self_confidence", None)
        array([2, 1])
    """
    adjusted = bool((settings or {}).get("adjust_pred_probs"))
    rows = np.flatnonzero(mask)
    return np.asarray(rows[np.argsort(scored(labels, probabilities, score, adjusted)[mask])])


def scored(labels: np.ndarray, probabilities: np.ndarray, method: str, adjusted: bool = False) -> np.ndarray:
    """`get_label_quality_scores` for arrays that are checked already; nothing as large as the probabilities is made.

    Example:
        >>> scored(np.array([1, 0]), np.array([[0.25, 0.75], [0.25, 0.75]]), "self_confidence")
        array([0.75, 0.25])
    """
    if not adjusted:
        return _SCORING[method](labels, probabilities)
    thresholds = confident.mean_confidence(labels, probabilities)
    thresholds[np.isinf(thresholds)] = _ABSENT

    def one(rows: slice) -> np.ndarray:
        block = probabilities[rows] - thresholds
        block += thresholds.max()
        block /= block.sum(axis=1, keepdims=True)
        return _SCORING[method](labels[rows], block)

    return np.concatenate([np.zeros(0, thresholds.dtype), *share(one, list(blocks(probabilities)))])


def _weighted_entropy(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``log(s + 1) / s``, where ``s`` is the entropy (0..1) over the self-confidence."""

    def one(rows: slice) -> np.ndarray:
        p = np.clip(probabilities[rows], 0, 1)
        entropy = -xlogy(p, p).sum(axis=1) / np.log(p.shape[1])
        weighted = entropy / np.maximum(confident.self_confidence(labels[rows], p), _FLOOR)
        return np.asarray(np.log(weighted + 1) / np.maximum(weighted, _FLOOR))

    return np.concatenate([np.zeros(0, probabilities.dtype), *share(one, list(blocks(probabilities)))])


_SCORING = {
    "self_confidence": confident.self_confidence,
    "normalized_margin": confident.normalized_margin,
    "confidence_weighted_entropy": _weighted_entropy,
}
