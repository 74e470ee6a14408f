"""`thresher correct` on a run, and on a table of issues."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import thresher as th
from thresher.correct import origin
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
        "rows": 4,
        "suspects": 2,
        "changed": 1,
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
