"""The studies around CDR, each in a form of one epoch on sixty digits: they run through, and their parts are right."""

import math
import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from thresher import studies
from thresher.data import Data
from thresher.studies import _mnist as common
from thresher.studies import cdr_ablation, criterion, lottery_ticket
from thresher.studies.lab import Lab, some
from thresher.studies.page import write

NAMES = ("early-stopping", "lottery-ticket", "noise-by-tau", "cdr-ablation", "criterion")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose data are sixty digits, and one epoch."""
    lab = Lab(tmp_path / "study", epochs=1)
    data = common.data(lab)
    monkeypatch.setattr(common, "data", lambda lab: some(data, 60))
    return lab


@pytest.mark.parametrize("name", NAMES)
def test_a_study_runs_through(tiny: Lab, name: str) -> None:
    outcome = studies.find(name)(tiny)
    assert outcome.claims
    assert outcome.figures
    page = write(outcome, tiny.folder, quick=True, made={}, notes=tiny.notes).read_text()
    assert "1 epoch in place of" in page
    for claim in outcome.claims:
        assert all((claim.text, claim.source, claim.ours, claim.sentence))
        assert "nan" not in claim.ours
    epochs = pd.read_csv(tiny.folder / "epochs.csv")
    assert len(epochs) == len(list((tiny.folder / "runs").iterdir()))
    assert "seconds" not in epochs


def test_the_full_form_is_the_sources(tmp_path: Path) -> None:
    settings = common.settings(Lab(tmp_path, full=True), valid=0.0, quick_epochs=5)
    assert (settings["epochs"], settings["batch"], settings["net"], settings["augment"]) == (100, 128, "lenet", False)
    assert settings["optimizer"] == {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-3}
    assert settings["schedule"] == {"name": "constant"}


def test_the_named_fan_ins_are_the_networks() -> None:
    from thresher import nets

    net = nets.build("lenet", (1, 28, 28), 10)
    weights = [p for p in net.parameters() if p.dim() > 1]
    assert [p[0].numel() for p in weights] == list(cdr_ablation.LAYERS.values())
    for p in weights:
        bound = p[0].numel() ** -0.5
        assert 0.9 * bound < float(p.detach().abs().max()) <= bound


def test_weights_that_only_decay_vanish_when_predicted() -> None:
    settings = {"optimizer": {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.02}, "batch": 10}
    p = torch.nn.Parameter(torch.linspace(0, 400**-0.5, 1000))
    sgd = torch.optim.SGD([p], lr=0.01, momentum=0.9, weight_decay=0.02)
    steps = 0
    while float(p.detach().max()) > 1e-3:
        p.grad = torch.zeros_like(p)
        sgd.step()
        steps += 1
    assert math.isclose(cdr_ablation.predicted(settings, rows=100)["fc1"], steps / 10, rel_tol=0.03)


def test_what_is_removed_is_gone_from_the_file(tmp_path: Path) -> None:
    weights = {"a.weight": torch.randn(40, 50) * 1e-3, "a.bias": torch.zeros(3)}
    lottery_ticket.save_sparse(weights, tmp_path / "sparse")
    found = lottery_ticket.load_sparse(tmp_path / "sparse")
    for name, value in weights.items():
        assert torch.equal(found[name], torch.where(value.abs() > 1e-3, value, 0.0))
    assert (tmp_path / "sparse").stat().st_size < 0.9 * weights["a.weight"].nbytes


def test_step_times_are_of_three_ways() -> None:
    table = criterion.step_times(("lenet",))
    assert list(table.columns) == ["net", "weights", "plain", "exact", "sampled"]
    assert table["weights"].tolist() == [61_706]
    assert bool((table[["plain", "exact", "sampled"]] > 0).all(axis=None))


@pytest.mark.realdata
def test_the_full_form_takes_mnist(tmp_path: Path) -> None:
    if not os.environ.get("THRESHER_DATA"):
        pytest.skip("THRESHER_DATA names no folder of official files")
    data: Data = common.data(Lab(tmp_path, full=True))
    assert (data.name, len(data.train), tuple(data.train.inputs.shape[1:])) == ("mnist", 60_000, (1, 28, 28))
