"""`thresher correct` on a run, and on a table of issues."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import thresher as th
from thresher.correct import origin
from thresher.decisions import Log, decide
from thresher.result import FORMAT

Call = Callable[..., Any]

ISSUES = """key,row,given,suggested,p_suggested,label_quality,p_wrong,is_label_issue,reasons,score_elr
c,2,cat,dog,0.97,0.1,,True,elr expects 'dog' (p 0.97),3.0
a,0,cat,dog,0.92,0.2,,True,elr expects 'dog' (p 0.92),2.0
b,1,dog,dog,0.9,0.8,,False,,-1.0
d,3,cat,cat,0.9,0.8,,False,,-1.0
"""


@pytest.fixture
def table(workplace: Path) -> str:
    Path("issues.csv").write_text(ISSUES, encoding="utf-8")
    return "issues.csv"


def test_words_for_people(table: str, thresher: Call) -> None:
    said = thresher("correct", table, "--policy", "relabel", "--out", "new.csv")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "changed 2 of 4 labels (suspects: 2, changed where p_suggested is 0.9 or more)\n  cat -> dog: 2\n"
        "labels: new.csv\nchanges: new.changes.csv\nnext: thresher train DATA --labels new.csv\n"
    )
    assert Path("new.csv").read_text(encoding="utf-8") == "key,label\na,dog\nb,dog\nc,dog\nd,cat\n"
    changes = Path("new.changes.csv").read_text(encoding="utf-8").splitlines()
    assert changes == [
        *(
            "key,given,label,p_suggested,label_quality,action",
            "c,cat,dog,0.97,0.1,relabel",
            "a,cat,dog,0.92,0.2,relabel",
        )
    ]


def test_json(table: str, thresher: Call) -> None:
    said = thresher("correct", table, "--policy", "relabel", "--min-confidence", 0.95, "--out", "new.csv", "--json")
    assert said.out.count("\n") == 1
    assert json.loads(said.out) == {
        "out": "new.csv",
        "changes": "new.changes.csv",
        "manifest": "new.json",
        "policy": "relabel",
        "min_confidence": 0.95,
        "max_per_class": None,
        "then": None,
        "rows": 4,
        "suspects": 2,
        "changed": 1,
        "people": None,
        "pairs": [{"given": "cat", "label": "dog", "count": 1}],
        "next": "thresher train DATA --labels new.csv",
    }


@pytest.mark.parametrize("policy", ["keep", "relabel", "soften", "drop", "weight", "review"])
def test_every_policy_writes(table: str, thresher: Call, policy: str) -> None:
    said = thresher("correct", table, "--policy", policy, "--out", "new.csv")
    assert (said.code, said.err) == (0, "")
    found = pd.read_csv("new.csv", dtype=str, keep_default_na=False)
    assert sorted(found["key"]) == ["a", "b", "c", "d"]
    assert (origin("new.csv") or {})["policy"] == policy


def test_a_lost_class_is_a_warning(table: str, thresher: Call) -> None:
    Path(table).write_text(ISSUES.replace("d,3,cat,cat,0.9,0.8,,False", "d,3,cat,dog,0.9,0.8,,True"), encoding="utf-8")
    said = thresher("correct", table, "--policy", "drop", "--out", "new.csv")
    assert said.code == 0
    assert said.err.startswith("warning: the class loses all its rows by this: 'cat'")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--policy", "relable", "--out", "new.csv"], 2, "no policy 'relable': did you mean relabel"),
        (["--policy", "relabel", "--min-confidence", "2", "--out", "new.csv"], 2, "from 0 to 1"),
        (["--policy", "keep", "--min-confidence", "0.5", "--out", "new.csv"], 2, "no meaning for keep"),
        (["--policy", "keep", "--out", "issues.csv"], 2, "issues.csv exists"),
        (["--policy", "keep", "--out", "absent/new.csv"], 2, "no folder absent"),
        (["--policy", "keep", "--out", "new.xlsx"], 2, "does not end in .csv"),
        (["--policy", "keep", "--out", "/proc/new.csv"], 1, "cannot be written"),
        (["--policy", "keep"], 2, "--out"),
        (["--out", "new.csv"], 2, "--policy"),
        (["--policy", "drop", "--max-per-class", "much", "--out", "new.csv"], 2, "give a number of labels"),
        (["--policy", "keep", "--max-per-class", "3", "--out", "new.csv"], 2, "no meaning for keep"),
        (["--policy", "review", "--then", "drop", "--out", "new.csv"], 2, "then has no meaning without decisions"),
        (["--policy", "review", "--decisions", "absent.jsonl", "--out", "new.csv"], 2, "no file absent.jsonl"),
        (["--policy", "keep", "--out", "new", "--format", "xml"], 2, "no format 'xml'"),
        (["--policy", "keep", "--out", "new/"], 2, "needs a run on a folder of images"),
        (["--policy", "review", "--out", "new.npz"], 2, "lists rows for a person to edit"),
        (["--undo", "new.csv"], 2, "leave a run out"),
    ],
)
def test_refusals(table: str, thresher: Call, words: list[str], code: int, sentence: str) -> None:
    said = thresher("correct", table, *words)
    assert said.code == code
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert [path.name for path in Path().iterdir()] == [table]
    assert Path(table).read_text(encoding="utf-8") == ISSUES


def test_of_a_run(npz: str, thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)
    trained = thresher("train", npz, "--noise", "symmetric:0.4", "--epochs", 3, "--bs", 32, "--out", "run", "--quiet")
    assert trained.code == 0, trained.err
    said = thresher("correct", "run", "--policy", "relabel", "--min-confidence", 0.4, "--out", "new.csv", "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    issues = th.load("run").issues
    assert issues is not None
    sure = issues[issues["is_label_issue"] & (issues["p_suggested"] >= 0.4)]
    assert document["changed"] == len(sure) > 0
    assert document["next"] == f"thresher train {Path(npz).absolute()} --noise symmetric:0.4 --labels new.csv"
    found = pd.read_csv("new.csv", dtype=str).set_index("key")["label"]
    assert found.index.tolist() == [str(row) for row in range(120)]
    assert (found[sure["key"]].to_numpy() == sure["suggested"].to_numpy()).all()
    told = origin("new.csv")
    assert told is not None
    assert (told["run"], told["fingerprint"]) == ("run", th.load("run").run["data"]["fingerprint"])


def test_of_an_unfinished_run(workplace: Path, thresher: Call) -> None:
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps({"format_version": FORMAT}), encoding="utf-8")
    said = thresher("correct", "run", "--policy", "keep", "--out", "new.csv")
    assert said.code == 2
    assert said.err == "thresher: run is not finished: go on with thresher train --resume run\n"


def decided(path: str, *actions: tuple[str, str], annotator: str = "ann") -> str:
    """A file of decisions about the cats of the table."""
    with Log(path) as log:
        log.append(*(decide(key, action, given="cat", suggested="dog", annotator=annotator) for key, action in actions))
    return path


def test_decisions_of_people(table: str, thresher: Call) -> None:
    ann = decided("ann.jsonl", ("c", "keep"), ("d", "bad"))
    said = thresher("correct", table, "--policy", "review", "--decisions", ann, "--then", "relabel", "--out", "new.csv")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:3] == [
        "applied 2 decisions: changed 0 labels, left 1 row out, split 0 labels between classes",
        "then changed 1 of 4 labels (suspects: 2, changed where p_suggested is 0.9 or more)",
        "  cat -> dog: 1",
    ]
    assert Path("new.csv").read_text(encoding="utf-8") == "key,label\na,dog\nb,dog\nc,cat\nd,\n"
    bob = decided("bob.jsonl", ("c", "accept"), annotator="bob")
    words = ("correct", table, "--policy", "review", "--decisions", ann, "--decisions", bob)
    said = thresher(*words, "--out", "both.jsonl", "--json")
    assert said.err == "warning: people decided 1 samples differently: the latest decision of each counts\n"
    document = json.loads(said.out)
    assert document["people"] == {"decided": 2, "moved": 1, "out": 1, "split": 0}
    assert document["next"] == "thresher train DATA --labels both.jsonl"
    assert (origin("both.jsonl") or {})["people"] == document["people"]
    empty = decided("empty.jsonl", ("c", "skip"))
    said = thresher("correct", table, "--policy", "review", "--decisions", empty, "--out", "no.csv")
    assert (said.code, said.err) == (2, "thresher: empty.jsonl holds no decision: review some suspects first\n")


def test_decisions_in_the_run(workplace: Path, thresher: Call) -> None:
    Path("run").mkdir()
    request = {"source": str(workplace / "points.npz"), "reading": {}}
    stored = {
        "format_version": FORMAT,
        "data": {"classes": ["cat", "dog"], "fingerprint": "abc"},
        "request": request,
    }
    Path("run/run.json").write_text(json.dumps(stored), encoding="utf-8")
    Path("run/issues.csv").write_text(ISSUES, encoding="utf-8")
    said = thresher("correct", "run", "--policy", "review", "--out", "list.csv")
    assert said.out.startswith("listed 4 rows, suspects first")
    decided("run/decisions.jsonl", ("c", "skip"))
    assert thresher("correct", "run", "--policy", "review", "--out", "skipped.csv").out.startswith("listed 4 rows")
    with Log("run/decisions.jsonl") as log:
        log.append(decide("c", "accept", given="cat", suggested="dog", annotator="ann"))
        said = thresher("correct", "run", "--policy", "review", "--out", "new.csv")  # while the review is open
    assert said.out.startswith("applied 1 decision: changed 1 label")
    said = thresher("correct", "run", "--policy", "drop", "--out", "drop.csv")
    assert said.code == 0
    assert said.err == (
        "warning: run/decisions.jsonl holds decisions, which drop does not look at: --policy review --then drop does\n"
    )
    Path("run/decisions.jsonl").write_text("no decision\n", encoding="utf-8")
    said = thresher("correct", "run", "--policy", "drop", "--out", "other.csv")
    assert (said.code, said.err) == (0, "")


def test_undo(table: str, thresher: Call) -> None:
    for out, kind in (("new.csv", None), ("new.npz", None), ("clean", "hf")):
        words = ["--format", kind] if kind else []
        assert thresher("correct", table, "--policy", "relabel", "--out", out, *words).code == 0
        said = thresher("correct", "--undo", out)
        assert (said.code, said.out) == (0, f"taken back: {out}\n")
        assert [path.name for path in Path().iterdir()] == [table]
    assert thresher("correct", table, "--policy", "keep", "--out", "new.csv").code == 0
    said = thresher("correct", "--undo", "new.csv", "--json")
    assert json.loads(said.out) == {"undone": ["new.csv", "new.changes.csv", "new.json"]}
    assert "is no correction that Thresher wrote" in thresher("correct", "--undo", "new.csv").err
    assert Path(table).read_text(encoding="utf-8") == ISSUES


def test_nothing_to_do(workplace: Path, thresher: Call) -> None:
    said = thresher("correct")
    assert said.code == 2
    assert "give a run folder or a table of issues, or --undo FILE" in said.err


@pytest.mark.parametrize("nested", [False, True])
def test_a_folder_of_links(workplace: Path, thresher: Call, nested: bool) -> None:
    """From the run on photographs to a folder that the next command trains on."""
    base = Path("photos/train" if nested else "photos")
    keys = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(3)]
    for place, key in enumerate([*keys, *(f"../test/{key}" for key in keys)] if nested else keys):
        (base / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 9 * place, dtype=np.uint8)).save(base / key)
    Path("run").mkdir()
    request = {"source": str(Path("photos").absolute()), "reading": {"size": 4}, "kind": "find"}
    stored = {"format_version": FORMAT, "data": {"classes": ["cat", "dog"], "fingerprint": "f"}, "request": request}
    Path("run/run.json").write_text(json.dumps(stored), encoding="utf-8")
    table = pd.DataFrame({"key": keys, "row": range(6), "given": ["cat"] * 3 + ["dog"] * 3, "suggested": "dog"})
    table["p_suggested"], table["is_label_issue"] = 0.95, [True] + [False] * 5
    table.to_csv("run/issues.csv", index=False)
    said = thresher("correct", "run", "--policy", "relabel", "--out", "clean/", "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    tested = ["--test", str(Path("photos/test").absolute())] if nested else []
    assert shlex.split(document["next"]) == ["thresher", "train", "clean/", "--size", "4", *tested]
    assert sorted(path.relative_to("clean").as_posix() for path in Path("clean").rglob("*.png")) == [
        *("cat/1.png", "cat/2.png", "dog/0-2.png", "dog/0.png", "dog/1.png", "dog/2.png"),
    ]
    assert thresher(*shlex.split(document["next"])[1:], "--bs", 2, "--dry-run").code == 0
    said = thresher("correct", "run", "--policy", "keep", "--out", f"{base}/clean/")
    assert "lies inside" in said.err
    assert thresher("correct", "--undo", "clean/").code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["photos", "run"]
