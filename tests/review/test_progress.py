import numpy as np
import pytest
from tests.review.tables import issues

from thresher.decisions.decision import ACTIONS
from thresher.review.cards import Cards
from thresher.review.progress import Pace, audited, progress
from thresher.review.queue import Queue, build


def queue(rows: int = 200, suspects: int = 100, chances: bool = True, **wish: object) -> Queue:
    table = issues(rows, suspects)
    if not chances:
        table["p_wrong"] = np.nan
    return build(Cards.of(table, ("cat", "dog", "eel")), **wish)  # type: ignore[arg-type]


def said(of: Queue, **names: slice) -> np.ndarray:
    actions = np.full(len(of), -1, dtype=np.int8)
    for name, places in names.items():
        actions[places] = ACTIONS.index(name)
    return actions


def test_counts() -> None:
    shown = queue()
    actions = said(
        shown, accept=slice(0, 8), keep=slice(8, 10), ambiguous=slice(10, 12), skip=slice(12, 20), bad=slice(20, 22)
    )
    found = progress(shown, actions, 12.34)
    assert (found["decided"], found["total"], found["accepted"], found["per_minute"]) == (14, 100, 8, 12.3)
    assert found["precision"]["value"] == round(10 / 12, 4)  # ambiguous ones are neither
    assert found["precision"]["low"] < 10 / 12 < found["precision"]["high"]
    assert 30 < found["expected_remaining"] < 86
    assert found["advice"].startswith("Go on")


def test_nothing_decided() -> None:
    shown = queue()
    found = progress(shown, said(shown), None)
    assert (found["precision"], found["per_minute"]) == (None, None)
    chances = shown.cards.p_wrong[shown.order].sum()
    assert found["expected_remaining"] == pytest.approx(chances, abs=0.06)


def test_everything_decided() -> None:
    shown = queue()
    found = progress(shown, said(shown, keep=slice(None)), 1.0)
    assert (found["decided"], found["expected_remaining"], found["advice"]) == (100, 0.0, "Every suspect is decided.")


def test_many_kept_lower_what_is_expected() -> None:
    shown = queue()
    found = progress(shown, said(shown, keep=slice(0, 60)), None)
    assert found["expected_remaining"] < 5
    assert found["advice"].startswith("Stop here")


def test_without_probabilities() -> None:
    shown = queue(chances=False)
    assert progress(shown, said(shown), None)["expected_remaining"] is None
    few = progress(shown, said(shown, accept=slice(0, 5), keep=slice(5, 10)), None)
    assert few["expected_remaining"] == 45.0
    assert few["advice"].startswith("Go on: nothing is known yet")
    many = progress(shown, said(shown, accept=slice(0, 20), keep=slice(20, 80)), None)
    assert many["advice"] == "Stop here: 0 of the last 50 labels decided, in the order of the queue, were wrong."
    assert progress(shown, said(shown, bad=slice(0, 80)), None)["advice"].startswith("Go on: 50 of")


def test_audit_rows_count_for_themselves() -> None:
    shown = queue(blind=50)
    actions = said(shown)
    assert audited(shown, actions) is None
    actions[~shown.audit] = ACTIONS.index("accept")
    actions[np.flatnonzero(shown.audit)[:5]] = ACTIONS.index("relabel")
    actions[np.flatnonzero(shown.audit)[5:]] = ACTIONS.index("keep")
    found = progress(shown, actions, None)
    assert (found["audited"], found["precision"]["value"]) == (50, 1.0)
    missed = audited(shown, actions)
    assert missed is not None
    assert (missed.rate, missed.remaining) == (0.1, 5.0)
    assert missed.recall == pytest.approx(100 / 110)


def test_pace() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.per_minute() is None
    for seconds, count in ((0, 1), (2, 1), (6, 4), (600, 1), (604, 1)):
        now = float(seconds)
        pace.count(count)
    assert pace.per_minute() == pytest.approx(60 * 6 / 10)  # not the pause of ten minutes
