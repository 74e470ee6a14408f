"""One class of multi-label data as a problem of two answers, yes and no, from vectors of length N.

Thresholds, confident joint and pruning are those of `thresher.audit.confident` and `thresher.audit.prune` for K = 2,
with (1 - p, p) for the probabilities; of equal answers "no" comes first, as numpy's argmax has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresher.audit.confident import calibrate
from thresher.audit.multilabel.labels import check_name
from thresher.audit.prune import FILTERS, PRUNING, counts_for, largest, prune_counts
from thresher.errors import UsageError

_CLOSE = 1e-6
_ABSENT = 2.0  # the threshold of an answer that no sample gives


@dataclass(frozen=True, eq=False)
class Request:
    """What to flag.

    Attributes:
        filter_by: one of `FILTERS`.
        fraction: of the estimated wrong labels that is wanted.
        remove: how many samples without each class to doubt, integer ``[K]``, or None.
        keep: samples with, and without, each class that are kept at least.
        joint: counts ``[K, 2, 2]``, or None.
    """

    filter_by: str = "prune_by_noise_rate"
    fraction: float = 1.0
    remove: np.ndarray | None = None
    keep: int = 1
    joint: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        filter_by: str,
        fraction: float,
        remove: Sequence[int] | None,
        keep: int,
        joint: np.ndarray | None,
        classes: int,
    ) -> "Request":
        """A request by a user.

        Raises:
            UsageError: unknown names, an option that the filter does not read, values out of range.
        """
        check_name("filter_by", filter_by, FILTERS)
        if filter_by not in PRUNING and (fraction != 1.0 or remove is not None or keep != 1 or joint is not None):
            raise UsageError(
                f"{filter_by} reads none of frac_noise, num_to_remove_per_class, min_examples_per_class and "
                f"confident_joint: leave them out, or choose one of {', '.join(PRUNING)}"
            )
        if not 0 <= fraction <= 1:
            raise UsageError(f"frac_noise is {fraction}: it must be in 0 to 1")
        counts = None if joint is None else np.asarray(joint)
        if counts is not None and (counts.shape != (classes, 2, 2) or counts.dtype.kind not in "iuf"):
            raise UsageError(f"confident_joint has shape {list(counts.shape)}: it must be counts [{classes}, 2, 2]")
        wanted = None if remove is None else np.asarray(remove)
        if wanted is not None and (wanted.shape != (classes,) or wanted.dtype.kind not in "iu" or wanted.min() < 0):
            raise UsageError(f"num_to_remove_per_class must be {classes} counts of 0 or more, one per class")
        return cls(filter_by, fraction, wanted, keep, counts)


def wrong_labels(given: np.ndarray, probabilities: np.ndarray, request: Request) -> np.ndarray:
    """The mask of `find_multilabel_issues_per_class` for arrays that are checked.

    Args:
        given: bool ``[N, K]``.
        probabilities: float ``[N, K]``.
        request: what to flag.

    Returns:
        bool ``[N, K]``.

    Example:
        >>> given = np.array([[True], [True], [False], [False], [True]])
        >>> wrong_labels(given, np.array([[0.9], [0.8], [0.1], [0.2], [0.1]]), Request())[:, 0]
        array([False, False, False, False,  True])
    """
    result = np.zeros(given.shape, dtype=bool, order="F")
    for k in range(given.shape[1]):
        result[:, k] = _of_class(
            np.ascontiguousarray(given[:, k]), np.ascontiguousarray(probabilities[:, k]), k, request
        )
    return result


def _of_class(given: np.ndarray, yes: np.ndarray, k: int, request: Request) -> np.ndarray:
    """Wrong labels of one class, bool ``[N]``."""
    no = 1 - yes
    own, other = np.where(given, yes, no), np.where(given, no, yes)
    # Where both answers are equally probable, the first one, no, is the model's.
    differs = (other > own) | (given & (other == own))
    above = own + own.dtype.type(_CLOSE)
    agrees = (above > other) | ((above == other) & ~given)
    if request.filter_by == "predicted_neq_given":
        return np.asarray(differs & ~agrees)
    true = likely_answer(given, yes, no)
    if request.filter_by not in PRUNING:
        wrong = np.asarray((true >= 0) & (true != given) & ~agrees)
        return wrong if request.filter_by == "confident_learning" else _lowest(own, other, int(wrong.sum()), request)
    counts = _counts(given, true, k, request)
    rows = (np.flatnonzero(~given), np.flatnonzero(given))
    masks = []
    for kind in ("prune_by_class", "prune_by_noise_rate") if request.filter_by == "both" else (request.filter_by,):
        mask = np.zeros(len(given), dtype=bool)
        for answer, members in enumerate(rows):
            if len(members) > max(request.keep, 1):
                by_class = kind == "prune_by_class"
                number = len(members) - counts[answer, answer] if by_class else counts[answer, 1 - answer]
                lead = -own[members] if by_class else other[members] - own[members]
                mask[members[largest(lead, int(number))]] = True
        masks.append(mask)
    return np.asarray(np.logical_and.reduce(masks) & ~agrees)


def answer_thresholds(given: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The mean probability of "no" where "no" is given, and of "yes" where "yes" is; 2 where nobody answers so.

    Args:
        given: labels of one class, bool ``[N]``.
        p: its probabilities, float ``[N]``.

    Returns:
        ``[2]``, of the dtype of `p`; float64 where an answer is never given, as in cleanlab.

    Example:
        >>> answer_thresholds(np.array([True, False]), np.array([0.75, 0.5]))
        array([0.5 , 0.75])
    """
    answers = ((1 - p)[~given], p[given])
    return np.maximum([one.mean() if len(one) else _ABSENT for one in answers], 2 * _CLOSE)


def likely_answer(given: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Whether each sample confidently has the class (1) or has it not (0), or -1 where neither reaches its threshold.

    Args:
        given: labels of one class, bool ``[N]``.
        yes: its probabilities, float ``[N]``.
        no: 1 - `yes`.

    Returns:
        int8 ``[N]``.

    Example:
        >>> p = np.array([0.9, 0.2, 0.75])
        >>> likely_answer(np.array([True, False, True]), p, 1 - p)
        array([ 1,  0, -1], dtype=int8)
    """
    low, high = answer_thresholds(given, yes) - _CLOSE
    is_no, is_yes = no >= low, yes >= high
    result = np.where(is_yes, 1, np.where(is_no, 0, -1)).astype(np.int8)
    torn = is_no & is_yes
    result[torn] = yes[torn] > no[torn]
    return result


def _counts(given: np.ndarray, true: np.ndarray, k: int, request: Request) -> np.ndarray:
    """Samples to doubt per pair of answers, ``[2, 2]``."""
    sizes = np.bincount(given, minlength=2)
    joint = answer_joint(given, true) if request.joint is None else request.joint[k]
    counts = prune_counts(joint, request.keep, request.fraction)
    return counts if request.remove is None else counts_for(np.array([request.remove[k], 0]), counts, sizes)


def answer_joint(given: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The confident joint of one class: int64 ``[2, 2]``, row = given answer, column = likely answer.

    Args:
        given: labels of one class, bool ``[N]``.
        true: from `likely_answer`.

    Example:
        >>> answer_joint(np.array([False, False, True, True]), np.array([0, 1, 1, -1]))
        array([[1, 1],
               [0, 2]])
    """
    sure = true >= 0
    joint = np.bincount(true[sure] * 2 + given[sure], minlength=4).reshape(2, 2).T
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return calibrate(joint, np.bincount(given, minlength=2))


def _lowest(own: np.ndarray, other: np.ndarray, count: int, request: Request) -> np.ndarray:
    """The `count` lowest scores of a class."""
    scores = own if request.filter_by == "low_self_confidence" else (own - other + 1) / 2
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(scores)[:count]] = True
    return mask
