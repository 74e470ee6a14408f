"""A review against a model of it: any sequence of decisions, undos, redos and restarts."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.review.tables import issues

from thresher.decisions import Log
from thresher.decisions.decision import ACTIONS
from thresher.review.cards import Cards
from thresher.review.queue import build
from thresher.review.session import Asked, Conflict, Session

CARDS = Cards.of(issues(), ("cat", "dog", "eel"))
ROWS = (0, 10, 20, 30)
REQUEST = st.lists(
    st.tuples(st.sampled_from(ROWS), st.sampled_from(ACTIONS)), min_size=1, max_size=3, unique_by=lambda one: one[0]
)
STEP = st.one_of(REQUEST, st.sampled_from(["undo", "redo", "restart", "outdated"]))


def asked(row: int, action: str, seen: int) -> Asked:
    return Asked(row, action, seen, 2 if action == "relabel" and row != 20 else 1 if action == "relabel" else None)


class Model:
    """What should have happened: requests that stand, and how often each row was touched."""

    def __init__(self) -> None:
        self.requests: list[dict[int, str]] = []
        self.undone: list[dict[int, str]] = []
        self.seen = dict.fromkeys(ROWS, 0)

    def touch(self, rows: Any) -> None:
        for row in rows:
            self.seen[row] += 1

    @property
    def states(self) -> dict[int, str]:
        return {row: action for request in self.requests for row, action in request.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_any_sequence(steps: list[Any]) -> None:
    queue, model = build(CARDS), Model()
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "decisions.jsonl")
        session = Session(queue, log, "ann")
        try:
            for step in steps:
                if step == "restart":
                    log.close()
                    log = Log(Path(folder) / "decisions.jsonl")
                    session = Session(queue, log, "ann")
                elif step == "undo":
                    undone = model.requests.pop() if model.requests else {}
                    model.undone += [undone] if undone else []
                    model.touch(undone)
                    assert sorted(one["row"] for one in session.undo()) == sorted(undone)
                elif step == "redo":
                    again = model.undone.pop() if model.undone else {}
                    model.requests += [again] if again else []
                    model.touch(again)
                    assert [one["row"] for one in session.redo()] == list(again)
                elif step == "outdated":
                    version = session.version
                    with pytest.raises(Conflict):
                        session.decide([asked(0, "keep", model.seen[0]), asked(10, "keep", model.seen[10] + 1)])
                    assert session.version == version
                else:
                    session.decide([asked(row, action, model.seen[row]) for row, action in step])
                    model.requests.append(dict(step))
                    model.undone.clear()
                    model.touch(row for row, _ in step)
                told = [session.state(queue.position(row)) for row in ROWS]
                assert [one["state"] for one in told] == [model.states.get(row) for row in ROWS]
                assert [one["seen"] for one in told] == [model.seen[row] for row in ROWS]
                assert session.version == sum(model.seen.values())
                firm = [action for action in model.states.values() if action != "skip"]
                assert session.progress()["decided"] == len(firm)
        finally:
            log.close()


def test_rows_of_another_queue_are_undone_too(tmp_path: Path) -> None:
    with Log(tmp_path / "decisions.jsonl") as log:
        Session(build(CARDS), log, "ann").decide([asked(50, "keep", 0)])
        small = Session(build(CARDS, top=2), log, "ann")
        assert small.undo() == []
        assert log.state.current("eel/5.png") is None


def test_a_class_that_is_none_any_more(tmp_path: Path) -> None:
    with Log(tmp_path / "decisions.jsonl") as log:
        Session(build(CARDS), log, "ann").decide([asked(0, "relabel", 0)])
        renamed = issues(classes=("cat", "dog", "elk")).assign(key=issues()["key"])
        session = Session(build(Cards.of(renamed, ("cat", "dog", "elk"))), log, "ann")
        assert session.state(0) == {"row": 0, "state": "relabel", "label": -1, "seen": 1}
