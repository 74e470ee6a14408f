"""Co-teaching: each network is updated on the other's picks, and the share kept falls as the paper says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.step import Outputs, Step
from thresher.methods import co_teaching
from thresher.methods.co_teaching import CoTeaching
from thresher.parts.small_loss import keep_smallest


@dataclass(frozen=True)
class Opinion:
    """A loss that depends on the row and the network alone: network 0 finds low rows easy, network 1 high ones."""

    def loss(self, logits: Tensor, target: Tensor, step: Step) -> Tensor:
        """``[B]``."""
        opinion = step.index.float() if step.net == 0 else 1000.0 - step.index
        return opinion + 0 * logits.sum(1)


def test_each_network_is_updated_on_the_others_picks(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run([CoTeaching(0.25, ramp=0), Opinion()], epochs=1, batch=40)
    updates: list[tuple[int, float]] = []
    shown: list[Tensor] = []
    batches, update = run.batches, run.update

    def spied_batches(*args: Any, **kwargs: Any) -> Any:
        for batch in batches(*args, **kwargs):
            shown.append(batch.index)
            yield batch

    def spied_update(loss: Tensor, net: int) -> None:
        updates.append((net, loss.item()))
        update(loss, net)

    monkeypatch.setattr(run, "batches", spied_batches)
    monkeypatch.setattr(run, "update", spied_update)
    train(run, Judge(monitor=False))
    assert len(shown) == 6
    for k, index in enumerate(shown):
        rows = sorted(index.tolist())
        low, high = rows[:30], rows[10:]
        (first, of_first), (second, of_second) = updates[2 * k : 2 * k + 2]
        assert (first, second) == (0, 1)
        assert of_first == pytest.approx(sum(high) / 30)
        assert of_second == pytest.approx(sum(1000 - row for row in low) / 30)


def test_both_losses_are_taken_before_either_update(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run([CoTeaching()], epochs=1)
    calls: list[str] = []
    forward, update = run.forward, run.update

    def spied_forward(net: int, *inputs: Tensor) -> Outputs:
        calls.append(f"see {net}")
        outputs: Outputs = forward(net, *inputs)
        return outputs

    def spied_update(loss: Tensor, net: int) -> None:
        calls.append(f"learn {net}")
        update(loss, net)

    monkeypatch.setattr(run, "forward", spied_forward)
    monkeypatch.setattr(run, "update", spied_update)
    train(run, Judge(monitor=False))
    assert calls[:4] == ["see 0", "see 1", "learn 0", "learn 1"]
    assert len(calls) == 4 * 8


def test_the_share_kept_by_epoch(make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def spied(losses: Tensor, share: float) -> Tensor:
        kept = keep_smallest(losses, share)
        counts.append(len(kept))
        return kept

    monkeypatch.setattr(co_teaching, "keep_smallest", spied)
    train(make_run([CoTeaching(0.4, ramp=2)], epochs=4, batch=120), Judge(monitor=False))
    by_epoch = [counts[k : k + 4] for k in range(0, 16, 4)]  # two batches of two networks
    assert by_epoch == [[120] * 4, [96] * 4, [72] * 4, [72] * 4]


def test_two_networks_start_apart_and_predict_together(make_run: Callable[..., Any]) -> None:
    run = make_run("co_teaching")
    first, second = (net.head.weight for net in run.nets)
    assert not torch.equal(first, second)
    x = next(run.source.open([run.rows], ("plain",), 0))["plain", 0]
    apart = [run.predict(net, x).logits.softmax(1) for net in (0, 1)]
    assert torch.allclose(run.probabilities(x), (apart[0] + apart[1]) / 2)


def test_penalties_and_tables_are_each_networks_own(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    run = make_run("co_teaching,elr")
    fit(run)
    tables = [run.table(f"elr_target.{net}").full() for net in (0, 1)]
    assert not torch.equal(*tables)
    assert torch.allclose(tables[0].sum(1), torch.full((run.size,), 1 - 0.7**3), atol=1e-5)


def test_training_finds_the_wrong_labels(make_run: Callable[..., Any], fit: Callable[..., float], toy: Any) -> None:
    method = CoTeaching(0.3, ramp=3)
    run = make_run([method], epochs=12)
    assert fit(run) > 0.9
    called = method.suspicion(run) > 0
    assert int(called.sum()) == pytest.approx(0.3 * run.size, abs=1)
    assert (called == toy.wrong).float().mean() > 0.9
