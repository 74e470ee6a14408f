"""NFL with and without a gradient through its weights, and its tolerance of noise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.nce import NCE
from thresher.methods.nfl import NFL


def formula(gamma: float, detach: bool = True) -> losses.Formula:
    """Focal losses as the quotient of one and all, the weights constant where they are detached."""

    def share(p: Tensor, y: int) -> Tensor:
        weights = (1 - (p.detach() if detach else p)) ** gamma
        return -weights[y] * p[y].log() / sum(-weights[k] * p[k].log() for k in range(len(p)))

    return share


def test_golden_values() -> None:
    assert losses.golden(NFL(gamma=0.5)) == losses.near([0.066234, 0.616554])
    assert losses.golden(NFL(gamma=0.5, detach=False)) == losses.near([0.066234, 0.616554])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("detach", [True, False])
def test_equals_the_formula(gamma: float, detach: bool) -> None:
    losses.check_all(NFL(gamma, detach=detach), formula(gamma, detach))


def test_by_hand() -> None:
    label, other = 3 / 4 * math.log(4), 1 / 4 * math.log(4 / 3)
    assert losses.by_hand(NFL(gamma=1.0), [0.25, 0.75]) == pytest.approx(label / (label + other))
    assert losses.by_hand(NFL(gamma=1.0, scale=10.0), [0.5, 0.5]) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("preset", "scale"), [("mnist", 1.0), ("cifar10", 10.0), ("cifar10_asymmetric", 1.0), ("cifar100", 1.0)]
)
def test_presets(preset: str, scale: float) -> None:
    assert th.method("nfl", preset=preset) == NFL(0.5, scale)


def test_is_normalised_cross_entropy_at_zero(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    torch.testing.assert_close(NFL(0.0).loss(logits, soft), NCE().loss(logits, soft))


def test_detaching_changes_the_gradient(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    held, free = (torch.autograd.grad(NFL(detach=d).loss(logits, target).sum(), logits)[0] for d in (True, False))
    assert (held - free).abs().max() > 0.01


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_tolerates_symmetric_noise(gamma: float) -> None:
    losses.check_tolerant(NFL(gamma, scale=10.0), 10.0, bounded=False)


@pytest.mark.parametrize("gamma", [-0.5, 11.0])
def test_a_power_outside_its_range_is_refused(gamma: float) -> None:
    with pytest.raises(UsageError, match=r"^nfl.gamma is .*: it must be a number from 0 to 10$"):
        th.as_loss(NFL(gamma), 10, 3)


def test_the_largest_power_is_finite_for_two_classes() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    loss = NFL(10.0).loss(logits, torch.eye(2)[:1])
    loss.sum().backward()
    assert loss.item() == 0.5
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("nfl", epochs=15)) > 0.9
