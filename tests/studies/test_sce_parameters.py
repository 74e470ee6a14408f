import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from thresher.studies import _classes as common
from thresher.studies import sce_parameters
from thresher.studies.lab import Lab, some


def test_it_runs_through(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    data = some(common.halved(lab.data()), 60)
    monkeypatch.setattr(common, "data", lambda lab: data)
    lab.epochs = 1
    outcome = sce_parameters.study(lab)
    assert len(outcome.claims) == 5
    assert len(outcome.figures) == 3
    assert len(outcome.tables["accuracy"]) == len(sce_parameters.trials()) == len(outcome.tables["epochs"])
    assert all(claim.sentence and "nan" not in claim.ours for claim in outcome.claims)


def test_the_trials_are_what_their_names_say() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.1]], dtype=torch.float64)
    target = torch.eye(3, dtype=torch.float64)[:1]
    p = math.exp(2) / (math.exp(2) + math.exp(1) + math.exp(0.1))
    ce, rce = -math.log(p), 1 - p
    found = {name: method.loss(logits, target).item() for name, method in sce_parameters.trials().items()}
    expected = {"ce": ce, "2ce": 2 * ce, "5ce": 5 * ce, "rce": 6 * rce, "2rce": 12 * rce, "5rce": 30 * rce}
    expected |= {f"sce-{a:g}-A6": a * ce + 6 * rce for a in (0.01, 0.1, 1.0, 10.0)}
    expected |= {f"sce-{a:g}-A{c}": a * ce + c * rce for a in (0.1, 1.0) for c in (2, 4, 8)}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert math.isclose(found[name], value, rel_tol=1e-9), name


def test_the_first_epoch_that_reaches_a_level() -> None:
    assert sce_parameters.reached(np.array([0.2, 0.9, 0.7, 0.95]), 0.9) == 2
    assert sce_parameters.reached(np.array([0.2, 0.3]), 0.9) is None


@pytest.mark.parametrize(("slow", "holds"), [(6, True), (1, False)])
def test_slow_is_said_at_any_accuracy(slow: int, holds: bool) -> None:
    def run(epochs_per_step: int) -> SimpleNamespace:
        test = np.minimum(np.arange(1, 31) / (10 * epochs_per_step), 1) * 0.7
        return SimpleNamespace(best=test.max(), history=pd.DataFrame({"test": test}))

    runs: dict[str, Any] = {
        sce_parameters._name(alpha): run(slow if alpha == 0.01 else 1) for alpha in sce_parameters._ALPHAS
    }
    claim = sce_parameters._slow(runs)
    assert claim.holds is holds
    assert "first epoch with 63.0% test accuracy, 90% of the best of any alpha" in claim.ours
