"""Focal loss with and without a gradient through its weight, and that it does not tolerate noise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses

import thresher as th
from thresher.engine.combine import cross_entropy
from thresher.errors import UsageError
from thresher.methods.focal import Focal


def formula(gamma: float, detach: bool = False) -> losses.Formula:
    """-(1 - p_y)^gamma log p_y."""
    return lambda p, y: -((1 - (p[y].detach() if detach else p[y])) ** gamma) * p[y].log()


def test_golden_values() -> None:
    assert losses.golden(Focal(gamma=0.5)) == losses.near([0.243525, 4.061446])
    assert losses.golden(Focal(gamma=0.0)) == losses.near([0.417030, 4.095674])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("detach", [True, False])
def test_equals_the_formula(gamma: float, detach: bool) -> None:
    losses.check_all(Focal(gamma, detach), formula(gamma, detach))


def test_by_hand() -> None:
    assert losses.by_hand(Focal(gamma=2.0), [0.25, 0.75]) == pytest.approx(9 / 16 * math.log(4))


def test_preset_of_the_active_passive_losses() -> None:
    assert th.method("focal", preset="apl") == Focal(gamma=0.5, detach=True)


def test_is_cross_entropy_at_zero_to_the_bit() -> None:
    logits = torch.randn(64, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.eye(7)[torch.arange(64) % 7]
    found, plain = Focal(gamma=0.0).loss(logits, target), cross_entropy(logits, target)
    assert torch.equal(found, plain)
    slopes = [torch.autograd.grad(one.mean(), logits)[0] for one in (found, plain)]
    assert torch.equal(*slopes)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0])
def test_gradient_is_zero_and_finite_where_the_label_is_certain(gamma: float) -> None:
    logits = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    loss = Focal(gamma).loss(logits, torch.eye(3)[:1])
    loss.sum().backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_plain_formula_has_none() -> None:
    logits = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    p = logits.softmax(1)[:, 0]
    (-((1 - p) ** 0.5) * p.log()).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isnan().any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_does_not_tolerate_noise(gamma: float) -> None:
    losses.check_intolerant(Focal(gamma))


@pytest.mark.parametrize("gamma", [-1.0, 10.5])
def test_a_power_outside_its_range_is_refused(gamma: float) -> None:
    with pytest.raises(UsageError, match=r"^focal.gamma is .*: it must be a number from 0 to 10$"):
        th.as_loss(Focal(gamma), 10, 3)


def test_trains(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("focal", epochs=15)) > 0.8
