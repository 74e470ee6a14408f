"""Rows judged by models that never saw them, and the neighbours they are compared with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thresher as th
from thresher import jobs, training
from thresher.engine.runtime import Runtime
from thresher.engine.study import Study
from thresher.findings import estimators
from thresher.findings.folds import NEIGHBOURS, OutOfSample, out_of_sample
from thresher.inputs import open_inputs
from thresher.training import material

Call = Callable[..., Any]


def judged(data: Any, **asked: Any) -> tuple[jobs.Job, OutOfSample]:
    model = asked.pop("model", "net")
    job = jobs.prepare(
        data, "cross_entropy", kind="find", cross_fit=3, settings={"epochs": 2, "batch": 16}, device="cpu", **asked
    )
    runtime = Runtime.start("cpu")
    study = Study(job.method, job.options, material(job, runtime, open_inputs(job, runtime.device)), runtime)
    rows = np.concatenate([job.rows, job.trusted])
    return job, out_of_sample(study, rows, job.data, 3, model=model, epochs=2)


@pytest.mark.parametrize("model", ["net", "logistic"])
def test_neighbours_are_of_other_folds_and_other_groups(make_arrays: Call, workplace: Path, model: str) -> None:
    arrays = make_arrays(rows=60, test=0)
    del arrays["x_test"], arrays["y_test"]
    group = np.arange(60) // 6
    _, found = judged({**arrays, "group": group}, model=model)
    assert found.probabilities.shape == (60, 3)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
    assert found.neighbours is not None
    assert found.neighbours.index.shape == (60, NEIGHBOURS)
    assert not (group[found.neighbours.index] == group[:, None]).any()


def test_images_are_compared_by_networks_that_never_saw_them(workplace: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.random((60, 8, 8, 1)) * 60 + 150 * y[:, None, None, None]).astype(np.uint8)
    _, found = judged((x, y))
    assert found.neighbours is not None
    assert (y[found.neighbours.index] == y[:, None]).mean() > 0.9


def test_trusted_rows_are_judged_too(make_arrays: Call, workplace: Path) -> None:
    arrays = make_arrays(rows=60, test=0)
    del arrays["x_test"], arrays["y_test"]
    for model in ("net", "forest"):
        job, found = judged(arrays, noise="symmetric:0.2", trusted="per-class:4", model=model)
        assert len(job.trusted) == 12
        assert found.probabilities.shape == (60, 3)
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
        assert found.neighbours is not None


def test_few_rows_have_no_neighbours(workplace: Path) -> None:
    x, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    job = jobs.prepare(
        (x, y), "cross_entropy", kind="find", cross_fit=2, settings={"batch": 2, "valid": 0.0}, device="cpu"
    )
    runtime = Runtime.start("cpu")
    study = Study(job.method, job.options, material(job, runtime, open_inputs(job, runtime.device)), runtime)
    found = out_of_sample(study, job.rows, job.data, 2, model="logistic")
    assert found.neighbours is not None  # two others: the fewest that can be asked
    assert found.neighbours.index.shape == (4, 2)


@pytest.mark.parametrize("model", estimators.names())
def test_classifiers_find_what_was_made_wrong(make_arrays: Call, workplace: Path, model: str) -> None:
    arrays = make_arrays(rows=240, test=0)
    del arrays["x_test"], arrays["y_test"]
    result = th.find_issues(arrays, model=model, folds=3, noise="symmetric:0.2", batch=16, device="cpu", out="run")
    assert result.detections[0]["name"] == "combined"
    assert result.detections[0]["average_precision"] > 0.85
    assert not Path("run/fits").exists()


def test_a_small_table_needs_no_size_of_a_batch(workplace: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(40, 2)) + 4 * (np.arange(40) % 2)[:, None], np.arange(40) % 2
    assert len(th.find_issues((x, y), model="logistic", device="cpu", out="run").finished()) == 40


def test_copies_and_outliers_of_a_table(workplace: Path) -> None:
    draws = np.random.default_rng(0)
    y = np.arange(300) % 2
    x = draws.normal(size=(300, 6)) + 6 * y[:, None]
    copied = np.arange(0, 120, 2)
    x[copied + 1], y[copied + 1] = x[copied] + 1e-4 * draws.normal(size=(60, 6)), 1 - y[copied]
    x[200:206] = x[200:206] * np.linspace(20, 40, 6)[:, None]  # in the direction of their class, and far beyond
    found = th.find_issues((x, y), model="logistic", device="cpu", out="run").finished().set_index("row")
    near = found.loc[np.concatenate([copied, copied + 1])]
    assert (near["duplicate_of"] != "").all()  # in the same fold, too
    assert (found.loc[200:205, "kind"] == "outlier").all()


def test_trusted_rows_have_no_kind(workplace: Path) -> None:
    draws = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = draws.normal(size=(120, 4)) + 6 * y[:, None]
    x[7] *= 50
    pd.DataFrame({"key": ["7"], "label": ["1"]}).to_csv("trusted.csv", index=False)
    asked: dict[str, Any] = {"kind": "find", "cross_fit": 3, "model": "logistic"}
    before = training.train(jobs.prepare((x, y), "cross_entropy", **asked)).finished().set_index("key")
    assert before.loc["7", "kind"] == "outlier"
    job = jobs.prepare((x, y), "cross_entropy", **asked, trusted="trusted.csv")
    found = training.train(job).finished().set_index("key")
    assert found.loc["7", "kind"] == ""
    assert (found.loc[found["kind"] != "", "p_wrong"].notna()).all()


def test_a_class_with_one_member_to_learn_from() -> None:
    x, labels = np.arange(60.0)[:, None], np.arange(60) % 2
    labels[[0, 30]] = 2
    p = estimators.out_of_sample("boosting", x, labels, np.repeat([0, 1], 30), 3, seed=0)
    assert np.isfinite(p).all()


def test_a_class_that_other_folds_lack_gets_nothing() -> None:
    x, labels = np.arange(6.0)[:, None], np.array([0, 1, 2, 0, 1, 0])
    p = estimators.out_of_sample("logistic", x, labels, np.array([0, 0, 0, 1, 1, 1]), 3, seed=0)
    assert (p[:3, 2] == 0).all()
    assert (p[3:, 2] > 0).all()


def test_settings_of_a_network_mean_nothing_to_a_classifier(workplace: Path, thresher: Call) -> None:
    for words in (["--net", "mlp"], ["--epochs", 3], ["--lambda", 3]):
        refused = thresher("find", "digits", "--model", "forest", "--frozen", "--weights", "x", *words)
        assert refused.code == 2
        if words[0] != "--net":
            assert f"so {words[0]} means nothing" in refused.err
    refused = thresher("find", "table.csv", "--label", "y", "--model", "forest", "--net", "mlp")
    assert (refused.code, "so --net means nothing" in refused.err) == (2, True)
    refused = thresher("find", "table.csv", "--label", "y", "--model", "forest", "--weights", "x.pt")
    assert (refused.code, "so --weights means nothing" in refused.err) == (2, True)
    pd.DataFrame({"a": range(40), "y": ["cat", "dog"] * 20}).to_csv("table.csv", index=False)
    said = thresher("find", "table.csv", "--label", "y", "--model", "forest", "--dry-run")
    assert said.code == 0, said.err
    assert said.out.startswith("would train forest, 5 folds\non table: 40 rows")
    pd.DataFrame({"key": ["0", "1"], "label": ["cat", "dog"]}).to_csv("known.csv", index=False)
    words = ["find", "table.csv", "--label", "y", "--model", "forest", "--trusted", "known.csv", "--out", "x.csv"]
    said = thresher(*words, "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert (told["method"], told["seconds"], told["issues"]) == ("forest", None, "x.csv")
    assert said.err.startswith("table: 40 rows of 2 classes, 1 features; forest\n")
    assert pd.read_csv("x.csv").set_index("key").loc[[0, 1], "p_wrong"].isna().all()
    assert "epochs" not in said.out


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"model": "forrest"}, r"^there is no model 'forrest': did you mean forest\?$"),
        ({"settings": {"batch": 16, "stop": "never"}}, r"^each fold stops by a noisy split of its own, so stop means"),
        ({"settings": {"batch": 16, "patience": 3}}, r"so patience means nothing: leave it out$"),
        ({"model": "forest", "kind": "train", "cross_fit": 0}, r"^model is 'forest': train trains networks"),
    ],
)
def test_refusals(make_arrays: Call, workplace: Path, asked: dict[str, Any], sentence: str) -> None:
    arrays = make_arrays(rows=60, test=6)
    with pytest.raises(th.UsageError, match=sentence):
        jobs.prepare(arrays, "cross_entropy", **{"kind": "find", "cross_fit": 3, "settings": {"batch": 16}, **asked})


def test_images_need_a_network(workplace: Path) -> None:
    x, y = np.zeros((20, 8, 8, 1), dtype=np.uint8), np.arange(20) % 2
    with pytest.raises(th.UsageError, match=r"^model forest learns from features, and .* has images: .* --frozen$"):
        th.find_issues((x, y), model="forest", batch=8, device="cpu")


def test_folds_of_one_class_are_refused() -> None:
    x, labels = np.zeros((4, 1)), np.array([0, 0, 1, 1])
    with pytest.raises(th.UsageError, match=r"^without fold 0, all labels are the same"):
        estimators.out_of_sample("logistic", x, labels, np.array([0, 0, 1, 1]), 2, seed=0)
