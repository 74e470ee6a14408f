"""How good a list of suspects is, when it is known which labels are wrong."""

import math
from typing import TypedDict

import numpy as np

_Z95 = 1.959963984540054


class Detection(TypedDict):
    """Quality of a list of suspects; fractions 0..1, None where they are not defined; `flagged`, `wrong` are counts."""

    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None
    flagged: int
    wrong: int


def detection(flagged: np.ndarray, score: np.ndarray, wrong: np.ndarray) -> Detection:
    """Precision, recall, F1 of the flags and average precision of the ranking.

    Args:
        flagged: bool ``[N]``, which labels are called wrong.
        score: float ``[N]``, higher = more likely wrong; NaN (never scored) ranks last.
        wrong: bool ``[N]``, which labels are wrong.

    Returns:
        A dict that goes into JSON as it is: plain numbers, None where nothing is flagged (precision) or nothing is
        wrong (recall, average precision) or neither (F1).

    Example:
        >>> found = detection(np.array([True, True, False]), np.array([3.0, 1.0, -1.0]), np.array([True, False, False]))
        >>> found["precision"], found["recall"], found["average_precision"]
        (0.5, 1.0, 1.0)
        >>> nothing = np.zeros(3, dtype=bool)
        >>> detection(nothing, np.zeros(3), nothing)["precision"] is None
        True
    """
    flagged, wrong = np.asarray(flagged, dtype=bool), np.asarray(wrong, dtype=bool)
    hits, called, bad = int((flagged & wrong).sum()), int(flagged.sum()), int(wrong.sum())
    return Detection(
        precision=ratio(hits, called),
        recall=ratio(hits, bad),
        f1=ratio(2 * hits, called + bad),
        average_precision=average_precision(score, wrong),
        flagged=called,
        wrong=bad,
    )


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float | None:
    """The precision at each wrong label of a ranking, averaged; samples of equal score are reached together.

    The same number as scikit-learn's ``average_precision_score``, whose import takes seconds.

    Args:
        score: float ``[N]``, higher = more likely wrong; NaN (never scored) ranks last.
        wrong: bool ``[N]``, which labels are wrong.

    Returns:
        A fraction, or None where no label is wrong.

    Example:
        >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
        0.8333333333333333
    """
    score, wrong = np.asarray(score, dtype=np.float64), np.asarray(wrong, dtype=bool)
    order = np.argsort(-score, kind="stable")  # NaN goes last
    ranked, hits = score[order], np.cumsum(wrong[order])
    if not len(hits) or not hits[-1]:
        return None
    same = (ranked[1:] == ranked[:-1]) | (np.isnan(ranked[1:]) & np.isnan(ranked[:-1]))
    ends = np.append(np.flatnonzero(~same), len(ranked) - 1)
    gained = np.diff(hits[ends], prepend=0)
    return float((gained * hits[ends] / (ends + 1)).sum() / hits[-1])


def interval(successes: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a fraction (Wilson, "Probable inference", JASA 1927).

    Args:
        successes: how many of the `n` came out well; an accuracy times `n` will do.
        n: how many there were.

    Returns:
        The lower and the upper end, fractions 0..1; (0, 1) for n = 0.

    Example:
        >>> low, high = interval(95, 100)
        >>> round(low, 3), round(high, 3)
        (0.888, 0.978)
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, _Z95 * _Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def ratio(part: int, whole: int) -> float | None:
    """A fraction, or None where the whole is nothing.

    Example:
        >>> ratio(1, 4), ratio(0, 0)
        (0.25, None)
    """
    return part / whole if whole else None
