"""The command itself: help, version, and what its small commands say."""

import importlib.metadata
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thresher import demo, methods

Call = Callable[..., Any]
MAIN = "from thresher.cli import main; main()"


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_answers_at_once_and_without_torch(word: str) -> None:
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", MAIN, word], capture_output=True, text=True, check=True)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 1.5  # half a second on a machine that does nothing else
    assert done.stderr == ""
    assert (
        ("Usage:" in done.stdout) if word == "--help" else done.stdout.strip() == importlib.metadata.version("thresher")
    )
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {MAIN}"
    done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, check=True)
    assert {"torch", "numpy", "pandas"} & set(done.stderr.split()) == set()


def test_warnings_are_lines_also_of_settings(thresher: Call, npz: str) -> None:
    Path("T.csv").write_text("0.34,0.33,0.33\n0.33,0.34,0.33\n0.33,0.33,0.34\n")
    words = ("--method", "backward_correction", "--set", "backward_correction.matrix=T.csv", "--bs", "16", "--dry-run")
    said = thresher("train", npz, *words)
    assert said.code == 0
    assert said.err.startswith("warning: the transition matrix is ill-conditioned, with a condition number of 100")


def test_without_arguments_it_helps(thresher: Call) -> None:
    said = thresher()
    assert (said.code, said.err) == (2, "")
    assert "Usage:" in said.out
    for command in ("demo", "train", "methods", "doctor"):
        assert command in said.out


@pytest.mark.parametrize("words", [["tran"], ["--verson"], ["methods", "--jsn"], ["demo", "extra"]])
def test_unknown_words(words: list[str], thresher: Call) -> None:
    said = thresher(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("thresher: ")
    assert said.err.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    assert reader.stdin is not None
    reader.wait()
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "--help"], stdout=reader.stdin, stderr=subprocess.PIPE, text=True, check=False
    )
    reader.stdin.close()
    assert done.stderr == ""


def test_methods_as_json(thresher: Call) -> None:
    listed = json.loads(thresher("methods", "--json").out, parse_constant=pytest.fail)
    assert [one["name"] for one in listed] == methods.names()
    assert len(listed) >= 13
    for one in listed:
        assert {"name", "family", "idea", "slots", "networks", "paper", "fields", "drop_in"} < set(one)
        assert one["drop_in"] in ("loss", "optimizer", None)
        assert one["paper"]
        for field in one["fields"]:
            assert {"name", "type", "default", "letter", "low", "high"} < set(field)
    told = {one["name"]: one for one in listed}
    assert told["elr"]["fields"][0] == {
        "name": "strength", "type": "float", "default": 3.0, "letter": "lambda", "low": 1.0, "high": 10.0,
        "least": 0.0, "most": None, "choices": None, "meaning": "weight of the penalty.",
    }  # fmt: skip
    assert told["elr"]["drop_in"] == "loss"
    assert told["cdr"]["drop_in"] == "optimizer"
    assert told["dividemix"]["drop_in"] is None
    assert told["dividemix"]["networks"] == 2
    assert told["mixup"]["presets"]["sym20"] == {"alpha": 8.0}
    (one,) = json.loads(thresher("methods", "gce", "--json").out)
    assert one == told["gce"]


def test_methods_for_people(thresher: Call) -> None:
    lines = thresher("methods").out.splitlines()
    first = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in first] == methods.names()
    assert any(line.split() == ["gce", "robust", "loss", "th.as_loss", "loss"] for line in first)
    assert any(line.endswith("th.as_loss       inputs") for line in first if line.startswith("mixup"))
    assert "Generalised cross-entropy: between" in lines[2 * methods.names().index("gce") + 1]
    assert lines[2 * methods.names().index("gce") + 1].endswith("(Zhang and Sabuncu, NeurIPS 2018)")
    page = thresher("methods", "elr").out
    assert "Early-learning regularisation" in page
    assert "--set elr.strength=3.0 (--lambda): weight of the penalty. Worth searching: 1 to 10." in page
    assert 'in your own loop: th.as_loss(th.method("elr"), num_samples=50_000, num_classes=10)' in page
    assert "not with mixup: the other mixes samples, and elr needs each sample's own prediction: choose one" in page
    assert "recipes: elr-cifar10-asym40," in page
    assert "did you mean elr" in thresher("methods", "elrr").err


def test_the_page_of_a_method_shows_what_can_be_typed(thresher: Call) -> None:
    page = thresher("methods", "mixup").out
    assert "--set mixup.preset=sym20: alpha=8.0" in page
    assert (
        "in your own loop: none, for aum cannot be a loss: it needs its own networks" in thresher("methods", "aum").out
    )
    assert "--set cdr.estimate=false:" in thresher("methods", "cdr").out


def test_doctor(thresher: Call) -> None:
    found = json.loads(thresher("doctor", "--json").out)
    assert list(found) == ["versions", "devices", "threads", "extras", "data"]
    assert found["versions"]["thresher"] == importlib.metadata.version("thresher")
    assert found["data"]["digits"] == "1,437 training rows"
    assert set(found["data"]) >= {"digits", "mnist", "fashion_mnist", "cifar10", "cifar10n:worse", "cifar100n"}
    said = thresher("doctor", "--data-root", "absent")
    assert said.code == 0
    assert "\n  mnist: there is no folder absent: check --data-root" in said.out


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration of seconds."""
    monkeypatch.setattr(demo, "EPOCHS", 2)
    monkeypatch.setattr(demo, "METHODS", {"cross_entropy": {}, "elr": {"strength": 2.0}})
    monkeypatch.setattr(demo, "_FOLDS", 2)


@pytest.mark.usefixtures("short")
def test_demo(thresher: Call) -> None:
    said = thresher("demo", "--json")
    document = json.loads(said.out)
    assert list(document) == ["methods", "detection", "report"]
    assert [one["method"] for one in document["methods"]] == ["cross_entropy", "elr"]
    assert all(list(one) == ["method", "last", "selected", "oracle", "seconds"] for one in document["methods"])
    assert list(document["detection"]) == ["method", "precision", "recall", "f1"]
    assert document["report"] == "runs/demo-1/report.html"
    assert Path(document["report"]).exists()
    assert said.err.startswith("1,437 handwritten digits, 40 % of their labels made wrong")
    again = thresher("demo", "--out", "runs/demo-1")
    assert (again.code, again.out) == (2, "")
    assert "runs/demo-1 exists: pick another with --out" in again.err


def test_demo_in_words(thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {
        "methods": [
            {"method": "cross_entropy", "last": 0.7, "selected": 0.9, "oracle": 0.91, "seconds": 4.2},
            {"method": "dividemix", "last": 0.983, "selected": 0.98, "oracle": 0.99, "seconds": 31.7},
        ],
        "detection": {"method": "dividemix", "precision": 0.95, "recall": 0.968, "f1": 0.96},
        "report": "shown/report.html",
    }
    monkeypatch.setattr(demo, "run", lambda out, progress: document)
    said = thresher("demo", "--quiet", "--out", "shown")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "\nmethod           last   selected   seconds\n"
        "cross_entropy   70.0%      90.0%         4\n"
        "dividemix       98.3%      98.0%        32\n\n"
        "Trained to the end, cross_entropy learned wrong labels by heart; dividemix is 28 points better on clean test "
        "digits.\n"
        "dividemix found 96.8% of the wrong labels; 95.0% of its suspects are wrong.\n"
        "Look at them: shown/report.html\n"
    )
