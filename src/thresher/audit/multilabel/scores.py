"""How likely the labels of a sample are right, class by class and all together: 0..1, low = bad.

Goh et al., "Identifying incorrect annotations in multi-label classification data", 2022 (arXiv 2211.13895): every class
is a problem of two classes, with the probabilities (1 - p, p); a sample's score is an exponential moving average over
its classes' scores in falling order, so that the worst class weighs most. Names, defaults and values are those of
cleanlab 2.9.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from scipy.special import xlogy

from thresher.audit.multilabel.binary import answer_thresholds
from thresher.audit.multilabel.labels import Labels, check_name, checked
from thresher.errors import UsageError

SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
AGGREGATORS = ("exponential_moving_average", "softmin")

Aggregator: TypeAlias = str | Callable[..., np.ndarray]

_DEFAULT: dict[str, Any] = {"method": "exponential_moving_average", "alpha": 0.8}
_FLOOR = 1e-6
_BLOCK = 1 << 20


def get_label_quality_scores(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    aggregator_kwargs: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """One score per sample.

    Args:
        labels: lists of class numbers, or a matrix of 0 and 1 ``[N, K]``.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        method: the score of a class: ``self_confidence``, ``normalized_margin`` or ``confidence_weighted_entropy``.
        adjust_pred_probs: subtract each answer's mean self-confidence first, against imbalance.
        aggregator_kwargs: ``method``, one of `AGGREGATORS` or a function of ``[N, K]`` and ``axis``, and its arguments:
            ``alpha`` of the average (default here 0.8; 2 / (K + 1) where `method` is given alone), ``temperature`` of
            the softmin (0.1).

    Returns:
        float64 ``[N]``.

    Raises:
        UsageError: arrays that do not fit together; an unknown method, aggregator or argument.

    Example:
        >>> get_label_quality_scores([[1], [0, 2]], np.array([[0.1, 0.9, 0.1], [0.4, 0.1, 0.9]])).round(6)
        array([0.9, 0.5])
    """
    given, probabilities = checked(labels, pred_probs)
    settings = dict(aggregator_kwargs or _DEFAULT)
    aggregate = _aggregator(settings.pop("method", None))
    result = np.empty(len(given))
    thresholds = _prepared(method, adjust_pred_probs, given, probabilities)
    for rows in _blocks(probabilities):
        scores = _scores(given[rows], probabilities[rows], method, thresholds)
        try:
            result[rows] = aggregate(scores.astype(np.float64, copy=False), axis=1, **settings)
        except TypeError as error:
            raise UsageError(f"the aggregator does not take these arguments ({error}): correct them") from error
    return result


def get_label_quality_scores_per_class(
    labels: Labels, pred_probs: np.ndarray, *, method: str = "self_confidence", adjust_pred_probs: bool = False
) -> np.ndarray:
    """One score per sample and class.

    Args:
        labels: lists of class numbers, or a matrix of 0 and 1 ``[N, K]``.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        method: as for `get_label_quality_scores`.
        adjust_pred_probs: as for `get_label_quality_scores`.

    Returns:
        float64 ``[N, K]``.

    Raises:
        UsageError: as for `get_label_quality_scores`.

    Example:
        >>> get_label_quality_scores_per_class([[1]], np.array([[0.25, 0.75, 0.5]]))
        array([[0.75, 0.75, 0.5 ]])
    """
    given, probabilities = checked(labels, pred_probs)
    thresholds = _prepared(method, adjust_pred_probs, given, probabilities)
    result = np.empty(given.shape)
    for rows in _blocks(probabilities):
        result[rows] = _scores(given[rows], probabilities[rows], method, thresholds)
    return result


def exponential_moving_average(scores: np.ndarray, *, alpha: float | None = None, axis: int = 1) -> np.ndarray:
    """The mean of a row in falling order, in which each further value weighs `alpha` against all before it.

    Args:
        scores: float ``[N, K]``.
        alpha: 0..1; 1 is the minimum, 0 the maximum; default 2 / (K + 1).
        axis: 1.

    Raises:
        UsageError: alpha out of range.

    Example:
        >>> exponential_moving_average(np.array([[0.9, 0.9, 0.3]]), alpha=0.5)
        array([0.6])
    """
    alpha = 2 / (scores.shape[1] + 1) if alpha is None else alpha
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha is {alpha}: it must be in 0 to 1")
    falling = np.ascontiguousarray(np.sort(scores, axis=axis).T[::-1])
    mean = falling[0]
    for further in falling[1:]:
        mean = alpha * further + (1 - alpha) * mean
    return np.asarray(mean)


def softmin(scores: np.ndarray, *, temperature: float = 0.1, axis: int = 1) -> np.ndarray:
    """The mean of a row, weighed by the softmax of (1 - score) / temperature.

    Args:
        scores: float ``[N, K]``.
        temperature: near 0 it is the minimum, large the plain mean.
        axis: 1.

    Example:
        >>> softmin(np.array([[0.9, 0.1]]), temperature=0.01).round(6)
        array([0.1])
    """
    weights = (1 - scores) / max(temperature, _FLOOR)
    weights = np.exp(weights - weights.max(axis=axis, keepdims=True))
    return np.asarray(np.einsum("ij,ij->i", scores, weights / weights.sum(axis=axis, keepdims=True)))


def _prepared(method: str, adjust: bool, given: np.ndarray, probabilities: np.ndarray) -> np.ndarray | None:
    """Both thresholds of each class, ``[2, K]``, where probabilities are to be adjusted; names are checked."""
    check_name("method", method, SCORES)
    if not adjust:
        return None
    if method == "confidence_weighted_entropy":
        raise UsageError("adjust_pred_probs cannot be combined with confidence_weighted_entropy: choose another method")
    pairs = [answer_thresholds(y, p) for y, p in zip(given.T, probabilities.T, strict=True)]
    return np.array(pairs).T


def _scores(given: np.ndarray, p: np.ndarray, method: str, thresholds: np.ndarray | None) -> np.ndarray:
    """Scores of a block of rows, ``[n, K]``."""
    no, yes = 1 - p, p
    if thresholds is not None:
        highest = thresholds.max(axis=0)
        no, yes = no - thresholds[0] + highest, yes - thresholds[1] + highest
        total = no + yes
        no, yes = no / total, yes / total
    own, other = np.where(given, yes, no), np.where(given, no, yes)
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        return np.asarray((own - other + 1) / 2)
    entropy = -(xlogy(no, no) + xlogy(yes, yes)) / np.log(2)
    ratio = entropy / np.maximum(own, _FLOOR)
    return np.asarray(np.log(ratio + 1) / np.maximum(ratio, _FLOOR))


def _aggregator(method: Aggregator | None) -> Callable[..., np.ndarray]:
    if callable(method):
        return method
    check_name("aggregator", str(method), AGGREGATORS)
    return softmin if method == "softmin" else exponential_moving_average


def _blocks(array: np.ndarray) -> list[slice]:
    """Slices of rows of about a million entries."""
    step = max(1, _BLOCK // array.shape[1])
    return [slice(start, start + step) for start in range(0, len(array), step)]
