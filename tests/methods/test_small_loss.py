"""Small loss: whom it keeps, what that weighs, and its ramp."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import thresher as th
from thresher.engine.combine import cross_entropy
from thresher.methods.small_loss import SmallLoss


def naive(losses: list[float], share: float) -> float:
    """The mean of the smallest losses."""
    count = max(1, int(share * len(losses)))
    return sum(sorted(losses)[:count]) / count


def losses_of(logits: Tensor, labels: Tensor) -> list[float]:
    return [float(x) for x in cross_entropy(logits, torch.eye(logits.shape[1])[labels])]


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.6, 0.99])
def test_the_loss_is_the_mean_over_the_kept(rate: float) -> None:
    criterion = th.as_loss(SmallLoss(rate, ramp=0), 16, 4)
    torch.manual_seed(0)
    logits, labels = torch.randn(16, 4), torch.arange(16) % 4
    expected = naive(losses_of(logits, labels), 1 - rate)
    assert criterion(logits, labels, torch.arange(16)).item() == pytest.approx(expected, rel=1e-5)


def test_by_hand() -> None:
    criterion = th.as_loss(SmallLoss(0.5, ramp=0), 4, 2)
    logits = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [1.0, 0.0]], requires_grad=True)
    criterion(logits, torch.tensor([0, 0, 0, 0]), torch.arange(4)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum(1).gt(0).tolist() == [False, True, False, True]  # losses 0.69, 0, 9, 0.31


def test_the_share_left_out_grows_by_epochs() -> None:
    criterion = th.as_loss(SmallLoss(0.5, ramp=2), 8, 2)
    logits, labels = torch.randn(8, 2), torch.zeros(8, dtype=torch.int64)
    for share in (1.0, 0.75, 0.5, 0.5):
        for half in (torch.arange(4), torch.arange(4, 8)):
            expected = naive(losses_of(logits[half], labels[half]), share)
            assert criterion(logits[half], labels[half], half).item() == pytest.approx(expected, rel=1e-5)


def test_suspects_have_the_largest_losses() -> None:
    criterion = th.as_loss(SmallLoss(0.25), 8, 2)
    logits = torch.stack([torch.arange(8.0), torch.zeros(8)], 1)
    criterion(logits, torch.zeros(8, dtype=torch.int64), torch.arange(8))
    assert criterion.suspects(torch.zeros(8, dtype=torch.int64)).tolist() == [True] * 2 + [False] * 6


def test_training_finds_the_wrong_labels(make_run: Callable[..., Any], fit: Callable[..., float], toy: Any) -> None:
    method = SmallLoss(0.3, ramp=3)
    run = make_run([method], epochs=15)
    assert fit(run) > 0.9
    assert ((method.suspicion(run) > 0) == toy.wrong).float().mean() > 0.9
