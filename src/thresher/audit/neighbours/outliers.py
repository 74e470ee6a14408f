"""Samples that fit no class: far from everything, as their own neighbourhood measures it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresher.audit.neighbours.nearest import Neighbours, check
from thresher.audit.neighbours.votes import check_labels, neighbour_votes
from thresher.errors import UsageError

_FENCE = 5.0
_SUPPORTED = 0.8
_UNSURE = 0.25
_FEW = 10


@dataclass(frozen=True, eq=False)
class Remoteness:
    """How far each sample lies from its neighbours, beside other samples like it.

    Attributes:
        spreads: on a logarithmic scale: 0 at their median, 1 at their upper quartile; float64 ``[N]``.
        times: mean distance over their median, float64 ``[N]``.
    """

    spreads: np.ndarray
    times: np.ndarray


def remoteness(neighbours: Neighbours, labels: np.ndarray, classes: int) -> Remoteness:
    """How far each sample lies from its neighbours, beside the samples whose neighbours vote for the same class.

    Not beside those of the given label: an ordinary sample of a wide class that is labelled as one of a narrow class is
    no outlier. A class that fewer than 10 samples' neighbours vote for is measured by all samples. The distances should
    be Euclidean, for the cosine is blind to length.

    Args:
        neighbours: of N samples.
        labels: given labels, integer ``[N]``, values 0..K-1.
        classes: K, two or more.

    Raises:
        UsageError: arrays that do not fit together.

    Example:
        >>> distance = np.array([[1.0], [1.0], [1.1], [1.2], [9.0]])
        >>> found = Neighbours(np.array([[1], [0], [0], [0], [0]]), distance)
        >>> remote = remoteness(found, np.array([0, 0, 0, 1, 1]), 2)
        >>> remote.spreads.round(1).tolist(), remote.times.round(1).tolist()
        ([-1.1, -1.1, 0.0, 1.0, 24.2], [0.9, 0.9, 1.0, 1.1, 8.2])
    """
    check_labels(labels, classes)
    check(neighbours, len(labels), own=True)
    away = neighbours.distance.mean(axis=1, dtype=np.float64)
    voted = neighbour_votes(neighbours, labels, classes).argmax(axis=1)
    log = np.log(np.maximum(away, away.min(where=away > 0, initial=np.inf))) if away.any() else np.zeros(len(away))
    usual, spread = _median_and_spread(log)
    spreads, times = np.zeros(len(log)), np.ones(len(log))
    order = np.argsort(voted, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(voted, minlength=classes))[:-1]):
        middle, width = _median_and_spread(log[rows]) if len(rows) >= _FEW else (usual, spread)
        spreads[rows] = (log[rows] - middle) / (width or spread or 1.0)
        times[rows] = np.exp(log[rows] - middle)
    return Remoteness(spreads, times)


def outliers(remote: Remoteness, beliefs: Sequence[np.ndarray] = (), *, fence: float = _FENCE) -> np.ndarray:
    """Which samples fit no class: bool ``[N]``.

    A sample is an outlier if it lies more than `fence` spreads beyond the median of samples like it. 0.8 of that is
    enough where the model or the neighbours, too, are unsure: their largest share is among the lowest quarter of all.
    (Of normally distributed values, one in 2,700 lies beyond 5 spreads, one in 290 beyond 4.)

    Args:
        remote: from `remoteness`.
        beliefs: class shares, float ``[N, K]`` each: out-of-sample probabilities, the neighbours' votes.
        fence: spreads from the median.

    Raises:
        UsageError: arrays of different lengths, or a fence that is not above 0.

    Example:
        >>> remote = Remoteness(np.array([0.5, 4.5, 7.0, 0.0]), np.ones(4))
        >>> outliers(remote).tolist()
        [False, False, True, False]
        >>> outliers(remote, [np.array([[0.9, 0.1], [0.5, 0.5], [0.9, 0.1], [0.9, 0.1]])]).tolist()
        [False, True, True, False]
    """
    if not fence > 0:
        raise UsageError(f"fence is {fence}: it must be above 0")
    unsure = np.zeros(len(remote.spreads), dtype=bool)
    for belief in beliefs:
        if len(belief) != len(unsure):
            raise UsageError(f"there are {len(belief)} rows of class shares for {len(unsure)} samples")
        if len(belief):
            sure = belief.max(axis=1)
            unsure |= sure < np.quantile(sure, _UNSURE)
    return np.asarray((remote.spreads > fence) | ((remote.spreads > _SUPPORTED * fence) & unsure))


def _median_and_spread(values: np.ndarray) -> tuple[float, float]:
    """The median, and the distance from there to the upper quartile."""
    if not len(values):
        return 0.0, 0.0
    middle, upper = np.quantile(values, [0.5, 0.75])
    return float(middle), float(upper - middle)
