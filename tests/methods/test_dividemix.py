"""DivideMix: each piece of the algorithm by hand, its splits, and the edges where a side is empty."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.run import Run
from thresher.engine.step import Batch, Outputs
from thresher.methods import dividemix
from thresher.methods.dividemix import (
    DivideMix,
    labelled_rows,
    prior_penalty,
    right_posterior,
    unit_range,
    unlabelled_weight,
)
from thresher.parts import mixture


def pair(run: Run, rows: Tensor) -> Batch:
    """A batch whose two weak views differ."""
    x = next(run.source.open([run.rows[rows]], ("weak",), 0))["weak", 0]
    return Batch(rows, run.given[rows], {("weak", 0): x, ("weak", 1): x.flip(1)})


def softmax(run: Run, net: int, x: Tensor) -> Tensor:
    run.nets[net].eval()
    with torch.no_grad():
        logits: Tensor = run.nets[net](x)[1]
    run.nets[net].train()
    return logits.softmax(1)


def sharpened(rows: Tensor, temperature: float) -> Tensor:
    powers = rows ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True)


def test_co_refinement(make_run: Callable[..., Run]) -> None:
    run, method = make_run("dividemix"), DivideMix()
    rows, right = torch.tensor([3, 5, 8]), torch.tensor([1.0, 0.0, 0.25])
    batch = pair(run, rows)
    refined = method._refine(run, 1, batch, right)
    own = (softmax(run, 1, batch.view("weak", 0)) + softmax(run, 1, batch.view("weak", 1))) / 2
    for k in range(3):
        label = torch.eye(3)[run.given[rows[k]]]
        expected = sharpened((right[k] * label + (1 - right[k]) * own[k])[None], 0.5)[0]
        assert torch.allclose(refined[k], expected, atol=1e-6)
    assert refined[0].tolist() == torch.eye(3)[run.given[3]].tolist()  # fully trusted: the label itself
    assert not refined.requires_grad


def test_co_guessing(make_run: Callable[..., Run]) -> None:
    run, method = make_run("dividemix"), DivideMix(temperature=0.25)
    batch = pair(run, torch.tensor([0, 1]))
    four = [softmax(run, net, batch.view("weak", k)) for net in (0, 1) for k in (0, 1)]
    expected = sharpened(torch.stack(four).mean(0), 0.25)
    assert torch.allclose(method._guess(run, batch), expected, atol=1e-6)


def test_guessing_leaves_batch_norm_alone(make_run: Callable[..., Run]) -> None:
    run = make_run("dividemix", net=WithBatchNorm)
    run.begin_pass()
    before = [b.clone() for net in run.nets for b in net.buffers()]
    DivideMix()._guess(run, pair(run, torch.arange(6)))
    assert all(torch.equal(a, b) for a, b in zip(before, (b for net in run.nets for b in net.buffers()), strict=True))
    assert all(net.training for net in run.nets)


class WithBatchNorm(torch.nn.Module):
    """A small network with batch norm."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU())
        self.head = torch.nn.Linear(16, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits."""
        features = self.body(x)
        return features, self.head(features)


def test_the_loss_of_one_step(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run, method = make_run("dividemix"), DivideMix()
    x, u = pair(run, torch.tensor([0, 1, 2])), pair(run, torch.tensor([7, 9]))
    right = torch.tensor([0.9, 0.6, 0.7])
    monkeypatch.setattr(dividemix, "mixing_weight", lambda alpha: torch.tensor(0.3))  # the larger part leads: 0.7
    partner = torch.tensor([4, 0, 9, 1, 2, 3, 8, 5, 6, 7])
    monkeypatch.setattr(torch, "randperm", lambda count: partner)
    loss = method._loss(run, 0, x, u, right, weight=5.0)
    inputs = torch.cat([x.view("weak", 0), x.view("weak", 1), u.view("weak", 0), u.view("weak", 1)])
    refined, guessed = method._refine(run, 0, x, right), method._guess(run, u)
    targets = torch.cat([refined, refined, guessed, guessed])
    p = run.nets[0](0.7 * inputs + 0.3 * inputs[partner])[1].softmax(1).detach()
    q = 0.7 * targets + 0.3 * targets[partner]
    labelled = -sum(float(q[i, c] * p[i, c].log()) for i in range(6) for c in range(3)) / 6
    unlabelled = sum(float(q[i, c] - p[i, c]) ** 2 for i in range(6, 10) for c in range(3)) / (4 * 3)
    mean = p.mean(0)
    prior = sum(math.log((1 / 3) / float(mean[c])) / 3 for c in range(3))
    assert loss.item() == pytest.approx(labelled + 5 * unlabelled + prior, rel=1e-5)


def test_prior_penalty_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]])  # mean (1/4, 3/4)
    assert prior_penalty(logits).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-5)
    assert prior_penalty(torch.eye(3)).item() == pytest.approx(0, abs=1e-6)
    assert prior_penalty(torch.tensor([[200.0, 0.0]])).isfinite()


def test_losses_are_brought_to_the_unit_range_over_kept_rows() -> None:
    losses = torch.tensor([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0], [9.0, 0.0]])
    kept = torch.tensor([True, True, True, False])
    assert unit_range(losses, None)[:, 0].tolist() == pytest.approx([0, 0.25, 0.125, 1])
    assert unit_range(losses, kept).tolist() == [[0, 0], [1, 0], [0.5, 0], [1, 0]]


def test_posterior_is_that_of_the_kept_rows_mixture() -> None:
    torch.manual_seed(0)
    losses = torch.cat([0.1 * torch.rand(60, 2), 2 + 0.2 * torch.rand(20, 2)])
    kept = torch.arange(80) % 4 != 0
    posterior = right_posterior(losses, kept)
    for net in (0, 1):
        values = losses[:, net].double().numpy()
        expected = mixture.fit(values[kept.numpy()]).posterior(values)
        assert np.allclose(posterior[:, net].numpy(), expected, atol=1e-6)
    assert (posterior[:60] > 0.99).all()
    assert (posterior[60:] < 0.01).all()


def test_splits_hold_two_of_each_class() -> None:
    right = torch.tensor([0.9, 0.8, 0.1, 0.2, 0.3, 0.0])
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    assert labelled_rows(right, labels, 0.5, None).tolist() == [True, True, False, True, True, True]
    assert labelled_rows(right, labels, 0.85, None).tolist() == [True, True, False, True, True, True]
    kept = torch.tensor([True, False, True, True, False, True])
    assert labelled_rows(right, labels, 0.5, kept).tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize(
    ("share", "classes", "weight"),
    [(0.18, 10, 0), (0.2, 10, 0), (0.45, 10, 25), (0.72, 10, 25), (0.81, 10, 50), (0.198, 100, 25), (0.495, 100, 150)],
)
def test_unlabelled_weight_is_table_7(share: float, classes: int, weight: float) -> None:
    assert unlabelled_weight(share, classes) == weight  # realised shares of the nominal rates, which keep some labels


def captured(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Tensor, Tensor | None, Tensor, float]]:
    """What every learning step of a run was given: network, labelled rows, unlabelled rows, trust, weight."""
    steps: list[tuple[int, Tensor, Tensor | None, Tensor, float]] = []
    original = DivideMix._loss

    def spied(self: DivideMix, run: Run, net: int, x: Batch, u: Batch | None, right: Tensor, weight: float) -> Tensor:
        steps.append((net, x.index, None if u is None else u.index, right, weight))
        return original(self, run, net, x, u, right, weight)

    monkeypatch.setattr(DivideMix, "_loss", spied)
    return steps


def test_each_network_learns_with_the_split_of_the_other(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run([DivideMix(warm_up=0)], epochs=1)
    steps = captured(run, monkeypatch)
    given = torch.rand(run.size, 2, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(dividemix, "right_posterior", lambda losses, kept: given)
    train(run, Judge(monitor=False))
    for net in (0, 1):
        mine = [step for step in steps if step[0] == net]
        split = given[:, 1 - net] > 0.5
        labelled = torch.cat([step[1] for step in mine])
        assert sorted(labelled.tolist()) == split.nonzero().flatten().tolist()
        assert torch.equal(torch.cat([step[3] for step in mine]), given[labelled, 1 - net])
        doubtful = {row for step in mine if step[2] is not None for row in step[2].tolist()}
        assert doubtful <= set((~split).nonzero().flatten().tolist())
        assert len(mine[0][1]) == len(mine[0][2]) == 16  # type: ignore[arg-type]


def test_the_weight_ramps_up_after_the_warm_up(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run([DivideMix(warm_up=1, unsupervised=8.0, ramp=2.0)], epochs=5)
    steps = captured(run, monkeypatch)
    starts: list[float] = []
    original = run.begin_batch

    def begin(done: int, count: int, share: float) -> None:
        starts.append(run.epoch + done / count)
        original(done, count, share)

    monkeypatch.setattr(run, "begin_batch", begin)
    train(run, Judge(monitor=False))
    times = [when for when in starts if when >= 1]
    assert len(times) == len(steps)
    for when, step in zip(times, steps, strict=True):
        assert step[4] == pytest.approx(8 * min(max((when - 1) / 2, 0), 1))


@pytest.mark.parametrize("penalty", [False, True])
def test_warm_up_is_cross_entropy_with_the_confidence_penalty(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, penalty: bool
) -> None:
    run = make_run([DivideMix(confidence_penalty=penalty)], epochs=1, batch=240)
    losses: list[tuple[int, float, float]] = []
    update = run.update

    def spied(loss: Tensor, net: int) -> None:
        x = next(run.source.open([run.rows], ("plain",), 0))["plain", 0]
        log_p = run.nets[net](x)[1].log_softmax(1)
        entropy = -(log_p.exp() * log_p).sum(1).mean().item()
        plain = -log_p.gather(1, run.given[:, None]).mean().item()
        losses.append((net, loss.item(), plain - entropy if penalty else plain))
        update(loss, net)

    monkeypatch.setattr(run, "update", spied)
    train(run, Judge(monitor=False))
    assert [net for net, _, _ in losses] == [0, 1]
    for _, said, expected in losses:
        assert said == pytest.approx(expected, rel=1e-5)


def test_memory_averages_the_last_normalised_losses(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run([DivideMix(warm_up=1, memory=2)], epochs=1)
    draws = [torch.rand(run.size, 2, generator=torch.Generator().manual_seed(k)) for k in range(4)]
    fitted: list[Tensor] = []
    scans = iter(draws)
    guess = torch.full((run.size, 3), 1 / 3)
    monkeypatch.setattr(run, "scan", lambda *args, **kwargs: (next(scans), guess))

    def posterior(losses: Tensor, kept: Tensor | None) -> Tensor:
        fitted.append(losses)
        return losses

    monkeypatch.setattr(dividemix, "right_posterior", posterior)
    for epoch in range(5):
        run.epoch = epoch
        DivideMix(warm_up=1, memory=2).between(run)
    unit = [unit_range(draw, None) for draw in draws]
    expected = [unit[0], (unit[0] + unit[1]) / 2, (unit[1] + unit[2]) / 2, (unit[2] + unit[3]) / 2]
    assert all(torch.allclose(a, b) for a, b in zip(fitted, expected, strict=True))


def test_the_scan_measures_losses_and_the_mean_prediction(make_run: Callable[..., Run]) -> None:
    run = make_run("dividemix")
    logits = [torch.randn(4, 3), torch.randn(4, 3)]
    batch = Batch(torch.arange(4), torch.tensor([0, 1, 2, 0]), {})
    measure = dividemix._losses_and_guess(run)
    losses, guess = measure(tuple(Outputs(z, z) for z in logits), batch)
    for net in (0, 1):
        expected = torch.nn.functional.cross_entropy(logits[net], batch.label, reduction="none")
        assert torch.allclose(losses[:, net], expected, atol=1e-6)
    assert torch.allclose(guess, (logits[0].softmax(1) + logits[1].softmax(1)) / 2, atol=1e-6)


@pytest.mark.parametrize("right", [1.0, 0.0])
def test_a_side_may_be_empty(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, right: float) -> None:
    run = make_run([DivideMix(warm_up=0, unsupervised=25.0, ramp=0.0)], epochs=2, net=WithBatchNorm)
    steps = captured(run, monkeypatch)
    monkeypatch.setattr(dividemix, "right_posterior", lambda losses, kept: torch.full((run.size, 2), right))
    train(run, Judge(monitor=False))
    labelled = {row for step in steps for row in step[1].tolist()}
    if right == 1.0:  # nothing is doubtful: the unlabelled term is left out
        assert all(step[2] is None for step in steps)
        assert len(labelled) == run.size
    else:  # nothing is trusted: two of each class stand in
        assert torch.bincount(run.given[sorted(labelled)]).tolist() == [2, 2, 2]
    assert all(p.isfinite().all() for net in run.nets for p in net.parameters())


def test_rows_left_out_stay_out(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = torch.arange(240) % 3 != 1
    run = make_run([DivideMix(warm_up=1)], epochs=3, kept=kept)
    steps = captured(run, monkeypatch)
    train(run, Judge(monitor=False))
    shown = {row for step in steps for part in step[1:3] if part is not None for row in part.tolist()}
    assert shown
    assert shown <= set(kept.nonzero().flatten().tolist())


def test_labels_that_are_all_equal_survive(make_run: Callable[..., Run]) -> None:
    run = make_run([DivideMix(warm_up=0)], epochs=1)
    run.given.zero_()
    run.labels.assign(run.given)
    train(run, Judge(monitor=False))
    assert all(p.isfinite().all() for net in run.nets for p in net.parameters())


@pytest.mark.parametrize("memory", [1, 3])
def test_training_finds_the_wrong_labels_and_corrects_them(
    make_run: Callable[..., Run], fit: Callable[..., float], toys: Callable[..., Any], memory: int
) -> None:
    toy = toys(rate=0.4)
    method = DivideMix(warm_up=4, ramp=4.0, memory=memory)
    run = make_run([method], data=toy, epochs=12)
    assert fit(run, toy) > 0.9
    assert ((method.suspicion(run) > 0) == toy.wrong).float().mean() > 0.9
    suggestion = method.suggestion(run)
    assert torch.allclose(suggestion.sum(1), torch.ones(run.size), atol=1e-5)
    assert (suggestion.argmax(1) == toy.clean[: run.size]).float().mean() > 0.9
