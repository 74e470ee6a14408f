"""`thresher bench`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thresher import suites
from thresher.bench import typed
from thresher.suites import Suite


@pytest.fixture
def toy(npz: str, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite of one row, by the name `toy`."""
    block = {"data": npz, "epochs": 2, "batch": 16}
    made = Suite("toy", "Toy", "Two epochs.", (block,), {"gce": {}, "mixup": {}}, ("symmetric:0.2",), (0,))
    monkeypatch.setattr(suites, "read", lambda name: made)
    monkeypatch.setattr(suites, "names", lambda: ["toy"])
    return made


@pytest.mark.usefixtures("toy")
def test_it_trains_and_shows_a_table(thresher: Callable[..., Any], workplace: Path) -> None:
    said = thresher("bench", "toy", "--device", "cpu")
    assert said.code == 0
    assert [line.split()[2] for line in said.out.splitlines()[1:3]] == ["gce", "mixup"]
    assert said.out.endswith("results: toy.json\n")
    assert "2/2" in said.err
    assert json.loads((workplace / "toy.json").read_text())["rows"]
    assert thresher("bench", "toy", "--device", "cpu").err == ""


@pytest.mark.parametrize(
    "words", [["--data-root", "/my/files"], ["--data-root=/my/files"], ["--data-root", "/my/files/"]]
)
def test_the_record_names_no_folder_of_this_machine(words: list[str]) -> None:
    told = typed(["thresher", "bench", "toy", *words], Path("/my/files"))
    assert told.startswith("thresher bench toy --data-root")
    assert told.endswith("DIR")


@pytest.mark.usefixtures("toy")
def test_some_rows_at_a_smaller_size(thresher: Callable[..., Any]) -> None:
    words = ("bench", "toy", "--only", "gce", "--seeds", "3,4", "--epochs", "1", "--rows", "60", "--out", "small.json")
    said = thresher(*words, "--quiet", "--json")
    assert said.err == ""
    assert [(row["method"], row["seed"]) for row in json.loads(said.out)["rows"]] == [("gce", 3), ("gce", 4)]


@pytest.mark.usefixtures("toy")
def test_a_dry_run_lists_the_trainings(thresher: Callable[..., Any], workplace: Path) -> None:
    assert thresher("bench", "toy", "--dry-run").out.split()[2::4] == ["gce", "mixup"]
    assert not (workplace / "toy.json").exists()


def test_without_a_name_it_lists_the_suites(thresher: Callable[..., Any]) -> None:
    assert "cdr-table1" in thresher("bench").out
    assert {one["name"] for one in json.loads(thresher("bench", "--json").out)} == set(suites.names())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nosuch",), "there is no suite 'nosuch'"),
        (("robust-losses", "--seeds", "one"), "seeds is 'one'"),
        (("robust-losses", "--jobs", "0"), "jobs and rows must be 1 or more"),
        (("robust-losses", "--only", "gec"), "robust-losses has no row 'gec'"),
        (("robust-losses", "--data-root", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(
    thresher: Callable[..., Any], workplace: Path, words: tuple[str, ...], sentence: str
) -> None:
    said = thresher("bench", *words)
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not list(workplace.glob("*.json"))
