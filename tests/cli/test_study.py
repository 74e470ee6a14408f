"""`thresher study`: the list, the claims as lines and as JSON, going on, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from thresher import studies
from thresher.cli import study as command
from thresher.engine.checkpoint import Interrupted
from thresher.studies.lab import Lab, some
from thresher.studies.page import Claim, Outcome

Call = Callable[..., Any]


def toy(lab: Lab) -> Outcome:
    """A study of one tiny training."""
    data = some(lab.data(), 100)
    settings: dict[str, Any] = {"net": "small_cnn", "epochs": lab.length(2, 3), "batch": 50, "augment": False}
    done = lab.train("one", "cross_entropy", data=data, noise="symmetric:0.2", **settings)
    claim = Claim("It learns.", "yes", f"{done.last:.0%}", None, "Two epochs cannot tell.")
    return Outcome("Toy", "Does it learn?", {}, [], {"epochs": pd.DataFrame({"epochs": [len(done.history)]})}, [claim])


@pytest.fixture
def call(thresher: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """``call("early-stopping", ..)``, which does the toy study instead."""
    find = studies.find
    monkeypatch.setattr(studies, "find", lambda name: (find(name), toy)[1])
    return lambda *words: thresher("study", *words)


def test_all_are_listed(call: Call) -> None:
    said = call()
    assert (said.code, said.err) == (0, "")
    for name in studies.names():
        assert f"{name} " in said.out
    assert [one["name"] for one in json.loads(call("--json").out)] == studies.names()


def test_claims_are_lines(call: Call, workplace: Path) -> None:
    said = call("early-stopping", "--jobs", 1)
    assert said.code == 0
    assert said.out.splitlines()[0] == "Toy (quick form): 0 of 1 claims hold, 1 stays open."
    assert "open: It learns." in said.out
    assert "Two epochs cannot tell." in said.out
    folder = workplace / "studies" / "early-stopping"
    assert f"page: {Path('studies') / 'early-stopping' / 'index.html'}" in said.out
    page = (folder / "index.html").read_text()
    assert "quick form" in page
    assert "<pre>thresher study early-stopping</pre>" in page
    assert str(workplace) not in page


def test_json_and_epochs(call: Call) -> None:
    said = call("early-stopping", "--json", "--quiet", "--epochs", 1, "--seed", 3, "--out", "there")
    assert said.err == ""
    found = json.loads(said.out)
    assert found["claims"][0]["holds"] is None
    assert found["notes"] == ["1 epoch in place of 2."]
    assert found["page"] == "there/index.html"
    page = Path("there/index.html").read_text()
    assert "1 epoch in place of 2." in page
    assert "thresher study early-stopping --epochs 1 --seed 3 --out there" in page
    assert Path("there/epochs.csv").read_text() == "epochs\n1\n"


def test_the_same_again_loads_and_longer_goes_on(call: Call) -> None:
    call("early-stopping", "--epochs", 1)
    history = Path("studies/early-stopping/runs/one/metrics.jsonl")
    first = history.read_text()
    call("early-stopping", "--epochs", 1)
    assert history.read_text() == first
    assert call("early-stopping").code == 0
    assert history.read_text().startswith(first)
    assert len(history.read_text().splitlines()) == 2
    shorter = call("early-stopping", "--epochs", 1)
    assert (shorter.code, shorter.out) == (2, "")
    assert "has trained 2 epochs already" in shorter.err


def test_the_full_form_lies_elsewhere(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "data", lambda self: __import__("thresher").data.load("digits"))
    said = call("early-stopping", "--full")
    assert said.code == 0
    assert "quick form" not in said.out
    assert "quick form" not in Path("studies/early-stopping-full/index.html").read_text()


def test_stopped_says_how_to_go_on(thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(lab: Lab) -> Outcome:
        raise Interrupted("stopped by SIGTERM")

    monkeypatch.setattr(studies, "find", lambda name: stopped)
    said = thresher("study", "early-stopping", "--epochs", 4)
    assert said.code == 1
    assert said.err == "thresher: stopped; go on with: thresher study early-stopping --epochs 4\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["early-stoping"], "there is no study 'early-stoping': did you mean early-stopping?"),
        (["early-stopping", "--epochs", "0"], "--epochs is 0: give 1 or more"),
        (["early-stopping", "--jobs", "0"], "--jobs is 0: give 1 or more"),
        (["early-stopping", "--seed", "-1"], "--seed is -1: give 0 or more"),
        (["early-stopping", "--device", "cpu:2"], "--device is 'cpu:2': a study trains on one device"),
        (["early-stopping", "--out", "mine"], "mine holds something that is no study"),
        (["early-stopping", "--out", "mine/notes.txt"], "notes.txt holds something that is no study"),
    ],
)
def test_bad_input_is_one_sentence(call: Call, workplace: Path, words: list[str], sentence: str) -> None:
    (workplace / "mine").mkdir()
    (workplace / "mine" / "notes.txt").write_text("mine")
    said = call(*words)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert sorted(path.name for path in workplace.rglob("*")) == ["mine", "notes.txt"]


def test_another_study_in_the_folder_is_refused(call: Call) -> None:
    assert call("early-stopping", "--out", "x", "--epochs", 1).code == 0
    assert "holds a study with study early-stopping and not lottery-ticket" in call("lottery-ticket", "--out", "x").err
    assert "holds a study with seed 0 and not 1" in call("early-stopping", "--out", "x", "--seed", 1).err
    assert "holds a study with full False and not True" in call("early-stopping", "--out", "x", "--full").err


def test_progress_is_brief(capsys: pytest.CaptureFixture[str]) -> None:
    line = command._Line(quiet=False)
    for epoch in range(1, 21):
        line("one", {"epoch": epoch, "loss": 1.0, "test": 0.5})
    line.done()
    assert capsys.readouterr().err.splitlines() == [
        "one: epoch 10, loss 1.000, test 50.0%", "one: epoch 20, loss 1.000, test 50.0%",
    ]  # fmt: skip
