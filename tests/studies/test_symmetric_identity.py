from pathlib import Path

import numpy as np
import torch

import thresher as th
from thresher.studies import symmetric_identity
from thresher.studies.lab import Lab


def test_every_claim_holds_and_nothing_is_trained(tmp_path: Path) -> None:
    outcome = symmetric_identity.study(Lab(tmp_path))
    assert [claim.holds for claim in outcome.claims] == [True] * 5
    assert not list(tmp_path.iterdir())
    sums = outcome.tables["sums"]
    assert np.allclose(sums["rce"], 54)
    assert np.ptp(sums["ce"]) > 20


def test_rce_is_the_methods() -> None:
    logits = torch.randn(20, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 5
    method = th.method("rce", log_zero=-6.0)
    expected = method.loss(logits, torch.nn.functional.one_hot(labels, 5).double()).numpy()
    found = symmetric_identity.rce(torch.softmax(logits, 1).numpy(), labels.numpy(), -6.0)
    assert np.allclose(found, expected, rtol=1e-12)


def test_another_rate_does_not_fit_the_formula(tmp_path: Path) -> None:
    risks = symmetric_identity.study(Lab(tmp_path)).tables["risks"]
    part = risks[risks["rate"] == 0.4]
    other = part["rce"] * (1 - 0.6 * 10 / 9) + 6 * 0.6
    assert np.abs(part["rce_noisy"] - part["rce_formula"]).max() < 0.1
    assert np.abs(part["rce_noisy"] - other).max() > 0.5
