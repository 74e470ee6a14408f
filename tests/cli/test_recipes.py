"""`thresher recipes` and `thresher run`, on a handful of stand-ins for MNIST."""

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.test_idx import write

import thresher as th
from thresher import recipes
from thresher.cli.recipes import beside
from thresher.recipes import Paper

Call = Callable[..., Any]
NAME = "cdr-mnist-sym20"
QUOTED = "co_teaching-mnist-sym50"
FAST = ("--epochs", 1, "--set", "batch=40", "--set", "net=mlp", "--device", "cpu")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the report out, which takes longest."""
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)


@pytest.fixture
def root(workplace: Path) -> Path:
    """The official files of MNIST, with 160 images of 12 x 12."""
    draws = np.random.default_rng(0)
    folder = workplace / "official"
    write(folder / "MNIST/raw", images=draws.integers(0, 256, (160, 12, 12)), labels=np.arange(160) % 10)
    return folder


def test_recipes_are_listed(thresher: Call) -> None:
    said = thresher("recipes")
    assert (said.code, said.err) == (0, "")
    head, *lines = said.out.splitlines()
    assert head.split() == ["name", "data", "noise", "method", "paper"]
    assert [line.split()[0] for line in lines] == recipes.names()
    told = {line.split()[0]: line.split() for line in lines}
    assert told[QUOTED] == [QUOTED, "mnist", "symmetric_bernoulli:0.5", "co_teaching", "91.7%", "last10"]
    assert told[NAME][-2:] == ["no", "figure"]


def test_recipes_as_json(thresher: Call) -> None:
    listed = json.loads(thresher("recipes", "--json").out)
    assert [one["name"] for one in listed] == recipes.names()
    for one in listed:
        assert list(one) == ["name", "data", "noise", "method", "settings", "paper"]
        assert list(one["paper"]) == ["value", "metric", "protocol", "source"]
    (one,) = json.loads(thresher("recipes", QUOTED, "--json").out)
    assert one["noise"] == ["symmetric_bernoulli:0.5"]
    assert one["settings"]["co_teaching"] == {"noise_rate": 0.5, "ramp": 10.0}
    assert (one["paper"]["value"], one["paper"]["metric"]) == (0.9168, "last10")


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_shown_as_a_configuration(name: str, thresher: Call) -> None:
    shown = thresher("recipes", name).out
    assert tomllib.loads(shown) == recipes.read(name)
    assert f"# source: {recipes.paper(name).source[:20]}" in shown
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize("words", [("recipes", "cdr-mnist-sym2"), ("run", "cdr-mnist-sym2")])
def test_an_unknown_recipe(words: tuple[str, ...], thresher: Call) -> None:
    said = thresher(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("thresher: there is no recipe 'cdr-mnist-sym2': did you mean cdr-mnist-sym20")


def test_a_plan(root: Path, thresher: Call) -> None:
    said = thresher("run", NAME, "--data-root", root, "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("would train CDR(noise_rate=0.2, ")
    assert "\non mnist: 144 rows, 16 held out" in said.out
    assert "100 epochs, batch 32, sgd at 0.01, multistep schedule, seed 0" in said.out
    assert [path.name for path in Path().iterdir()] == ["official"]


def test_what_is_typed_wins(root: Path, thresher: Call) -> None:
    words = ["--epochs", 3, "--seed", 5, "--name", "mine", "--set", "cdr.noise_rate=0.3", "--set", "optimizer.lr=0.5"]
    told = json.loads(thresher("run", NAME, "--data-root", root, "--dry-run", "--json", *words).out)
    assert told["method"] == [repr(th.method("cdr", noise_rate=0.3))]
    assert told["noise"]["generator"] == "symmetric_bernoulli:0.2:5"
    options = told["options"]
    assert (told["run"], options["epochs"], options["seed"], options["batch"]) == ("runs/mine", 3, 5, 32)
    assert (options["optimizer"]["lr"], options["optimizer"]["momentum"]) == (0.5, 0.9)


def test_the_paper_stands_beside_ours(root: Path, thresher: Call) -> None:
    said = thresher("run", QUOTED, "--data-root", root, *FAST, "--out", "here", "--quiet")
    assert (said.code, said.err) == (0, "")
    ours = th.load("here").last10
    assert f"\npaper: 91.7% last10, here {ours:.1%}\nsource: Han et al., Co-teaching" in said.out
    assert "\nprotocol: The paper reports the mean of the last ten of 200 epochs" in said.out


def test_json_is_that_of_train(root: Path, thresher: Call) -> None:
    said = thresher("run", NAME, "--data-root", root, *FAST, "--out", "here", "--quiet", "--json")
    assert said.out.count("\n") == 1
    document = json.loads(said.out)
    assert set(document.pop("paper")) == {"value", "metric", "protocol", "source"}
    assert document == json.loads(json.dumps(th.load("here").summary()))


def test_a_run_goes_on_as_any_other(root: Path, thresher: Call) -> None:
    assert thresher("run", NAME, "--data-root", root, *FAST, "--out", "here", "--quiet").code == 0
    said = thresher("train", "--resume", "here", "--data-root", root, "--epochs", 2, "--json", "--quiet")
    assert json.loads(said.out)["run"] == "here"
    assert len(th.load("here").history) == 2


def test_settings_for_another_method_are_refused(root: Path, thresher: Call) -> None:
    said = thresher("run", NAME, "--data-root", root, "--dry-run", "--set", "elr.strength=7")
    assert said.code == 2
    assert "there are settings for elr, which is not among the methods cdr" in said.err


def test_missing_data_says_where_it_is_expected(thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THRESHER_DATA", raising=False)
    said = thresher("run", NAME, "--dry-run")
    assert said.code == 2
    assert "mnist needs" in said.err


def test_each_figure_stands_beside_its_like() -> None:
    summary = {"last": 0.1, "last10": 0.2, "selected": None, "oracle": 0.4}
    shown = {
        metric: beside(summary, Paper("Some.", "Some paper", 0.5, metric))[0] for metric in [*recipes.METRICS, None]
    }
    assert shown == {
        "last": "paper: 50.0% last, here 10.0%",
        "last10": "paper: 50.0% last10, here 20.0%",
        "selected": "paper: 50.0% selected",
        "best (leaks)": "paper: 50.0% best (leaks), here 40.0%",
        None: "paper: 50.0% (of which epoch is not stated)",
    }
    assert beside(summary, Paper("Some.", "Some paper"))[0] == "paper: no figure"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "rows", "wrong"),
    [
        ("co_teaching-mnist-sym50", 60_000, 0.5),
        ("gce-cifar10-sym40", 45_000, 0.36),
        ("elr-cifar10-asym40", 45_000, 0.184),
        ("dividemix-cifar100-sym50", 50_000, 0.495),
        ("l2rw-cifar10-sym40", 44_100, 0.36),
        ("elr-cifar10n-worse", 45_000, 0.402),
        ("elr-cifar100n", 45_000, 0.402),
    ],
)
def test_plans_with_the_official_files(name: str, rows: int, wrong: float, thresher: Call) -> None:
    folder = os.environ.get("THRESHER_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("THRESHER_DATA names no folder of official files")
    said = thresher("run", name, "--dry-run", "--json")
    assert (said.code, said.err) == (0, "")
    told = json.loads(said.out)
    assert told["train_rows"] == rows
    assert told["noise"]["realised"] == pytest.approx(wrong, abs=0.01)
