"""How often models corrected the labels that a run stands on."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from thresher.correct import Suspects, correct, generations, write
from thresher.decisions import decide
from thresher.result import FORMAT

PETS = ("bird", "cat", "dog")


def run_on(folder: Path, source: Path | str, labels: Path | None) -> Path:
    folder.mkdir(parents=True)
    request = {"source": str(source), "reading": {"labels": None if labels is None else str(labels)}}
    (folder / "run.json").write_text(json.dumps({"format_version": FORMAT, "request": request}), encoding="utf-8")
    return folder


def corrected(out: Path, issues: pd.DataFrame, run: Path, policy: str, **options: Any) -> Path:
    write(correct(issues, policy, PETS, **options), out, Suspects(issues, PETS, run))
    return out


def test_a_line_of_runs(tmp_path: Path, issues: pd.DataFrame) -> None:
    first = run_on(tmp_path / "runs" / "first", "/data/pets", None)
    assert generations(first) == 0
    once = corrected(tmp_path / "once.csv", issues, first, "relabel")
    assert generations(once) == 1
    second = run_on(tmp_path / "runs" / "second", "/data/pets", once)
    assert generations(second) == 1
    by_people = {
        "d": decide("d", "keep", given="cat", annotator="ann"),
        "a": decide("a", "bad", given="dog", annotator="ann"),
    }
    reviewed = corrected(tmp_path / "reviewed.jsonl", issues, second, "review", decisions=by_people)
    assert generations(reviewed) == 1  # people are no model
    third = run_on(tmp_path / "runs" / "third", "/data/pets", reviewed)
    both = corrected(tmp_path / "both.csv", issues, third, "review", decisions=by_people, then="drop")
    assert generations(both) == 2
    kept = corrected(tmp_path / "kept.csv", issues, run_on(tmp_path / "fourth", "/data/pets", both), "keep")
    assert generations(kept) == 2
    unchanged = corrected(tmp_path / "unchanged.csv", issues, third, "relabel", min_confidence=1)
    assert generations(unchanged) == 1
    assert generations(run_on(tmp_path / "fifth", both, None)) == 2  # as data, not as labels


def test_a_circle_and_a_broken_line_end(tmp_path: Path, issues: pd.DataFrame) -> None:
    out = tmp_path / "new.csv"
    run = run_on(tmp_path / "run", "/data", out)
    corrected(out, issues, run, "relabel")
    assert generations(run) == generations(out) == 1
    (run / "run.json").write_text("{", encoding="utf-8")
    assert generations(out) == 1
    (run / "run.json").unlink()
    assert generations(out) == 1
    assert generations(run) == 0
    assert generations(tmp_path / "absent") == 0
    for stored in ({}, {"request": None}, {"request": {"reading": 3}}, {"request": {"reading": {"labels": 3}}}):
        (run / "run.json").write_text(json.dumps(stored), encoding="utf-8")
        assert generations(run) == 0


@pytest.mark.parametrize("then", ["relabel", "soften", "drop", "weight"])
def test_every_policy_of_a_model_counts(tmp_path: Path, issues: pd.DataFrame, then: str) -> None:
    run = run_on(tmp_path / "run", "/data", None)
    assert generations(corrected(tmp_path / "new.csv", issues, run, then)) == 1
