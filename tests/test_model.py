"""What was trained is used: predictions of new samples, and files that run without Thresher."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import thresher as th
from thresher.model import Model

TINY: dict[str, Any] = {"epochs": 2, "batch": 32, "device": "cpu"}
Call = Callable[..., Any]


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = draws.integers(0, 120, (80, 12, 12), dtype=np.uint8) + (100 * y[:, None, None]).astype(np.uint8)
    return {"x": x, "y": y}


@pytest.mark.parametrize("method", ["elr", "co_teaching"])
def test_the_exported_model_gives_the_same_numbers(method: str, images: dict[str, np.ndarray], workplace: Path) -> None:
    result = th.fit(images, method, out="run", **TINY)
    path = result.export("model.pt2")
    program = torch.export.load(path).module()
    x = torch.from_numpy(images["x"])[:, None]
    for count in (1, 2, 80):
        assert np.array_equal(program(x[:count]).detach().numpy(), result.predict_proba(images["x"][:count]))
    facts = json.loads(Path("model.pt2.json").read_text(encoding="utf-8"))
    assert facts == {"classes": ["0", "1"], "input": [None, 1, 12, 12], "dtype": "uint8"}


def test_features_are_exported_as_they_are(arrays: dict[str, np.ndarray], workplace: Path) -> None:
    result = th.fit(arrays, "gce", out="run", **TINY)
    program = torch.export.load(result.export("m.pt2")).module()
    assert np.array_equal(program(torch.from_numpy(arrays["x"])).detach().numpy(), result.predict_proba(arrays["x"]))


def test_onnx_gives_the_same_numbers(images: dict[str, np.ndarray], workplace: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    result = th.fit(images, "elr", out="run", **TINY)
    session = onnxruntime.InferenceSession(str(result.export("model.onnx", "onnx")))
    (given,) = session.run(None, {"x": images["x"][:, None]})
    assert np.allclose(given, result.predict_proba(images["x"]), atol=1e-5)


def test_nothing_is_overwritten(arrays: dict[str, np.ndarray], workplace: Path) -> None:
    result = th.fit(arrays, "gce", out="run", **TINY)
    Path("m.pt2").write_text("mine", encoding="utf-8")
    with pytest.raises(th.UsageError, match=r"^m\.pt2 exists: name another file"):
        result.export("m.pt2")
    assert Path("m.pt2").read_text(encoding="utf-8") == "mine"
    with pytest.raises(th.UsageError, match=r"^there is no export format 'tf': choose one of torch, onnx"):
        result.export("n.pt2", "tf")
    with pytest.raises(th.UsageError, match=r"^there is no folder absent to write m\.pt2 into"):
        result.export("absent/m.pt2")
    assert not Path("n.pt2").exists()


def test_predict_writes_one_row_per_sample(npz: str, thresher: Call) -> None:
    assert thresher("train", npz, "--epochs", 2, "--bs", 32, "--out", "run", "--quiet").code == 0
    said = thresher("predict", "run", npz, "--out", "predicted.csv")
    assert said.code == 0
    assert said.out.startswith("120 predictions in predicted.csv: ")
    table = pd.read_csv("predicted.csv")
    assert list(table.columns) == ["key", "predicted", "0", "1", "2"]
    assert np.allclose(table[["0", "1", "2"]].sum(axis=1), 1, atol=1e-5)
    assert (table["predicted"] == table[["0", "1", "2"]].to_numpy().argmax(1)).all()
    again = thresher("predict", "run", npz, "--out", "predicted.csv")
    assert (again.code, again.err) == (
        2,
        "thresher: predicted.csv exists: name another file with --out, for nothing is overwritten\n",
    )
    assert thresher("predict", "run", npz).out == Path("predicted.csv").read_text(encoding="utf-8")


def test_export_command(npz: str, thresher: Call) -> None:
    assert thresher("train", npz, "--epochs", 1, "--bs", 32, "--out", "run", "--quiet").code == 0
    said = thresher("export", "run", "--out", "model.pt2")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("model.pt2: takes batches of 6, gives class probabilities")


def test_inputs_of_another_shape_are_refused(npz: str, thresher: Call) -> None:
    assert thresher("train", npz, "--epochs", 1, "--bs", 32, "--out", "run", "--quiet").code == 0
    np.savez("wide.npz", x=np.zeros((3, 7)))
    said = thresher("predict", "run", "wide.npz")
    assert (said.code, said.err) == (
        2,
        "thresher: x has samples of the shape (7,), and the run was trained on (6,): bring them to that shape first\n",
    )
    said = thresher("predict", "run", "absent.npz")
    assert (said.code, said.err) == (2, "thresher: there is no file absent.npz: check the path\n")


def test_a_damaged_reader_is_named(npz: str, thresher: Call) -> None:
    assert thresher("train", npz, "--epochs", 1, "--bs", 32, "--out", "run", "--quiet").code == 0
    Path("run/reader.npz").write_bytes(b"PK nothing")
    said = thresher("predict", "run", npz)
    assert said.code == 1
    assert said.err.startswith("thresher: run/reader.npz is damaged (")


def test_the_model_is_one_module(arrays: dict[str, np.ndarray], workplace: Path) -> None:
    model = th.fit(arrays, "dividemix", out="run", **TINY).model
    assert isinstance(model, Model)
    assert len(model.nets) == 2
    assert not model.training
