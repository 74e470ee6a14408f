"""Counts per class, per pair, between witnesses and between runs, against plain loops."""

import math

import numpy as np
import pandas as pd
import pytest

from thresher.audit.scores import interval
from thresher.report import RunView, tables


@pytest.fixture
def issues() -> pd.DataFrame:
    draws = np.random.default_rng(1)
    names = np.array(["cat", "dog", "eel", "fox"], dtype=object)
    table = pd.DataFrame({"key": [f"k{n}" for n in range(200)], "given": names[draws.integers(0, 4, 200)]})
    table["suggested"] = names[draws.integers(0, 4, 200)]
    for name in ("elr", "loss", "margin"):
        table[f"score_{name}"] = np.where(draws.random(200) < 0.1, np.nan, draws.normal(size=200))
    return table.assign(is_label_issue=table["score_elr"] > 0)


def test_by_class_counts_as_a_loop_does(issues: pd.DataFrame) -> None:
    flagged = issues["is_label_issue"].to_numpy()
    wrong = (issues["score_loss"] > 0).to_numpy()
    rows = tables.by_class(issues, flagged, wrong)
    assert set(rows["name"]) == {"cat", "dog", "eel", "fox"}
    for row in rows.to_dict("records"):
        own = (issues["given"] == row["name"]).to_numpy()
        assert (row["labels"], row["suspects"], row["wrong"]) == (own.sum(), (own & flagged).sum(), (own & wrong).sum())
        assert (row["low"], row["high"]) == interval(row["suspects"], row["labels"])
        counted = issues["suggested"][own & flagged].value_counts()
        assert row["times"] == counted.max() == counted[row["suggested"]]
    assert rows["low"].is_monotonic_decreasing


def test_a_class_without_suspects_suggests_nothing() -> None:
    issues = pd.DataFrame({"given": ["a", "a", "b"], "suggested": ["b", "a", "b"]})
    rows = tables.by_class(issues, np.array([True, False, False]))
    assert rows["times"].tolist() == [1, 0]
    assert rows["share"].tolist() == [0.5, 0.0]


def test_the_rest_is_summed() -> None:
    table = pd.DataFrame({"name": list("abcd"), "n": [4, 3, 2, 1]})
    rows, rest = tables.top(table, 3, ["n", "absent"])
    assert [row["name"] for row in rows] == ["a", "b"]
    assert rest == {"rows": 2, "n": 3}
    assert tables.top(table, 4, ["n"])[1] is None


def test_witnesses_count_what_both_scored(issues: pd.DataFrame) -> None:
    square = tables.witnesses(issues)
    assert square is not None
    assert square.names == ("elr", "loss", "margin")
    for i, a in enumerate(square.names):
        for j, b in enumerate(square.names):
            both = whole = 0
            for x, y in zip(issues[f"score_{a}"], issues[f"score_{b}"], strict=True):
                whole += x > 0 and not math.isnan(y)
                both += x > 0 and y > 0
            assert (square.both[i, j], square.whole[i, j]) == (both, whole)
    assert tables.witnesses(issues[["score_elr"]]) is None


def test_doubted_by_adds_up(issues: pd.DataFrame) -> None:
    flagged = issues["is_label_issue"].to_numpy()
    wrong = (issues["given"] == "cat").to_numpy()
    rows = tables.doubted_by(issues, flagged, wrong)
    assert rows["witnesses"].tolist() == [3, 2, 1]
    assert rows["suspects"].sum() == flagged.sum()
    assert rows["wrong"].sum() == (flagged & wrong).sum()
    three = (issues[["score_elr", "score_loss", "score_margin"]] > 0).all(axis=1).sum()
    assert rows["suspects"][0] == three


def test_overlap_is_jaccard_over_the_common_keys(issues: pd.DataFrame) -> None:
    other = issues.assign(is_label_issue=issues["score_loss"] > 0).iloc[50:].sample(frac=1, random_state=0)
    square = tables.overlap([RunView("a", issues=issues), RunView("none"), RunView("b", issues=other)])
    assert square is not None
    assert square.names == ("a", "b")
    assert not square.alike
    common = set(other["key"])
    first = set(issues["key"][issues["is_label_issue"]]) & common
    second = set(other["key"][other["is_label_issue"]])
    assert square.both[0, 1] == square.both[1, 0] == len(first & second)
    assert square.whole[0, 1] == square.whole[1, 0] == len(first | second)
    assert tables.overlap([RunView("a", issues=issues), RunView("none")]) is None


def test_overlap_of_the_same_rows_in_another_order(issues: pd.DataFrame) -> None:
    square = tables.overlap([RunView("a", issues=issues), RunView("b", issues=issues[::-1])])
    assert square is not None
    assert square.alike
    assert square.both[0, 1] == square.whole[0, 1] == issues["is_label_issue"].sum()


def test_recalls_leave_out_empty_classes() -> None:
    rows = tables.recalls({"cat": (1, 2), "dog": (0, 3), "eel": (0, 0)})
    assert rows["name"].tolist() == ["dog", "cat"]
    assert tables.recalls({}).empty


def test_balanced_accuracy_covers_the_truth() -> None:
    draws = np.random.default_rng(0)
    truth, sizes = np.array([0.95, 0.6, 0.8]), np.array([400, 40, 100])
    held = 0
    for _ in range(400):
        right = draws.binomial(sizes, truth)
        ends = tables.balanced({str(k): (int(a), int(b)) for k, (a, b) in enumerate(zip(right, sizes, strict=True))})
        assert ends is not None
        assert ends[0] == pytest.approx((right / sizes).mean())
        held += ends[1] <= truth.mean() <= ends[2]
    assert 0.92 <= held / 400 <= 0.98
    assert tables.balanced(None) is None
    assert tables.balanced({"a": (0, 0)}) is None


def test_thinned_keeps_the_order_and_the_limit() -> None:
    table = pd.DataFrame({"n": range(101)})
    for limit in (1, 7, 100, 101, 500):
        some = tables.thinned(table, limit)["n"].tolist()
        assert len(some) <= limit
        assert some == sorted(some)
        assert some[0] == 0
    assert len(tables.thinned(table[:0], 3)) == 0
