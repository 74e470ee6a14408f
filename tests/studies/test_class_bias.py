from pathlib import Path

import numpy as np
import pytest
import torch

from thresher.studies import _classes as common
from thresher.studies import class_bias
from thresher.studies._probes import per_class
from thresher.studies.lab import Lab, Training, some
from thresher.studies.page import write


@pytest.fixture
def tiny(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Two epochs on sixty digits."""
    data = some(common.halved(lab.data()), 60)
    monkeypatch.setattr(common, "data", lambda lab: data)
    return lab


def test_it_runs_through(tiny: Lab) -> None:
    outcome = class_bias.study(tiny)
    assert len(outcome.claims) == 8
    assert [figure.name for figure in outcome.figures] == [
        "classes-over-epochs",
        "classes-at-epochs",
        "lost",
        "confidence",
        "predicted",
    ]
    assert len(outcome.tables["per-class"]) == len(outcome.tables["confidence"]) == 9 * 2 * 10
    assert len(outcome.tables["lost"]) == 6 * 10
    hardest = outcome.tables["hardest"]
    assert hardest.groupby(["method", "noise", "epoch"])["share"].sum().to_numpy() == pytest.approx(1)
    assert len(hardest) == 9 * 2 * 10
    for claim in outcome.claims:
        assert "nan" not in claim.ours
        assert claim.sentence
    page = write(outcome, tiny.folder, quick=True, made={}).read_text()
    assert "about 60 to 75 %" in page


def test_claims_about_classes_of_cifar_stay_open_on_digits(tiny: Lab) -> None:
    open_ = [claim.text for claim in class_bias.study(tiny).claims if claim.holds is None]
    assert len(open_) == 4
    assert all("class" in text for text in open_)


def test_the_lost_accuracy_is_divided_without_rest() -> None:
    draws = np.random.default_rng(0)
    clean, noisy = draws.uniform(0.7, 1, (12, 10)), draws.uniform(0.2, 0.9, (12, 10))
    table = class_bias.split_loss(clean, noisy, window=3)
    assert np.allclose(table["under_learned"] + table["over_fitted"], table["lost"])
    assert (table["over_fitted"] >= 0).all()
    for k in range(10):
        means = [noisy[i : i + 3, k].mean() for i in range(10)]
        assert np.isclose(table["over_fitted"][k], max(means) - means[-1])
        assert np.isclose(table["under_learned"][k], clean[-3:, k].mean() - max(means))


def test_confidence_against_a_plain_loop(tiny: Lab) -> None:
    data = common.data(tiny)
    settings = common.settings(tiny, quick_epochs=2)
    trained = tiny.train(
        "one", "cross_entropy", data=data, noise="symmetric:0.4", probes=(per_class, class_bias.confidence), **settings
    )
    run, last = trained.run, trained.history.iloc[-1]
    shown = next(iter(run.source.open([run.rows], ("plain",), 0)))
    p = torch.softmax(run.predict(0, *shown.values()).logits, 1).cpu()
    clean = data.train.labels[run.rows]
    for k in range(10):
        mine = [i for i in range(run.size) if clean[i] == k and run.given[i] == k]
        assert np.allclose(last["mean_p"][k], np.mean([p[i].numpy() for i in mine], axis=0), atol=1e-4)
        assert np.isclose(last["sure"][k], np.mean([float(p[i, k] > 0.5) for i in mine]), atol=1e-4)
        shares = np.bincount([int(p[i].argmax()) for i in mine], minlength=10) / len(mine)
        assert np.allclose(last["predicted_as"][k], shares, atol=1e-4)


def test_the_full_form_is_the_sources(tmp_path: Path) -> None:
    settings = common.settings(Lab(tmp_path, full=True), quick_epochs=5)
    assert (settings["net"], settings["epochs"], settings["augment"], settings["valid"]) == ("cnn8", 120, True, 0.0)
    assert settings["optimizer"] == {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
    assert settings["schedule"] == {"name": "multistep", "milestones": (40, 80)}
    assert common.sce() == common.sce(alpha=0.1, constant=-6.0)
    assert (common.sce().beta, common.sce().log_zero) == (1.0, -6.0)


def test_each_training_has_settings_that_can_be_done(tiny: Lab) -> None:
    data, settings = common.data(tiny), common.settings(tiny, quick_epochs=2)
    job = Training("one", common.sce(), data, settings=settings)
    assert settings["batch"] <= len(data.train)
    assert job.settings["epochs"] == 2


def test_halves_share_no_row(lab: Lab) -> None:
    half = common.halved(lab.data())
    assert half.test is not None
    assert not set(half.train.keys) & set(half.test.keys)
    assert len(half.train) + len(half.test) == 1797
    assert common.rows_of_class(half) >= 87
