"""mixup: the same partners and weight for inputs and targets, and the authors' sum of two losses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

import thresher as th
from thresher.engine.combine import cross_entropy
from thresher.engine.step import Batch, Outputs, Step
from thresher.errors import UsageError
from thresher.methods.mixup import Mixup
from thresher.parts.mixup import mixing_weight


def plain_step(views: int = 1) -> Step:
    """Ten samples, each its own class and its own input, so that a mix shows who took part."""
    run: Any = None
    shown = {("weak", k): torch.eye(10) + k for k in range(views)}
    return Step(run, Batch(torch.arange(10), torch.arange(10), shown), torch.eye(10))


def parts_of(mixed: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The weight and the partners that mixed one-hot rows tell."""
    weight = mixed.diagonal()
    partner = (mixed - torch.diag(weight)).argmax(1)
    alone = weight > 1 - 1e-6
    return float(weight[~alone][0]), torch.where(alone, torch.arange(10), partner)


def test_inputs_and_targets_are_mixed_alike() -> None:
    torch.manual_seed(0)
    step = Mixup(1.0).inputs(plain_step(views=2))
    weight, partner = parts_of(step.target)
    for i in range(10):
        for k in range(2):
            x = plain_step(2).inputs[k]
            assert torch.allclose(step.inputs[k][i], weight * x[i] + (1 - weight) * x[partner[i]])
    assert sorted(partner.tolist()) == list(range(10))


def test_the_loss_is_the_weighted_sum_of_two() -> None:
    torch.manual_seed(3)
    before = plain_step()
    step = Mixup(8.0).inputs(before)
    logits = torch.randn(10, 10)
    weight, partner = parts_of(step.target)
    one = cross_entropy(logits, one_hot(before.label, 10).float())
    other = cross_entropy(logits, one_hot(before.label[partner], 10).float())
    mixed = replace(step, outputs=Outputs(logits, logits))
    assert torch.allclose(cross_entropy(mixed.logits, mixed.target), weight * one + (1 - weight) * other, atol=1e-5)


@pytest.mark.parametrize("name", ["gce", "sce", "mae", "nce", "rce", "nfl"])
def test_so_it_is_for_every_loss_that_is_linear_in_its_target(name: str) -> None:
    torch.manual_seed(3)
    before, loss = plain_step(), th.method(name).loss
    step = Mixup(8.0).inputs(before)
    logits = torch.randn(10, 10)
    weight, partner = parts_of(step.target)
    one, other = (loss(logits, one_hot(labels, 10).float(), None) for labels in (before.label, before.label[partner]))
    assert torch.allclose(loss(logits, step.target, None), weight * one + (1 - weight) * other, atol=1e-5)


def test_weights_follow_the_beta_distribution() -> None:
    torch.manual_seed(0)
    draws = torch.stack([mixing_weight(8.0) for _ in range(3000)])
    assert draws.mean().item() == pytest.approx(0.5, abs=0.01)
    assert draws.var().item() == pytest.approx(1 / (4 * (2 * 8 + 1)), rel=0.1)


def test_alpha_zero_changes_nothing() -> None:
    step = Mixup(0.0).inputs(plain_step())
    assert torch.equal(step.target, torch.eye(10))
    assert torch.equal(step.inputs[0], torch.eye(10))


def test_labels_and_index_stay() -> None:
    step = Mixup().inputs(plain_step())
    assert step.index.tolist() == step.label.tolist() == list(range(10))


@pytest.mark.parametrize(("preset", "alpha"), [("clean", 1.0), ("sym20", 8.0), ("sym50", 32.0), ("sym80", 32.0)])
def test_presets_are_the_papers(preset: str, alpha: float) -> None:
    assert th.method("mixup", preset=preset) == Mixup(alpha)


def test_a_negative_alpha_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^mixup\.alpha is -1\.0: it must be a number from 0 to inf"):
        th.fit("digits", th.method("mixup", alpha=-1.0))


def test_trains(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("mixup", epochs=15)) > 0.85
