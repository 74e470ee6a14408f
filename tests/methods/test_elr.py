"""ELR: two visits by hand, the order of update and loss, lemma 2, and what it says about labels."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import thresher as th
from thresher.engine.combine import cross_entropy
from thresher.errors import ThresherError
from thresher.methods.elr import ELR


def naive(rows: list[list[float]], memory: list[list[float]], strength: float, beta: float) -> float:
    """The penalty of a batch of probabilities; `memory` is updated in place, row by row."""
    total = 0.0
    for p, t in zip(rows, memory, strict=True):
        clamped = [min(max(x, 1e-4), 1 - 1e-4) for x in p]
        for c, x in enumerate(clamped):
            t[c] = beta * t[c] + (1 - beta) * x / sum(clamped)
        total += math.log(1 - sum(a * b for a, b in zip(t, clamped, strict=True)))
    return strength * total / len(rows)


def table_of(criterion: Any) -> Tensor:
    rows: Tensor = criterion.state_dict()["table_elr_target_0"]
    return rows


def test_two_visits_by_hand(criterion: Callable[..., Any]) -> None:
    loss = criterion("elr", strength=2.0, momentum=0.5, classes=2)
    logits, label, index = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([1]), torch.tensor([4])
    # p = (3/4, 1/4); first t = p / 2, so 1 - <t, p> = 1 - 5/16; then t = 3 p / 4, so 1 - 15/32
    first = math.log(4) + 2 * math.log(11 / 16)
    second = math.log(4) + 2 * math.log(17 / 32)
    assert loss(logits, label, index).item() == pytest.approx(first, rel=1e-6)
    assert table_of(loss)[4].tolist() == pytest.approx([3 / 8, 1 / 8])
    assert loss(logits, label, index).item() == pytest.approx(second, rel=1e-5)
    assert table_of(loss)[4].tolist() == pytest.approx([9 / 16, 3 / 16])
    assert table_of(loss)[:4].count_nonzero() == 0


def test_equals_a_loop_over_visits(criterion: Callable[..., Any]) -> None:
    loss = criterion("elr", size=16, classes=5)
    memory = [[0.0] * 5 for _ in range(16)]
    labels, index = torch.arange(16) % 5, torch.arange(16)
    torch.manual_seed(0)
    for _ in range(4):
        logits = 6 * torch.randn(16, 5)  # large enough for the clamp to act
        expected = naive(logits.softmax(1).tolist(), memory, 3.0, 0.7)
        plain = cross_entropy(logits, torch.eye(5)[labels]).mean().item()
        assert loss(logits, labels, index).item() == pytest.approx(plain + expected, rel=1e-5)
    assert torch.allclose(table_of(loss), torch.tensor(memory), atol=1e-6)


def test_the_clamp_by_hand(criterion: Callable[..., Any]) -> None:
    loss = criterion("elr", strength=1.0, momentum=0.0)
    logits = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    high, low = 1 - 1e-4, 1e-4
    total = high + 2 * low
    expected = math.log(1 - (high * high + 2 * low * low) / total)
    result = loss(logits, torch.tensor([0]), torch.tensor([0]))
    assert result.item() == pytest.approx(expected, rel=1e-3)  # float32 near 1
    assert table_of(loss)[0].tolist() == pytest.approx([high / total, low / total, low / total])
    result.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-40  # the clamp lets nothing through, and cross-entropy is at its end


def test_targets_sum_to_the_mass_of_a_mean_without_correction(criterion: Callable[..., Any]) -> None:
    loss = criterion("elr", momentum=0.9)
    for visit in range(1, 6):
        loss(torch.randn(1, 3), torch.tensor([0]), torch.tensor([7]))
        assert table_of(loss)[7].sum().item() == pytest.approx(1 - 0.9**visit, rel=1e-5)


def test_gradient_is_lemma_2(criterion: Callable[..., Any]) -> None:
    loss = criterion("elr", size=8, classes=4)
    labels, index = torch.arange(8) % 4, torch.arange(8)
    torch.manual_seed(1)
    for _ in range(3):
        logits = torch.randn(8, 4, requires_grad=True)
        (gradient,) = torch.autograd.grad(loss(logits, labels, index), logits)
        p, t = logits.detach().softmax(1), table_of(loss)
        g = torch.zeros(8, 4)
        for i in range(8):
            for c in range(4):
                inner = sum((t[i, k] - t[i, c]) * p[i, k] for k in range(4))
                g[i, c] = p[i, c] / (1 - (p[i] * t[i]).sum()) * inner
        assert torch.allclose(gradient, (p - torch.eye(4)[labels] + 3 * g) / 8, atol=1e-6)


def test_strength_zero_is_cross_entropy_to_the_bit(criterion: Callable[..., Any]) -> None:
    logits, labels = torch.randn(6, 3), torch.arange(6) % 3
    plain = criterion("cross_entropy")(logits, labels, torch.arange(6))
    assert torch.equal(criterion("elr", strength=0.0)(logits, labels, torch.arange(6)), plain)


def test_a_bad_prediction_does_not_enter(criterion: Callable[..., Any]) -> None:
    loss = criterion("elr")
    loss(torch.randn(1, 3), torch.tensor([0]), torch.tensor([2]))
    before = table_of(loss).clone()
    with pytest.raises(ThresherError, match="non-finite"):
        loss(torch.tensor([[torch.nan, 0.0, 0.0]]), torch.tensor([0]), torch.tensor([2]))
    assert torch.equal(table_of(loss), before)


def test_suspects_are_those_whose_target_disagrees() -> None:
    loss = th.as_loss(ELR(), 4, 3, labels=torch.tensor([0, 1, 2, 0]))
    rows = torch.tensor([[0.5, 0.2, 0.1], [0.5, 0.2, 0.1], [0.1, 0.1, 0.6], [0.1, 0.3, 0.1]])
    loss.update_table("elr_target.0", torch.arange(4), rows)
    assert loss.suspects().tolist() == [False, True, False, True]
    assert torch.allclose(loss.suggestions().sum(1), torch.ones(4))
    assert loss.suggestions().argmax(1).tolist() == [0, 0, 2, 1]


def test_training_keeps_the_wrong_labels_out(make_run: Callable[..., Any], fit: Callable[..., float], toy: Any) -> None:
    run = make_run("elr", epochs=15)
    assert fit(run) > 0.9
    called = ELR().suspicion(run) > 0
    assert (called == toy.wrong).float().mean() > 0.9
