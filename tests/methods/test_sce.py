"""SCE against its two terms, its golden values, and the constant A."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.sce import SCE


def formula(alpha: float, beta: float, log_zero: float) -> losses.Formula:
    """Both sums as written, with log 0 replaced by A."""

    def both(p: Tensor, y: int) -> Tensor:
        label, logs = torch.zeros_like(p), torch.full_like(p, log_zero)
        label[y], logs[y] = 1, 0
        return alpha * -(label * p.log()).sum() + beta * -(p * logs).sum()

    return both


def test_golden_values() -> None:  # of A = -6: see test_rce.py
    assert losses.golden(SCE()) == losses.near([3.182419, 9.466606])
    assert losses.golden(th.method("sce", preset="analysis")) == losses.near([2.087696, 6.309700])


def test_golden_values_of_cross_entropy() -> None:
    assert losses.golden(SCE(1.0, 0.0)) == losses.near([0.417030, 4.095674])


@pytest.mark.parametrize("values", [(0.1, 1.0, math.log(1e-4)), (0.3, 2.0, -7.0)])
def test_equals_both_sums(values: tuple[float, float, float]) -> None:
    losses.check_all(SCE(*values), formula(*values))


def test_by_hand() -> None:
    assert losses.by_hand(SCE(1.0, 1.0, -4.0), [0.5, 0.5]) == pytest.approx(math.log(2) + 2.0)


@pytest.mark.parametrize(
    ("preset", "values"), [("mnist", (0.01, 1)), ("cifar10", (0.1, 1)), ("cifar100", (6, 0.1)), ("webvision", (10, 1))]
)
def test_presets_of_the_weights(preset: str, values: tuple[float, float]) -> None:
    assert th.method("sce", preset=preset) == SCE(*values)


@pytest.mark.parametrize(("preset", "value"), [("code", math.log(1e-4)), ("benchmark", -4.0), ("analysis", -6.0)])
def test_presets_of_the_constant(preset: str, value: float) -> None:
    assert th.method("sce", preset=preset, alpha=1) == SCE(1, 1.0, value)


def test_gradient_of_the_reverse_term_holds_the_constant(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(SCE(0.0, 1.0, -6.0).loss(logits, target).sum(), logits)
    p = logits.softmax(1)
    own = (p * target).sum(1, keepdim=True)
    torch.testing.assert_close(gradient, 6 * own * (p - target))


def test_with_little_cross_entropy_it_nearly_tolerates_noise() -> None:
    losses.check_intolerant(SCE(alpha=1.0, beta=0.1, log_zero=-4.0))
    even, certain = losses.offsets(SCE(alpha=0.1), 0.4)
    assert 0.01 < certain - even < 0.5  # a tenth of cross-entropy's


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_a_weight_of_cross_entropy_that_is_not_positive_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match=r"^sce.alpha is .*: it must be a number from 1e-06 to inf$"):
        th.as_loss(SCE(alpha), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("sce", epochs=15)) > 0.9
