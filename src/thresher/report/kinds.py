"""Samples whose trouble is not simply a wrong label: near copies labelled otherwise, two plausible classes, none."""

from dataclasses import dataclass

import pandas as pd

from thresher.report import cards
from thresher.report.cards import Card
from thresher.report.columns import Columns
from thresher.report.view import Report

COPIES = 10
SAMPLES = 8
"""Pairs of near duplicates, and samples of each kind, that a report shows at most."""

TAGS = {"ambiguous": "ambiguous", "outlier": "outlier", "duplicate": "near duplicate"}


@dataclass(frozen=True, eq=False)
class Kind:
    """The samples of one kind: how many there are, and cards of the first ones."""

    count: int
    cards: list[Card]


@dataclass(frozen=True, eq=False)
class Copies:
    """Near duplicates with different labels: how many pairs there are, and the cards of the first ones."""

    count: int
    cards: list[tuple[Card, Card]]


def of_kind(report: Report, known: Columns, kind: str) -> Kind | None:
    """The samples of a kind, in the order of the list; None where there are none."""
    issues = report.run.issues
    if "kind" not in issues:
        return None
    rows = issues[(issues["kind"] == kind).to_numpy(dtype=bool)]
    return Kind(len(rows), cards.of_issues(report, known, rows.head(SAMPLES))) if len(rows) else None


def copies(report: Report, known: Columns) -> Copies | None:
    """Pairs of near duplicates that carry different labels, those with the worst sample first; None without any.

    A sample names its nearest copy with another label; that copy may name a third. A copy that is not in the list of
    issues cannot be shown, and is left out.
    """
    found = pairs(report.run.issues)
    if not len(found):
        return None
    issues, shown = report.run.issues, found.head(COPIES)
    sides = [cards.of_issues(report, known, issues.iloc[shown[side].to_numpy()]) for side in ("first", "second")]
    return Copies(len(found), list(zip(*sides, strict=True)))


def pairs(issues: pd.DataFrame) -> pd.DataFrame:
    """Places of near duplicates with different labels, each pair once, in the order of the list: ``first, second``.

    Args:
        issues: with the columns ``key, given`` and perhaps ``duplicate_of``.

    Example:
        >>> issues = pd.DataFrame({"key": ["a", "b", "c"], "given": ["x", "y", "x"], "duplicate_of": ["b", "a", ""]})
        >>> pairs(issues).to_dict("records")
        [{'first': 0, 'second': 1}]
    """
    nothing = pd.DataFrame({"first": [], "second": []}, dtype=int)
    if "duplicate_of" not in issues:
        return nothing
    named = issues["duplicate_of"].fillna("").astype(str).reset_index(drop=True)
    named = named[named != ""]
    places = pd.Index(issues["key"].astype(str))
    if not len(named) or not places.is_unique:  # by a key that two samples share nobody can be found
        return nothing
    table = pd.DataFrame({"first": named.index, "second": places.get_indexer(pd.Index(named))})
    given = issues["given"].to_numpy(dtype=object)
    table = table[(table["second"] >= 0) & (given[table["first"]] != given[table["second"]])]
    order = pd.DataFrame({"first": table.min(axis=1), "second": table.max(axis=1)})
    return order.drop_duplicates().sort_values(["first", "second"], ignore_index=True)
