"""What a sample's nearest neighbours say about its label."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from thresher.audit.evidence import Evidence
from thresher.audit.neighbours.nearest import Neighbours, check
from thresher.errors import UsageError

Weights = Literal["uniform", "distance"]

_BLOCK = 1 << 16


def neighbour_votes(
    neighbours: Neighbours,
    labels: np.ndarray,
    classes: int,
    weights: Weights = "distance",
    smoothing: float = 1.0,
) -> np.ndarray:
    """Class shares among each sample's neighbours; its own label has no vote.

    With ``distance`` a neighbour at distance d counts ``exp(-(d / d_k)^2)``, where d_k is the sample's distance to its
    last neighbour: between 1 and 1/e in any units, and never so much that one near copy decides alone (the width from a
    sample's own neighbours is that of Zelnik-Manor and Perona, "Self-tuning spectral clustering", NIPS 2004, which
    takes the product of two samples' widths).

    Args:
        neighbours: of M samples.
        labels: of the N samples that were searched: integer ``[N]``, values 0..K-1; or class probabilities, float
            ``[N, K]``.
        classes: K, two or more.
        weights: how much a neighbour counts: ``uniform``, all the same; or ``distance``, the nearer the more.
        smoothing: this many votes are spread over all classes, so that no share is 0 and logarithms are finite.

    Returns:
        float32 ``[M, K]``, rows with sum 1.

    Raises:
        UsageError: arrays that do not fit together, labels out of range, an unknown name.

    Example:
        >>> found = Neighbours(np.array([[1, 2], [0, 2], [0, 1]]), np.ones((3, 2)))
        >>> neighbour_votes(found, np.array([0, 0, 1]), 2, weights="uniform", smoothing=2.0)
        array([[0.5 , 0.5 ],
               [0.5 , 0.5 ],
               [0.75, 0.25]], dtype=float32)
    """
    if weights not in ("uniform", "distance"):
        raise UsageError(f"weights is {weights!r}: choose uniform or distance")
    if not 0 <= smoothing < np.inf:
        raise UsageError(f"smoothing is {smoothing}: it must be a number of votes, 0 or more")
    labels = check_labels(labels, classes)
    check(neighbours, len(labels))
    shares = np.empty((len(neighbours), classes), dtype=np.float32)
    for start in range(0, len(neighbours), _BLOCK):
        rows = slice(start, start + _BLOCK)
        index, distance = neighbours.index[rows], neighbours.distance[rows]
        weight = _closeness(distance) if weights == "distance" else np.ones_like(distance, dtype=np.float64)
        votes = _summed(labels, index, weight, classes) + smoothing / classes
        shares[rows] = votes / (weight.sum(axis=1, keepdims=True) + smoothing)
    return shares


def neighbour_evidence(
    neighbours: Neighbours, labels: np.ndarray, names: Sequence[str], weights: Weights = "distance"
) -> Evidence:
    """Evidence from neighbours: wrong where another class has more of their votes than the given label.

    Args:
        neighbours: of N samples, from ``nearest`` or ``assembled``.
        labels: given labels, integer ``[N]``, values 0..K-1.
        names: class names, K of them.
        weights: as for `neighbour_votes`.

    Returns:
        Evidence named ``neighbours``: score = the largest share of the other classes minus that of the given label
        (-1..1); the suggestion is the votes; the reason counts neighbours, as in "9 of its 10 nearest neighbours are
        'cat'".

    Raises:
        UsageError: arrays that do not fit together, labels out of range, a sample that is its own neighbour.

    Example:
        >>> found = Neighbours(np.array([[1, 2], [2, 0], [1, 0], [1, 2]]), np.ones((4, 2)))
        >>> evidence = neighbour_evidence(found, np.array([0, 0, 0, 1]), ["cat", "dog"])
        >>> evidence.flagged.tolist(), evidence.reason(np.array([3]))
        ([False, False, False, True], ["2 of its 2 nearest neighbours are 'cat'"])
    """
    given = check_labels(labels, len(names))
    if given.ndim != 1:
        raise UsageError(f"given labels have shape {list(given.shape)}: they must be class numbers [samples]")
    check(neighbours, len(given), own=True)
    votes = neighbour_votes(neighbours, given, len(names), weights)
    own, rows = votes[np.arange(len(given)), given], np.arange(len(given))
    others = votes.copy()
    others[rows, given] = -1
    reason = partial(_phrases, neighbours.index, given, others.argmax(axis=1), tuple(map(str, names)))
    return Evidence("neighbours", (others.max(axis=1) - own).astype(np.float64), votes, reason)


def check_labels(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels as int64 ``[N]`` or float ``[N, K]``, after making sure that they are of these classes.

    Raises:
        UsageError: another shape or kind, or values out of range.

    Example:
        >>> check_labels(np.array([0, 2]), 2)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: labels go from 0 to 2, but the classes are 0 to 1
    """
    labels = np.asarray(labels)
    if classes < 2:
        raise UsageError(f"there are {classes} classes: labels can only be judged among two or more")
    if labels.ndim == 2 and labels.shape[1] == classes and labels.dtype.kind == "f":
        if not (labels >= 0).all() or not np.isfinite(labels).all():
            raise UsageError("soft labels hold negative, infinite or NaN values: they must be class probabilities")
        return labels
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise UsageError(
            f"labels are {labels.dtype} {list(labels.shape)}: they must be class numbers [samples] or class"
            f" probabilities [samples, {classes}]"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise UsageError(f"labels go from {labels.min()} to {labels.max()}, but the classes are 0 to {classes - 1}")
    return labels.astype(np.int64, copy=False)


def _closeness(distance: np.ndarray) -> np.ndarray:
    """Weights of neighbours, float64 ``[m, k]``; all the same where the last one is at distance 0."""
    last = distance[:, -1:].astype(np.float64)
    return np.asarray(np.exp(-((distance / np.where(last > 0, last, 1)) ** 2)))


def _summed(labels: np.ndarray, index: np.ndarray, weight: np.ndarray, classes: int) -> np.ndarray:
    """The weights of each class's neighbours, float64 ``[m, K]``."""
    if labels.ndim == 2:
        return np.asarray(np.einsum("mk,mkc->mc", weight, labels[index]))
    cells = np.arange(len(index))[:, None] * classes + labels[index]
    return np.bincount(cells.ravel(), weight.ravel(), len(index) * classes).reshape(-1, classes)


def _phrases(
    index: np.ndarray, given: np.ndarray, other: np.ndarray, names: Sequence[str], rows: np.ndarray
) -> list[str]:
    """One phrase per row: how many of its neighbours are of the class that doubts its label most."""
    counts = (given[index[rows]] == other[rows, None]).sum(axis=1)
    k = index.shape[1]
    if k == 1:
        return [f"its nearest neighbour is '{names[one]}'" for one in given[index[rows, 0]]]
    return [
        f"{count} of its {k} nearest neighbours {'is' if count == 1 else 'are'} '{names[one]}'"
        for count, one in zip(counts.tolist(), other[rows].tolist(), strict=True)
    ]
