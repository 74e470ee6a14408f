"""Votes and majorities against plain loops, and their edges."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.annotators.majority import majority
from thresher.annotators.votes import Votes, matrix_votes, refuse_too_large
from thresher.errors import UsageError


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 6), st.integers(2, 4))
def test_tally_shares_and_majority(seed: int, n: int, people: int, classes: int) -> None:
    table = np.random.default_rng(seed).integers(-1, classes, (n, people))
    votes = matrix_votes(table, classes)
    rows, labels, counts = votes.tally()
    found = {(row, label): count for row, label, count in zip(rows, labels, counts, strict=True)}
    often = np.bincount(table[table >= 0], minlength=classes)
    shares, best = votes.shares(), majority(votes)
    for row, own in enumerate(table.tolist()):
        given_here = [label for label in own if label >= 0]
        for label in range(classes):
            assert found.get((row, label), 0) == given_here.count(label)
            assert shares[row, label] == (given_here.count(label) / len(given_here) if given_here else 0)
        order = sorted(set(given_here), key=lambda label: (-given_here.count(label), -often[label], label))
        assert best[row] == (order[0] if order else -1)
    np.testing.assert_array_equal(votes.per_row, (table >= 0).sum(1))
    np.testing.assert_array_equal(votes.per_annotator, (table >= 0).sum(0))


def test_a_model_breaks_ties_and_only_ties() -> None:
    votes = matrix_votes(np.array([[0, 1, 2], [0, 0, 1], [2, 1, -1]]))
    p = np.array([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.9, 0.06, 0.04]])
    assert majority(votes, p).tolist() == [2, 0, 1]


def test_no_votes_at_all() -> None:
    votes = matrix_votes(np.full((3, 2), -1), 2)
    assert majority(votes).tolist() == [-1, -1, -1]
    assert votes.shares().tolist() == [[0, 0]] * 3
    assert majority(matrix_votes(np.zeros((0, 2), dtype=int), 2)).tolist() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 2])}, "labels of votes go from 0 to 2: they must be 0 to 1"),
        ({"rows": np.array([0, 5])}, "rows of votes go from 0 to 5"),
        ({"annotators": np.array([-1, 0])}, "annotators of votes go from -1 to 0"),
        ({"labels": np.array([0])}, "three integer arrays of one length"),
        ({"labels": np.array([0.0, 1.0])}, "three integer arrays of one length"),
        ({"rows": np.array([1, 1]), "annotators": np.array([1, 1])}, "'bob' labels row 1 twice"),
        ({"classes": 1}, "two classes or more"),
    ],
)
def test_votes_that_mean_nothing(change: dict[str, Any], message: str) -> None:
    whole: dict[str, Any] = {
        "labels": np.array([0, 1]), "rows": np.array([0, 1]), "annotators": np.array([0, 1]),
        "names": ("ann", "bob"), "size": 2, "classes": 2,
    }  # fmt: skip
    Votes(**whole)
    with pytest.raises(UsageError, match=message):
        Votes(**{**whole, **change})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.array([0, 1]), "must be numbers \\[rows, annotators\\]"),
        (np.array([["a"]]), "must be numbers"),
        (np.array([[0.5]]), "hold fractions"),
        (np.array([[np.inf]]), "infinite"),
        (np.array([[-2]]), "go from -2"),
    ],
)
def test_tables_that_mean_nothing(table: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        matrix_votes(table)


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (np.full((1, 2), 0.5), r"the probabilities are \[1, 2\], and the votes have 2 rows"),
        (np.full((2, 2), np.nan), "without NaN"),
        (np.full((2, 2), 3.0), "take the softmax"),
        (np.array([[0, 1], [1, 0]]), "must be numbers from 0 to 1"),
    ],
)
def test_models_that_mean_nothing(p: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        majority(matrix_votes(np.array([[0, 1], [1, 1]])), p)


def test_too_large_is_said_in_time() -> None:
    votes = Votes(np.array([0, 1]), np.array([0, 10**7]), np.array([0, 1]), ("a", "b"), 10**7 + 1, 1000)
    with pytest.raises(UsageError, match=r"shares of 1000 classes in 10000001 rows would take 74\.5 GiB"):
        votes.shares()
    refuse_too_large(10**9, "as large as allowed")
