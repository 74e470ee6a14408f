"""MAE in both scales: the formula, what it is equal to, and its tolerance of noise."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.gce import GCE
from thresher.methods.mae import MAE


def distance(p: Tensor, y: int) -> Tensor:
    """The paper's sum over all classes."""
    label = torch.zeros_like(p)
    label[y] = 1
    return (p - label).abs().sum()


def test_golden_values() -> None:
    assert losses.golden(MAE()) == losses.near([0.340999, 0.983355])
    assert losses.golden(MAE(scale=2.0)) == losses.near([0.681998, 1.966711])


def test_equals_the_papers_sum() -> None:
    losses.check_all(MAE(scale=2.0), distance)
    losses.check_all(MAE(), lambda p, y: distance(p, y) / 2)


def test_by_hand() -> None:
    assert losses.by_hand(MAE(), [0.3, 0.5, 0.2]) == pytest.approx(0.7)
    assert losses.by_hand(MAE(scale=2.0), [0.3, 0.5, 0.2]) == pytest.approx(1.4)


def test_presets() -> None:
    assert th.method("mae") == th.method("mae", preset="code") == MAE(scale=1.0)
    assert th.method("mae", preset="paper") == MAE(scale=2.0)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_tolerates_noise(scale: float) -> None:
    losses.check_tolerant(MAE(scale), scale * 9, bounded=True)


def test_is_generalised_cross_entropy_at_one(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    torch.testing.assert_close(MAE().loss(logits, soft), GCE(1.0).loss(logits, soft))


def test_barely_learns_where_the_label_is_implausible() -> None:
    logits = torch.tensor([[8.0, 0.0], [0.0, 0.0]], requires_grad=True)
    MAE().loss(logits, torch.tensor([[0.0, 1.0], [0.0, 1.0]])).sum().backward()
    assert logits.grad is not None
    p = logits.softmax(1)[:, 1].detach()
    torch.testing.assert_close(logits.grad[:, 1], -p * (1 - p))


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(UsageError, match=r"^mae.scale is .*: it must be a number from 1e-06 to inf$"):
        th.as_loss(MAE(scale), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("mae", epochs=15)) > 0.9
