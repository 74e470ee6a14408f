"""Label quality by several models: ``cleanlab.rank`` for ensembles."""

from collections.abc import Sequence

import numpy as np

from thresher.audit import confident
from thresher.audit.blocks import blocks
from thresher.audit.labels.inputs import Labels, Names, Probabilities, check_name, prepared
from thresher.audit.labels.rank import check_settings, scored
from thresher.errors import UsageError

WEIGHTINGS = ("uniform", "accuracy", "log_loss_search", "custom")

_TEMPERATURES = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 2e2)
_LEAST = 1e-6


def get_label_quality_ensemble_scores(
    labels: Labels,
    pred_probs_list: Sequence[Probabilities],
    *,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    weight_ensemble_members_by: str = "accuracy",
    custom_weights: Sequence[float] | np.ndarray | None = None,
    log_loss_search_T_values: Sequence[float] = _TEMPERATURES,
    verbose: bool = True,
    classes: Names | None = None,
) -> np.ndarray:
    """How likely each given label is right in the eyes of several models: a weighted mean of their scores.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs_list: out-of-sample class probabilities of each of M models, float ``[N, K]``.
        method: as for `get_label_quality_scores`.
        adjust_pred_probs: as for `get_label_quality_scores`.
        weight_ensemble_members_by: ``uniform``; ``accuracy``, the share of labels that the model would give;
            ``log_loss_search``, exp(-t x log loss of the labels) with that t whose weights give the mean of the models
            the lowest log loss; ``custom``.
        custom_weights: M numbers, taken as they are, for ``custom``.
        log_loss_search_T_values: values of t to try, for ``log_loss_search``.
        verbose: print the weights.
        classes: the names of the columns in order, where labels are names and a class has no label.

    Returns:
        float ``[N]``, low = bad.

    Raises:
        UsageError: no model, arrays that do not fit together, unknown names, weights that are missing or not read.

    Example:
        >>> first, second = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.7, 0.3], [0.6, 0.4]])
        >>> get_label_quality_ensemble_scores(
        ...     [0, 1], [first, second], weight_ensemble_members_by="uniform", verbose=False
        ... ).round(2)
        array([0.8, 0.6])
    """
    check_settings("method", method, {"adjust_pred_probs": adjust_pred_probs})
    check_name("weight_ensemble_members_by", weight_ensemble_members_by, WEIGHTINGS)
    if not len(pred_probs_list):
        raise UsageError("pred_probs_list is empty: give the probabilities of one model or more")
    own = _own_weights(custom_weights, weight_ensemble_members_by, len(pred_probs_list))
    members = [prepared(labels, one, classes)[:2] for one in pred_probs_list]
    if weight_ensemble_members_by == "accuracy":
        weights = _by_accuracy(members)
    elif weight_ensemble_members_by == "log_loss_search":
        weights = _by_log_loss(members, log_loss_search_T_values)
    else:
        weights = np.full(len(members), 1 / len(members)) if own is None else own
    if verbose:
        told = ", ".join(f"{weight:.4g}" for weight in weights)
        print(f"weights of the {len(members)} models, by {weight_ensemble_members_by}: {told}")
    scores = np.stack([scored(*member, method, adjust_pred_probs) for member in members], axis=1)
    if weight_ensemble_members_by == "uniform":
        return np.asarray(scores.mean(axis=1))
    return np.asarray((scores * weights).sum(axis=1))


def _own_weights(weights: Sequence[float] | np.ndarray | None, scheme: str, count: int) -> np.ndarray | None:
    if (weights is None) == (scheme == "custom"):
        raise UsageError("custom_weights belong to weight_ensemble_members_by 'custom': give both, or neither")
    if weights is None:
        return None
    own = np.asarray(weights)
    if own.shape != (count,) or own.dtype.kind not in "iuf" or not np.isfinite(own).all():
        raise UsageError(f"custom_weights must be {count} numbers, one per model")
    return own


def _by_accuracy(members: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The share of labels that each model would give, scaled to sum to 1."""
    accuracy = np.array([(confident.predicted(p) == given).mean() for given, p in members])
    if not accuracy.sum() > 0:
        raise UsageError(
            "no model gives any of the labels: choose another weight_ensemble_members_by, such as 'uniform'"
        )
    return np.asarray(accuracy / sum(accuracy))


def _by_log_loss(members: list[tuple[np.ndarray, np.ndarray]], temperatures: Sequence[float]) -> np.ndarray:
    """exp(-t x log loss), scaled to sum to 1, at the t whose weighted mean has the lowest log loss itself."""
    if not len(temperatures):
        raise UsageError("log_loss_search_T_values is empty: give one value or more")
    own = [confident.self_confidence(given, p).astype(np.float64) for given, p in members]
    losses = np.array(
        [_log_loss(np.maximum(o, _LEAST) / _clipped_sums(p)) for o, (_, p) in zip(own, members, strict=True)]
    )
    found: list[tuple[float, np.ndarray]] = []
    for t in temperatures:
        powers = np.exp(-t * (losses - losses.min()))  # without the minimum, all would vanish at large t
        weights = powers / powers.sum()
        found.append((_log_loss(sum(w * o for w, o in zip(weights, own, strict=True))), weights))
    return min(found, key=lambda one: one[0])[1]


def _log_loss(confidence: np.ndarray) -> float:
    least = np.finfo(confidence.dtype).eps
    return float(-np.log(np.clip(confidence, least, 1 - least)).mean())


def _clipped_sums(probabilities: np.ndarray) -> np.ndarray:
    """The sums of the rows, once no probability is below 1e-6: float64 ``[N]``."""
    sums = [np.maximum(probabilities[rows], _LEAST).sum(axis=1, dtype=np.float64) for rows in blocks(probabilities)]
    return np.concatenate([np.zeros(0), *sums])
