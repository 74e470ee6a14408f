"""Label smoothing: its targets, and the loss they give."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from thresher.engine.combine import cross_entropy
from thresher.engine.step import Batch, Step
from thresher.methods.label_smoothing import LabelSmoothing


class FakeRun:
    """A run of three classes, for methods that ask for nothing else."""

    classes = 3


def smoothed(target: Tensor, smoothing: float) -> Tensor:
    run: Any = FakeRun()
    batch = Batch(torch.arange(len(target)), target.argmax(1), {("weak", 0): target})
    return LabelSmoothing(smoothing).target(Step(run, batch, target))


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    losses = cross_entropy(logits, smoothed(target, 0.1))
    assert losses.tolist() == pytest.approx([0.513697, 3.912341], abs=5e-7)


def test_by_hand() -> None:
    assert smoothed(torch.eye(3)[1:2], 0.3).flatten().tolist() == pytest.approx([0.1, 0.8, 0.1])


def test_rows_sum_to_one_and_an_extra_class_gets_nothing() -> None:
    target = smoothed(torch.eye(4), 0.2)
    assert torch.allclose(target.sum(1), torch.ones(4))
    assert target[:3, 3].tolist() == [0, 0, 0]
    assert target[3, 3].item() == pytest.approx(0.8)


def test_equals_a_loop(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    target = random_batch[2][:, :3].softmax(1)
    expected = [[0.9 * q + 0.1 / 3 for q in row] for row in target.tolist()]
    assert torch.allclose(smoothed(target, 0.1), torch.tensor(expected, dtype=torch.float64))


def test_trains_and_stays_less_sure(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    plain, smooth = make_run([], epochs=10), make_run([LabelSmoothing(0.3)], epochs=10)
    assert min(fit(plain), fit(smooth)) > 0.7
    sure = [run.probabilities(next(run.source.open([run.rows], ("plain",), 0))["plain", 0]) for run in (plain, smooth)]
    assert sure[1].amax(1).mean() < sure[0].amax(1).mean()
