import math
from pathlib import Path

import pytest
import torch

import thresher as th
from thresher.studies import gradients
from thresher.studies.lab import Lab


def test_every_claim_holds_and_nothing_is_trained(tmp_path: Path) -> None:
    outcome = gradients.study(Lab(tmp_path))
    assert [claim.holds for claim in outcome.claims] == [True] * 4
    assert not list(tmp_path.iterdir())
    assert len(outcome.figures[0].figure.axes) == 2


def test_the_formula_by_hand() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    found = gradients.analytic(p, torch.tensor([0]), -6.0)[0].tolist()
    # label: 0.5 - 1 - (-6 * 0.25 + 6 * 0.5); others: 0.25 + 6 * 0.25 * 0.5
    assert found == pytest.approx([-2.0, 1.0, 1.0])


def test_against_differences() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.1]], dtype=torch.float64)
    method = th.method("sce", alpha=1.0, beta=1.0, log_zero=-6.0)
    label = torch.tensor([1])
    target = torch.eye(4, dtype=torch.float64)[label]
    said = gradients.analytic(torch.softmax(logits, 1), label, -6.0)[0]
    for k in range(4):
        step = torch.zeros_like(logits)
        step[0, k] = 1e-6
        slope = (method.loss(logits + step, target) - method.loss(logits - step, target)).item() / 2e-6
        assert math.isclose(slope, said[k].item(), rel_tol=1e-6)


def test_another_constant_is_not_what_is_measured() -> None:
    logits = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    label = torch.tensor([0])
    found = gradients.measured(logits, label, th.method("sce", alpha=1.0, beta=1.0, log_zero=-6.0))
    assert torch.allclose(found, gradients.analytic(torch.softmax(logits, 1), label, -6.0))
    assert not torch.allclose(found, gradients.analytic(torch.softmax(logits, 1), label, -4.0))
