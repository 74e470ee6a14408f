"""GCE against its formula, its limits, and its gradient where the plain formula has none."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from thresher.engine.combine import cross_entropy
from thresher.methods.gce import GCE


def naive(logits: list[float], target: list[float], q: float) -> float:
    total = sum(math.exp(z) for z in logits)
    return math.fsum(t * (1 - (math.exp(z) / total) ** q) / q for z, t in zip(logits, target, strict=True))


@pytest.mark.parametrize(("q", "values"), [(0.7, [0.361675, 1.347327]), (0.1, [0.408454, 3.360626])])
def test_golden_values(golden: tuple[Tensor, Tensor], q: float, values: list[float]) -> None:
    assert GCE(q).loss(*golden).tolist() == pytest.approx(values, abs=5e-7)


@pytest.mark.parametrize("q", [0.05, 0.7, 1.0])
def test_equals_a_loop(random_batch: tuple[Tensor, Tensor, Tensor], q: float) -> None:
    logits, labels, soft = random_batch
    for target in (soft, torch.eye(5, dtype=torch.float64)[labels]):
        expected = [naive(z, t, q) for z, t in zip(logits.tolist(), target.tolist(), strict=True)]
        assert GCE(q).loss(logits, target).tolist() == pytest.approx(expected, rel=1e-9)


def test_by_hand() -> None:
    logits = torch.tensor([[math.log(1.0), math.log(3.0)]])  # p = 1/4, 3/4
    assert GCE(0.5).loss(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx((1 - 0.5) / 0.5)


def test_is_mean_absolute_error_at_one_and_nearly_cross_entropy_at_zero(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    p = (logits.softmax(1) * target).sum(1)
    assert torch.allclose(GCE(1.0).loss(logits, target), 1 - p)
    assert torch.allclose(GCE(1e-3).loss(logits, target), cross_entropy(logits, target), rtol=3e-3)


def test_gradient_is_that_of_cross_entropy_weighted(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(GCE(0.7).loss(logits, target).sum(), logits)
    p = logits.softmax(1)
    weight = (p * target).sum(1, keepdim=True) ** 0.7
    assert torch.allclose(gradient, weight * (p - target))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_gradient_is_finite_when_the_probability_underflows(kind: torch.dtype) -> None:
    logits = torch.tensor([[2000.0, 0.0, 0.0], [200.0, 0.0, 0.0]], dtype=kind, requires_grad=True)
    losses = GCE(0.7).loss(logits, torch.eye(3, dtype=kind)[[1, 1]])
    losses.sum().backward()
    assert losses.tolist() == pytest.approx([1 / 0.7, 1 / 0.7])
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_plain_formula_has_none() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    ((1 - logits.softmax(1)[:, 1] ** 0.7) / 0.7).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isnan().any()


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("gce", epochs=15)) > 0.9
