"""The list says of every row what the table in memory says, and its text is what pandas reads back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit.evidence import confident_evidence
from thresher.audit.issues import issues_table
from thresher.audit.streaming import find_label_issues_in_files, issues, text

Call = Callable[..., Any]
NAMES = ["a,b", 'say "no"', "über\nzwei", "plain"]


def table_of(labels: np.ndarray, p: np.ndarray, names: list[str]) -> pd.DataFrame:
    keys = [str(row) for row in range(len(labels))]
    evidence = [confident_evidence(labels, p, names)]
    return issues_table(evidence, keys=keys, given=labels, probabilities=p, classes=names)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype={"key": str, "p_wrong": str})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_the_table_in_memory(dtype: type, make: Call, saved: Call, tmp_path: Path) -> None:
    order = sorted(NAMES)
    for seed in range(3):
        labels, p = make(400, 4, seed, dtype)
        paths = saved(np.array(order)[labels], p)
        path = tmp_path / f"{seed}.csv"
        found = find_label_issues_in_files(*paths, issues=path, chunk_rows=33, workers=2)
        expected, listed = table_of(labels, p, order), read(path)
        assert list(listed) == list(expected)
        for name in ("key", "row", "given", "suggested", "is_label_issue", "reasons"):
            assert listed[name].tolist() == expected[name].tolist(), name
        for name in ("p_suggested", "label_quality", "score_confident"):
            np.testing.assert_allclose(listed[name], expected[name].astype(float), atol=6e-7)
        assert set(listed["p_wrong"]) == {""}
        assert found.pairs is not None
        assert found.pairs.sum() == found.suspects == listed["is_label_issue"].sum()
        assert found.listed_all


def test_suspects_only(make: Call, saved: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, p = make(900, 4)
    p[:60], labels[:60] = p[0], labels[0]  # many equal scores
    paths = saved(labels, p)
    whole = find_label_issues_in_files(*paths, issues=tmp_path / "all.csv")
    monkeypatch.setattr(issues, "ALL_ROWS", 50)  # sorted at a time, so that the list is made of several parts
    find_label_issues_in_files(*paths, issues=tmp_path / "some.csv", all_rows=False, chunk_rows=100)
    expected = read(tmp_path / "all.csv").query("is_label_issue").reset_index(drop=True)
    listed = read(tmp_path / "some.csv")
    assert whole.suspects == len(listed) > 100
    assert (np.diff(listed["score_confident"]) <= 2**-15).all()
    assert sorted(listed["row"]) == sorted(expected["row"])
    same = expected.set_index("row").loc[listed["row"]].reset_index()
    np.testing.assert_allclose(listed["label_quality"], same["label_quality"], atol=1e-4)
    assert listed["reasons"].tolist() == same["reasons"].tolist()
    find_label_issues_in_files(*paths, issues=tmp_path / "every.csv", all_rows=True)
    assert len(read(tmp_path / "every.csv")) == 900


@given(st.lists(st.floats(-1, 1), min_size=1), st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_decimals(values: list[float], places: int) -> None:
    lines = text.lines([text.decimal(np.array(values), places), text.whole(np.arange(len(values)))]).decode()
    cells = [line.split(",") for line in lines.splitlines()]
    assert [int(cell) for _, cell in cells] == list(range(len(values)))
    for (cell, _), value in zip(cells, values, strict=True):
        assert abs(float(cell) - value) <= 0.5000001 * 10**-places
        assert cell.partition(".")[2].isdigit()
        assert len(cell.partition(".")[2]) == places
        assert cell.partition(".")[0] in ("0", "1", "-0", "-1")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=9))
@settings(max_examples=100, deadline=None)
def test_texts_come_back(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    import csv
    import io

    rows = np.arange(len(cells))
    content = text.lines([text.whole(rows), text.named(rows, cells)]).decode()
    back = [row[1] for row in csv.reader(io.StringIO(content, newline=""))]
    assert back == cells
