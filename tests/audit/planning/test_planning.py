"""Planning against plain loops, simulated queues and values worked by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit.planning import expected, plan, stopping_point
from thresher.audit.planning.blind import audit_rows, missed
from thresher.audit.planning.progress import acceptance, advice, recalibrated
from thresher.errors import UsageError

PROBABILITIES = st.lists(st.floats(0, 1), max_size=30)


@given(PROBABILITIES)
def test_the_curve_is_a_running_sum(values: list[float]) -> None:
    curve = expected(np.array([*values, np.nan]), shift=0)
    for n in range(len(values) + 1):
        assert curve.found[n] == pytest.approx(sum(values[:n]))
        spread = 1.959963984540054 * sum(p * (1 - p) for p in values[:n]) ** 0.5
        assert curve.low[n] == pytest.approx(max(0, sum(values[:n]) - spread), abs=1e-9)
        assert curve.high[n] == pytest.approx(min(n, sum(values[:n]) + spread), abs=1e-9)
    if values:
        assert curve.precision[len(values)] == pytest.approx(np.mean(values))
        assert curve.precision_low[-1] <= curve.precision[-1] <= curve.precision_high[-1]
    assert np.isnan(curve.precision[0])


def test_the_interval_holds_what_happens() -> None:
    draws = np.random.default_rng(0)
    p = np.sort(draws.random(400))[::-1]
    curve = expected(p, shift=0)
    counts = (draws.random((2000, 400)) < p).cumsum(1)
    for n in (50, 200, 400):
        inside = (counts[:, n - 1] >= curve.low[n]) & (counts[:, n - 1] <= curve.high[n])
        assert 0.92 < inside.mean() < 0.98


def test_the_interval_holds_probabilities_that_are_off() -> None:
    draws = np.random.default_rng(0)
    p = np.sort(draws.beta(4, 2, 400))[::-1]
    for off in (-1.2, 1.2):
        true = 1 / (1 + (1 - p) / p * np.exp(-off))
        counts = (draws.random((500, 400)) < true).cumsum(1)
        curve = expected(p)
        for n in (50, 400):
            assert ((counts[:, n - 1] >= curve.low[n]) & (counts[:, n - 1] <= curve.high[n])).mean() > 0.94
    assert expected(np.array([0.0, 1.0])).low.tolist() == [0, 0, 1]
    assert expected(np.array([0.0, 1.0])).high.tolist() == [0, 0, 1]


def test_decisions_narrow_the_interval() -> None:
    rest, seen = np.full(300, 0.6), np.full(400, 0.6)
    wide, narrow = (advice(rest, seen[:n], np.arange(n) % 5 < 3) for n in (0, 400))
    assert "60 of the next 100 labels are expected to be wrong (20 to 91)" in wide
    assert "60 of the next 100 labels are expected to be wrong (49 to 71)" in narrow


@given(PROBABILITIES, st.floats(0, 1), st.floats(0, 1))
def test_stopping_points_against_a_loop(values: list[float], precision: float, gain: float) -> None:
    queue = sorted(values, reverse=True)
    by_gain = sum(p >= gain for p in queue)
    assert stopping_point(np.array(queue), gain=gain) == by_gain
    means = [np.mean(queue[:n]) for n in range(1, len(queue) + 1)]
    by_precision = max([n for n, mean in enumerate(means, 1) if mean >= precision - 1e-12], default=0)
    assert stopping_point(np.array(queue), precision=precision) == by_precision
    assert stopping_point(np.array(queue), precision=precision, gain=gain) == min(by_gain, by_precision)


def test_plans_by_hand() -> None:
    queue = np.array([0.9, 0.8, 0.4, 0.1, np.nan])
    assert plan(queue).count == 4
    assert plan(queue).recall == 1
    assert plan(queue, top=2).precision == pytest.approx(0.85)
    assert plan(queue, top=2).recall == pytest.approx(1.7 / 2.2)
    assert plan(queue, minutes=1.5, rate=2).count == 3
    assert plan(queue, minutes=1.5, rate=2, top=2, gain=0.85).count == 1
    assert plan(queue, top=99).count == 4
    nothing = plan(np.zeros(0), precision=0.5)
    assert (nothing.count, nothing.found, nothing.precision, nothing.recall) == (0, 0, None, None)
    assert plan(np.zeros(3)).recall is None
    for options, words in (
        ({"minutes": 3}, "give the rate"),
        ({"minutes": 3, "rate": -1}, "rate is -1"),
        ({"top": -1}, "top is -1"),
        ({"precision": 1.5}, "precision is 1.5"),
        ({"gain": float("nan")}, "gain is nan"),
    ):
        with pytest.raises(UsageError, match=words):
            plan(queue, **options)
    for wrong in ([1.2], [-0.1], [[0.5]], [np.inf]):
        with pytest.raises(UsageError, match="p_wrong"):
            expected(np.array(wrong))


def test_acceptance_by_hand() -> None:
    p = np.array([1.0, 0.95, 0.91, 0.9, 0.55, 0.0, np.nan])
    bins = acceptance(p, np.array([1, 1, 0, 1, 0, 0, 1], dtype=bool))
    assert [(one.reviewed, one.wrong) for one in bins] == [(4, 3), *[(0, 0)] * 3, (1, 0), *[(0, 0)] * 4, (1, 0)]
    assert (bins[0].start, bins[0].stop, bins[0].rate) == (0.9, 1.0, 0.75)
    assert bins[0].expected == pytest.approx(0.94)
    assert (round(bins[0].low, 3), round(bins[0].high, 3)) == (0.301, 0.954)  # Wilson, 3 of 4
    assert (bins[1].rate, bins[1].low, bins[1].high) == (None, 0, 1)
    with pytest.raises(UsageError, match="give one of each"):
        acceptance(p, np.ones(3))


def test_recalibration_finds_what_the_labels_were_drawn_from() -> None:
    draws = np.random.default_rng(1)
    p = draws.uniform(0.02, 0.98, 20_000)
    logit = np.log(p / (1 - p))
    for a, b in ((0.0, 1.0), (-1.5, 1.0), (0.5, 0.5), (-1.0, 1.8)):
        true = 1 / (1 + np.exp(-(a + b * logit)))
        again = recalibrated(p, p, draws.random(len(p)) < true)
        assert np.abs(again - true).max() < 0.03


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40))
def test_recalibration_keeps_the_order_and_stays_calm(pairs: list[tuple[float, bool]]) -> None:
    seen, wrong = np.array([p for p, _ in pairs]), np.array([w for _, w in pairs], dtype=bool)
    queue = np.array([1.0, 0.9, 0.5, 0.1, 0.0, np.nan])
    again = recalibrated(queue, seen, wrong)
    assert np.isnan(again[-1])
    assert (np.diff(again[:-1]) <= 1e-12).all()
    assert ((again[:-1] >= 0) & (again[:-1] <= 1)).all()
    if not pairs:
        np.testing.assert_allclose(again[1:4], queue[1:4])
    elif len(pairs) > 3 and wrong.all() and seen.max() < 0.9:
        assert again[2] > 0.5  # more were wrong than said


def test_advice_goes_on_and_stops() -> None:
    none = np.zeros(0)
    assert advice(none, none, none) == "Stop here: nothing in the queue has a probability of being wrong."
    assert advice(np.full(3, np.nan), none, none).startswith("Stop here: nothing")
    assert advice(np.array([0.9]), none, none) == (
        "Go on: about 1 of the next 1 labels are expected to be wrong (0 to 1), and 1 are worth it."
    )
    queue = np.sort(np.random.default_rng(0).random(3000))[::-1]
    assert advice(queue, none, none, rate=10).startswith("Go on: about 98 of the next 100 labels")
    people = np.zeros(300, dtype=bool)
    assert advice(queue[300:], queue[:300], people).startswith("Stop here: only about ")
    assert advice(queue[2900:], none, none).startswith("Stop here: ")
    assert advice(queue[2900:], none, none, worth=0).startswith("Go on: ")
    with pytest.raises(UsageError, match="worth is 2"):
        advice(queue, none, none, worth=2)


def test_missed_by_hand() -> None:
    sample = missed(wrong=4, sampled=200, unflagged=10_000, found=800)
    assert (sample.rate, sample.remaining, sample.recall) == (0.02, 196, 0.8)
    assert sample.recall_low is not None
    assert sample.recall_high is not None
    assert sample.rate_low < 0.02 < sample.rate_high
    assert sample.recall_low == pytest.approx(800 / (800 + 10_000 * sample.rate_high))
    assert sample.recall_high == pytest.approx(800 / (800 + 10_000 * sample.rate_low))
    nothing = missed(0, 0, 50, 0)
    assert (nothing.rate_high, nothing.remaining_high, nothing.recall, nothing.recall_low) == (1, 50, None, 0)
    for counts in ((5, 4, 10, 1), (1, 20, 10, 1), (-1, 2, 10, 1), (1, 2, 10, -1)):
        with pytest.raises(UsageError, match="each count is at most the next"):
            missed(*counts)


def test_the_recall_interval_holds_the_truth() -> None:
    draws, hits = np.random.default_rng(3), 0
    wrong = np.arange(5000) < 150  # among unflagged rows; flagged rows hold 600 more
    for _ in range(300):
        sample = draws.choice(5000, 400, replace=False)
        told = missed(int(wrong[sample].sum()), 400, 5000, 600)
        assert told.recall_low is not None
        assert told.recall_high is not None
        hits += told.recall_low <= 600 / 750 <= told.recall_high
    assert 0.92 <= hits / 300 <= 1


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 99), st.integers(0, 9999))
def test_audit_rows_are_unflagged_nested_and_stay(n: int, count: int, seed: int, flags: int) -> None:
    flagged = np.random.default_rng(flags).random(n) < 0.4
    rows = audit_rows(n, flagged, count, seed)
    assert rows.dtype == np.int64
    assert len(rows) == len(set(rows.tolist())) == min(count, int((~flagged).sum()))
    assert not flagged[rows].any()
    assert rows.tolist() == sorted(rows.tolist()) == audit_rows(n, np.flatnonzero(flagged), count, seed).tolist()
    assert set(audit_rows(n, flagged, count // 2, seed)) <= set(rows)
    more = flagged.copy()
    more[rows[:1]] = True  # one of them is flagged later: the others stay
    assert set(rows[1:]) <= set(audit_rows(n, more, count, seed))


def test_audit_rows_that_are_refused() -> None:
    refused: tuple[tuple[str, Callable[[], object]], ...] = (
        ("one flag per row", lambda: audit_rows(3, np.ones(2, dtype=bool), 1, 0)),
        ("names row 3", lambda: audit_rows(3, np.array([3]), 1, 0)),
        ("there are 3 rows", lambda: audit_rows(3, np.array([-1]), 1, 0)),
        ("0 or more", lambda: audit_rows(3, np.array([], dtype=np.int64), -1, 0)),
    )
    for words, call in refused:
        with pytest.raises(UsageError, match=words):
            call()


def test_audit_rows_are_random() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        counts[audit_rows(20, np.arange(5), 3, seed)] += 1
    assert (counts[:5] == 0).all()
    assert np.abs(counts[5:] / 2000 - 0.2).max() < 0.04
