"""Cross-entropy against its formula, golden values, and the engine's default."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from thresher.methods.cross_entropy import CrossEntropy


def naive(logits: list[float], target: list[float]) -> float:
    total = sum(math.exp(z) for z in logits)
    return -sum(q * math.log(math.exp(z) / total) for z, q in zip(logits, target, strict=True))


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    assert CrossEntropy().loss(*golden).tolist() == pytest.approx([0.417030, 4.095674], abs=5e-7)


def test_equals_a_loop(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, target = random_batch
    expected = [naive(z, q) for z, q in zip(logits.tolist(), target.tolist(), strict=True)]
    assert CrossEntropy().loss(logits, target).tolist() == pytest.approx(expected, rel=1e-12)


def test_by_hand() -> None:
    assert CrossEntropy().loss(torch.zeros(1, 4), torch.eye(4)[:1]).item() == pytest.approx(math.log(4))


def test_gradient_is_prediction_minus_label(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(CrossEntropy().loss(logits, target).sum(), logits)
    assert torch.allclose(gradient, logits.softmax(1) - target)


def test_is_the_default_of_the_engine(make_run: Callable[..., object], fit: Callable[..., float]) -> None:
    plain, named = make_run([]), make_run("cross_entropy")
    assert fit(plain) == fit(named)
    for a, b in zip(plain.nets[0].parameters(), named.nets[0].parameters(), strict=True):  # type: ignore[attr-defined]
        assert torch.equal(a, b)
