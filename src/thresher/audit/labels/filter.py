"""Which labels are probably wrong: ``cleanlab.filter``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thresher.audit import confident, prune
from thresher.audit.blocks import at_most
from thresher.audit.labels.inputs import (
    Labels,
    Names,
    Probabilities,
    check_name,
    prepared,
    prepared_with_doubts,
    square,
)
from thresher.audit.labels.rank import check_settings, ordered, scored
from thresher.audit.prune import FILTERS, PRUNING
from thresher.errors import UsageError


def find_label_issues(
    labels: Labels,
    pred_probs: Probabilities,
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
    classes: Names | None = None,
) -> np.ndarray:
    """Find the labels that are probably wrong.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names; classes without samples are allowed.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``; float16 and float32 stay what they are.
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
        n_jobs: how many threads; default the cores. The result does not depend on it.
        verbose: print how many were found.
        classes: the names of the columns in order, where labels are names and a class has no label.

    Returns:
        bool ``[N]``, True = probably wrong; or integer row numbers, worst first.

    Raises:
        UsageError: arrays that do not fit together, unknown names, an option that the filter does not read.

    Example:
        >>> labels = [0, 0, 0, 1, 1]
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> find_label_issues(labels, p)
        array([False, False,  True, False, False])
        >>> find_label_issues(["cat", "cat", "cat", "dog", "dog"], p, return_indices_ranked_by="self_confidence")
        array([2])
    """
    check_name("filter_by", filter_by, FILTERS)
    _check_idle(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, confident_joint)
    if return_indices_ranked_by is not None:
        check_settings("return_indices_ranked_by", return_indices_ranked_by, rank_by_kwargs)
    with at_most(n_jobs):
        given, probabilities, doubted = prepared_with_doubts(labels, pred_probs, classes)
        if filter_by in PRUNING:
            counts = _counts(given, probabilities, confident_joint, min_examples_per_class, frac_noise)
            counts = _as_wanted(counts, given, num_to_remove_per_class)
            mask = _pruned(given, probabilities, filter_by, counts, doubted, min_examples_per_class)
        elif filter_by == "predicted_neq_given":
            mask = doubted
        else:
            mask = doubted & _confidently_other(given, probabilities)
            if filter_by.startswith("low_"):
                scores = scored(given, probabilities, filter_by.removeprefix("low_"))
                mask = prune.largest(-scores, int(np.count_nonzero(mask)))
        if verbose:
            print(f"{np.count_nonzero(mask):,} of {len(mask):,} labels are probably wrong")
        if return_indices_ranked_by is None:
            return mask
        return ordered(mask, given, probabilities, return_indices_ranked_by, rank_by_kwargs)


def find_predicted_neq_given(labels: Labels, pred_probs: Probabilities, *, classes: Names | None = None) -> np.ndarray:
    """The labels that are not the most probable class; of equally probable ones the first counts.

    Unlike ``filter_by="predicted_neq_given"`` it knows no tolerance.

    Args:
        labels: given labels, integer ``[N]`` or names.
        pred_probs: class probabilities, float ``[N, K]``.
        classes: as for `find_label_issues`.

    Returns:
        bool ``[N]``.

    Raises:
        UsageError: arrays that do not fit together.

    Example:
        >>> find_predicted_neq_given([0, 1], [[0.9, 0.1], [0.8, 0.2]])
        array([False,  True])
    """
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    return np.asarray(confident.predicted(probabilities) != given)


def find_label_issues_using_argmax_confusion_matrix(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    calibrate: bool = True,
    filter_by: str = "prune_by_noise_rate",
    classes: Names | None = None,
) -> np.ndarray:
    """`find_label_issues` with the confusion matrix of labels and predictions instead of the confident joint.

    Args:
        labels: given labels, integer ``[N]`` or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        calibrate: scale every row of the matrix to the number of samples with that label.
        filter_by: one of the first three of `FILTERS`.
        classes: as for `find_label_issues`.

    Returns:
        bool ``[N]``, True = probably wrong.

    Raises:
        UsageError: as for `find_label_issues`.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> find_label_issues_using_argmax_confusion_matrix([0, 0, 0, 1, 1], p)
        array([False, False,  True, False, False])
    """
    given, probabilities, _ = prepared(labels, pred_probs, classes)
    count = probabilities.shape[1]
    joint = np.bincount(given * count + confident.predicted(probabilities), minlength=count * count).reshape(count, -1)
    if calibrate:
        joint = confident.calibrate(joint, np.bincount(given, minlength=count))
    return find_label_issues(given, probabilities, confident_joint=joint, filter_by=filter_by)


def off_diagonal(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The samples that confidently look like another class, and whose label the model would not give.

    Args:
        labels: int ``[N]``, checked.
        probabilities: float ``[N, K]``, checked.

    Returns:
        bool ``[N]``.

    Example:
        >>> off_diagonal(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]))
        array([False,  True, False])
    """
    return np.asarray(~confident.agrees(labels, probabilities) & _confidently_other(labels, probabilities))


def _confidently_other(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    true = confident.likely_class(probabilities, confident.mean_confidence(labels, probabilities))
    return np.asarray((true >= 0) & (true != labels))


def _counts(
    labels: np.ndarray, probabilities: np.ndarray, joint: np.ndarray | None, keep: int, fraction: float
) -> np.ndarray:
    """Samples to doubt per pair of given and true class: int64 ``[K, K]``."""
    if joint is None:
        true = confident.likely_class(probabilities, confident.mean_confidence(labels, probabilities))
        joint = confident.count_joint(labels, true, probabilities.shape[1])
    return prune.prune_counts(square(joint, probabilities.shape[1]), keep, fraction)


def _as_wanted(counts: np.ndarray, labels: np.ndarray, wanted: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """The counts again, or those that make up what the user wants of each class."""
    if wanted is None:
        return counts
    each = np.asarray(wanted)
    if each.shape != counts.shape[:1] or each.dtype.kind not in "iu" or each.min() < 0:
        raise UsageError(f"num_to_remove_per_class must be {len(counts)} whole numbers of 0 or more, one per class")
    return prune.counts_for(each, counts, np.bincount(labels, minlength=len(counts)))


def _pruned(
    labels: np.ndarray, probabilities: np.ndarray, how: str, counts: np.ndarray, mask: np.ndarray, keep: int
) -> np.ndarray:
    """The filters that take counts from a joint, of the doubted labels: bool ``[N]``."""
    if how != "prune_by_class":
        mask = prune.by_noise_rate(labels, probabilities, counts, mask, keep)
    if how != "prune_by_noise_rate":
        mask &= prune.by_class(labels, probabilities, counts, keep)
    return mask


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
    if idle and how not in PRUNING:
        raise UsageError(f"{idle[0]} has no meaning for filter_by {how!r}: it belongs to {', '.join(PRUNING)}")
