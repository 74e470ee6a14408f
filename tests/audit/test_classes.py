"""Overlapping classes and the samples that stand for a class."""

from typing import Any

import numpy as np
import pytest

from thresher.audit.classes import exemplars, overlaps
from thresher.errors import UsageError


def test_pairs_by_count() -> None:
    joint = np.array([[50, 1, 4], [0, 30, 2], [9, 2, 40]])
    found = overlaps(joint, ["a", "b", "c"])
    assert [(pair.first, pair.second, pair.count) for pair in found] == [("a", "c", 13), ("b", "c", 4), ("b", "a", 1)]
    assert (found[0].first_as_second, found[0].second_as_first) == (9, 4)
    assert found[0].share == pytest.approx(13 / 138)
    assert len(overlaps(joint, ["a", "b", "c"], top=1)) == 1
    assert overlaps(np.zeros((2, 2)), ["a", "b"]) == []


def test_exemplars_by_probability() -> None:
    belief = np.array([[0.6, 0.4], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]])
    labels = np.array([0, 0, 0, 1])
    assert exemplars(labels, 2, probabilities=belief, per_class=2).tolist() == [[1, 2], [3, -1]]
    left = np.array([False, True, False, True])
    assert exemplars(labels, 2, probabilities=belief, per_class=2, leave_out=left).tolist() == [[2, 0], [-1, -1]]


def test_exemplars_by_features_withstand_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1], 100)
    x = rng.standard_normal((200, 5)) + 8 * true[:, None]
    given = true.copy()
    given[:30], given[100:130] = 1, 0
    found = exemplars(given, 2, features=x)
    assert (true[found] == [[0], [1]]).all()
    assert (given[found] == [[0], [1]]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give one of them"),
        ({"features": np.zeros((2, 1)), "probabilities": np.zeros((2, 2))}, "give one of them"),
        ({"features": np.zeros((3, 1))}, r"shape \[3, 1\] for 2 labels"),
        ({"probabilities": np.zeros((2, 3))}, r"shape \[2, 3\]"),
        ({"features": np.zeros((2, 1)), "per_class": 0}, "at least 1"),
        ({"features": np.zeros((2, 1)), "leave_out": np.zeros(3, dtype=bool)}, "3 entries for 2"),
    ],
)
def test_exemplars_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        exemplars(np.array([0, 1]), 2, **options)


def test_overlaps_refused() -> None:
    for joint, said in [(np.zeros((2, 3)), "square"), (np.full((2, 2), np.nan), "counts"), (-np.eye(2), "counts")]:
        with pytest.raises(UsageError, match=said):
            overlaps(joint, ["a", "b"])
