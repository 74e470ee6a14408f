"""Which labels of multi-label data are probably wrong: confident learning, for every class as a problem of yes and no.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021, with K = 2 per
class; a sample is flagged where one of its classes is. Names, defaults and masks are those of
``cleanlab.multilabel_classification.filter`` in version 2.9, with rounding and ties as in `thresher.audit.prune`. Of a
class only vectors of length N are made, never its two columns.

Deviations: for the two ``low_`` filters cleanlab returns rows in a wrong order (it sorts other rows' scores), here they
are ranked; classes that no sample has are judged, where cleanlab refuses them in some filters; options that the filter
does not read are refused instead of ignored; `n_jobs` and `verbose` are accepted and mean nothing; `low_memory` is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thresher.audit.multilabel.binary import Request, wrong_labels
from thresher.audit.multilabel.labels import Labels, check_name, checked
from thresher.audit.multilabel.scores import (
    SCORES,
    get_label_quality_scores,
    get_label_quality_scores_per_class,
)
from thresher.audit.prune import FILTERS

__all__ = ["FILTERS", "find_label_issues", "find_multilabel_issues_per_class"]


def find_label_issues(
    labels: Labels,
    pred_probs: np.ndarray,
    return_indices_ranked_by: str | None = None,
    rank_by_kwargs: Mapping[str, Any] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    confident_joint: np.ndarray | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> np.ndarray:
    """Find the samples with a wrong label in at least one class.

    Args:
        labels: lists of class numbers, or a matrix of 0 and 1 ``[N, K]``.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        return_indices_ranked_by: None for a mask; ``self_confidence``, ``normalized_margin`` or
            ``confidence_weighted_entropy`` for row numbers, worst sample first.
        rank_by_kwargs: ``{"adjust_pred_probs": True}``, for the ranking only.
        filter_by: one of `FILTERS`. The two ``low_`` filters take as many samples as ``confident_learning`` would, with
            the lowest aggregated self-confidence.
        frac_noise: share of the estimated wrong labels to return, 0 to 1; for the first three filters.
        num_to_remove_per_class: how many samples without each class to doubt, integer ``[K]``, as cleanlab reads it:
            labels that are given are then left alone; for the first three filters.
        min_examples_per_class: samples with, and without, each class that are kept at least; for the same.
        confident_joint: counts ``[K, 2, 2]`` to use instead of the estimated ones; for the same.
        n_jobs: accepted for cleanlab's sake; it has no meaning here.
        verbose: accepted for cleanlab's sake; nothing is ever printed.

    Returns:
        bool ``[N]``, or integer row numbers.

    Raises:
        UsageError: arrays that do not fit together, unknown names, an option that the filter does not read.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.8], [0.2, 0.1], [0.1, 0.2]])
        >>> find_label_issues([[0], [0, 1], [1], [], [0]], p)
        array([False, False, False, False,  True])
    """
    given, probabilities = checked(labels, pred_probs)
    request = Request.of(
        filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, confident_joint, given.shape[1]
    )
    if return_indices_ranked_by is not None:
        check_name("return_indices_ranked_by", return_indices_ranked_by, SCORES)
    if filter_by.startswith("low_"):
        count = int(wrong_labels(given, probabilities, Request("confident_learning")).any(axis=1).sum())
        mask = np.zeros(len(given), dtype=bool)
        mask[np.argsort(get_label_quality_scores(given, probabilities))[:count]] = True
    else:
        mask = np.asarray(wrong_labels(given, probabilities, request).any(axis=1))
    if return_indices_ranked_by is None:
        return mask
    adjust = bool((rank_by_kwargs or {}).get("adjust_pred_probs", False))
    scores = get_label_quality_scores(given, probabilities, method=return_indices_ranked_by, adjust_pred_probs=adjust)
    rows = np.flatnonzero(mask)
    return rows[np.argsort(scores[rows])]


def find_multilabel_issues_per_class(
    labels: Labels,
    pred_probs: np.ndarray,
    return_indices_ranked_by: str | None = None,
    rank_by_kwargs: Mapping[str, Any] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    confident_joint: np.ndarray | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> np.ndarray | tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Find the wrong labels of every class.

    Args:
        labels: as for `find_label_issues`, like all other arguments.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        return_indices_ranked_by: None for a mask; one of the scores for row numbers, worst first.
        rank_by_kwargs: ``{"adjust_pred_probs": True}``, for the ranking only.
        filter_by: one of `FILTERS`; the two ``low_`` filters take each class's lowest scores.
        frac_noise: share of the estimated wrong labels to return.
        num_to_remove_per_class: how many samples without each class to doubt.
        min_examples_per_class: samples with, and without, each class that are kept at least.
        confident_joint: counts ``[K, 2, 2]``.
        n_jobs: without a meaning.
        verbose: without a meaning.

    Returns:
        bool ``[N, K]``; or three lists with an entry per class, as cleanlab returns them: row numbers, the labels
        (0 and 1, ``[N]``), and the probabilities of no and yes (``[N, 2]``).

    Raises:
        UsageError: as for `find_label_issues`.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.8], [0.2, 0.1], [0.1, 0.2]])
        >>> find_multilabel_issues_per_class([[0], [0, 1], [1], [], [0]], p).nonzero()
        (array([4]), array([0]))
    """
    given, probabilities = checked(labels, pred_probs)
    request = Request.of(
        filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, confident_joint, given.shape[1]
    )
    flags = wrong_labels(given, probabilities, request)
    if return_indices_ranked_by is None:
        return flags
    check_name("return_indices_ranked_by", return_indices_ranked_by, SCORES)
    adjust = bool((rank_by_kwargs or {}).get("adjust_pred_probs", False))
    scores = get_label_quality_scores_per_class(
        given, probabilities, method=return_indices_ranked_by, adjust_pred_probs=adjust
    )
    ranked = []
    for k in range(given.shape[1]):
        rows = np.flatnonzero(flags[:, k])
        ranked.append(rows[np.argsort(scores[rows, k])])
    return ranked, list(given.T.astype(np.int64)), [np.stack([1 - p, p], axis=1) for p in probabilities.T]
