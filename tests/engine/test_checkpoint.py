"""Checkpoints: complete or not there, whatever happens while they are written; and everything comes back."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.toys import BY_SLOT, Head
from tests.engine.jobs import toy_run, trained
from torch import Tensor

import thresher as th
from thresher.disk import plain_disk_errors
from thresher.engine import checkpoint
from thresher.engine.checkpoint import Checkpoints, Interrupted
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.options import Schedule
from thresher.engine.runtime import Runtime
from thresher.engine.state import flatten, unflatten
from thresher.engine.step import Step
from thresher.engine.study import Study, use_best
from thresher.errors import ThresherError
from thresher.testing.compare import difference, live
from thresher.testing.toy import TOY_OPTIONS, Stopped, toy, toy_study

EXTRA: dict[str, Any] = {"history": []}


def written(folder: Path, epochs: int = 1) -> Checkpoints:
    """The checkpoints of a short training."""
    checkpoints = Checkpoints(folder)
    train(toy_run(th.method("elr"), options=replace(TOY_OPTIONS, epochs=epochs)), Judge(), checkpoints)
    return checkpoints


# ---- the format

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.just("tensor"))
TREES = st.recursive(
    st.one_of(LEAVES, st.just(torch.arange(3)), st.just(torch.tensor(1.5))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(TREES)
def test_any_nested_state_comes_back_through_json(tree: Any) -> None:
    tensors: dict[str, Tensor] = {}
    plain = json.loads(json.dumps(flatten(tree, tensors)))
    assert difference(tree, unflatten(plain, tensors)) is None


def test_nothing_on_disk_can_run_code(tmp_path: Path) -> None:
    newest, _ = written(tmp_path).newest()
    assert newest is not None
    for path in (p for p in newest.rglob("*") if p.is_file()):
        assert path.suffix in (".safetensors", ".npy", ".json")
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)


def test_a_pickled_object_among_the_tables_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    np.save(tmp_path / "tables" / "evil.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"allow_pickle|Array can't be memory-mapped"):
        checkpoint.load_tables(toy_run(), tmp_path)


# ---- damage


@pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors", "tables/labels.npy", "state.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(name: str, how: str, tmp_path: Path) -> None:
    checkpoints = written(tmp_path, 2)
    path = checkpoints.folder / "2" / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"" if how == "cut" else bytes([content[-1] ^ 1])))
    newest, passed = checkpoints.newest()
    assert newest == checkpoints.folder / "1"
    assert len(passed) == 1
    assert "is damaged" in passed[0]
    assert passed[0].endswith("; falling back")


def test_without_a_whole_checkpoint_there_is_none(tmp_path: Path) -> None:
    checkpoints = written(tmp_path)
    (checkpoints.folder / "1" / "state.json").unlink()
    newest, passed = checkpoints.newest()
    assert newest is None
    assert len(passed) == 1
    assert Checkpoints(tmp_path / "elsewhere").newest() == (None, [])


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    newest, _ = written(tmp_path).newest()
    assert newest is not None
    path = newest / "state.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ThresherError, match="has format 2: this version reads 1"):
        checkpoint.read_json(newest)


def test_a_damaged_newer_checkpoint_does_not_push_the_good_ones_out(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    run = toy_run()
    for epoch in (1, 2, 5):
        run.epoch = epoch
        checkpoints.save(run, EXTRA)
    (checkpoints.folder / "5" / "state.json").write_text("{")
    shutil.copytree(checkpoints.folder / "5", checkpoints.folder / "4")
    run.epoch = 3
    checkpoints.save(run, EXTRA)
    assert [path.name for path in checkpoints.all()] == ["3"]


def test_places_are_in_the_order_of_time(tmp_path: Path) -> None:
    names = ["0.0.1", "0.0.9", "0.0.10", "0.1.2", "1", "1.0.3", "2", "10", "10.0.1"]
    for name in reversed(names):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert [path.name for path in Checkpoints(tmp_path).all()] == names


# ---- a stop while writing


class Killed(BaseException):
    """Stands for a kill: nothing in the engine may catch it."""


def after(calls: int, whole: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """A function that works so many times, and then raises."""
    left = [calls]

    def limited(*words: Any, **more: Any) -> Any:
        if left[0] == 0:
            raise error
        left[0] -= 1
        return whole(*words, **more)

    return limited


WRITES = [("os", os, "fsync"), ("np", np, "save"), ("st", safetensors.torch, "save_file"), ("path", Path, "replace")]


@pytest.mark.parametrize(("_name", "module", "function"), WRITES, ids=[name for name, *_ in WRITES])
@pytest.mark.parametrize("calls", range(8))
def test_a_kill_while_writing_leaves_the_last_whole_checkpoint(
    _name: str, module: Any, function: str, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = written(tmp_path)
    run = toy_run()
    checkpoint.read(run, checkpoints.folder / "1")
    run.epoch = 2
    with monkeypatch.context() as patch:
        patch.setattr(module, function, after(calls, getattr(module, function), Killed()))
        try:
            checkpoints.save(run, EXTRA)
            done = True
        except Killed:
            done = False
    newest, damaged = checkpoints.newest()
    assert damaged == []
    assert newest is not None
    assert newest.name in (("2",) if done else ("1", "2"))
    checkpoint.read(toy_run(), newest)
    assert checkpoints.save(run, EXTRA).name == "2"  # the rest of the broken attempt is no obstacle
    assert not list(checkpoints.folder.glob(".*"))


def test_a_kill_between_the_checkpoint_and_its_link_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, judge = trained(epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "point_best_at", after(0, Checkpoints.point_best_at, Killed()))
        with pytest.raises(Killed):
            trained(epochs=3, folder=tmp_path)
    assert Checkpoints(tmp_path).newest()[0] is not None
    resumed, again = trained(epochs=3, folder=tmp_path)
    assert difference(live(straight, judge), live(resumed, again)) is None
    assert (tmp_path / "best").resolve().name == str(judge.best_epoch)


# ---- the disk


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        OSError("4000 requested and 120 written"),
        safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_sentence(error: Exception) -> None:
    words = r"no space is left on the device of runs.x: free some and resume"
    with pytest.raises(ThresherError, match=words), plain_disk_errors(Path("runs/x")):
        raise error


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "Permission denied"), safetensors.SafetensorError("something else")]
)
def test_another_trouble_with_the_disk_names_it(error: Exception) -> None:
    words = r"cannot be written .*(Permission denied|something else)"
    with pytest.raises(ThresherError, match=words), plain_disk_errors(Path("runs/x")):
        raise error


@pytest.mark.parametrize(("_name", "module", "function"), WRITES, ids=[name for name, *_ in WRITES])
def test_a_disk_that_fills_up_stops_the_run_and_keeps_what_was_there(
    _name: str, module: Any, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = written(tmp_path)
    run = toy_run()
    run.epoch = 2
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(module, function, after(0, getattr(module, function), full))
        with pytest.raises(ThresherError, match="no space is left"):
            checkpoints.save(run, EXTRA)
    newest, damaged = checkpoints.newest()
    assert (newest, damaged) == (checkpoints.folder / "1", [])


# ---- signals


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    with checkpoints.listening():
        signal.raise_signal(signal.SIGTERM)
        assert checkpoints.stop_signal == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Checkpoints(tmp_path).listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


HEARD: list[int] = []


@dataclass(frozen=True)
class Signals:
    """Sends this process a signal at its fifth step."""

    def observe(self, step: Step) -> None:
        HEARD.append(1)
        if len(HEARD) == 5:
            signal.raise_signal(signal.SIGTERM)


def signalled(folder: Path) -> Study:
    """A study with the checkpoints that users have."""
    return Study(Combination([Signals()]), replace(TOY_OPTIONS, epochs=3), toy(), folder=folder)


def test_sigterm_saves_where_it_stands_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    HEARD[:] = [0] * 100
    straight, judge = trained(Signals(), epochs=3)
    HEARD[:] = []
    with pytest.raises(Interrupted, match="stopped by SIGTERM in epoch 2"):
        signalled(tmp_path).run()
    assert [path.name for path in Checkpoints(tmp_path).all()] == ["1", "1.0.1"]
    study = signalled(tmp_path)
    resumed = study.run()
    assert difference(live(straight, judge), live(resumed, study.judges[None])) is None


# ---- what comes back


def test_tables_are_shared_out_anew_when_the_number_of_processes_changes(tmp_path: Path) -> None:
    run = toy_run()
    run.table("mine", 2).assign(torch.arange(102.0).view(51, 2))
    checkpoint.write(run, tmp_path / "1", EXTRA)
    for rank in range(3):
        part = toy_run(runtime=Runtime(rank=rank, world=3))
        checkpoint.read(part, tmp_path / "1")
        assert part.tables["mine"].rows.tolist() == [[2.0 * k, 2.0 * k + 1] for k in range(rank, 51, 3)]


def test_table_names_may_hold_anything(tmp_path: Path) -> None:
    run = toy_run()
    for name in ("a/b", "../c", "d.e", "ü %"):
        run.table(name, fill=1.0)
    checkpoint.write(run, tmp_path / "1", EXTRA)
    fresh = toy_run()
    checkpoint.read(fresh, tmp_path / "1")
    assert set(run.tables) == set(fresh.tables)


def test_a_module_made_late_comes_back_with_statistics_optimiser_and_rate(tmp_path: Path) -> None:
    options = replace(TOY_OPTIONS, schedule=Schedule("cosine"), epochs=2)
    run, fresh = toy_run(options=options), toy_run(options=options)
    for _ in run.batches():
        head = run.module("late", lambda: Head(16, 3), joint=True)
        run.update(run.forward(head, torch.randn(8, 16)).logits.square().mean())
        if run.position.done == 1:
            checkpoint.write(run, tmp_path / "inside", EXTRA)
            expected = {key: value.clone() for key, value in head.state_dict().items()}
    checkpoint.read(fresh, tmp_path / "inside")
    for _ in fresh.batches():
        head = fresh.module("late", lambda: Head(16, 3), joint=True)
        assert difference(head.state_dict(), expected) is None
        assert fresh.rate("late") == fresh.rate() == options.rate(fresh.when)
        break


def test_the_selected_weights_may_be_older_than_a_module(tmp_path: Path) -> None:
    run, _ = trained(epochs=1)
    run.module("late", lambda: Head(16, 3))
    use_best(run)


def test_a_scan_inside_an_epoch_is_saved_and_not_done_again(tmp_path: Path) -> None:
    for stop in range(1, 12):
        study = toy_study(BY_SLOT["epoch"], folder=tmp_path / str(stop), stop_after=stop)
        with pytest.raises(Stopped):
            study.run()
        state = checkpoint.read_json(sorted((tmp_path / str(stop) / "checkpoints").glob("*"))[-1])["state"]
        kept = dict(state["dict"])["scans"]["dict"]
        position = dict(state["dict"])["position"]
        verb = None if position is None else dict(position["dict"])["verb"]
        assert [key for key, _ in kept] == ([1] if verb is not None and verb > 1 else [])
