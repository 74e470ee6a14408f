"""Two processes: they train as one, stop together, resume, and one ends cleanly when the other is killed."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.contract.toys import BY_SLOT
from tests.engine.conftest import ROOT
from tests.engine.jobs import PEERS, gathered, one_hears, peer, stopped_everywhere, straight, uninterrupted

import thresher as th
from thresher.engine.checkpoint import Checkpoints
from thresher.engine.method import Method
from thresher.engine.options import Optimizer
from thresher.engine.runtime import Runtime
from thresher.testing.compare import difference
from thresher.testing.processes import ranks
from thresher.testing.toy import TOY_OPTIONS


@pytest.mark.parametrize("rows", [torch.arange(7), torch.randn(5, 3), torch.arange(1), torch.zeros(4, 2, 2)])
def test_gather_mean_and_maximum(rows: torch.Tensor) -> None:
    for everything, mean, largest in ranks.run(gathered, rows):
        assert torch.equal(everything, rows)
        assert (mean, largest) == (0.5, 1.0)


@pytest.mark.parametrize("size", [48, 51])
@pytest.mark.parametrize("name", ["cross_entropy", "elr", "sop", "cdr"])
def test_one_step_over_all_rows_is_the_step_of_one_process(name: str, size: int) -> None:
    """With one batch per epoch nothing depends on the order, also where the processes hold unequal numbers of rows."""
    methods = (th.method(name),)
    options = replace(TOY_OPTIONS, epochs=4, batch=64, optimizer=Optimizer(lr=0.05, momentum=0.9))
    alone = straight(Runtime(), methods, options, size)
    for one in ranks.run(straight, methods, options, size):
        for key in ("net", "table"):
            torch.testing.assert_close(one[key], alone[key], rtol=1e-5, atol=1e-6)
        assert one["history"][-1]["loss"] == pytest.approx(alone["history"][-1]["loss"], rel=1e-5)


@pytest.mark.parametrize("method", [th.method("sop"), th.method("dividemix", warm_up=1), BY_SLOT["penalty"]])
def test_two_ranks_stopped_after_every_batch_end_as_without_stops(method: Method, tmp_path: Path) -> None:
    """The toy in the penalty slot has batch norm in a module made late, and counts that ranks sum."""
    whole = ranks.run(uninterrupted, (method,))
    for rank, (state, stops) in enumerate(ranks.run(stopped_everywhere, (method,), str(tmp_path))):
        assert stops > 6
        assert difference(whole[rank], state) is None


def test_when_one_process_hears_a_signal_both_stop_at_the_same_place(tmp_path: Path) -> None:
    answers = ranks.run(one_hears, str(tmp_path))
    assert answers[0] == ("Interrupted: stopped by a signal to another process after epoch 1", ["1"])
    assert answers[1] == ("Interrupted: stopped by SIGTERM after epoch 1", ["1"])


def start_peers(folder: Path) -> list[Any]:
    command = [sys.executable, "-m", "tests.engine.jobs"]
    store, run = str(folder / "store"), str(folder / "run")
    return [
        subprocess.Popen(
            [*command, str(rank), store, run], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for rank in range(2)
    ]


def test_the_kill_of_one_process_ends_the_other_cleanly_and_both_resume(tmp_path: Path) -> None:
    peers = start_peers(tmp_path)
    seen: set[str] = set()
    while len(seen) < 6 and all(process.poll() is None for process in peers):
        time.sleep(0.001)
        seen |= {path.name for path in (tmp_path / "run" / "checkpoints").glob("*")}
    peers[1].send_signal(signal.SIGKILL)
    said, _ = peers[0].communicate(timeout=60)
    peers[1].communicate()
    assert peers[1].returncode == -signal.SIGKILL
    assert (peers[0].returncode, said) == (3, "another process of this run ended, so this one stops too\n")
    newest, damaged = Checkpoints(tmp_path / "run").newest()
    assert newest is not None
    assert damaged == []
    assert int(newest.name.split(".")[0]) < PEERS.epochs
    whole = ranks.run(peer, th.method("elr"), None)
    resumed = ranks.run(peer, th.method("elr"), str(tmp_path / "run"))
    for rank in range(2):
        assert difference(whole[rank], resumed[rank]) is None
