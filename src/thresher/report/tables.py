"""What a report counts: per class, per pair of classes, between witnesses, between runs. Tables in, tables out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from thresher.audit.scores import interval
from thresher.report.view import Report, RunView
from thresher.report.words import pairs

ROWS = 30
"""Rows that a table of classes shows at most."""

SQUARE = 14
"""Runs or witnesses that a square table shows at most."""


@dataclass(frozen=True, eq=False)
class Square:
    """How far several lists of suspects agree.

    Attributes:
        names: of the lists, K.
        both: labels that stand on both, int ``[K, K]``; on the diagonal, the length of each list.
        whole: labels that `both` is a part of, int ``[K, K]``.
        alike: all lists were made from the same rows.
    """

    names: tuple[str, ...]
    both: np.ndarray
    whole: np.ndarray
    alike: bool = True


def with_interval(table: pd.DataFrame, part: str, whole: str) -> pd.DataFrame:
    """Add the columns ``share, low, high``: one count as a share of another, with its 95 % interval.

    Example:
        >>> table = with_interval(pd.DataFrame({"n": [95], "of": [100]}), "n", "of")
        >>> table[["share", "low", "high"]].round(3).values.tolist()
        [[0.95, 0.888, 0.978]]
    """
    counts = list(zip(table[part], table[whole], strict=True))
    ends = np.array([interval(int(k), int(n)) for k, n in counts]).reshape(-1, 2)
    shares = [k / n if n else math.nan for k, n in counts]
    return table.assign(share=shares, low=ends[:, 0], high=ends[:, 1])


def by_class(issues: pd.DataFrame, flagged: np.ndarray, wrong: np.ndarray | None = None) -> pd.DataFrame:
    """How many labels of each given class are suspects, worst first.

    Worst is the highest lower end of the interval: one suspect among two labels tells less than 50 among 200.

    Args:
        issues: with the columns ``given, suggested``.
        flagged: which rows are suspects, bool ``[N]``.
        wrong: which labels are wrong, bool ``[N]``, where known.

    Returns:
        The columns ``name, labels, suspects, share, low, high, suggested`` (most often), ``times`` (how often), and
        where known ``expected`` (the sum of ``p_wrong`` over all labels of the class) and ``wrong``; shares are 0..1.
        Classes without labels are left out.

    Example:
        >>> issues = pd.DataFrame({"given": ["cat", "cat", "dog"], "suggested": ["dog", "cat", "dog"]})
        >>> by_class(issues, np.array([True, False, False]))[["name", "labels", "suspects"]].values.tolist()
        [['cat', 2, 1], ['dog', 1, 0]]
    """
    labels = issues["given"].value_counts()
    table = pd.DataFrame({"name": labels.index.astype(str), "labels": labels.to_numpy()}, index=labels.index)
    table["suspects"] = issues["given"][flagged].value_counts().reindex(labels.index, fill_value=0)
    top = pairs(issues.loc[flagged, ["given", "suggested"]]).drop_duplicates("given").set_index("given")
    table["suggested"] = top["suggested"].astype(object).reindex(labels.index)
    table["times"] = top["count"].reindex(labels.index, fill_value=0)
    if has_probabilities(issues):
        table["expected"] = issues["p_wrong"].groupby(issues["given"]).sum().reindex(labels.index)
    if wrong is not None:
        table["wrong"] = issues["given"][wrong].value_counts().reindex(labels.index, fill_value=0)
    table = with_interval(table, "suspects", "labels")
    return table.sort_values(["low", "suspects", "name"], ascending=[False, False, True], ignore_index=True)


def pairs_expected(suspects: pd.DataFrame) -> pd.DataFrame:
    """`thresher.report.words.pairs`, and where it is known ``expected``: how many labels of each pair are wrong.

    Example:
        >>> suspects = pd.DataFrame({"given": ["a", "a"], "suggested": ["b", "b"], "p_wrong": [0.9, 0.6]})
        >>> pairs_expected(suspects).to_dict("records")
        [{'given': 'a', 'suggested': 'b', 'count': 2, 'expected': 1.5}]
    """
    counted = pairs(suspects)
    if not has_probabilities(suspects):
        return counted
    sums = suspects.groupby(["given", "suggested"], observed=True)["p_wrong"].sum().rename("expected")
    return counted.join(sums, on=["given", "suggested"])


def has_probabilities(issues: pd.DataFrame) -> bool:
    """Whether it is known of any label how probably it is wrong."""
    return "p_wrong" in issues and bool(issues["p_wrong"].notna().any())


def top(table: pd.DataFrame, limit: int, parts: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The first rows of a table, and the sum of the others.

    Args:
        table: in its order.
        limit: rows at most, the sum included.
        parts: columns to add up.

    Returns:
        The rows, and for the rest its ``rows`` and the sums; None where nothing is left.

    Example:
        >>> top(pd.DataFrame({"n": [5, 3, 1]}), 2, ["n"])
        ([{'n': 5}], {'rows': 2, 'n': 4})
    """
    if len(table) <= limit:
        return _records(table), None
    rest = table.iloc[limit - 1 :]
    sums = {name: rest[name].to_numpy().sum().item() for name in parts if name in rest}
    return _records(table.head(limit - 1)), {"rows": len(rest), **sums}


def witnesses(issues: pd.DataFrame) -> Square | None:
    """Of the labels that one witness doubts (row), how many another one doubts too (column); None for a single one.

    A label that the other one did not score is not counted.
    """
    scores = _scores(issues)
    if scores.shape[1] < 2:
        return None
    doubts, known = (scores > 0).to_numpy(), scores.notna().to_numpy()
    names = tuple(str(name).removeprefix("score_") for name in scores)
    return Square(names, _common(doubts, doubts), _common(doubts, known))


def doubted_by(issues: pd.DataFrame, flagged: np.ndarray, wrong: np.ndarray | None = None) -> pd.DataFrame:
    """How many suspects are doubted by how many witnesses: ``witnesses, suspects`` and, where known, ``wrong``.

    Example:
        >>> issues = pd.DataFrame({"score_elr": [1.0, 1.0, -1.0], "score_loss": [2.0, -1.0, 3.0]})
        >>> doubted_by(issues, np.array([True, True, False])).values.tolist()
        [[2, 1], [1, 1]]
    """
    scores = _scores(issues)
    number = (scores.to_numpy()[flagged] > 0).sum(1)
    sizes = np.bincount(number, minlength=scores.shape[1] + 1)
    table = pd.DataFrame({"witnesses": np.arange(len(sizes)), "suspects": sizes})
    if wrong is not None:
        table["wrong"] = np.bincount(number[wrong[flagged]], minlength=len(sizes))
    return table[table["suspects"] > 0].iloc[::-1].reset_index(drop=True)


def overlap(runs: Sequence[RunView]) -> Square | None:
    """How far the suspects of several runs agree: of those that either run has, how many both have (Jaccard).

    Runs over different rows are compared on the rows that both have, by key. None for fewer than two runs that looked
    for suspects; at most `SQUARE` runs.
    """
    judged = [run for run in runs if len(run.issues)][:SQUARE]
    if len(judged) < 2:
        return None
    lengths = [len(run.issues) for run in judged]
    codes, keys = pd.factorize(pd.concat([run.issues["key"] for run in judged], ignore_index=True))
    owner = np.repeat(np.arange(len(judged)), lengths)
    known = np.zeros((len(keys), len(judged)), dtype=bool)
    known[codes, owner] = True
    doubts = np.zeros_like(known)
    doubts[codes, owner] = np.concatenate([run.flagged for run in judged])
    both, with_row = _common(doubts, doubts), _common(doubts, known)
    return Square(tuple(run.title for run in judged), both, with_row + with_row.T - both, bool(known.all()))


def recalls(per_class: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    """Test accuracy per class, worst first: ``name, right, total, share, low, high``; classes without samples left out.

    Example:
        >>> recalls({"cat": (9, 10), "dog": (5, 10), "eel": (0, 0)})["name"].tolist()
        ['dog', 'cat']
    """
    rows = [(str(name), int(right), int(total)) for name, (right, total) in per_class.items() if total]
    table = with_interval(pd.DataFrame(rows, columns=["name", "right", "total"]), "right", "total")
    return table.sort_values(["share", "name"], ignore_index=True)


def balanced(per_class: Mapping[str, tuple[int, int]] | None) -> tuple[float, float, float] | None:
    """Balanced accuracy, the mean of the accuracies per class, with its 95 % interval.

    The interval is the normal one for a mean of independent fractions, whose variances are taken at (k + 2) / (n + 4)
    (Agresti and Coull, The American Statistician 1998), so that a class of all right or all wrong keeps some doubt.

    Example:
        >>> [round(value, 3) for value in balanced({"cat": (90, 100), "dog": (5, 10)})]
        [0.7, 0.565, 0.835]
    """
    counts = np.array([pair for pair in (per_class or {}).values() if pair[1]], dtype=float).reshape(-1, 2)
    if not len(counts):
        return None
    right, total = counts.T
    mean, p = float((right / total).mean()), (right + 2) / (total + 4)
    half = 1.96 * float(np.sqrt((p * (1 - p) / (total + 4)).sum())) / len(counts)
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def changed(report: Report) -> pd.DataFrame:
    """The labels that the correction changed, ``key, row, given, label``; empty where nothing is known of one."""
    changes = report.label_changes
    if changes is None:
        return pd.DataFrame({"key": [], "row": [], "given": [], "label": []})
    return changes[changes["given"] != changes["label"]]


def thinned(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most so many rows, evenly over the whole table.

    Example:
        >>> thinned(pd.DataFrame({"n": range(10)}), 4)["n"].tolist()
        [0, 3, 6, 9]
    """
    return table.iloc[:: max(1, -(-len(table) // limit))]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _scores(issues: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in issues.columns if str(name).startswith("score_")]
    if len(names) > 1:  # what all say together is no further witness
        names = [name for name in names if name != "score_combined"]
    return issues[names[:SQUARE]].astype(float)


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many rows are true in a column of one and a column of the other: int64 ``[K, K]``."""
    return np.array([[np.count_nonzero(x & y) for y in b.T] for x in a.T], dtype=np.int64)
