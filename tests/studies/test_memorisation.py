import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from thresher.data import load
from thresher.parts.targets import normalise
from thresher.studies import _elr as common
from thresher.studies import memorisation
from thresher.studies.lab import Lab, some


@pytest.fixture
def tiny(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Two epochs on 150 digits."""
    data = some(load("digits"), 150)
    monkeypatch.setattr(Lab, "data", lambda lab, **names: data)
    return lab


def test_it_runs_through(tiny: Lab) -> None:
    outcome = memorisation.study(tiny)
    assert len(outcome.claims) == 6
    assert outcome.claims[-1].holds is None
    assert [figure.name for figure in outcome.figures] == ["memorisation", "without-true-labels", "test"]
    values = outcome.tables["values"].set_index("value")
    assert values["source"]["CE, wrongly labelled, memorised: last epoch"] == "about 0.87"
    assert len(outcome.tables["epochs"]) == 4
    assert "seconds" not in outcome.tables["epochs"]
    shares = outcome.tables["epochs"][["wrong_right", "wrong_memorised", "wrong_other"]].sum(axis=1)
    assert shares.to_numpy() == pytest.approx(1)


def test_targets_are_compared_with_labels(tiny: Lab) -> None:
    data = tiny.data()
    settings = common.settings(tiny, batch=32)
    found = {
        name: tiny.train(name, method, data=data, noise="symmetric:0.4", probes=(memorisation.target,), **settings)
        for name, method in common.methods().items()
    }
    assert "target_given" not in found["CE"].history
    run, last = found["ELR"].run, found["ELR"].history.iloc[-1]
    leads = normalise(run.table("elr_target.0", 10).full()).argmax(1).tolist()
    given, clean = run.given.tolist(), data.train.labels[run.rows].tolist()
    assert last["target_given"] == pytest.approx(sum(t == y for t, y in zip(leads, given, strict=True)) / run.size)
    wrong = [(t, c) for t, c, y in zip(leads, clean, given, strict=True) if c != y]
    assert last["target_right"] == pytest.approx(sum(t == c for t, c in wrong) / len(wrong))


def test_the_crossing_is_sought_after_the_peak() -> None:
    shares = {"wrong_right": [0.1, 0.8, 0.7, 0.4], "wrong_memorised": [0.2, 0.1, 0.2, 0.5]}
    history = pd.DataFrame({"epoch": [1, 2, 3, 4], **shares})
    assert memorisation.crossing(history) == 4
    assert memorisation.crossing(history.head(3)) is None


def test_the_full_form_is_the_sources(tmp_path: Path) -> None:
    settings = common.settings(Lab(tmp_path, full=True), batch=32)
    assert (settings["net"], settings["epochs"], settings["batch"], settings["augment"]) == (
        "resnet34",
        120,
        128,
        False,
    )
    assert settings["optimizer"] == {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-3}
    assert settings["schedule"] == {"name": "multistep", "milestones": (40, 80), "gamma": 0.01}
    assert dataclasses.asdict(common.methods()["ELR"]) == {"strength": 3.0, "momentum": 0.7}


def test_with_augmentation_few_are_memorised_or_it_says_so(tiny: Lab) -> None:
    history = pd.DataFrame({"epoch": [1], "wrong_memorised": [0.17]})
    run = dataclasses.replace(
        tiny.train("one", "cross_entropy", data=tiny.data(), noise="symmetric:0.4", epochs=1, batch=32), history=history
    )
    assert memorisation._augmentation(run).holds is True
    many = dataclasses.replace(run, history=history.assign(wrong_memorised=0.8))
    assert memorisation._augmentation(many).holds is False
