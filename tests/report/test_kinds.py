"""Near duplicates, ambiguous samples and outliers: which are shown, in which order, and what stands on their cards."""

import dataclasses

import pandas as pd
import pytest

from thresher.report import Report, kinds
from thresher.report.columns import Columns


def with_kinds(report: Report, **columns: pd.Series | list[str]) -> Report:
    issues = report.run.issues.assign(**columns)
    return dataclasses.replace(report, runs=[dataclasses.replace(report.run, issues=issues)], chosen=0)


def table(rows: list[tuple[str, str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["key", "given", "duplicate_of"])


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("a", "x", "b"), ("b", "y", "a"), ("c", "x", "b")], [(0, 1), (1, 2)]),  # each pair once
        ([("a", "x", ""), ("b", "y", None)], []),
        ([("a", "x", "gone"), ("b", "y", "")], []),  # its copy is not in the table
        ([("a", "x", "b"), ("b", "x", "")], []),  # the same label after all
        ([("a", "x", "a")], []),
        ([("a", "x", "b"), ("b", "y", ""), ("b", "z", "")], []),  # nobody knows which b
        ([("a", "x", ""), ("b", "y", "c"), ("c", "z", "")], [(1, 2)]),
    ],
)
def test_pairs_of_near_duplicates(rows: list[tuple[str, str, object]], found: list[tuple[int, int]]) -> None:
    assert list(kinds.pairs(table(rows)).itertuples(index=False, name=None)) == found


def test_keys_that_were_read_as_numbers() -> None:
    numbers = pd.DataFrame({"key": ["7", "8"], "given": ["x", "y"], "duplicate_of": [8, 7]})
    assert len(kinds.pairs(numbers)) == 1
    assert kinds.pairs(pd.DataFrame({"key": ["a"], "given": ["x"]})).empty


def test_both_cards_of_a_pair_are_made(report: Report) -> None:
    issues = report.run.issues
    first = issues.index[0]
    other = issues.index[(issues["given"] != issues["given"][first]).to_numpy()][-1]
    copies = pd.Series("", index=issues.index)
    copies[first] = issues["key"][other]
    marked = with_kinds(report, duplicate_of=copies)
    found = kinds.copies(marked, Columns(marked))
    assert found is not None
    assert found.count == 1
    left, right = found.cards[0]
    assert (left.key, right.key) == (issues["key"][first], issues["key"][other])
    assert left.given != right.given
    assert left.image != right.image
    assert kinds.copies(report, Columns(report)) is None


def test_kinds_are_counted_and_cut(report: Report) -> None:
    marked = with_kinds(report, kind=["ambiguous"] * 12 + ["outlier"] + [""] * 27)
    ambiguous = kinds.of_kind(marked, Columns(marked), "ambiguous")
    assert ambiguous is not None
    assert (ambiguous.count, len(ambiguous.cards)) == (12, kinds.SAMPLES)
    assert [card.key for card in ambiguous.cards] == list(marked.run.issues["key"][: kinds.SAMPLES])
    assert kinds.of_kind(marked, Columns(marked), "duplicate") is None
    assert kinds.of_kind(report, Columns(report), "outlier") is None
