"""The table of issues: every sample, what several witnesses say about its label, and what it should be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thresher.audit.calibrate import best_cut
from thresher.audit.evidence import Evidence, other_class
from thresher.audit.planning import plan
from thresher.errors import UsageError

if TYPE_CHECKING:  # words for people are made from this table without torch
    from thresher.audit.combine import Combined
    from thresher.audit.kinds import Kinds

TOGETHER = "only all evidence taken together speaks against it"
"""What is said of a label that no witness alone calls wrong."""


def issues_table(
    evidence: Sequence[Evidence],
    *,
    keys: Sequence[str] | np.ndarray,
    given: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    rows: np.ndarray | None = None,
    combined: "Combined | None" = None,
    kinds: "Kinds | None" = None,
    p_wrong: np.ndarray | None = None,
) -> pd.DataFrame:
    """Every sample with its given and suggested label and the reasons to doubt it, worst first.

    The combined witnesses decide where they are given, otherwise the first evidence: it ranks, flags and suggests (from
    `probabilities` if it suggests nothing). A flagged label is never suggested again: the suggestion is then the most
    probable other class.

    Args:
        evidence: one or more witnesses over the same N samples, the chosen one first.
        keys: the samples' keys, ``[N]``.
        given: given labels, integer ``[N]``.
        probabilities: class probabilities of the true label, float ``[N, K]``.
        classes: class names, K of them.
        rows: row numbers of the samples, integer ``[N]``; 0..N-1 by default.
        combined: all evidence together, from `thresher.audit.combine.combine`; `p_wrong` may be NaN where it is not
            asked for. It is shown as evidence named ``combined``, whose score is the log-odds of `p_wrong` above those
            of the cut (`thresher.audit.calibrate.best_cut`).
        kinds: what else may be the matter with the samples, or None.
        p_wrong: probability that the label is wrong, float ``[N]``, where `combined` shall not decide; shown only.

    Returns:
        The columns of ``issues.csv``: ``key, row, given, suggested, p_suggested, label_quality, p_wrong,
        is_label_issue, reasons, score_<name>...``. With `combined`, ``p_wrong`` is its probability and
        ``label_quality`` one minus that. Without, ``p_wrong`` is empty, and ``label_quality`` is 1 / (1 + exp(score /
        s)) of the first score, where s is its median absolute value: strictly falling in the score, 0.5 on the line
        between right and wrong, free of the score's units. Samples without a score come last, without a quality.
        With `kinds` the columns ``kind`` and ``duplicate_of`` (a key, or empty) stand at the end.

    Raises:
        UsageError: no evidence, one name twice, or lengths that differ.

    Example:
        >>> given, probabilities = np.array([0, 1]), np.array([[0.9, 0.1], [0.98, 0.02]])
        >>> chosen = Evidence("elr", np.array([-0.8, 0.96]), probabilities)
        >>> table = issues_table(
        ...     [chosen], keys=["a", "b"], given=given, probabilities=probabilities, classes=["3", "7"]
        ... )
        >>> table[["key", "given", "suggested", "is_label_issue", "reasons"]].to_dict("records")[0]
        {'key': 'b', 'given': '7', 'suggested': '3', 'is_label_issue': True, 'reasons': "elr expects '3' (p 0.98)"}
    """
    names, given = np.asarray(classes, dtype=object), np.asarray(given)
    witnesses = [*([] if combined is None else [_verdict(combined)]), *evidence]
    _check(witnesses, given, probabilities, keys, classes)
    chosen = witnesses[0]
    p_wrong = p_wrong if combined is None else combined.p_wrong
    belief = probabilities if chosen.suggested is None else chosen.suggested
    best = _suggestion(belief, given, chosen.flagged)
    table = pd.DataFrame(
        {
            "key": np.asarray(keys, dtype=object),
            "row": np.arange(len(given)) if rows is None else np.asarray(rows),
            "given": names[given],
            "suggested": names[best],
            "p_suggested": belief[np.arange(len(given)), best],
            "label_quality": _quality(chosen.score) if combined is None else 1 - combined.p_wrong,
            "p_wrong": np.full(len(given), np.nan) if p_wrong is None else p_wrong,
            "is_label_issue": chosen.flagged,
            "reasons": _reasons(evidence, chosen.flagged, given, names),
        }
        | {f"score_{e.name}": e.score for e in witnesses}
        | ({} if kinds is None else _told(kinds, keys))
    )
    if kinds is not None:
        table["reasons"] = _with_kinds(table["reasons"].to_numpy(dtype=object), kinds)
    return table.iloc[np.argsort(-chosen.score, kind="stable")].reset_index(drop=True)


def counted(issues: pd.DataFrame) -> dict[str, Any]:
    """How many labels look wrong, in which classes, and into which: plain values for JSON.

    `review` says how many of the suspects are expected to be wrong; None where there is no ``p_wrong``.

    Example:
        >>> issues = pd.DataFrame({"given": ["a", "b"], "suggested": ["b", "b"], "is_label_issue": [True, False]})
        >>> counted(issues)["classes"]
        [{'class': 'a', 'labels': 1, 'suspects': 1}, {'class': 'b', 'labels': 1, 'suspects': 0}]
    """
    suspects = issues[issues["is_label_issue"].astype(bool)]
    labels, doubted = issues["given"].value_counts(), suspects["given"].value_counts()
    pairs = suspects.groupby(["given", "suggested"], sort=False).size().sort_values(ascending=False, kind="stable")
    return {
        "labels": len(issues),
        "suspects": len(suspects),
        "classes": [
            {"class": name, "labels": int(labels[name]), "suspects": int(doubted.get(name, 0))}
            for name in sorted(labels.index, key=lambda name: -doubted.get(name, 0))
        ],
        "pairs": [
            {"given": str(given), "suggested": str(suggested), "suspects": int(count)}
            for (given, suggested), count in zip(pairs.index.to_list()[:10], pairs.to_list(), strict=False)
        ],
        "review": worth_a_look(issues),
    }


def worth_a_look(issues: pd.DataFrame) -> dict[str, Any] | None:
    """How many of the suspects are expected to be wrong, with a 95 % interval; None where no ``p_wrong`` is known.

    Example:
        >>> worth_a_look(pd.DataFrame({"p_wrong": [1.0, 0.6, 0.2], "is_label_issue": [True, True, False]}))
        {'count': 2, 'expected': 1.6, 'low': 0.6, 'high': 2.0}
        >>> worth_a_look(pd.DataFrame({"p_wrong": [np.nan], "is_label_issue": [True]})) is None
        True
    """
    if "p_wrong" not in issues:
        return None
    p = issues.loc[issues["is_label_issue"].astype(bool), "p_wrong"].to_numpy(dtype=float)
    if not len(p) or np.isnan(p).all():
        return None
    found = plan(p)
    figures = {"expected": found.found, "low": found.low, "high": found.high}
    return {"count": found.count, **{name: round(value, 1) for name, value in figures.items()}}


def _told(kinds: "Kinds", keys: Sequence[str] | np.ndarray) -> dict[str, np.ndarray]:
    """The columns `kind` and `duplicate_of`."""
    of = kinds.duplicates.of
    named = np.append(np.asarray(keys, dtype=object), "")
    return {"kind": kinds.kind, "duplicate_of": named[of]}


def _with_kinds(said: np.ndarray, kinds: "Kinds") -> np.ndarray:
    """The reasons, with what is the matter besides."""
    rows = np.flatnonzero(np.isin(kinds.kind, ("outlier", "ambiguous")) | kinds.duplicates.conflict)
    for row, words in zip(rows.tolist(), kinds.reason(rows), strict=True):
        said[row] = "; ".join(part for part in (said[row], words) if part)
    return said


def _verdict(found: "Combined") -> Evidence:
    """All witnesses as one: wrong from the probability on that finds the wrong labels best."""
    p, cut = np.clip(found.p_wrong, 1e-12, 1 - 1e-12), best_cut(found.p_wrong)
    return Evidence("combined", np.log(p) - np.log1p(-p) - np.log(cut) + np.log1p(-cut), found.belief)


def _suggestion(belief: np.ndarray, given: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """The most probable class, of the others where the given one is called wrong: int64 ``[N]``."""
    best = np.asarray(belief.argmax(axis=1))
    torn = np.flatnonzero(flagged & (best == given))
    best[torn] = other_class(belief[torn], given[torn])
    return best


def _quality(score: np.ndarray) -> np.ndarray:
    """A score (any units, above 0 = wrong) as a label quality in 0..1 (0.5 on the line, low = bad)."""
    known = np.abs(score[~np.isnan(score)])
    scale = (float(np.median(known)) if known.size else 0.0) or 1.0
    return np.asarray(1 / (1 + np.exp(np.clip(score / scale, -500, 500))))


def _reasons(evidence: Sequence[Evidence], flagged: np.ndarray, given: np.ndarray, names: np.ndarray) -> np.ndarray:
    """What the witnesses that call a label wrong say about it, joined by semicolons; empty where nobody does."""
    said = np.where(flagged, TOGETHER, "").astype(object)
    for witness in evidence:
        rows = np.flatnonzero(witness.flagged)
        for row, words in zip(rows.tolist(), _words(witness, rows, given, names), strict=True):
            if words:
                said[row] = f"{said[row]}; {words}" if said[row] not in ("", TOGETHER) else words
    return said


def _words(witness: Evidence, rows: np.ndarray, given: np.ndarray, names: np.ndarray) -> Sequence[str]:
    """One phrase for each of the rows, which the witness calls wrong."""
    if callable(witness.reason):
        return witness.reason(rows)
    if witness.reason is not None or witness.suggested is None:
        return [witness.reason or f"{witness.name} calls the label wrong"] * len(rows)
    best = witness.suggested[rows].argmax(axis=1)
    p = witness.suggested[rows, best]
    return [
        f"{witness.name} calls the label wrong" if torn else f"{witness.name} expects '{names[k]}' (p {q:.2f})"
        for k, q, torn in zip(best, p, best == given[rows], strict=True)
    ]


def _check(
    evidence: Sequence[Evidence],
    given: np.ndarray,
    probabilities: np.ndarray,
    keys: Sequence[str] | np.ndarray,
    classes: Sequence[str],
) -> None:
    """Refuse what would silently put a suspicion beside the wrong sample."""
    if not evidence:
        raise UsageError("there is no evidence to make a table of issues from")
    names = [e.name for e in evidence]
    if len(set(names)) < len(names):
        raise UsageError(f"two witnesses have the same name among {', '.join(names)}")
    lengths = {"keys": len(keys), "probabilities": len(probabilities)} | {e.name: len(e.score) for e in evidence}
    for name, length in lengths.items():
        if length != len(given):
            raise UsageError(f"{name} has {length} entries for {len(given)} labels")
    if probabilities.shape[1] != len(classes):
        raise UsageError(f"probabilities have {probabilities.shape[1]} columns for {len(classes)} classes")
