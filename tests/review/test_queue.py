import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.review.tables import issues

from thresher.errors import UsageError
from thresher.review.cards import Cards
from thresher.review.queue import Queue, build

CLASSES = ("cat", "dog", "eel")


def cards(table: pd.DataFrame | None = None) -> Cards:
    return Cards.of(issues() if table is None else table, CLASSES)


def test_suspects_by_falling_probability() -> None:
    table = issues()
    table.loc[:5, "p_wrong"] = [0.2, np.nan, 0.9, 0.5, np.nan, 0.9]
    queue = build(cards(table))
    assert queue.order.tolist() == [2, 5, 3, 0, 1, 4]  # ties and unknown ones as in the table
    assert not queue.audit.any()


@pytest.mark.parametrize(("top", "length"), [(1, 1), (6, 6), (8, 8), (100, 12)])
def test_top(top: int, length: int) -> None:
    queue = build(cards(), top=top)
    assert queue.order.tolist() == list(range(length))


def test_a_row_whose_own_class_is_suggested_has_no_suggestion() -> None:
    assert build(cards(), top=8).suggested.tolist() == [1, 2, 0, 1, 2, 0, -1, -1]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"top": 0}, "top is 0"),
        ({"blind": 0}, "blind is 0"),
        ({"blind": 1.5}, "blind is 1.5"),
        ({"blind": -3}, "blind is -3"),
        ({"blind": float("nan")}, "blind is nan"),
    ],
)
def test_numbers_out_of_range(wish: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(cards(), **wish)  # type: ignore[arg-type]


def test_nothing_to_review() -> None:
    table = issues(suspects=0)
    with pytest.raises(UsageError, match="--top N shows the N least certain"):
        build(cards(table))
    assert len(build(cards(table), top=3)) == 3


def test_position() -> None:
    queue = build(cards(), top=3)
    assert [queue.position(row) for row in (0, 20, 30, 7)] == [0, 2, -1, -1]


def many(count: float, **wish: object) -> tuple[Cards, Queue]:
    table = cards(issues(400, 100))
    return table, build(table, blind=count, **wish)  # type: ignore[arg-type]


@pytest.mark.parametrize(("blind", "count"), [(0.25, 25), (1, 1), (40, 40), (0.001, 1), (10**6, 300)])
def test_audit_rows(blind: float, count: int) -> None:
    table, queue = many(blind)
    assert queue.audit.sum() == count
    assert not table.flagged[queue.order[queue.audit]].any()
    assert table.flagged[queue.order[~queue.audit]].all()
    assert len(set(queue.order.tolist())) == len(queue)
    assert queue.order[~queue.audit].tolist() == list(range(100))


def test_an_audit_is_the_same_again_and_grows() -> None:
    small, again, large = many(20)[1], many(20)[1], many(60)[1]
    assert np.array_equal(small.order, again.order)
    assert set(small.order[small.audit]) <= set(large.order[large.audit])


def test_audit_rows_stand_anywhere_in_any_order() -> None:
    _, queue = many(100)
    places = np.flatnonzero(queue.audit)
    assert 80 < places.mean() < 120
    rows = queue.order[queue.audit]
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.3  # nothing to be told by row numbers


def test_audit_rows_are_suggested_another_class() -> None:
    table, _ = many(10)

    def belief(places: np.ndarray) -> np.ndarray:
        return np.tile([0.5, 0.2, 0.3], (len(places), 1))

    _, queue = many(10, belief=belief)
    given, suggested = table.given[queue.order[queue.audit]], queue.suggested[queue.audit]
    assert suggested.tolist() == [{0: 2, 1: 0, 2: 0}[k] for k in given.tolist()]
    assert not queue.hidden


def test_without_probabilities_a_blind_queue_hides_its_suggestions() -> None:
    assert many(10)[1].hidden
    assert not build(cards()).hidden
    assert many(10, belief=lambda places: np.full((len(places), 3), np.nan))[1].hidden


@given(st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 1)), min_size=1, max_size=30), st.integers(1, 40))
def test_any_table(rows: list[tuple[bool, float | None]], top: int) -> None:
    flags, chances = [flag for flag, _ in rows], np.array([np.nan if p is None else p for _, p in rows])
    table = issues(len(rows), 0).assign(is_label_issue=flags, p_wrong=chances)
    queue = build(cards(table), top=top)
    assert len(queue) == min(top, len(rows))
    shown = [flags[place] for place in queue.order]
    assert shown == sorted(shown, reverse=True)
    for flag in (True, False):
        known = np.nan_to_num([chances[place] for place in queue.order if flags[place] == flag], nan=-1.0)
        assert (np.diff(known) <= 0).all()
