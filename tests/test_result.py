"""A finished run, read from its folder alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import thresher as th
from thresher.reporting import write_report
from thresher.result import records

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on images of two kinds, with noise."""
    draws = np.random.default_rng(0)
    y = np.arange(150) % 2
    x = draws.integers(0, 120, size=(150, 8, 8)).astype(np.uint8)
    x[y == 1, 2:6] += 120
    path = tmp_path_factory.mktemp("result") / "run"
    th.fit((x[:100], y[:100], x[100:], y[100:]), noise="symmetric:0.2", epochs=12, batch=16, out=path)
    np.savez(path.parent / "test.npz", x=x[100:], y=y[100:])
    return path


@pytest.fixture
def shown(folder: Path) -> Arrays:
    """The test images and labels of that run."""
    return dict(np.load(folder.parent / "test.npz"))


def test_predictions_of_a_loaded_run_are_the_runs_own(folder: Path, shown: Arrays) -> None:
    result = th.load(str(folder))
    p = result.predict_proba(shown["x"])
    assert p.shape == (50, 2)
    assert p.dtype == np.float32
    assert np.abs(p.sum(1) - 1).max() < 1e-6
    right = result.predict(shown["x"]) == shown["y"].astype(str)
    assert right.mean() == result.selected
    assert right.mean() > 0.8
    for same in (shown["x"][..., None], torch.as_tensor(shown["x"]), (shown["x"] / 255).astype(np.float32)):
        assert np.array_equal(result.predict_proba(same), p)
    assert np.allclose(result.predict_proba(shown["x"][:1]), p[:1], atol=1e-6)


def test_the_model_is_a_module_on_raw_inputs(folder: Path, shown: Arrays) -> None:
    result = th.load(folder)
    raw = torch.as_tensor(shown["x"])[:, None]
    with torch.no_grad():
        p = result.model(raw)
    assert not result.model.training
    assert np.array_equal(p.numpy(), result.predict_proba(shown["x"]))


@pytest.mark.parametrize("shape", [(2, 8, 9), (2, 8, 8, 3), (2, 64), (0, 8, 8)])
def test_other_shapes_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(th.UsageError, match=r"^x (has samples of the shape .* trained on \(1, 8, 8\)|is empty)"):
        th.load(folder).predict(np.zeros(shape, dtype=np.uint8 if len(shape) > 2 else np.float32))


def test_scores_are_those_of_the_history(folder: Path) -> None:
    result = th.load(folder)
    test = result.history["test"].to_numpy()
    assert len(test) == 12
    assert result.last == test[-1]
    assert result.last10 == pytest.approx(test[-10:].mean())
    assert result.oracle == test.max()
    best = result.scores["best_epoch"]
    assert result.selected == test[best - 1]
    means = [result.history["valid"].iloc[max(0, k - 2) : k + 1].mean() for k in range(12)]
    assert means[best - 1] == pytest.approx(max(means))


def test_detection_is_measured_against_the_noise(folder: Path) -> None:
    result = th.load(folder)
    assert result.issues is not None
    assert result.noise is not None
    rows = result.issues["row"].to_numpy()
    wrong = (result.noise.labels != result.noise.clean)[rows]
    flagged = result.issues["is_label_issue"].to_numpy()
    found = result.summary()["detection"]
    assert found["method"] == "elr"
    assert found["precision"] == pytest.approx(wrong[flagged].mean())
    assert found["recall"] == pytest.approx(flagged[wrong].mean())
    assert result.summary()["noise"] == {"estimated": flagged.mean(), "realised": result.noise.realised}
    json.dumps(result.summary(), allow_nan=False)


def test_the_report_is_written_again_and_over_several_runs(folder: Path, tmp_path: Path) -> None:
    result = th.load(folder)
    before = (folder / "report.html").stat().st_mtime_ns
    assert result.report() == folder / "report.html"
    assert (folder / "report.html").stat().st_mtime_ns > before
    page = write_report([result, result], tmp_path / "both.html", title="Two & <more>").read_text(encoding="utf-8")
    assert "Two &amp; &lt;more&gt;" in page


def test_a_line_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert records(path) == []
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo', encoding="utf-8")
    assert records(path) == [{"epoch": 1}, {"epoch": 2}]


def test_load_refuses_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(th.UsageError, match=r"is no run: it holds no readable run\.json"):
        th.load(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 99}', encoding="utf-8")
    with pytest.raises(th.UsageError, match="has the format 99, and this version of Thresher reads 2"):
        th.load(tmp_path)


def test_without_validation_and_test_rows(make_arrays: Callable[..., Arrays], workplace: Path) -> None:
    arrays = make_arrays(rows=60)
    result = th.fit((arrays["x"], arrays["y"]), "gce", valid=0, epochs=2, batch=16, out="run")
    assert (result.last, result.last10, result.selected, result.oracle) == (None, None, None, None)
    assert result.scores["best_epoch"] == 2
    assert result.summary()["detection"] is None
    assert result.summary()["noise"]["realised"] is None
    assert result.issues is not None
    assert len(result.issues) == 60


@pytest.mark.parametrize("method", ["co_teaching", "sop"])
def test_methods_with_several_networks_or_trained_tables(method: str, arrays: Arrays, workplace: Path) -> None:
    chosen = th.method(method, **({"activation": 1} if method == "sop" else {}))
    result = th.fit(arrays, chosen, noise="symmetric:0.2", epochs=2, batch=32, out="run")
    right = th.load("run").predict(arrays["x_test"]) == arrays["y_test"].astype(str)
    assert right.mean() == result.selected
