"""What the decisions so far say: how good the probabilities were, what the rest is worth, and whether to go on."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from thresher.audit.calibrate import logistic
from thresher.audit.planning.expectation import check_range, expected, share, shift_left, stopping_point
from thresher.audit.scores import interval
from thresher.errors import UsageError

_NEXT = 100  # how many more labels the advice looks ahead
_FLATTEST = 0.05
_LOOSE = np.array([1.0, 2.0])  # deviations of the priors of slope and offset


@dataclass(frozen=True)
class Bin:
    """What people said of labels whose `p_wrong` lies in one range.

    Attributes:
        start: of the range, which holds it.
        stop: end of the range, which holds it for the last range only.
        reviewed: how many labels were decided.
        wrong: how many of them people called wrong.
        expected: the mean `p_wrong` of those decided; None for none.
        rate: `wrong` over `reviewed`; None for none.
        low: the lower end of the 95 % Wilson interval of the rate.
        high: the upper end.
    """

    start: float
    stop: float
    reviewed: int
    wrong: int
    expected: float | None
    rate: float | None
    low: float
    high: float


def acceptance(p_wrong: np.ndarray, wrong: np.ndarray, bins: int = 10) -> list[Bin]:
    """How often people called a label wrong, by the probability that was shown.

    Args:
        p_wrong: float ``[n]`` of the labels that were decided.
        wrong: bool ``[n]``, whether people called them wrong.
        bins: number of ranges of equal width.

    Returns:
        One entry per range, from the highest to the lowest.

    Raises:
        UsageError: values beyond 0 to 1, or arrays of different lengths.

    Example:
        >>> [(one.start, one.reviewed, one.rate) for one in acceptance(np.array([0.9, 0.6, 0.2]), np.ones(3), bins=2)]
        [(0.5, 2, 1.0), (0.0, 1, 1.0)]
    """
    p, said = _pairs(p_wrong, wrong)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    counts, hits = np.bincount(place, minlength=bins), np.bincount(place, said, minlength=bins).astype(np.int64)
    sums = np.bincount(place, p, minlength=bins)
    return [
        Bin(
            *(k / bins, (k + 1) / bins, int(n), int(hit)),
            float(total / n) if n else None,
            float(hit / n) if n else None,
            *interval(int(hit), int(n)),
        )
        for k, n, hit, total in reversed(list(zip(range(bins), counts, hits, sums, strict=True)))
    ]


def recalibrated(p_wrong: np.ndarray, seen: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Probabilities that agree with what people have decided so far.

    logit p' = a + b logit p (Cox, "Two further applications of a model for binary regression", Biometrika 1958), with
    a drawn towards 0 and b towards 1 by normal priors, so that few decisions change little; b stays above 0, and with
    it the order.

    Args:
        p_wrong: float ``[N]``; NaN stays NaN.
        seen: float ``[n]``, the `p_wrong` of the labels that were decided.
        wrong: bool ``[n]``, whether people called them wrong.

    Returns:
        float64 ``[N]``.

    Raises:
        UsageError: values beyond 0 to 1, or arrays of different lengths.

    Example:
        >>> few = recalibrated(np.array([0.9, 0.5]), np.full(40, 0.9), np.arange(40) < 10)
        >>> bool(0.25 < few[0] < 0.4), bool(few[1] < few[0])
        (True, True)
    """
    p, said = _pairs(seen, wrong)
    features = np.stack([logit(_inside(p)), np.ones(len(p))], axis=1)
    slope, offset = logistic(features, said, np.array([1.0, 0.0]), _LOOSE)
    values = np.array(p_wrong, dtype=np.float64)
    known = ~np.isnan(values)
    check_range(values[known])
    values[known] = expit(max(slope, _FLATTEST) * logit(_inside(values[known])) + offset)
    return values


def advice(
    p_wrong: np.ndarray,
    seen: np.ndarray,
    wrong: np.ndarray,
    *,
    worth: float = 0.1,
    rate: float | None = None,
) -> str:
    """One sentence: go on, or stop here.

    Args:
        p_wrong: float ``[N]`` of the labels that are still to be reviewed, in the order of the queue.
        seen: float ``[n]``, the `p_wrong` of the labels that were decided.
        wrong: bool ``[n]``, whether people called them wrong.
        worth: stop where fewer than this share of the next labels are expected to be wrong.
        rate: labels per minute so far, to say how long the rest takes.

    Raises:
        UsageError: values beyond 0 to 1, or arrays of different lengths.

    Example:
        >>> advice(np.full(500, 0.6), np.zeros(0), np.zeros(0), rate=20)
        'Go on: about 60 of the next 100 labels are expected to be wrong (20 to 91), and 500 are worth it, 25 minutes.'
        >>> advice(np.full(500, 0.6), np.full(200, 0.6), np.zeros(200))
        'Stop here: only about 1 of the next 100 labels are expected to be wrong, and about 3 of all 500 that remain.'
    """
    rest = recalibrated(p_wrong, seen, wrong)
    rest = rest[~np.isnan(rest)]
    if not len(rest):
        return "Stop here: nothing in the queue has a probability of being wrong."
    known, _ = _pairs(seen, wrong)
    curve, ahead = expected(rest, shift_left(recalibrated(known, seen, wrong))), min(_NEXT, len(rest))
    found = curve.found[ahead]
    few = f"about {_whole(found)} of the next {ahead} labels are expected to be wrong"
    if found < share(worth, "worth") * ahead:
        return f"Stop here: only {few}, and about {_whole(curve.found[-1])} of all {len(rest):,} that remain."
    count = max(stopping_point(rest, gain=worth), ahead)
    minutes = max(1, round(count / rate)) if rate else 0
    time = f", {minutes:,} minute{'s'[: minutes != 1]}" if minutes else ""
    span = f"{_whole(curve.low[ahead])} to {_whole(curve.high[ahead])}"
    return f"Go on: {few} ({span}), and {count:,} are worth it{time}."


def _pairs(seen: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Known probabilities of decided labels, and whether these are wrong; float64 ``[n]`` both."""
    p, said = np.asarray(seen, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    if p.shape != said.shape or p.ndim != 1:
        raise UsageError(f"there are probabilities {list(p.shape)} and decisions {list(said.shape)}: give one of each")
    known = ~np.isnan(p)
    check_range(p[known])
    return p[known], said[known]


def _inside(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(p, 1e-6, 1 - 1e-6))


def _whole(value: float) -> str:
    return f"{round(value):,}"
