"""GCE against its formula, its limits, and its gradient where the plain formula has none."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

from thresher.engine.combine import cross_entropy
from thresher.methods.gce import GCE


def formula(q: float) -> losses.Formula:
    """The paper's quotient."""
    return lambda p, y: (1 - p[y] ** q) / q


@pytest.mark.parametrize(("q", "values"), [(0.7, [0.361675, 1.347327]), (0.1, [0.408454, 3.360626])])
def test_golden_values(q: float, values: list[float]) -> None:
    assert losses.golden(GCE(q)) == losses.near(values)


@pytest.mark.parametrize("q", [0.05, 0.7, 1.0])
def test_equals_the_formula(q: float) -> None:
    losses.check_all(GCE(q), formula(q))


def test_by_hand() -> None:
    assert losses.by_hand(GCE(0.5), [0.25, 0.75]) == pytest.approx((1 - 0.5) / 0.5)


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


def test_tolerates_noise_at_one() -> None:
    losses.check_tolerant(GCE(1.0), 9.0, bounded=True)


@pytest.mark.parametrize("q", [0.1, 0.7])
def test_the_sum_over_labels_has_bounds(q: float) -> None:
    source = torch.Generator().manual_seed(0)
    logits = torch.randn(500, 10, generator=source, dtype=torch.float64) * torch.logspace(-2, 3, 500)[:, None]
    logits[0] = 0
    total = GCE(q).loss(logits, torch.ones_like(logits))
    low, high = (10 - 10 ** (1 - q)) / q, 9 / q
    assert total[0].item() == pytest.approx(low)
    assert total[-1].item() == pytest.approx(high)
    assert low * (1 - 1e-9) <= total.min() <= total.max() <= high * (1 + 1e-9)


@pytest.mark.parametrize("q", [0.1, 0.7])
def test_noise_adds_nearly_the_same_to_every_network(q: float) -> None:
    even, certain = losses.offsets(GCE(q), 0.4)
    assert 0.01 < certain - even < 0.4 * (10 ** (1 - q) - 1) / (9 * q)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("gce", epochs=15)) > 0.9
