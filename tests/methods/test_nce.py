"""NCE: one cross-entropy over the sum of all, its limits, and its tolerance of noise."""

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


def formula(p: Tensor, y: int) -> Tensor:
    """A quotient of logarithms."""
    return p[y].log() / sum(p[k].log() for k in range(len(p)))


def test_golden_values() -> None:
    assert losses.golden(NCE()) == losses.near([0.100463, 0.603457])


def test_equals_the_formula() -> None:
    losses.check_all(NCE(), formula)
    losses.check_formula(NCE(scale=10.0), lambda p, y: 10 * formula(p, y))


def test_by_hand() -> None:
    assert losses.by_hand(NCE(), [0.5, 0.25, 0.25]) == pytest.approx(1 / (1 + 2 + 2))
    assert losses.by_hand(NCE(scale=10.0), [0.1, 0.9]) == pytest.approx(10 * math.log(0.1) / math.log(0.09))


@pytest.mark.parametrize(("preset", "scale"), [("mnist", 10.0), ("cifar10", 1.0), ("cifar100", 1.0)])
def test_presets(preset: str, scale: float) -> None:
    assert th.method("nce", preset=preset) == NCE(scale)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_tolerates_symmetric_noise(scale: float) -> None:
    losses.check_tolerant(NCE(scale), scale, bounded=False)


def test_lies_between_zero_and_one_far_out() -> None:
    logits = torch.tensor([[1e4, 0.0, 0.0], [-1e4, 0.0, 0.0]])
    assert NCE().loss(logits, torch.eye(3)[[0, 0]]).tolist() == pytest.approx([0.0, 1.0], abs=1e-3)


def test_a_scale_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^nce.scale is 0: it must be a number from 1e-06 to inf$"):
        th.as_loss(NCE(scale=0), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("nce", epochs=15)) > 0.9
