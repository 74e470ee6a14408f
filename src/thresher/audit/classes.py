"""Classes as wholes: which overlap, and which samples stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresher.audit.neighbours.votes import check_labels
from thresher.errors import UsageError


@dataclass(frozen=True)
class ClassPair:
    """Two classes that are taken for each other.

    Attributes:
        first: the class that is labelled as the other more often.
        second: the other.
        share: of all samples that are labelled as one and likely the other, 0..1.
        count: such samples.
        first_as_second: likely of the first, labelled as the second.
        second_as_first: likely of the second, labelled as the first.
    """

    first: str
    second: str
    share: float
    count: int
    first_as_second: int
    second_as_first: int


def overlaps(joint: np.ndarray, names: Sequence[str], top: int | None = None) -> list[ClassPair]:
    """Pairs of classes that are labelled as each other, the most frequent first.

    Args:
        joint: samples by given (row) and likely true class (column), from ``confident_joint``, ``[K, K]``.
        names: class names, K of them.
        top: at most so many pairs; all by default. Pairs without samples are left out.

    Returns:
        One entry per pair; equal counts in the order of the classes.

    Raises:
        UsageError: a joint that is not square, not of these classes, or with values that are no counts.

    Example:
        >>> overlaps(np.array([[8, 1, 0], [3, 7, 0], [0, 0, 1]]), ["cat", "dog", "eel"])
        [ClassPair(first='cat', second='dog', share=0.2, count=4, first_as_second=3, second_as_first=1)]
    """
    joint = np.asarray(joint)
    if joint.shape != (len(names), len(names)):
        raise UsageError(f"the joint has shape {list(joint.shape)}: for {len(names)} classes it must be square")
    if joint.dtype.kind not in "iuf" or not (joint >= 0).all() or not np.isfinite(joint).all():
        raise UsageError("the joint must hold counts of 0 or more")
    low, high = np.triu_indices(len(joint), 1)
    counts = joint[low, high] + joint[high, low]
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0][:top]
    total = joint.sum()
    return [_pair(joint, names, low[k], high[k], float(total)) for k in order]


def exemplars(
    labels: np.ndarray,
    classes: int,
    *,
    features: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    per_class: int = 3,
    leave_out: np.ndarray | None = None,
) -> np.ndarray:
    """The most typical samples of each class.

    By probabilities: those with the largest probability of their label. By features: those nearest to the middle of
    the class, which is the mean of the half that lies nearest to the mean of all, so that wrong labels weigh little.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1.
        classes: K, two or more.
        features: float ``[N, D]``; this or the probabilities.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.
        per_class: how many.
        leave_out: samples that shall stand for nothing, such as suspects, bool ``[N]``.

    Returns:
        Positions, int64 ``[K, per_class]``, the most typical first, equally typical ones in their order; -1 where a
        class has fewer samples.

    Raises:
        UsageError: arrays that do not fit together, neither or both of features and probabilities.

    Example:
        >>> features = np.array([[0.0], [1.0], [1.1], [9.0], [5.0]])
        >>> exemplars(np.array([0, 0, 0, 0, 1]), 2, features=features, per_class=2)
        array([[ 1,  2],
               [ 4, -1]])
    """
    given = check_labels(labels, classes)
    if (features is None) == (probabilities is None):
        raise UsageError("exemplars come from features or from probabilities: give one of them")
    if per_class < 1:
        raise UsageError(f"per_class is {per_class}: it must be at least 1")
    values = np.asarray(features if probabilities is None else probabilities)
    if values.ndim != 2 or len(values) != len(given) or (probabilities is not None and values.shape[1] != classes):
        raise UsageError(f"the values have shape {list(values.shape)} for {len(given)} labels of {classes} classes")
    left = np.zeros(len(given), dtype=bool) if leave_out is None else np.asarray(leave_out, dtype=bool)
    if len(left) != len(given):
        raise UsageError(f"leave_out has {len(left)} entries for {len(given)} labels")
    result = np.full((classes, per_class), -1, dtype=np.int64)
    kept = np.flatnonzero(~left)
    order = kept[np.argsort(given[kept], kind="stable")]
    for one, rows in enumerate(np.split(order, np.cumsum(np.bincount(given[kept], minlength=classes))[:-1])):
        if len(rows):
            far = -values[rows, one] if probabilities is not None else _from_middle(values[rows])
            best = rows[np.argsort(far, kind="stable")[:per_class]]
            result[one, : len(best)] = best
    return result


def _pair(joint: np.ndarray, names: Sequence[str], low: int, high: int, total: float) -> ClassPair:
    """The class whose samples carry the other's name more often comes first; counts are rounded."""
    first, second = (low, high) if joint[high, low] >= joint[low, high] else (high, low)
    there, back = joint[second, first], joint[first, second]
    return ClassPair(
        str(names[first]), str(names[second]), float(there + back) / total, round(float(there + back)),
        round(float(there)), round(float(back)),
    )  # fmt: skip


def _from_middle(values: np.ndarray) -> np.ndarray:
    """Squared distances from the middle of the nearest half."""
    values = values.astype(np.float64)
    half = np.argsort(((values - values.mean(axis=0)) ** 2).sum(axis=1), kind="stable")[: (len(values) + 1) // 2]
    return np.asarray(((values - values[half].mean(axis=0)) ** 2).sum(axis=1))
