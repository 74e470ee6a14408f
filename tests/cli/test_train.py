"""`thresher train`: settings from everywhere, what goes where, and going on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thresher as th
from thresher.cli.progress import Progress

Call = Callable[..., Any]
FAST = ("--bs", "32", "--epochs", "2")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the report out, which takes longest."""
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)


@pytest.fixture
def plan(npz: str, thresher: Call) -> Callable[..., dict[str, Any]]:
    """What a command line would do, by ``--dry-run --json``."""

    def ask(*words: object, data: str | None = npz) -> dict[str, Any]:
        said = thresher("train", *([data] if data else []), *words, "--dry-run", "--json")
        assert said.code == 0, said.err
        document: dict[str, Any] = json.loads(said.out)
        return document

    return ask


def test_json_has_exactly_these_keys(npz: str, thresher: Call) -> None:
    said = thresher("train", npz, *FAST, "--noise", "symmetric:0.2", "--json")
    document = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert list(document) == [
        *("run", "method", "last", "last10", "selected", "oracle", "best_epoch", "noise", "detection", "seconds")
    ]
    assert set(document["noise"]) == {"estimated", "realised"}
    assert document["noise"]["realised"] == 0.2
    assert set(document["detection"]) == {"method", "precision", "recall", "f1"}
    assert document["run"] == "runs/points-elr-1"
    assert document["method"] == "elr"
    assert document["best_epoch"] in (1, 2)
    lines = said.err.splitlines()  # progress is there, and is not on standard output
    assert [line.split("  ")[0] for line in lines[1:]] == ["epoch 1/2", "epoch 2/2"]
    assert "to go" in lines[1]


def test_what_is_unknown_is_null(npz: str, arrays: dict[str, Any], thresher: Call) -> None:
    np.savez(npz, x=arrays["x"], y=arrays["y"])
    document = json.loads(thresher("train", npz, *FAST, "--json", "--quiet").out)
    unknown = {key for key, value in document.items() if value is None}
    assert unknown == {"last", "last10", "selected", "oracle", "detection"}
    assert document["noise"]["realised"] is None


def test_words_for_people(npz: str, thresher: Call) -> None:
    said = thresher("train", npz, *FAST, "--noise", "symmetric:0.2", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("test accuracy: last ")
    assert said.out.endswith("suspects: runs/points-elr-1/issues.csv\nreport: runs/points-elr-1/report.html\n")


def test_dry_run_writes_nothing(npz: str, thresher: Call) -> None:
    said = thresher("train", npz, *FAST, "--noise", "symmetric:0.2", "--method", "elr,cdr", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("would train ELR(strength=3.0, momentum=0.7), CDR(")
    assert (
        "on points: 108 rows, 12 held out, 0 trusted, 60 test rows, 3 classes, 20.0% of labels made wrong" in said.out
    )
    assert said.out.endswith("into runs/points-elr-cdr-1; nothing was written\n")
    assert [path.name for path in Path().iterdir()] == [npz]


def test_command_line_wins_over_toml_wins_over_default(plan: Callable[..., dict[str, Any]], npz: str) -> None:
    Path("some").mkdir()
    Path(npz).rename("some/points.npz")
    Path("some/run.toml").write_text(
        'data = "points.npz"\nmethod = ["elr", "cdr"]\nnoise = ["symmetric:0.2"]\nepochs = 7\nbatch = 16\nvalid = 0.2\n'
        'device = "cpu"\n[optimizer]\nlr = 0.5\nmomentum = 0.1\n[schedule]\nname = "constant"\n'
        "[elr]\nlambda = 5\n[cdr]\nnoise_rate = 0.3\n",
        encoding="utf-8",
    )
    told = plan("-c", "some/run.toml", data=None)
    assert told["method"] == ["ELR(strength=5, momentum=0.7)", repr(th.method("cdr", noise_rate=0.3))]
    options = told["options"]
    assert (options["epochs"], options["batch"], options["valid"], options["seed"]) == (7, 16, 0.2, 0)
    assert (options["optimizer"]["lr"], options["optimizer"]["momentum"]) == (0.5, 0.1)
    assert options["schedule"]["name"] == "constant"
    assert told["noise"]["generator"] == "symmetric:0.2:0"
    typed = ["--epochs", 3, "--lr", 0.25, "--lambda", 9, "--set", "cdr.noise_rate=0.1", "--noise", "symmetric:0.3:4"]
    told = plan("-c", "some/run.toml", *typed, "--set", "schedule.name=cosine", data=None)
    assert told["method"] == ["ELR(strength=9, momentum=0.7)", repr(th.method("cdr", noise_rate=0.1))]
    options = told["options"]
    assert (options["epochs"], options["batch"]) == (3, 16)
    assert (options["optimizer"]["lr"], options["optimizer"]["momentum"]) == (0.25, 0.1)
    assert options["schedule"]["name"] == "cosine"
    assert told["noise"]["generator"] == "symmetric:0.3:4"


def test_letters_and_set(plan: Callable[..., dict[str, Any]]) -> None:
    assert plan(*FAST, "--lambda", 7)["method"] == ["ELR(strength=7, momentum=0.7)"]
    assert plan(*FAST, "--lambda=7", "--beta=0.9")["method"] == ["ELR(strength=7, momentum=0.9)"]
    assert plan(*FAST, "--lambda", 7, "points.npz", data=None)["method"] == ["ELR(strength=7, momentum=0.7)"]
    assert plan(*FAST, "--strength", 7)["method"] == ["ELR(strength=7, momentum=0.7)"]
    told = plan(*FAST, "--method", "sce,mixup", "--set", "sce.alpha=2", "--set", "mixup.alpha=1")
    assert told["method"][1] == "Mixup(alpha=1)"
    told = plan(*FAST, "--set", "checkpoint_minutes=0", "--set", "stop=patience", "--set", "optimizer.name=adam")
    assert (told["options"]["checkpoint_minutes"], told["options"]["stop"]) == (0, "patience")
    assert told["options"]["optimizer"]["name"] == "adam"


def test_a_letter_of_two_methods_names_both_forms(npz: str, thresher: Call) -> None:
    said = thresher("train", npz, *FAST, "--method", "sce,mixup", "--alpha", 1)
    assert said.code == 2
    assert "write --set sce.alpha=1 or --set mixup.alpha=1" in said.err


def test_names_count_up(npz: str, thresher: Call) -> None:
    runs = [json.loads(thresher("train", npz, *FAST, "--quiet", "--json").out)["run"] for _ in range(2)]
    runs.append(json.loads(thresher("train", npz, *FAST, "--quiet", "--json", "--name", "mine").out)["run"])
    assert runs == ["runs/points-elr-1", "runs/points-elr-2", "runs/mine"]


def test_resume_with_more_epochs_from_another_folder(
    npz: str, thresher: Call, monkeypatch: pytest.MonkeyPatch, workplace: Path
) -> None:
    assert thresher("train", npz, *FAST, "--noise", "symmetric:0.2", "--quiet").code == 0
    before = Path("runs/points-elr-1/metrics.jsonl").read_text(encoding="utf-8")
    (workplace / "elsewhere").mkdir()
    monkeypatch.chdir(workplace / "elsewhere")
    said = thresher("train", "--resume", "../runs/points-elr-1/", "--epochs", 3, "--json")
    assert said.code == 0
    assert json.loads(said.out)["run"] == "../runs/points-elr-1"
    assert [line.split("  ")[0] for line in said.err.splitlines()[1:]] == ["epoch 3/3"]
    after = Path("../runs/points-elr-1/metrics.jsonl").read_text(encoding="utf-8")
    assert after.startswith(before)
    assert after.count("\n") == 3
    assert thresher("train", "--resume", "../runs/points-elr-1", "--quiet").code == 0  # nothing is left to do


def test_paths_with_spaces_and_letters_of_all_kinds(npz: str, thresher: Call) -> None:
    Path(npz).rename("ünï côdé.npz")
    said = thresher("train", "ünï côdé.npz", *FAST, "--out", "a b/ö", "--quiet", "--json")
    assert json.loads(said.out)["run"] == "a b/ö"
    assert th.load("a b/ö").run["data"]["name"] == "ünï côdé"


def test_two_processes_print_once(npz: str, thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.engine.runtime.is_main_process", lambda: False)
    assert thresher("train", npz, *FAST, "--quiet", "--json").out == ""


def test_progress_is_a_line_that_is_rewritten_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress(3, "elr  ")
    progress(None, {"epoch": 1, "seconds": 40, "loss": 0.5, "valid": None, "test": 0.25})
    progress("fold-0", {"epoch": 1, "seconds": 40, "loss": 0.5})
    progress.done()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    shown = said.err.split("\r\x1b[2K")
    assert shown[1] == "elr  epoch 1/3  loss 0.500, test 25.0%, 1 min 20 s to go"
    assert shown[2] == "elr  fold-0: epoch 1  loss 0.500"
