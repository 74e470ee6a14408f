"""The probabilities of a finished search, calibrated once more on what people have decided since."""

from pathlib import Path

import numpy as np
import pandas as pd

from thresher.audit.evidence import Evidence
from thresher.audit.issues import TOGETHER
from thresher.audit.neighbours import Neighbours
from thresher.decisions import State
from thresher.errors import UsageError
from thresher.findings.folds import OutOfSample
from thresher.findings.stored import read
from thresher.findings.table import judged_table

_WRONG = ("none_of_these", "bad")
_ASKED = ("score_combined", "score_confident", "score_neighbours")


def calibrated(run: Path, issues: pd.DataFrame, classes: tuple[str, ...], state: State) -> pd.DataFrame:
    """The table of issues with `p_wrong`, ranking and flags that agree with decisions.

    Args:
        run: a folder whose search combined its witnesses.
        issues: its table.
        classes: the class names.
        state: of the decisions; skipped and ambiguous ones say nothing here.

    Returns:
        The same columns, worst first.

    Raises:
        UsageError: the run has nothing to combine, or nobody has decided about its rows.
    """
    stored = read(run, len(classes))
    if stored is None or stored.probabilities is None or "score_combined" not in issues:
        raise UsageError(f"{run} has no combined probabilities: search with thresher find, or train with --cross-fit")
    table = issues.set_index("row").loc[stored.rows].reset_index()
    labels = pd.Categorical(table["given"], categories=list(classes)).codes.astype(np.int64)
    judged = _judged(table, state)
    if not len(judged[0]):
        raise UsageError(f"nobody has decided about a row of {run}: review some first, with thresher review {run}")
    near = None
    if stored.index is not None and stored.distances is not None:
        near = Neighbours(stored.index, stored.distances)
    again = judged_table(
        OutOfSample(np.asarray(stored.probabilities), near),
        keys=table["key"].to_numpy(dtype=object),
        labels=labels,
        classes=classes,
        rows=stored.rows,
        trusted=int(table["p_wrong"].isna().sum()),  # they stand at the end
        further=[_recorded(table, name) for name in table.columns if name.startswith("score_") and name not in _ASKED],
        decisions=judged,
    )
    return _with_rest(again, table)[list(issues.columns)]


def _recorded(table: pd.DataFrame, column: str) -> Evidence:
    """A witness that cannot be asked again."""
    return Evidence(column.removeprefix("score_"), table[column].to_numpy(dtype=float))


def _with_rest(again: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """What decisions do not change: what each witness said, what else is the matter, and further columns."""
    old = before.set_index("row").loc[again["row"]].reset_index()
    wrong = again["is_label_issue"].to_numpy(dtype=bool)
    again["reasons"] = [_reason(said, called) for said, called in zip(old["reasons"].fillna(""), wrong, strict=True)]
    if "kind" in old:
        kind, copied = old["kind"].fillna("").to_numpy(dtype=object), old["duplicate_of"].fillna("") != ""
        free = np.isin(kind, ("", "wrong", "duplicate"))  # the others stay what they are, called wrong or not
        old["kind"] = np.where(free, np.where(wrong, "wrong", np.where(copied, "duplicate", "")), kind)
    for name in old.columns.difference(again.columns):
        again[name] = old[name]
    return again


def _reason(said: str, wrong: bool) -> str:
    """What was said, and whether it is all evidence together that decides."""
    return said or TOGETHER if wrong else said.removeprefix(TOGETHER).removeprefix("; ")


def _judged(table: pd.DataFrame, state: State) -> tuple[np.ndarray, np.ndarray]:
    """The places of decided rows, int64 ``[n]``, and whether their labels are wrong, bool ``[n]``."""
    place = {key: k for k, key in enumerate(table["key"])}
    given = table["given"].to_numpy()
    said = [
        (place[key], one.action in _WRONG or one.label != given[place[key]])
        for key, one in state.decided().items()
        if key in place and (one.label is not None or one.action in _WRONG)
    ]
    return np.array([row for row, _ in said], dtype=np.int64), np.array([wrong for _, wrong in said], dtype=bool)
