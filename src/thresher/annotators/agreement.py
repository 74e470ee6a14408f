"""How far annotators agree beyond chance, on labels without an order.

Krippendorff's alpha: K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011 (nominal data, any number of
labels per row). Fleiss' kappa: J. Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin
76(5), 1971 (as many labels in every row). Cohen's kappa: J. Cohen, "A coefficient of agreement for nominal scales",
Educational and Psychological Measurement 20(1), 1960 (two annotators). All are 1 where everybody agrees, 0 where they
agree as often as by chance, and NaN where only one class was ever given.
"""

import math
from dataclasses import dataclass

import numpy as np

from thresher.annotators.votes import Votes
from thresher.errors import UsageError

FEW = 30
"""More annotators than these have too many pairs to list."""


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree, on the rows with two labels or more.

    Attributes:
        rows: the number of such rows.
        observed: the share of pairs of labels of one row that are equal, mean over these rows; NaN without any.
        alpha: Krippendorff's.
        fleiss: Fleiss' kappa, or None where the rows have different numbers of labels.
    """

    rows: int
    observed: float
    alpha: float
    fleiss: float | None


def agreement(votes: Votes) -> Agreement:
    """Measure it.

    Args:
        votes: labels of several annotators; rows with one label or none do not count.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> found = agreement(matrix_votes(np.array([[0, 0], [1, 1], [0, 1], [0, 0]])))
        >>> found.rows, found.observed, round(found.alpha, 3), round(found.fleiss, 3)
        (4, 0.75, 0.533, 0.467)
    """
    rows, labels, counts = votes.tally()
    number = votes.per_row
    several = number[rows] > 1
    rows, labels, counts, number = rows[several], labels[several], counts[several], number[number > 1]
    of = votes.per_row[rows]
    if not len(number):
        return Agreement(0, math.nan, math.nan, None)
    pairs = np.bincount(rows, counts * (counts - 1) / (of * (of - 1)), minlength=votes.size)
    observed = float(pairs.sum() / len(number))
    given, total = np.bincount(labels, counts), float(number.sum())
    matching = float((counts * (counts - 1) / (of - 1)).sum())
    alpha = 1 - _ratio((total - 1) * (total - matching), float(total**2 - (given**2).sum()))
    chance = float(((given / total) ** 2).sum())
    fleiss = _ratio(observed - chance, 1 - chance) if number.min() == number.max() else None
    return Agreement(len(number), observed, alpha, fleiss)


def pairwise_kappa(votes: Votes) -> np.ndarray:
    """Cohen's kappa of every two annotators on the rows that both labelled.

    Args:
        votes: labels of at most `FEW` annotators.

    Returns:
        float64 ``[A, A]``, symmetric; NaN where two share no row, or all their labels are of one class; the diagonal
        is 1.

    Raises:
        UsageError: too many annotators.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> pairwise_kappa(matrix_votes(np.array([[0, 0], [1, 1], [0, 1], [0, 0]])))
        array([[1. , 0.5],
               [0.5, 1. ]])
    """
    people = len(votes.names)
    if people > FEW:
        raise UsageError(f"there are {people} annotators, and kappa of every two is for {FEW} at most: use alpha")
    table = np.full((votes.size, people), -1, dtype=np.int64)
    table[votes.rows, votes.annotators] = votes.labels
    result = np.eye(people)
    for one in range(people):
        for other in range(one):
            both = (table[:, one] >= 0) & (table[:, other] >= 0)
            result[one, other] = result[other, one] = cohen(table[both, one], table[both, other])
    return result


def cohen(one: np.ndarray, other: np.ndarray) -> float:
    """Cohen's kappa of two lists of labels.

    Args:
        one: class numbers, integer ``[n]``, 0 or more.
        other: class numbers for the same rows, integer ``[n]``.

    Returns:
        -1..1; NaN where there are no rows, or all labels are of one class.

    Example:
        >>> cohen(np.array([0, 1, 0, 0]), np.array([0, 1, 1, 0]))
        0.5
    """
    if not len(one):
        return math.nan
    classes = int(max(one.max(), other.max())) + 1
    mine, theirs = (np.bincount(labels, minlength=classes) / len(one) for labels in (one, other))
    chance = float(mine @ theirs)
    return _ratio(float(np.mean(one == other)) - chance, 1 - chance)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 1e-12 else math.nan
