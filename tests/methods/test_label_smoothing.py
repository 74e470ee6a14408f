"""Label smoothing: its targets, and the loss they give."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import thresher as th
from thresher.engine.combine import Combination, cross_entropy
from thresher.engine.step import Batch, Step
from thresher.errors import UsageError
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


def symmetric(classes: int, mass: float) -> np.ndarray:
    """T = (1 - e) I + e/K, which leaves a label as it is with probability 1 - e (K - 1) / K."""
    matrix: np.ndarray = (1 - mass) * np.eye(classes) + np.full((classes, classes), mass / classes)
    return matrix


@pytest.mark.parametrize("mass", [0.1, 0.5, 0.9])
def test_a_negative_amount_is_backward_correction_of_symmetric_noise(
    golden: tuple[Tensor, Tensor], mass: float
) -> None:
    logits, target = golden
    logits.requires_grad_()
    negative = cross_entropy(logits, smoothed(target, -mass / (1 - mass)))
    backward = th.method("backward_correction", matrix=symmetric(3, mass), clip=0.0).loss(logits, target)
    assert torch.allclose(negative, backward, rtol=1e-10)
    gradients = [torch.autograd.grad(losses.sum(), logits)[0] for losses in (negative, backward)]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-10)


def test_a_negative_amount_undoes_a_positive_one() -> None:
    target = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    assert torch.allclose(smoothed(smoothed(target, 0.4), -0.4 / 0.6), target)


def test_a_negative_amount_is_unbiased_on_drawn_noise() -> None:
    source, classes, mass = np.random.default_rng(0), 3, 0.45
    clean = source.integers(classes, size=100_000)
    drawn = source.random(len(clean)) < mass  # any class, the true one included
    noisy = np.where(drawn, source.integers(classes, size=len(clean)), clean)
    assert (noisy != clean).mean() == pytest.approx(mass * (classes - 1) / classes, abs=0.01)
    logits = torch.from_numpy(source.normal(size=(len(clean), classes)) + 2 * np.eye(classes)[clean])
    eye = torch.eye(classes, dtype=torch.float64)
    truth = cross_entropy(logits, eye[clean]).mean().item()
    losses = cross_entropy(logits, smoothed(eye[noisy], -mass / (1 - mass)))
    assert abs(losses.mean().item() - truth) < 4 * losses.std().item() / len(clean) ** 0.5
    assert abs(cross_entropy(logits, eye[noisy]).mean().item() - truth) > 0.2


def test_a_negative_amount_has_no_lower_bound() -> None:
    logits = torch.tensor([[0.0, -1000.0, -1000.0]], dtype=torch.float64)
    target = smoothed(torch.eye(3, dtype=torch.float64)[:1], -0.5)
    assert target.sum().item() == pytest.approx(1)
    assert cross_entropy(logits, target).item() == pytest.approx(-1000 * 0.5 * 2 / 3)


@pytest.mark.parametrize("smoothing", [0.1, -0.5])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_for_huge_logits(smoothing: float, kind: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=kind, requires_grad=True)
    criterion = th.as_loss(LabelSmoothing(smoothing), num_samples=2, num_classes=3)
    loss = criterion(logits, torch.tensor([1, 0]), torch.tensor([0, 1]))
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_more_than_all_is_refused() -> None:
    with pytest.raises(UsageError, match=r"label_smoothing\.smoothing is 1\.5: it must be a number from -inf to 1"):
        Combination([LabelSmoothing(1.5)])


def test_trains_and_stays_less_sure(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    plain, smooth = make_run([], epochs=10), make_run([LabelSmoothing(0.3)], epochs=10)
    assert min(fit(plain), fit(smooth)) > 0.7
    sure = [run.probabilities(next(run.source.open([run.rows], ("plain",), 0))["plain", 0]) for run in (plain, smooth)]
    assert sure[1].amax(1).mean() < sure[0].amax(1).mean()
