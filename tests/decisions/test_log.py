"""Decisions: the fold against a naive model, the file against every cut and every kill, several files together."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.decisions import ACTIONS, Decision, Log, decide, fold, merge, parse, read
from thresher.decisions import log as log_file
from thresher.errors import ThresherError, UsageError

KEYS = ("a", 'b,"\n', "ö/../x")
PEOPLE = ("ann", "bob")


def one(key: str = "a", action: str = "accept", annotator: str = "ann", **more: Any) -> Decision:
    label = "cow" if action == "relabel" else None
    return decide(key, action, given="cat", suggested="dog", annotator=annotator, label=label, **more)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), st.sampled_from(KEYS), st.sampled_from(ACTIONS), st.sampled_from(PEOPLE)),
        st.tuples(st.sampled_from(["undo", "redo"]), st.integers(0, 3), st.just(""), st.sampled_from(PEOPLE)),
    ),
    max_size=30,
)


class Naive:
    """A list of what stands and a stack of what fell, per person; everything else is looked up again each time."""

    def __init__(self) -> None:
        self.order: list[Decision] = []
        self.stands: set[str] = set()
        self.done: dict[str, list[Decision]] = {name: [] for name in PEOPLE}
        self.fallen: dict[str, list[Decision]] = {name: [] for name in PEOPLE}

    def decide(self, decision: Decision) -> None:
        self.order.append(decision)
        self.stands.add(decision.id)
        self.done[decision.annotator].append(decision)
        self.fallen[decision.annotator].clear()

    def move(self, what: str, annotator: str) -> None:
        out, into = (self.done, self.fallen) if what == "undo" else (self.fallen, self.done)
        if out[annotator]:
            decision = out[annotator].pop()
            into[annotator].append(decision)
            (self.stands.discard if what == "undo" else self.stands.add)(decision.id)

    def of(self, key: str) -> dict[str, Decision]:
        return {one.annotator: one for one in self.order if one.key == key and one.id in self.stands}

    def current(self, key: str) -> Decision | None:
        found = sorted(self.of(key).values(), key=self.order.index)
        return next((one for one in reversed(found) if one.action != "skip"), found[-1] if found else None)


def play(log: Log, steps: list[tuple[Any, ...]], model: Naive | None = None) -> None:
    for what, thing, action, annotator in steps:
        if what == "decide":
            decision = one(thing, action, annotator)
            log.append(decision)
            if model:
                model.decide(decision)
            continue
        moved = log.undo(annotator, thing) if what == "undo" else log.redo(annotator, thing)
        assert len(moved) <= thing
        for _ in range(thing if model else 0):
            assert model
            model.move(what, annotator)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_fold_is_what_a_naive_model_says(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    path, model = tmp_path_factory.mktemp("log") / "decisions.jsonl", Naive()
    path.touch()  # otherwise it is there only if something is decided
    with Log(path) as log:
        play(log, steps, model)
        live = log.state
    for state in (live, fold(read(path)), merge([path, path])):
        for key in KEYS:
            assert state.current(key) == model.current(key)
            assert state.of(key) == model.of(key)
            assert state.key_version(key) == len(state.history(key))
        assert state.version == len(state.records) == len(read(path))
        assert state.all_current() == {key: now for key in KEYS if (now := model.current(key))}
        for name in PEOPLE:
            assert state.to_undo(name, 99) == model.done[name][::-1]
            by_id = {record.id: record for record in state.records}
            assert [by_id[str(undo.undoes)] for undo in state.to_redo(name, 1)] == model.fallen[name][-1:]


@settings(max_examples=25, deadline=None)
@given(STEPS, st.integers(0, 10**6))
def test_a_cut_at_any_byte_loses_the_last_record_at_most(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], where: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with Log(folder / "whole.jsonl") as log:
        play(log, steps)
        log.append(one("a", "keep"))
    data = (folder / "whole.jsonl").read_bytes()
    every = read(folder / "whole.jsonl")
    cut = where % (len(data) + 1)
    path = folder / "cut.jsonl"
    path.write_bytes(data[:cut])
    ended = data[:cut].count(b"\n")
    assert read(path) in (every[:ended], every[: ended + 1])
    assert path.read_bytes() == data[:cut]  # reading changes nothing
    kept = read(path)
    with Log(path) as log:
        assert log.state.records == kept
        log.append(one("z", "bad"))
    assert [record.key for record in read(path)] == [*(record.key for record in kept), "z"]


def test_every_cut_of_a_line(tmp_path: Path) -> None:
    first, second = one("a"), one("ö", "ambiguous", labels=("cat", "dog"))
    data = first.line() + second.line()
    for cut in range(len(first.line()), len(data)):
        (tmp_path / "d.jsonl").write_bytes(data[:cut])
        assert read(tmp_path / "d.jsonl") == [first, second][: 2 if cut == len(data) - 1 else 1]
    for tail in (b"\0" * 64, b"\xff\xfe", b'{"v": 1', b"[" * 100_000):
        (tmp_path / "d.jsonl").write_bytes(first.line() + tail)
        assert read(tmp_path / "d.jsonl") == [first]
        with Log(tmp_path / "d.jsonl") as log:
            log.append(second)
        assert (tmp_path / "d.jsonl").read_bytes() == data


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", None),
        ("{", "it is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"v": 2}', "its version is 2, and this version of Thresher reads 1"),
        ("{}", "its version is None"),
        ('{"v": 1}', "it has no id"),
        ({"action": "acept"}, "no action 'acept': did you mean accept"),
        ({"action": "undo", "label": None}, "does not say which record it undoes"),
        ({"key": ""}, "key of a decision is ''"),
        ({"key": 3}, "key of a decision is 3"),
        ({"label": "cow"}, "accept of 'a' has the label 'cow' and not 'dog'"),
        ({"label": None}, "there is no suggestion to accept"),
        ({"action": "keep"}, "keep of 'a' has the label 'dog' and not 'cat'"),
        ({"action": "bad"}, "only accept, relabel and keep do"),
        ({"labels": ["cat"]}, "ambiguous takes two or more"),
        ({"labels": "cat"}, "which is no list"),
        ({"labels": [1, 2], "action": "ambiguous", "label": None}, "must be the text"),
        ({"labels": [[], {}], "action": "ambiguous", "label": None}, "must be the text"),
        ({"label": {}}, "must be the text"),
        ({"action": []}, "no action []"),
        ({"p_wrong": 2}, "p_wrong of 'a' is 2"),
        ({"p_wrong": True}, "p_wrong of 'a' is True"),
        ({"row": -1}, "row of 'a' is -1"),
        ({"row": 1.5}, "row of 'a' is 1.5"),
        ({"audit": 1}, "audit of 'a' is 1"),
        ({"given": None}, "given of 'a' is None"),
        ({"key": "\ud800"}, "must be text"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: Any, words: str | None) -> None:
    if isinstance(line, dict):
        line = json.dumps({**json.loads(one().line()), **line})
    path = tmp_path / "d.jsonl"
    path.write_bytes(one().line() + line.encode() + b"\n" + one("b").line())
    before = path.read_bytes()
    if words is None:
        assert len(read(path)) == 2  # an empty line says nothing
        return
    for attempt in (read, Log, lambda where: merge([where])):
        with pytest.raises(UsageError, match=r"line 2 of .*d\.jsonl cannot be used: ") as told:
            attempt(path)
        assert words in str(told.value)
    assert path.read_bytes() == before


def test_a_line_holds_what_was_agreed() -> None:
    made = one("a", p_wrong=float("nan"), row=3, audit=True)
    assert list(json.loads(made.line())) == [
        *("v", "id", "key", "row", "action", "label", "given", "suggested", "p_wrong", "audit", "annotator", "time"),
        *("undoes", "tool"),
    ]
    assert made.p_wrong is None
    assert parse(made.line()) == made
    assert parse(json.dumps({**json.loads(made.line()), "more": 1}).encode()) == made
    assert made.time.endswith("+00:00")
    both = one("a", "ambiguous", labels=["cat", "dog"])
    assert parse(both.line()) == both
    assert [one("a", action).outcome for action in ("accept", "relabel", "keep", "bad", "ambiguous")] == [
        *(("label", "dog"), ("label", "cow"), ("label", "cat"), ("bad", ""), ("ambiguous", "")),
    ]
    with pytest.raises(UsageError, match="undo is no decision"):
        one("a", "undo")


def test_a_skip_decides_nothing(tmp_path: Path) -> None:
    state = fold(
        [one("a", "keep"), one("b", "skip"), one("a", "skip", "bob"), one("c", "skip"), one("b", "skip", "bob")]
    )
    assert (state.current("a") or one()).action == "keep"
    assert list(state.decided()) == ["a"]
    assert {key: one.action for key, one in state.all_current().items()} == {"a": "keep", "b": "skip", "c": "skip"}
    assert fold([one("a", "keep"), one("a", "skip")]).decided() == {}  # the same person put it back


def test_undo_survives_a_restart_and_a_bulk_action_goes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with Log(path) as log:
        log.append(*(one(f"k{number}") for number in range(50)))
        log.append(one("k7", "keep"))
    with Log(path) as log:
        assert [gone.action for gone in log.undo("ann")] == ["keep"]
        assert (log.state.current("k7") or one()).action == "accept"
        assert log.undo("bob") == []
        assert len(log.undo("ann", 60)) == 50
        assert log.state.all_current() == {}
    with Log(path) as log:
        assert [back.key for back in log.redo("ann", 3)] == ["k0", "k1", "k2"]
        assert len(log.redo("ann", 100)) == 48
        assert log.redo("ann") == []
        assert (log.state.current("k7") or one()).action == "keep"
        log.undo("ann")
        log.append(one("new"))
        assert log.redo("ann") == []  # something was decided since
        assert log.state.version == 51 + 1 + 50 + 51 + 2


def test_what_is_sent_twice_counts_once(tmp_path: Path) -> None:
    with Log(tmp_path / "d.jsonl") as log:
        sent = one("a", id="ab12")
        log.append(sent, sent)
        log.append(sent)
        assert log.state.version == 1
    assert (tmp_path / "d.jsonl").read_bytes() == sent.line()


def test_one_review_at_a_time_and_a_kill_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    victim = f"""
import time
from thresher.decisions import Log, decide
log = Log({str(path)!r})
for number in range(10**6):
    log.append(decide(f"k{{number}}", "keep", given="cat", annotator="ann"))
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", victim], stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout
        while int(process.stdout.readline()) < 20:
            pass
        with pytest.raises(UsageError, match="is open in another review"):
            Log(path)
        os.kill(process.pid, signal.SIGKILL)
        told = [int(line) for line in process.stdout.read().split("\n")[:-1]]
    with Log(path) as log:  # every decision that was answered for is there; at most one more
        assert log.state.version - 1 in ((told or [20])[-1], (told or [20])[-1] + 1)


def test_a_file_that_was_made_for_nothing_is_gone(tmp_path: Path) -> None:
    for _ in range(2):
        with Log(tmp_path / "new.jsonl"), pytest.raises(UsageError, match="open in another review"):
            Log(tmp_path / "new.jsonl")
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.jsonl").touch()
    Log(tmp_path / "mine.jsonl").close()
    with Log(tmp_path / "kept.jsonl") as log:
        log.append(decide("a", "keep", given="cat", annotator="ann"))
    with Log(tmp_path / "other.jsonl"):  # what came into its place stays
        (tmp_path / "other.jsonl").unlink()
        (tmp_path / "other.jsonl").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.jsonl", "mine.jsonl", "other.jsonl"]


def test_two_logs_in_one_process(tmp_path: Path) -> None:
    with Log(tmp_path / "d.jsonl"), pytest.raises(UsageError, match="another review"):
        Log(tmp_path / "d.jsonl")
    with Log(tmp_path / "d.jsonl") as log:
        log.append(one())
    log.close()
    with pytest.raises(ThresherError, match="was closed"):
        log.append(one("b"))


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Log(tmp_path / "d.jsonl") as log:
        log.append(one("a"))

        def full(file: int, data: bytes) -> None:
            os.write(file, data[:10])
            raise OSError(errno.ENOSPC, "no space")

        with monkeypatch.context() as patch:
            patch.setattr(log_file, "_write", full)
            with pytest.raises(ThresherError, match="no space is left"):
                log.append(one("b"))
        assert log.state.version == 1
        log.append(one("c"))
    assert [record.key for record in read(tmp_path / "d.jsonl")] == ["a", "c"]


def test_a_file_that_was_moved_or_changed_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with Log(path) as log:
        log.append(one("a"))
        with path.open("ab") as other:
            other.write(one("b").line())
        with pytest.raises(ThresherError, match="was changed by something else"):
            log.append(one("c"))
        path.rename(tmp_path / "e.jsonl")
        with pytest.raises(ThresherError, match="is gone"):
            log.append(one("c"))
        path.write_bytes(b"")
        with pytest.raises(ThresherError, match="was changed"):
            log.append(one("c"))
    assert [record.key for record in read(tmp_path / "e.jsonl")] == ["a", "b"]
    with pytest.raises(ThresherError, match="cannot be read or written"):
        Log(tmp_path / "absent" / "d.jsonl")
    with pytest.raises(UsageError, match="there is no file"):
        read(tmp_path)


def test_several_files_are_merged_by_time_and_copies_count_once(tmp_path: Path) -> None:
    made = [one("a", "accept", "ann"), one("a", "keep", "bob"), one("b", "bad", "ann")]
    later = [Decision(**{**as_dict(record), "time": f"2026-01-0{day}"}) for day, record in enumerate(made, 1)]
    (tmp_path / "ann.jsonl").write_bytes(later[0].line() + later[2].line())
    (tmp_path / "bob.jsonl").write_bytes(later[1].line())
    (tmp_path / "copy.jsonl").write_bytes(later[0].line())
    for names in (("ann", "bob", "copy"), ("copy", "bob", "ann"), ("bob", "ann", "ann")):
        state = merge([tmp_path / f"{name}.jsonl" for name in names])
        assert state.records == later
        assert state.annotators() == ("ann", "bob")
        assert state.current("a") == later[1]
        assert state.of("a") == {"ann": later[0], "bob": later[1]}


def test_an_undo_of_the_unknown_changes_nothing() -> None:
    record = one("a")
    undo = record.undone_by("ann")
    state = fold([undo, record])  # the undo comes first: it is about nothing yet
    assert state.current("a") == record
    assert fold([record, undo, record.undone_by("bob")]).current("a") is None
    assert fold([record, undo, undo.undone_by("bob"), undo.undone_by("ann")]).current("a") == record


def test_an_undo_of_itself_changes_nothing() -> None:
    record = one("a")
    undo = record.undone_by("ann")
    itself = Decision(**{**as_dict(undo), "undoes": undo.id})
    state = fold([record, itself])
    assert state.current("a") == record
    assert state.to_undo("ann") == [record]
    assert state.to_redo("ann") == []


def as_dict(record: Decision) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def test_ten_thousand_decisions_replay_in_under_a_second(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    records = [one(f"key/{number % 7000}.png", ACTIONS[number % 7], row=number, p_wrong=0.5) for number in range(9000)]
    records += [record.undone_by("ann") for record in records[-1000:]]
    path.write_bytes(b"".join(record.line() for record in records))
    seconds = []
    for _ in range(3):
        before = time.process_time()
        state = fold(read(path))
        state.all_current()
        seconds.append(time.process_time() - before)
        assert state.version == 10_000
    assert min(seconds) < 1


def test_many_undos_of_one_key_stay_quick() -> None:
    start, records = time.process_time(), []
    for _ in range(5000):
        records.append(one("a"))
        records.append(records[-1].undone_by("ann"))
    state = fold(records)
    assert state.current("a") is None
    assert time.process_time() - start < 2
