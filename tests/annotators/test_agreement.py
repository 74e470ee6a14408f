"""Coefficients of agreement against published values, scikit-learn and loops."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from tests.annotators.crowds import crowd

from thresher.annotators.agreement import FEW, agreement, cohen, pairwise_kappa
from thresher.annotators.votes import Votes, matrix_votes
from thresher.errors import UsageError


def test_krippendorffs_own_example() -> None:
    """Four observers, twelve units, nominal data: alpha = 0.743 (Krippendorff 2011, section C)."""
    nan = np.nan
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    ).T
    found = agreement(matrix_votes(table, 6))
    assert round(found.alpha, 3) == 0.743
    assert found.rows == 11
    assert found.fleiss is None


def test_fleiss_own_formula() -> None:
    table, _ = crowd(0, 100, 5, 3, share=1.0)
    counts = np.stack([(table == k).sum(1) for k in range(3)], 1)
    each = ((counts**2).sum(1) - 5) / (5 * 4)
    chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    found = agreement(matrix_votes(table, 3))
    assert found.fleiss is not None
    assert math.isclose(found.fleiss, (each.mean() - chance) / (1 - chance), rel_tol=1e-12)
    assert math.isclose(found.observed, each.mean(), rel_tol=1e-12)


def test_guessers_are_at_zero_and_twins_at_one() -> None:
    rng = np.random.default_rng(1)
    guesses = agreement(matrix_votes(rng.integers(0, 3, (5000, 3)), 3))
    assert abs(guesses.alpha) < 0.03
    same = agreement(matrix_votes(np.repeat(rng.integers(0, 3, (50, 1)), 3, axis=1), 3))
    assert (same.alpha, same.fleiss, same.observed) == (1, 1, 1)


def test_nothing_to_compare() -> None:
    alone = agreement(matrix_votes(np.array([[0, -1], [-1, 1]])))
    assert (alone.rows, alone.fleiss) == (0, None)
    assert math.isnan(alone.alpha)
    one = agreement(matrix_votes(np.array([[1, 1], [1, 1]])))
    assert math.isnan(one.alpha)
    assert one.observed == 1


def test_pairs_are_scikit_learns() -> None:
    table, _ = crowd(2, 300, 5, 4, share=0.6)
    found = pairwise_kappa(matrix_votes(table, 4))
    for one in range(5):
        for other in range(one):
            both = (table[:, one] >= 0) & (table[:, other] >= 0)
            expected = cohen_kappa_score(table[both, one], table[both, other])
            assert math.isclose(found[one, other], expected, rel_tol=1e-9)
            assert found[one, other] == found[other, one]


def test_pairs_that_never_meet_and_crowds() -> None:
    assert math.isnan(pairwise_kappa(matrix_votes(np.array([[0, -1], [-1, 1]])))[0, 1])
    assert math.isnan(cohen(np.array([1, 1]), np.array([1, 1])))
    names = tuple(map(str, range(FEW + 1)))
    votes = Votes(np.array([0]), np.array([0]), np.array([0]), names, 1, 2)
    with pytest.raises(UsageError, match="use alpha"):
        pairwise_kappa(votes)
