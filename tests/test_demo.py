"""The demonstration, made short: the same noise for every method, one report, and a document of plain values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thresher as th
from thresher import demo, jobs


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> None:
    """Two methods, two epochs."""
    monkeypatch.setattr(demo, "EPOCHS", 2)
    monkeypatch.setattr(demo, "METHODS", {"cross_entropy": {}, "elr": {"strength": 2.0}})
    monkeypatch.setattr(demo, "_FOLDS", 2)


@pytest.mark.usefixtures("short")
def test_methods_train_on_the_same_wrong_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)
    seen: list[tuple[str, str | None, int]] = []
    document = demo.run(progress=lambda method, fit, record: seen.append((method, fit, record["epoch"])))
    runs = [th.load(f"runs/demo-1/{one['method']}") for one in document["methods"]]
    first, second = (run.noise for run in runs)
    assert first is not None
    assert second is not None
    assert abs(first.realised - 0.4) < 0.002
    assert np.array_equal(first.labels, second.labels)
    assert runs[1].run["method"] == [{"name": "elr", "fields": {"strength": 2.0, "momentum": 0.7}}]
    assert [one["last"] for one in document["methods"]] == [run.last for run in runs]
    assert {run.run["data"]["test"] for run in runs} == {360}
    main = [entry for entry in seen if entry[1] is None]
    assert main == [("cross_entropy", None, 1), ("cross_entropy", None, 2), ("elr", None, 1), ("elr", None, 2)]
    json.dumps(document, allow_nan=False)
    page = Path(document["report"]).read_text(encoding="utf-8")
    assert "cross_entropy" in page
    assert "elr" in page
    assert jobs.fresh_folder("demo") == Path("runs/demo-2")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_existing_folder_is_refused_before_anything_is_trained(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.touch()
    else:
        out.mkdir()
        (out / "something").touch()
    with pytest.raises(th.UsageError, match=r"out exists: pick another with --out"):
        demo.run(out)


def test_every_method_of_the_demonstration_is_there() -> None:
    settings: dict[str, dict[str, Any]] = demo.METHODS
    assert settings.keys() >= {"cross_entropy", "elr", "gce", "co_teaching", "dividemix"}
    for name, fields in settings.items():
        th.method(name, **fields)
