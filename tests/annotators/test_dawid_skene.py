"""Dawid-Skene against the paper's loops, on crowds whose errors are known, and its limits."""

import math

import numpy as np
import pytest
from tests.annotators.crowds import crowd

from thresher.annotators.dawid_skene import dawid_skene
from thresher.annotators.majority import majority
from thresher.annotators.votes import Votes, matrix_votes
from thresher.errors import UsageError


def naive(table: np.ndarray, classes: int, rounds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Equations 2.3 to 2.5, entry by entry: beliefs, confusions, shares, and the likelihood of the last round."""
    n, people = table.shape
    belief = np.array([[list(row).count(k) / (row >= 0).sum() for k in range(classes)] for row in table])
    for _ in range(rounds):
        shares = belief.mean(0)
        confusion = np.zeros((people, classes, classes))
        for a in range(people):
            for k in range(classes):
                total = sum(belief[i, k] for i in range(n) if table[i, a] >= 0)
                for label in range(classes):
                    part = sum(belief[i, k] for i in range(n) if table[i, a] == label)
                    confusion[a, k, label] = part / total if total else 1 / classes
        likelihood, new = 0.0, np.zeros_like(belief)
        for i in range(n):
            for k in range(classes):
                new[i, k] = shares[k] * math.prod(
                    confusion[a, k, table[i, a]] for a in range(people) if table[i, a] >= 0
                )
            likelihood += math.log(new[i].sum())
            new[i] /= new[i].sum()
        belief = new
    return belief, confusion, shares, likelihood


@pytest.mark.parametrize("seed", range(3))
def test_without_smoothing_it_is_the_papers(seed: int) -> None:
    table, _ = crowd(seed, n=40, people=4, classes=3, share=0.8)
    belief, confusion, shares, likelihood = naive(table, 3, 5)
    found = dawid_skene(matrix_votes(table, 3), smoothing=0, rounds=5, tolerance=0)
    np.testing.assert_allclose(found.probabilities, belief, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.shares, shares, rtol=1e-9)
    for a in range(4):
        np.testing.assert_allclose(found.confusion(a), confusion[a], rtol=1e-8, atol=1e-12)
        named = float(confusion[a].diagonal() @ shares)
        assert math.isclose(found.accuracy[a], named, rel_tol=1e-8)
    assert math.isclose(found.likelihoods[-1], likelihood, rel_tol=1e-9)
    assert len(found.likelihoods) == 5


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_only_grows(seed: int) -> None:
    table, _ = crowd(seed)
    found = dawid_skene(matrix_votes(table, 4), smoothing=0, rounds=30, tolerance=0)
    assert (np.diff(found.likelihoods) >= -1e-8).all()


def test_three_good_annotators_outvote_four_guessers() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 2000)
    good = np.stack([np.where(rng.random(2000) < 0.8, true, (true + 1) % 3) for _ in range(3)], 1)
    votes = matrix_votes(np.concatenate([good, rng.integers(0, 3, (2000, 4))], 1), 3)
    found = dawid_skene(votes)
    assert found.converged
    assert (majority(votes) == true).mean() < 0.86
    assert (found.probabilities.argmax(1) == true).mean() > 0.9
    assert found.accuracy[:3].min() > 0.75
    assert found.accuracy[3:].max() < 0.4
    np.testing.assert_allclose(found.confusion(0), 0.8 * np.eye(3) + 0.2 * np.roll(np.eye(3), 1, 1), atol=0.06)
    for a in range(7):
        np.testing.assert_allclose(found.confusion(a).sum(1), 1)


def test_who_always_swaps_two_classes_is_understood() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 2, 500)
    table = np.stack([np.where(rng.random(500) < 0.85, true, 1 - true) for _ in range(4)] + [1 - true], 1)
    found = dawid_skene(matrix_votes(table, 2))
    assert found.accuracy[4] < 0.1
    assert (found.probabilities.argmax(1) == true).mean() > 0.99


@pytest.mark.parametrize(("n", "people", "classes"), [(1000, 200, 10), (1500, 60, 6)])
def test_thin_crowds_gain_by_what_all_annotators_do(n: int, people: int, classes: int) -> None:
    table, true = crowd(3, n, people, classes, share=5 / people, skill=(0.2, 0.95))
    votes = matrix_votes(table, classes)
    right = [(dawid_skene(votes, smoothing=s).probabilities.argmax(1) == true).mean() for s in (0, 3)]
    assert right[1] > right[0] + 0.005
    assert right[1] >= (majority(votes) == true).mean()


def test_rows_and_people_without_labels() -> None:
    table, _ = crowd(4, n=50, people=4)
    bare = np.concatenate([table, np.full((2, 4), -1)])
    wide = np.concatenate([bare, np.full((52, 1), -1)], axis=1)
    found, plain = dawid_skene(matrix_votes(wide, 4)), dawid_skene(matrix_votes(table, 4))
    np.testing.assert_allclose(found.probabilities[:50], plain.probabilities, rtol=1e-9, atol=1e-12)
    assert (found.probabilities[50:] == 0).all()
    np.testing.assert_allclose(found.accuracy[:4], plain.accuracy, rtol=1e-9)
    assert math.isnan(found.accuracy[4])
    np.testing.assert_allclose(found.confusion(4).sum(1), 1)


def test_it_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UsageError, match="no row has labels by two annotators"):
        dawid_skene(matrix_votes(np.array([[0, -1], [-1, 1]])))
    with pytest.raises(UsageError, match="no row has labels by two annotators"):
        dawid_skene(matrix_votes(np.full((3, 2), -1), 2))
    size = 10**7
    votes = Votes(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]), ("a", "b"), size, 1000)
    with pytest.raises(
        UsageError, match=r"on 10000000 rows, 2 annotators and 1000 classes would take 149.*choose majority"
    ):
        dawid_skene(votes)


def test_it_stops_and_says_so() -> None:
    table, _ = crowd(5)
    assert not dawid_skene(matrix_votes(table, 4), rounds=2).converged
    assert len(dawid_skene(matrix_votes(table, 4), rounds=0).likelihoods) == 1
