"""The probabilities of a finished search, calibrated once more on what people have decided since."""

from pathlib import Path

import numpy as np
import pandas as pd

from thresher.audit.calibrate import best_cut
from thresher.audit.combine import combine
from thresher.audit.evidence import Evidence
from thresher.audit.neighbours import Neighbours
from thresher.audit.neighbours.votes import neighbour_votes
from thresher.errors import UsageError
from thresher.findings.stored import read
from thresher.review.decisions import State

_WRONG = ("none_of_these", "bad")


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
    named = [name for name in table.columns if name.startswith("score_")]
    evidence = [Evidence(name.removeprefix("score_"), table[name].to_numpy(dtype=float)) for name in named]
    votes = None
    if stored.index is not None and stored.distances is not None:
        votes = neighbour_votes(Neighbours(stored.index, stored.distances), labels, len(classes))
    further = [one for one in evidence if one.name != "combined"]
    p = combine(further, labels, np.asarray(stored.probabilities), votes=votes, decisions=judged).p_wrong
    p = np.where(table["p_wrong"].isna(), np.nan, p)  # trusted rows are not asked about
    inside, cut = np.clip(p, 1e-12, 1 - 1e-12), best_cut(p)
    table["p_wrong"], table["label_quality"], table["is_label_issue"] = p, 1 - p, p >= cut
    table["score_combined"] = np.log(inside) - np.log1p(-inside) - np.log(cut) + np.log1p(-cut)
    return table[list(issues.columns)].iloc[np.argsort(-p, kind="stable")].reset_index(drop=True)


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
