"""The confidence penalty against its sum as written, its limits, and its gradient at the edge."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import thresher as th
from thresher.engine.method import check_values
from thresher.engine.step import Batch, Outputs, Step
from thresher.errors import UsageError
from thresher.methods.confidence_penalty import ConfidencePenalty


class Classes:
    """What the penalty asks of a run."""

    def __init__(self, classes: int) -> None:
        self.classes = classes


def step_of(logits: Tensor, classes: int | None = None) -> Step:
    run: Any = Classes(classes or logits.shape[1])
    rows = torch.arange(len(logits))
    return Step(run, Batch(rows, rows, {}), torch.zeros_like(logits), outputs=Outputs(logits, logits))


def entropies(logits: Tensor) -> list[float]:
    """Row by row, as the sum is written."""
    found = []
    for row in logits.tolist():
        total = sum(math.exp(z) for z in row)
        found.append(-sum(math.exp(z) / total * math.log(math.exp(z) / total) for z in row))
    return found


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    logits, _ = golden
    by_row = [ConfidencePenalty(1.0).penalty(step_of(row[None])).item() for row in logits]
    assert by_row == pytest.approx([-h for h in entropies(logits)], rel=1e-12)
    assert by_row == pytest.approx([-0.846738, -0.348741], abs=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.8, 5.0])
def test_equals_a_loop(random_batch: tuple[Tensor, Tensor, Tensor], threshold: float) -> None:
    logits, _, _ = random_batch
    costs = [max(0.0, threshold - h) if threshold else -h for h in entropies(logits)]
    expected = 0.4 * sum(costs) / len(costs)
    assert ConfidencePenalty(0.4, threshold).penalty(step_of(logits)).item() == pytest.approx(expected, rel=1e-9)


def test_by_hand() -> None:
    even = torch.zeros(3, 4)
    assert ConfidencePenalty(2.0).penalty(step_of(even)).item() == pytest.approx(-2 * math.log(4))
    assert ConfidencePenalty(2.0, 1.0).penalty(step_of(even)).item() == 0.0  # log 4 > 1: uncertain enough
    sure = torch.tensor([[200.0, 0.0, 0.0]])
    assert ConfidencePenalty(2.0, 1.0).penalty(step_of(sure)).item() == pytest.approx(2.0)


def test_gradient_is_p_times_log_p_plus_entropy(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits = random_batch[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ConfidencePenalty(1.0).penalty(step_of(logits)), logits)
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    entropy = -(p * log_p).sum(1, keepdim=True)
    assert torch.allclose(gradient, p * (log_p + entropy) / len(logits))


def test_beyond_the_threshold_nothing_pulls() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(ConfidencePenalty(1.0, 0.5).penalty(step_of(logits)), logits)
    assert not gradient.any()


@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_logits_give_finite_values_and_gradients(threshold: float, size: float) -> None:
    logits = torch.tensor([[size, -size, 0.0], [size, size, -size], [-size, -size, -size]], requires_grad=True)
    penalty = ConfidencePenalty(1.0, threshold).penalty(step_of(logits))
    penalty.backward()
    assert penalty.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_under_autocast() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [1.0, 2.0, 3.0]], requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = th.as_loss(ConfidencePenalty(1.0), 4, 3)(logits.bfloat16(), torch.tensor([0, 2]), torch.tensor([0, 1]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_an_extra_class_takes_no_part() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    wider = torch.cat([logits, torch.tensor([[9.0]])], 1)
    penalty = ConfidencePenalty(1.0).penalty
    assert torch.equal(penalty(step_of(wider, classes=3)), penalty(step_of(logits)))


def test_as_a_loss_it_is_added_to_cross_entropy(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden[0].float(), golden[1].float()
    index = torch.tensor([3, 1])
    criterion = th.as_loss(th.method("confidence_penalty", beta=0.5, Gamma=0.6), 10, 3)
    plain = torch.nn.functional.cross_entropy(logits, target)
    step = replace(step_of(logits), target=target)
    assert torch.allclose(criterion(logits, target, index), plain + ConfidencePenalty(0.5, 0.6).penalty(step))
    assert criterion.eval()(logits, target).item() == pytest.approx(plain.item())


@pytest.mark.parametrize("values", [{"strength": -0.1}, {"threshold": -1.0}, {"strength": math.nan}])
def test_bad_values_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"it must be a number from 0 to inf$"):
        check_values(ConfidencePenalty(**values))


def test_training_stays_less_sure(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    sure = []
    for methods in ([], [ConfidencePenalty(0.5)]):
        run = make_run(methods, epochs=15)
        assert fit(run) > 0.75
        found = run.scan(lambda outputs, batch: torch.softmax(outputs.logits, 1).amax(1))
        sure.append(found.mean().item())
    assert sure[1] < sure[0] - 0.05
