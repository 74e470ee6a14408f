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
    from sklearn.metrics import average_precision_score  # takes seconds to import

    flagged, wrong = np.asarray(flagged, dtype=bool), np.asarray(wrong, dtype=bool)
    hits, called, bad = int((flagged & wrong).sum()), int(flagged.sum()), int(wrong.sum())
    return Detection(
        precision=ratio(hits, called),
        recall=ratio(hits, bad),
        f1=ratio(2 * hits, called + bad),
        average_precision=float(average_precision_score(wrong, _filled(score))) if bad else None,
        flagged=called,
        wrong=bad,
    )


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


def _filled(score: np.ndarray) -> np.ndarray:
    """The ranking with unscored samples at its end."""
    score = np.asarray(score, dtype=np.float64)
    known = score[~np.isnan(score)]
    return np.where(np.isnan(score), known.min() - 1 if known.size else 0.0, score)
