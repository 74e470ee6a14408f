"""A finished search, calibrated once more on what people decided."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thresher as th
from thresher.decisions import Log, decide, fold, read
from thresher.findings.again import calibrated

Call = Callable[..., Any]


@pytest.fixture
def run(make_arrays: Call, workplace: Path) -> th.Result:
    arrays = make_arrays(rows=240, test=0)
    del arrays["x_test"], arrays["y_test"]
    return th.find_issues(arrays, model="logistic", folds=3, noise="symmetric:0.3", batch=16, device="cpu", out="run")


def test_decisions_move_the_probabilities(run: th.Result, thresher: Call) -> None:
    issues = run.finished()
    some = issues.sample(60, random_state=0)
    with Log(run.path / "decisions.jsonl") as log:  # a person who finds every label right
        pairs = zip(some.key, some.given, strict=True)
        log.append(*(decide(key, "keep", given=given, annotator="ann") for key, given in pairs))
        log.append(decide("absent", "bad", given="0", annotator="ann"), decide("1", "skip", given="0", annotator="ann"))
    before = (run.path / "issues.csv").read_bytes()
    said = thresher("find", "run")
    assert said.err.startswith("hint: run/decisions.jsonl holds decisions, which --decisions run/decisions.jsonl --out")
    said = thresher("find", "run", "--decisions", "run/decisions.jsonl", "--out", "again.csv")
    assert said.code == 0, said.err
    assert "suspects: again.csv\n" in said.out
    again = pd.read_csv("again.csv")
    assert list(again.columns) == list(issues.columns)
    assert sorted(again.key) == sorted(issues.key.astype(int))
    assert again.p_wrong.is_monotonic_decreasing
    assert again.p_wrong.mean() < issues.p_wrong.mean() / 2
    np.testing.assert_allclose(again.label_quality, 1 - again.p_wrong)
    assert (again.is_label_issue == (again.score_combined >= 0)).all()
    suspects = again[again.is_label_issue]
    assert (suspects.given != suspects.suggested).all()  # also of those that were none before
    assert suspects.reasons.notna().all()
    assert suspects.kind.notna().all()
    before_by_row, after = issues.set_index("row"), again.set_index("row")
    no_more = before_by_row.is_label_issue & ~after.is_label_issue.reindex(before_by_row.index)
    assert no_more.any()
    assert not (after.loc[no_more[no_more].index, "kind"] == "wrong").any()
    said = before_by_row.reasons[before_by_row.reasons.str.contains("expects")]
    assert (after.reasons.reindex(said.index) == said).all()  # what the witnesses said, word for word
    assert not after.reasons[~after.is_label_issue].str.contains("only all evidence", na=False).any()
    assert (run.path / "issues.csv").read_bytes() == before


def test_refusals(run: th.Result, thresher: Call) -> None:
    with pytest.raises(th.UsageError, match=r"^nobody has decided about a row of run"):
        calibrated(run.path, run.finished(), ("0", "1", "2"), fold([]))
    Path("d.jsonl").write_text("")
    assert read("d.jsonl") == []
    for words, sentence in (
        (["run", "--decisions", "d.jsonl"], "the run stays as it is: name the calibrated table with --out"),
        (["run", "--decisions", "d.jsonl", "--out", "x.csv"], "nobody has decided about a row"),
        (["digits", "--decisions", "d.jsonl"], "--decisions belongs to a finished run"),
        (["--labels", "l.csv", "--probs", "p.csv", "--decisions", "d.jsonl"], "--decisions belongs to a finished run"),
    ):
        refused = thresher("find", *words)
        assert refused.code == 2
        assert sentence in refused.err
    (run.path / "evidence" / "rows.npy").unlink()
    with pytest.raises(th.UsageError, match=r"^run has no combined probabilities"):
        calibrated(run.path, run.finished(), ("0", "1", "2"), fold([]))
