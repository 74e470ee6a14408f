"""Precision, recall and intervals, with the cases where there is nothing to divide by."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.audit.scores import detection, interval


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
