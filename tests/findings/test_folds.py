"""Rows judged by models that never saw them, and the neighbours they are compared with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thresher as th
from thresher import jobs
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


def test_a_class_that_other_folds_lack_gets_nothing() -> None:
    x, labels = np.arange(6.0)[:, None], np.array([0, 1, 2, 0, 1, 0])
    p = estimators.out_of_sample("logistic", x, labels, np.array([0, 0, 0, 1, 1, 1]), 3, seed=0)
    assert (p[:3, 2] == 0).all()
    assert (p[3:, 2] > 0).all()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"model": "forrest"}, r"^there is no model 'forrest': did you mean forest\?$"),
        ({"model": "forest", "kind": "train", "cross_fit": 0}, r"^model is 'forest': train trains networks"),
    ],
)
def test_refusals(make_arrays: Call, workplace: Path, asked: dict[str, Any], sentence: str) -> None:
    arrays = make_arrays(rows=60, test=6)
    with pytest.raises(th.UsageError, match=sentence):
        jobs.prepare(arrays, "cross_entropy", **{"kind": "find", "cross_fit": 3, **asked}, settings={"batch": 16})


def test_images_need_a_network(workplace: Path) -> None:
    x, y = np.zeros((20, 8, 8, 1), dtype=np.uint8), np.arange(20) % 2
    with pytest.raises(th.UsageError, match=r"^model forest learns from features, and .* has images: .* --frozen$"):
        th.find_issues((x, y), model="forest", batch=8, device="cpu")


def test_folds_of_one_class_are_refused() -> None:
    x, labels = np.zeros((4, 1)), np.array([0, 0, 1, 1])
    with pytest.raises(th.UsageError, match=r"^without fold 0, all labels are the same"):
        estimators.out_of_sample("logistic", x, labels, np.array([0, 0, 1, 1]), 2, seed=0)
