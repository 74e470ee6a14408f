"""Precision, recall and intervals, with the cases where there is nothing to divide by."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from thresher.audit.scores import average_precision, detection, interval


def test_detection_worked_by_hand() -> None:
    flagged = np.array([True, True, True, False, False])
    wrong = np.array([True, False, True, True, False])
    found = detection(flagged, np.array([5.0, 4.0, 3.0, 2.0, 1.0]), wrong)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert (found["flagged"], found["wrong"]) == (3, 3)


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("bad", [True, False])
@pytest.mark.parametrize("value", [1.0, np.nan])
def test_nothing_to_divide_by(flag: bool, bad: bool, value: float) -> None:
    found = detection(np.full(4, flag), np.full(4, value), np.full(4, bad))
    assert (found["precision"] is None) == (not flag)
    assert (found["recall"] is None) == (not bad) == (found["average_precision"] is None)
    assert (found["f1"] is None) == (not flag and not bad)
    assert "NaN" not in json.dumps(found)


def test_unscored_samples_rank_last() -> None:
    wrong = np.array([False, True, False])
    assert detection(wrong, np.array([np.nan, -3.0, -4.0]), wrong)["average_precision"] == 1.0


@given(st.integers(1, 2000), st.floats(0, 1))
def test_interval_holds_the_fraction(n: int, p: float) -> None:
    low, high = interval(p * n, n)
    assert 0 <= low <= p + 1e-12
    assert p - 1e-12 <= high <= 1


def test_interval_at_the_ends() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    assert interval(0, 10)[0] == 0.0
    assert interval(10, 10)[1] == pytest.approx(1.0)
    # Wilson's interval of 8 in 10, as published tables have it.
    assert interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, -3.0, 7.5]), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_scikit_learns(pairs: list[tuple[float, bool]]) -> None:
    score, wrong = np.array([score for score, _ in pairs]), np.array([wrong for _, wrong in pairs])
    mine = average_precision(score, wrong)
    if not wrong.any():
        assert mine is None
    else:
        assert mine == pytest.approx(average_precision_score(wrong, score), abs=1e-12)


def test_samples_without_a_score_are_reached_last_and_together() -> None:
    score = np.array([np.nan, 2.0, np.nan, -1e9])
    wrong = np.array([True, False, False, True])
    assert average_precision(score, wrong) == pytest.approx(average_precision_score(wrong, [-2e9, 2, -2e9, -1e9]))
