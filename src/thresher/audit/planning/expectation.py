"""How much to review: what the first N suspects are worth, and where to stop.

Everything is arrays in, numbers out. A queue is reviewed from its front; ``p_wrong`` is the probability that the given
label is wrong, as `thresher find` calibrated it, NaN where that is unknown: unknown rows are never planned with.
"""

import math
from dataclasses import dataclass

import numpy as np

from thresher.errors import UsageError

_Z95 = 1.959963984540054

SHIFT = 1.75
"""By how much all log-odds of `p_wrong` may be off together.

95 % of the time no more, over the suspects of the 36 cases of ``benchmarks/detection.py`` whose wrong labels people
made or chance drew (median 0.5). Labels that rules made wrong look right to every model: there it was more, and always
too low.
"""


@dataclass(frozen=True, eq=False)
class Curve:
    """What "review the first n" is expected to give, for n = 0 to N.

    Attributes:
        found: expected number of wrong labels among the first n, float64 ``[N + 1]``.
        low: the lower end of its 95 % interval.
        high: the upper end.
    """

    found: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """Expected share of wrong labels among the first n, float64 ``[N + 1]``; NaN for n = 0."""
        return self._share(self.found)

    @property
    def precision_low(self) -> np.ndarray:
        """The lower end of its 95 % interval."""
        return self._share(self.low)

    @property
    def precision_high(self) -> np.ndarray:
        """The upper end of its 95 % interval."""
        return self._share(self.high)

    def _share(self, counts: np.ndarray) -> np.ndarray:
        first = np.arange(len(counts), dtype=np.float64)
        first[0] = np.nan
        return np.asarray(counts / first)


@dataclass(frozen=True)
class Plan:
    """A part of the queue to review, from its front.

    Attributes:
        count: how many labels.
        found: how many of them are expected to be wrong.
        low: the lower end of the 95 % interval of that.
        high: the upper end.
        precision: `found` over `count`; None for nothing.
        recall: expected share of all wrong labels of the queue that are in it; None where none is expected.
    """

    count: int
    found: float
    low: float
    high: float
    precision: float | None
    recall: float | None


def expected(p_wrong: np.ndarray, shift: float = SHIFT) -> Curve:
    """What reviewing the first n labels is expected to give.

    The count of wrong labels is a sum of independent draws, with mean sum p and variance sum p (1 - p) (the
    Poisson binomial distribution). Its interval is the normal approximation of that, and what the mean would be if all
    log-odds were off by `shift`: the squares of the two are added, and the result is cut to what is possible.

    Args:
        p_wrong: float ``[N]`` in the order of the queue; rows without a value stand at its end and are left out.
        shift: how far the probabilities may be off, in log-odds; 0 takes them as exact.

    Raises:
        UsageError: values beyond 0 to 1, or another shape.

    Example:
        >>> curve = expected(np.array([1.0, 0.5, 0.5, np.nan]))
        >>> curve.found.tolist(), round(float(curve.precision[3]), 3), float(curve.low[1])
        ([0.0, 1.0, 1.5, 2.0], 0.667, 1.0)
    """
    p, factor = known(p_wrong), math.exp(at_least_zero(shift, "shift"))
    found, chance = _summed(p), _Z95**2 * _summed(p * (1 - p))
    below, above = found - _summed(p / (p + (1 - p) * factor)), _summed(p * factor / (1 - p + p * factor)) - found
    low, high = found - np.sqrt(below**2 + chance), found + np.sqrt(above**2 + chance)
    return Curve(found, np.maximum(low, 0.0), np.minimum(high, np.arange(len(p) + 1)))


def shift_left(seen: np.ndarray) -> float:
    """How far the probabilities may still be off, in log-odds, once they agree with decisions; `SHIFT` without any.

    That of normal errors, 95 % of them within `SHIFT`, after as many logistic observations.

    Args:
        seen: the probabilities of the labels that were decided, float ``[n]``.

    Example:
        >>> shift_left(np.array([])), round(shift_left(np.full(200, 0.6)), 2)
        (1.75, 0.28)
    """
    return _Z95 / math.sqrt((_Z95 / SHIFT) ** 2 + float((seen * (1 - seen)).sum()))


def _summed(values: np.ndarray) -> np.ndarray:
    """The sums of the first 0 to N values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def plan(
    p_wrong: np.ndarray,
    *,
    top: int | None = None,
    minutes: float | None = None,
    rate: float | None = None,
    precision: float | None = None,
    gain: float | None = None,
) -> Plan:
    """How many labels of a queue to review, and what that is expected to give.

    Every limit that is given holds; without any, it is the whole queue.

    Args:
        p_wrong: float ``[N]`` in the order of the queue, most likely wrong first.
        top: review at most so many.
        minutes: review at most so long; needs `rate`.
        rate: labels per minute.
        precision: review the longest part whose expected share of wrong labels is at least this.
        gain: stop at the first label whose own `p_wrong` is below this: a review there costs 1 / gain labels or more
            per wrong one.

    Raises:
        UsageError: limits that are negative or beyond 1, or minutes without a rate.

    Example:
        >>> queue = np.array([0.9, 0.8, 0.4, 0.1])
        >>> first = plan(queue, precision=0.7)
        >>> first.count, round(first.found, 2), round(first.recall, 2)
        (3, 2.1, 0.95)
        >>> plan(queue, minutes=1, rate=2).count, plan(queue, gain=0.3).count
        (2, 3)
    """
    curve = expected(p_wrong)
    limits = [len(curve.found) - 1]
    if top is not None:
        limits.append(int(at_least_zero(top, "top")))
    if minutes is not None:
        if rate is None:
            raise UsageError("minutes alone say nothing: give the rate in labels per minute too")
        limits.append(int(at_least_zero(minutes, "minutes") * at_least_zero(rate, "rate")))
    if precision is not None or gain is not None:
        limits.append(stopping_point(p_wrong, precision=precision, gain=gain))
    count = min(limits)
    found, total = float(curve.found[count]), float(curve.found[-1])
    return Plan(
        *(count, found, float(curve.low[count]), float(curve.high[count])),
        found / count if count else None,
        found / total if total else None,
    )


def stopping_point(p_wrong: np.ndarray, *, precision: float | None = None, gain: float | None = None) -> int:
    """How many labels to review until it no longer pays.

    Args:
        p_wrong: float ``[N]`` in the order of the queue, most likely wrong first.
        precision: the expected share of wrong labels among all that are reviewed stays at or above this.
        gain: the `p_wrong` of each of them is at or above this.

    Returns:
        The number that meets what is given.

    Raises:
        UsageError: a value beyond 0 to 1.

    Example:
        >>> stopping_point(np.array([0.9, 0.1, 0.1]), precision=0.5), stopping_point(np.array([0.9, 0.1]), gain=0.2)
        (2, 1)
    """
    p = known(p_wrong)
    count = len(p)
    if gain is not None:
        below = np.flatnonzero(p < share(gain, "gain"))
        count = int(below[0]) if len(below) else count
    if precision is not None:
        means = np.cumsum(p[:count]) / np.arange(1, count + 1)
        enough = np.flatnonzero(means >= share(precision, "precision") - 1e-12)  # a sum of 0.7s is not 0.7 exactly
        count = int(enough[-1]) + 1 if len(enough) else 0
    return count


def known(p_wrong: np.ndarray) -> np.ndarray:
    """Probabilities without the unknown ones, once they are sure to be some: float64 ``[n]``."""
    values = np.asarray(p_wrong, dtype=np.float64)
    if values.ndim != 1:
        raise UsageError(f"p_wrong has shape {list(values.shape)}: give one probability per row")
    values = values[~np.isnan(values)]
    check_range(values)
    return values


def check_range(values: np.ndarray) -> None:
    """Refuse what is no probability."""
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise UsageError(f"p_wrong goes from {values.min():.4g} to {values.max():.4g}: probabilities lie in 0 to 1")


def share(value: float, what: str) -> float:
    """The value, if it is a share."""
    if not 0 <= value <= 1:
        raise UsageError(f"{what} is {value:g}: it is a share, from 0 to 1")
    return value


def at_least_zero(value: float, what: str) -> float:
    """The value, if it is 0 or more and finite."""
    if not 0 <= value < math.inf:
        raise UsageError(f"{what} is {value:g}: it is 0 or more")
    return value
