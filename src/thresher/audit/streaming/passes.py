"""What one pass over the data finds out: ``partial`` of a stretch of rows, ``merge`` of two, ``finish`` of all.

All three are pure, and what they pass around is a dict of arrays whose size does not depend on the number of rows. A
merged state does not depend on how the rows were divided or on the order of the merges, to the last bit: counts are
integers, and so are sums of probabilities (`Sums`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np

from thresher.audit.confident import agrees, calibrate, likely_class

State = dict[str, np.ndarray]

_BITS = 30
_UNIT = float(1 << _BITS)
_SUM_CLOSE = 1e-3 + 1e-9  # how far from 1 a row may sum: figures are often written with three or four digits
_SMALLEST = 2e-6


class Chunk(NamedTuple):
    """Consecutive rows: the number of the first, labels int64 ``[B]``, probabilities float ``[B, K]``."""

    start: int
    labels: np.ndarray
    probabilities: np.ndarray


class Pass(Protocol):
    """Something that is found out in one pass."""

    def partial(self, chunks: Iterable[Chunk]) -> State:
        """Of a stretch of consecutive rows, given piece by piece."""
        ...

    def merge(self, a: State, b: State) -> State:
        """Of both stretches together."""
        ...


def added(a: State, b: State) -> State:
    """Merge states that are counts.

    Example:
        >>> added({"count": np.array([1, 2])}, {"count": np.array([10, 20])})
        {'count': array([11, 22])}
    """
    return {name: a[name] + b[name] for name in a}


@dataclass(frozen=True)
class Sums:
    """Samples and summed self-confidence per given class, and the rows that are no probabilities.

    A probability counts as a whole number of 2^-60: two whole numbers of 30 bits each, whose sums over a chunk are
    exact in float64 and in all in int64, for up to 2^33 rows. A double of 2^-8 or more has no finer digits; of smaller
    ones less than 2^-61 is rounded away.

    Example:
        >>> chunk = Chunk(0, np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
        >>> thresholds(Sums(2).partial([chunk]))
        array([0.7, 0.8])
    """

    classes: int

    def partial(self, chunks: Iterable[Chunk]) -> State:
        """See `Pass`."""
        state = {name: np.zeros(self.classes, dtype=np.int64) for name in ("count", "high", "low")}
        bad, first = 0, -1
        for start, labels, probabilities in chunks:
            own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
            wrong = np.flatnonzero(~_fine(probabilities))
            if len(wrong):
                bad, first = bad + len(wrong), start + int(wrong[0]) if first < 0 else first
                own[wrong] = 0
            high = np.floor(own * _UNIT)
            low = np.rint((own * _UNIT - high) * _UNIT)
            state["count"] += np.bincount(labels, minlength=self.classes)
            for name, part in (("high", high), ("low", low)):
                state[name] += np.bincount(labels, part, self.classes).astype(np.int64)
        return {**state, "bad": np.array([bad, first])}

    def merge(self, a: State, b: State) -> State:
        """See `Pass`."""
        state = added(a, b)
        firsts = [int(one["bad"][1]) for one in (a, b) if one["bad"][0]]
        state["bad"][1] = min(firsts, default=-1)
        return state


def thresholds(state: State) -> np.ndarray:
    """Finish `Sums`: the mean self-confidence of each class, correctly rounded.

    Args:
        state: of all rows.

    Returns:
        float64 ``[K]``, infinite for a class without samples.

    Example:
        >>> thresholds({"count": np.array([2, 0]), "high": np.array([2**30, 0]), "low": np.array([0, 0])})
        array([0.5, inf])
    """
    means = [
        float(Fraction((int(high) << _BITS) + int(low), int(count) << 2 * _BITS)) if count else np.inf
        for count, high, low in zip(state["count"], state["high"], state["low"], strict=True)
    ]
    return np.maximum(means, _SMALLEST)


@dataclass(frozen=True, eq=False)
class Joint:
    """How many samples are labelled ``i`` and confidently look like ``j``; how many of these the model would relabel.

    Example:
        >>> chunk = Chunk(0, np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]]))
        >>> Joint(np.array([0.5, 0.8])).partial([chunk])
        {'joint': array([[1, 1],
               [0, 1]]), 'confident': array([1])}
    """

    thresholds: np.ndarray

    def partial(self, chunks: Iterable[Chunk]) -> State:
        """See `Pass`."""
        classes = len(self.thresholds)
        joint, confident = np.zeros(classes * classes, dtype=np.int64), 0
        for _, labels, probabilities in chunks:
            true = likely(probabilities, self.thresholds)
            sure = np.flatnonzero(true >= 0)
            joint += np.bincount(labels[sure] * classes + true[sure], minlength=len(joint))
            other = sure[true[sure] != labels[sure]]
            confident += int(np.count_nonzero(~agrees(labels[other], probabilities[other])))
        return {"joint": joint.reshape(classes, classes), "confident": np.array([confident])}

    def merge(self, a: State, b: State) -> State:
        """See `Pass`."""
        return added(a, b)


def calibrated(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Finish `Joint`: scale the counts to the labels' numbers, as `thresher.audit.confident.count_joint` does.

    Args:
        joint: int64 ``[K, K]``, row = given class, column = likely true class.
        counts: samples per given class, int64 ``[K]``.

    Returns:
        int64 ``[K, K]``.

    Example:
        >>> calibrated(np.array([[3, 1], [0, 0]]), np.array([8, 4]))
        array([[6, 2],
               [0, 4]])
    """
    raw = np.array(joint, order="F")  # sums then run in the order in which they do in memory
    np.fill_diagonal(raw, np.maximum(raw.diagonal(), 1))
    return calibrate(raw, counts)


def likely(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """`thresher.audit.confident.likely_class`, compared in the precision of the probabilities.

    Example:
        >>> likely(np.array([[0.9, 0.1]], dtype=np.float32), np.array([0.9, 0.5]))
        array([0])
    """
    return likely_class(probabilities, thresholds.astype(probabilities.dtype))


def _fine(probabilities: np.ndarray) -> np.ndarray:
    """Which rows are probabilities, bool ``[B]``; NaN and infinite values show in the sum."""
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.einsum("bk->b", probabilities, dtype=np.float64)
        fine = np.abs(sums - 1) <= _SUM_CLOSE
        if probabilities.min() < 0:
            fine &= probabilities.min(axis=1) >= 0
    return np.asarray(fine)


def complaint(row: np.ndarray) -> str:
    """What is wrong with a row that is no probabilities, and what to do.

    Args:
        row: float ``[K]``.

    Example:
        >>> complaint(np.array([0.5, 0.1]))
        'sums to 0.6: probabilities of one sample sum to 1'
    """
    low, high, total = row.min(), row.max(), row.sum(dtype=np.float64)
    if not np.isfinite(row).all():
        return "holds an empty, NaN or infinite value: score it again or leave it out"
    if low < 0 or high > 1 + _SUM_CLOSE:
        return (
            f"goes from {low:.4g} to {high:.4g} (sum {total:.4g}): "
            "these look like logits or percent, so take the softmax, or divide by 100, first"
        )
    return f"sums to {total:.4g}: probabilities of one sample sum to 1"
