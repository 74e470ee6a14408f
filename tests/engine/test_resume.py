"""Resuming under every setting that adds state of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.engine.jobs import toy_run, trained

import thresher as th
from thresher.engine.options import Optimizer, Schedule
from thresher.testing.compare import difference, live
from thresher.testing.toy import TOY_OPTIONS, Stopped, toy, toy_study

SETTINGS: list[dict[str, Any]] = [
    {"accumulate": 2},
    {"average": 0.9},
    {"average": 0.5, "accumulate": 3, "batch": 12},
    {"optimizer": Optimizer("adam", lr=0.01)},
    {"optimizer": Optimizer("adamw", lr=0.01, weight_decay=0.1)},
    {"optimizer": Optimizer("sgd", lr=0.05, nesterov=True)},
    {"schedule": Schedule("onecycle")},
    {"schedule": Schedule("restarts", period=1)},
    {"stop": "changes", "patience": 1, "epochs": 6},
    {"precision": "bf16"},
    {"monitor": False, "seed": 3},
]


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_stopped_after_every_batch_it_ends_as_without_stops(changes: dict[str, Any], tmp_path: Path) -> None:
    options = replace(TOY_OPTIONS, **changes)
    method = th.method("elr")
    straight, judge = trained(method, **changes)
    stops = 0
    while True:
        study = toy_study(method, options=options, folder=tmp_path, stop_after=1)
        try:
            resumed = study.run()
            break
        except Stopped:
            stops += 1
    assert stops >= 4
    assert difference(live(straight, judge), live(resumed, study.judges[None])) is None


def test_micro_batches_end_where_whole_batches_end() -> None:
    """48 rows in batches of 16; without batch norm a step over four micro-batches is the step over all their rows."""
    ends = [trained(accumulate=accumulate, epochs=3, material=toy(48, batch_norm=False)) for accumulate in (1, 2, 4)]
    (whole, judge), *others = ends
    for run, theirs in others:
        assert run.updates == whole.updates == 9
        torch.testing.assert_close(run.nets[0].state_dict(), whole.nets[0].state_dict(), rtol=1e-5, atol=1e-6)
        losses = [[one["loss"] for one in each.history] for each in (theirs, judge)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_averaged_weights_follow_and_predict() -> None:
    run = toy_run(options=replace(TOY_OPTIONS, average=0.9))
    expected = {key: value.clone() for key, value in run.nets[0].named_parameters()}
    for batch in run.batches():
        decay = min(0.9, (1 + run.updates) / (10 + run.updates))
        run.update(run.forward(0, batch.view("weak")).logits.square().mean())
        for key, value in run.nets[0].named_parameters():
            expected[key] = decay * expected[key] + (1 - decay) * value.detach()
    torch.testing.assert_close(dict(run.averages[0].named_parameters()), expected)
    assert list(run.predictors()) == run.averages
    x = torch.randn(5, 8)
    averaged = torch.softmax(run.predict(run.averages[0], x).logits, 1)
    assert torch.equal(run.probabilities(x), averaged)
