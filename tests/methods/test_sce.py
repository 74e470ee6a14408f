"""SCE against its two terms, its golden values, and the constant A."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from thresher.methods.sce import SCE

REVERSE = [
    (math.log(1e-4), [3.140716, 9.057039]),
    (-4.0, [1.363995, 3.933422]),
    (-6.0, [2.045993, 5.900133]),
]


def naive(logits: list[float], target: list[float], alpha: float, beta: float, log_zero: float) -> float:
    """Both sums as written, with log 0 replaced by A; for hard labels."""
    total = sum(math.exp(z) for z in logits)
    p = [math.exp(z) / total for z in logits]
    forward = -sum(t * math.log(x) for x, t in zip(p, target, strict=True))
    reverse = -sum(x * (log_zero if t == 0 else math.log(t)) for x, t in zip(p, target, strict=True))
    return alpha * forward + beta * reverse


@pytest.mark.parametrize(("log_zero", "values"), REVERSE)
def test_golden_values_of_the_reverse_term(golden: tuple[Tensor, Tensor], log_zero: float, values: list[float]) -> None:
    assert SCE(0.0, 1.0, log_zero).loss(*golden).tolist() == pytest.approx(values, abs=5e-7)


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    assert SCE().loss(*golden).tolist() == pytest.approx([3.182419, 9.466606], abs=5e-7)
    assert SCE(log_zero=-6).loss(*golden).tolist() == pytest.approx([2.087696, 6.309700], abs=5e-7)


def test_equals_a_loop(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, _ = random_batch
    target = torch.eye(5, dtype=torch.float64)[labels]
    expected = [naive(z, t, 0.3, 2.0, -7.0) for z, t in zip(logits.tolist(), target.tolist(), strict=True)]
    assert SCE(0.3, 2.0, -7.0).loss(logits, target).tolist() == pytest.approx(expected, rel=1e-9)


def test_by_hand() -> None:
    logits = torch.zeros(1, 2)
    assert SCE(1.0, 1.0, -4.0).loss(logits, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(math.log(2) + 2.0)


def test_linear_in_soft_targets(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    hard = torch.stack([SCE().loss(logits, torch.eye(5, dtype=torch.float64)[[k] * 16]) for k in range(5)], 1)
    assert torch.allclose(SCE().loss(logits, soft), (soft * hard).sum(1))


def test_gradient_of_the_reverse_term_holds_the_constant(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(SCE(0.0, 1.0, -6.0).loss(logits, target).sum(), logits)
    p = logits.softmax(1)
    own = (p * target).sum(1, keepdim=True)
    assert torch.allclose(gradient, 6 * own * (p - target))


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("sce", epochs=15)) > 0.9
