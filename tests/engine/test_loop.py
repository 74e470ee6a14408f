from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thresher import methods
from thresher.engine import checkpoint
from thresher.engine.checkpoint import Checkpoints, Interrupted
from thresher.engine.evaluate import Judge
from thresher.engine.loop import one_epoch, train
from thresher.engine.run import Run
from thresher.engine.step import Step
from thresher.errors import ThresherError


class NormFree(nn.Module):
    """A network whose rows do not see each other."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.tanh(self.body(x))
        return features, self.head(features)


@dataclass(frozen=True)
class Spoiled:
    """A loss that stops being a number in the second epoch."""

    family = "baseline"

    def loss(self, logits: Tensor, target: Tensor, step: Step) -> Tensor:
        return logits.sum(1) * (torch.nan if step.run.epoch == 1 else 1.0)


def test_micro_batches_make_the_same_step_as_one_large_batch(make_run: Any) -> None:
    def weights(accumulate: int) -> Tensor:
        run: Run = make_run(accumulate=accumulate, batch=20)
        run.nets = [NormFree(3)]
        torch.manual_seed(0)
        for parameter in run.nets[0].parameters():
            nn.init.normal_(parameter)
        from thresher.engine.learning import make_optimizer

        run.optimizers["0"] = make_optimizer(run.nets[0], run.options.optimizer)
        losses = []
        for batch in run.batches(size=20):
            logits = run.forward(0, batch.view("weak")).logits
            losses.append(nn.functional.cross_entropy(logits, batch.label))
            run.update(losses[-1])
        return torch.cat([p.detach().flatten() for p in run.nets[0].parameters()])

    # the same rows fall into the same step: the order of a pass does not depend on the micro-batches
    torch.testing.assert_close(weights(1), weights(4), rtol=1e-5, atol=1e-6)


def test_averaged_weights_predict(make_run: Any) -> None:
    run: Run = make_run(average=0.9)
    one_epoch(run)
    assert run.method.predictors(run) == run.averages
    first = next(iter(run.averages[0].parameters()))
    assert not torch.equal(first, next(iter(run.nets[0].parameters())))
    for mine, theirs in zip(run.averages[0].buffers(), run.nets[0].buffers(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(make_run: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(ThresherError, match="epoch 2 at step 1"):
        train(make_run([Spoiled()]), Judge(monitor=False), checkpoints)
    newest, passed = checkpoints.newest()
    assert newest is not None
    assert (newest.name, passed) == ("1", [])


def test_a_damaged_checkpoint_is_passed_over_with_a_sentence(make_run: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    train(make_run(), Judge(monitor=False), checkpoints)
    newest, _ = checkpoints.newest()
    assert newest is not None
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    fallback, passed = checkpoints.newest()
    assert fallback is not None
    assert fallback.name == "2"
    assert "damaged (weights.safetensors)" in passed[0]


def test_a_checkpoint_that_could_not_be_written_leaves_the_one_before(
    make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    run: Run = make_run(epochs=1)
    train(run, Judge(monitor=False), checkpoints)
    run.epoch = 2

    def full(*words: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ThresherError, match="no space is left"):
        checkpoints.save(run, {"history": []})
    assert [path.name for path in checkpoints.all()] == ["1"]


def test_only_the_newest_and_the_selected_checkpoint_are_kept(make_run: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    run: Run = make_run()
    for epoch in range(1, 6):
        run.epoch = epoch
        checkpoints.save(run, {"history": []}, selected=epoch == 2)
    assert [path.name for path in checkpoints.all()] == ["2", "4", "5"]
    assert checkpoints.selected().name == "2"


def test_a_signal_saves_inside_the_epoch_and_stops(make_run: Any, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    run: Run = make_run()
    checkpoints.stop_signal = "SIGTERM"
    with pytest.raises(Interrupted, match="SIGTERM in epoch 1"):
        train(run, Judge(monitor=False), checkpoints)
    assert [path.name for path in checkpoints.all()] == ["0.0.1"]


def test_modules_made_later_are_restored(make_run: Any, tmp_path: Path) -> None:
    run: Run = make_run()
    made = run.module("extra", lambda: nn.Linear(2, 2), joint=True)
    one_epoch(run)
    checkpoint.write(run, tmp_path / "1", {"history": []})
    fresh: Run = make_run()
    checkpoint.read(fresh, tmp_path / "1")
    assert "extra" in fresh.restored
    checkpoint.write(fresh, tmp_path / "again", {"history": []})  # still waiting, still saved
    again = fresh.module("extra", lambda: nn.Linear(2, 2), joint=True)
    for mine, theirs in zip(made.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_checkpoint_inside_an_epoch_wants_as_many_processes(make_run: Any, tmp_path: Path) -> None:
    run: Run = make_run()
    for _ in run.batches():
        if run.position.done == 2:
            checkpoint.write(run, tmp_path / "inside", {"history": []})
    stored = (tmp_path / "inside" / "state.json").read_text()
    (tmp_path / "inside" / "state.json").write_text(stored.replace('["world", 1]', '["world", 2]'))
    with pytest.raises(ThresherError, match="taken inside an epoch by 2 processes"):
        checkpoint.read(make_run(), tmp_path / "inside")


def test_values_are_saved(make_run: Any, tmp_path: Path) -> None:
    run: Run = make_run()
    run.value("prior", torch.ones(3)).mul_(2)
    run.value("seen", torch.zeros(()), reduce="sum").add_(5)
    checkpoint.write(run, tmp_path / "1", {"history": []})
    fresh: Run = make_run()
    checkpoint.read(fresh, tmp_path / "1")
    assert fresh.value("prior", torch.zeros(3)).tolist() == [2, 2, 2]
    assert fresh.value("seen", torch.zeros(()), reduce="sum") == 5


def test_methods_never_see_clean_labels(make_run: Any) -> None:
    run: Run = make_run([methods.method("elr")])
    assert not hasattr(run, "clean")
