"""Bootstrapping: golden values, both forms against plain loops, and where its gradient goes."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import thresher as th
from thresher.engine.combine import Combination, cross_entropy
from thresher.engine.step import Batch, Outputs, Step
from thresher.methods.bootstrapping import Bootstrapping

SOFT, HARD = Bootstrapping("soft", 0.95), Bootstrapping("hard", 0.8)


class FakeRun:
    """A run of so many classes, for methods that ask for nothing else."""

    def __init__(self, classes: int) -> None:
        self.classes = classes


def losses_of(method: Bootstrapping, logits: Tensor, target: Tensor, classes: int | None = None) -> Tensor:
    run: Any = FakeRun(classes or logits.shape[1])
    batch = Batch(torch.arange(len(target)), target.argmax(1), {("weak", 0): target})
    step = Step(run, batch, target, outputs=Outputs(logits, logits.new_empty(len(logits), 0)))
    return cross_entropy(logits, method.target(step))


def naive(logits: Tensor, target: Tensor, method: Bootstrapping) -> list[Tensor]:
    """The formulas, sample by sample and class by class; torch only for the gradient."""
    losses = []
    for z, t in zip(logits, target, strict=True):
        p = torch.exp(z) / torch.exp(z).sum()
        best = max(range(len(z)), key=p.tolist().__getitem__)
        total = torch.zeros((), dtype=z.dtype)
        for k in range(len(z)):
            own = p[k].detach() if method.detach_target else p[k]
            own = own if method.mode == "soft" else torch.tensor(float(k == best), dtype=z.dtype)
            total = total - (method.beta * t[k] + (1 - method.beta) * own) * torch.log(p[k])
        losses.append(total)
    return losses


@pytest.mark.parametrize(("method", "values"), [(SOFT, [0.438515, 3.908328]), (HARD, [0.417030, 3.295674])])
def test_golden_values(golden: tuple[Tensor, Tensor], method: Bootstrapping, values: list[float]) -> None:
    assert losses_of(method, *golden).tolist() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("method", [SOFT, HARD, Bootstrapping("soft", 0.6, True), Bootstrapping("hard", 0.3)])
@pytest.mark.parametrize("soft", [False, True])
def test_loss_and_gradient_equal_a_loop(
    random_batch: tuple[Tensor, Tensor, Tensor], method: Bootstrapping, soft: bool
) -> None:
    logits, labels, target = random_batch
    target = target if soft else torch.eye(5, dtype=torch.float64)[labels]
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses, expected = losses_of(method, mine, target), torch.stack(naive(theirs, target, method))
    assert torch.allclose(losses, expected, rtol=1e-10)
    gradients = [torch.autograd.grad(value.sum(), z)[0] for value, z in ((losses, mine), (expected, theirs))]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-9, atol=1e-12)


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])  # p = 1/4, 3/4
    target = torch.tensor([[1.0, 0.0]])
    hard = losses_of(Bootstrapping("hard", 0.5), logits, target).item()
    assert hard == pytest.approx(-0.5 * math.log(0.25) - 0.5 * math.log(0.75))
    soft = losses_of(Bootstrapping("soft", 0.5), logits, target).item()
    assert soft == pytest.approx(-0.625 * math.log(0.25) - 0.375 * math.log(0.75))


def test_the_soft_part_is_the_entropy(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, _ = random_batch
    target = torch.eye(5, dtype=torch.float64)[labels]
    p = logits.softmax(1)
    entropy = -(p * p.log()).sum(1)
    expected = 0.7 * cross_entropy(logits, target) + 0.3 * entropy
    assert torch.allclose(losses_of(Bootstrapping("soft", 0.7), logits, target), expected)


def test_a_detached_target_changes_the_gradient_and_not_the_loss(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    values, gradients = [], []
    for detach in (False, True):
        losses = losses_of(Bootstrapping("soft", 0.5, detach), logits, target)
        values.append(losses.tolist())
        gradients.append(torch.autograd.grad(losses.sum(), logits)[0])
    assert values[0] == values[1]
    assert not torch.allclose(gradients[0], gradients[1])
    p = logits.softmax(1)
    assert torch.allclose(gradients[1], 0.5 * (p - target))


@pytest.mark.parametrize("method", [SOFT, HARD, Bootstrapping("soft", 0.5, True)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_for_huge_logits(method: Bootstrapping, kind: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=kind, requires_grad=True)
    criterion = th.as_loss(method, num_samples=2, num_classes=3)
    loss = criterion(logits, torch.tensor([1, 0]), torch.tensor([0, 1]))
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_an_extra_class_takes_no_mass() -> None:
    logits = torch.tensor([[0.0, 1.0, 5.0]])
    run: Any = FakeRun(2)
    for method in (SOFT, HARD):
        target = torch.tensor([[1.0, 0.0, 0.0]])
        step = Step(run, Batch(torch.tensor([0]), torch.tensor([0]), {("weak", 0): target}), target)
        step = Step(run, step.batch, target, outputs=Outputs(logits, logits.new_empty(1, 0)))
        mixed = method.target(step)
        assert mixed[0, 2] == 0
        assert mixed.sum().item() == pytest.approx(1.0)


def test_presets() -> None:
    assert th.method("bootstrapping") == th.method("bootstrapping", preset="soft") == SOFT
    assert th.method("bootstrapping", preset="hard") == HARD


def test_mixup_may_go_before() -> None:
    Combination([th.method("mixup"), SOFT])


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float], mode: str) -> None:
    assert fit(make_run([Bootstrapping(mode, 0.8)], epochs=15)) > 0.8
