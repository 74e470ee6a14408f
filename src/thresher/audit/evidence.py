"""What one witness says about every label, and the table that puts several witnesses side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from thresher.audit.confident import find_issues, normalized_margin
from thresher.errors import UsageError


@dataclass(frozen=True, eq=False)
class Evidence:
    """One witness: a score per sample and, where it can tell, what the labels should be.

    Attributes:
        name: a short word, the method's name or ``margin``, ``loss``, ``confident``; column ``score_<name>``.
        score: float ``[N]``, higher = more likely wrong, above 0 = called wrong, NaN = not scored.
        suggested: class probabilities of the true label, float ``[N, K]``, or None.
        reason: what it says of a label that it calls wrong, in words: one phrase for all of them, or a function that
            takes row positions, int64 ``[m]``, and gives one phrase each, so that none is made in vain; by default made
            from name and suggestion.

    Example:
        >>> Evidence("loss", np.array([-0.5, 2.0])).flagged
        array([False,  True])
    """

    name: str
    score: np.ndarray
    suggested: np.ndarray | None = None
    reason: str | Callable[[np.ndarray], Sequence[str]] | None = None

    @property
    def flagged(self) -> np.ndarray:
        """Which labels it calls wrong: bool ``[N]``."""
        return np.asarray(self.score) > 0


def confident_evidence(labels: np.ndarray, probabilities: np.ndarray) -> Evidence:
    """Evidence from confident learning: what `find_issues` flags, ranked by normalised margin.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.

    Returns:
        Evidence named ``confident``: a flagged sample scores 1 - normalised margin (0.5..1), any other the margin's
        negative (-1..0), so that the flags are those of `find_issues` and come first.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1])
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> confident_evidence(labels, probabilities).flagged
        array([False, False,  True, False, False])
    """
    quality = normalized_margin(labels, probabilities)
    score = np.where(find_issues(labels, probabilities), 1 - quality, -quality)
    return Evidence("confident", score, probabilities, reason="confident learning doubts the label")


def issues_table(
    evidence: Sequence[Evidence],
    *,
    keys: Sequence[str] | np.ndarray,
    given: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    rows: np.ndarray | None = None,
) -> pd.DataFrame:
    """Every sample with its given and suggested label and the reasons to doubt it, worst first.

    The first evidence decides: it ranks, it flags, and it suggests (from `probabilities` if it suggests nothing). A
    flagged label is never suggested again: the suggestion is then the most probable other class.

    Args:
        evidence: one or more witnesses over the same N samples, the chosen one first.
        keys: the samples' keys, ``[N]``.
        given: given labels, integer ``[N]``.
        probabilities: class probabilities of the true label, float ``[N, K]``.
        classes: class names, K of them.
        rows: row numbers of the samples, integer ``[N]``; 0..N-1 by default.

    Returns:
        The columns of ``issues.csv``: ``key, row, given, suggested, p_suggested, label_quality, p_wrong,
        is_label_issue, reasons, score_<name>...``. ``label_quality`` is 1 / (1 + exp(score / s)) of the first score,
        where s is its median absolute value: strictly falling in the score, 0.5 on the line between right and wrong,
        free of the score's units. ``p_wrong`` is empty. Samples without a score come last, without a quality.

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
    _check(evidence, given, probabilities, keys, classes)
    chosen, names, given = evidence[0], np.asarray(classes, dtype=object), np.asarray(given)
    belief = probabilities if chosen.suggested is None else chosen.suggested
    best = _suggestion(belief, given, chosen.flagged)
    table = pd.DataFrame(
        {
            "key": np.asarray(keys, dtype=object),
            "row": np.arange(len(given)) if rows is None else np.asarray(rows),
            "given": names[given],
            "suggested": names[best],
            "p_suggested": belief[np.arange(len(given)), best],
            "label_quality": _quality(chosen.score),
            "p_wrong": np.full(len(given), np.nan),
            "is_label_issue": chosen.flagged,
            "reasons": _reasons(evidence, given, names),
        }
        | {f"score_{e.name}": e.score for e in evidence}
    )
    return table.iloc[np.argsort(-chosen.score, kind="stable")].reset_index(drop=True)


def counted(issues: pd.DataFrame) -> dict[str, Any]:
    """How many labels look wrong, in which classes, and into which: plain values for JSON.

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
    }


def _suggestion(belief: np.ndarray, given: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """The most probable class, of the others where the given one is called wrong: int64 ``[N]``."""
    best = np.asarray(belief.argmax(axis=1))
    torn = np.flatnonzero(flagged & (best == given))
    others = belief[torn]
    others[np.arange(len(torn)), given[torn]] = -np.inf
    best[torn] = others.argmax(axis=1)
    return best


def _quality(score: np.ndarray) -> np.ndarray:
    """A score (any units, above 0 = wrong) as a label quality in 0..1 (0.5 on the line, low = bad)."""
    known = np.abs(score[~np.isnan(score)])
    scale = (float(np.median(known)) if known.size else 0.0) or 1.0
    return np.asarray(1 / (1 + np.exp(np.clip(score / scale, -500, 500))))


def _reasons(evidence: Sequence[Evidence], given: np.ndarray, names: np.ndarray) -> np.ndarray:
    """What the witnesses that call a label wrong say about it, joined by semicolons; empty where none does."""
    said = np.full(len(given), "", dtype=object)
    for witness in evidence:
        rows = np.flatnonzero(witness.flagged)
        for row, words in zip(rows.tolist(), _words(witness, rows, given, names), strict=True):
            said[row] = f"{said[row]}; {words}" if said[row] else words
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
