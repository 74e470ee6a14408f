"""What to do with labels that look wrong: keep, relabel, soften, drop, weight, or leave it to a person."""

import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from thresher.correct.suspects import checked
from thresher.engine.options import nearest
from thresher.errors import UsageError

POLICIES = ("keep", "relabel", "soften", "drop", "weight", "review")
"""What can be done with suspects."""

CHANGES = ("key", "given", "label", "p_suggested", "label_quality", "action")
"""The columns of a table of changes."""

_CONFIDENT = 0.9
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Correction:
    """Corrected labels, and what is different in them.

    Attributes:
        policy: one of `POLICIES`.
        min_confidence: the `p_suggested` from which a suspect was changed; None where the policy does not read it.
        table: to be written as a file: `key` and `label` first, then what the policy adds; every key once.
        changes: one row per sample that is treated differently, in the columns of `CHANGES`, worst first.
        counts: `rows`, `suspects` and `changed`.
    """

    policy: str
    min_confidence: float | None
    table: pd.DataFrame
    changes: pd.DataFrame
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """Given class, new class and how many, for the labels that were replaced; the most frequent first."""
        moved = self.changes[self.changes["action"] == "relabel"]
        found = Counter(zip(moved["given"], moved["label"], strict=True))
        return [(given, label, count) for (given, label), count in found.most_common()]

    def summary(self) -> str:
        """What was done, in a few lines for people."""
        rows, suspects, changed = (f"{self.counts[name]:,}" for name in ("rows", "suspects", "changed"))
        sure = "" if self.min_confidence is None else f", changed where p_suggested is {self.min_confidence:g} or more"
        done = {
            "keep": f"kept all {rows} labels as given",
            "relabel": f"changed {changed} of {rows} labels",
            "drop": f"left {changed} of {rows} rows out",
            "weight": f"kept all {rows} labels, and gave {changed} of them their label quality as weight",
            "soften": f"split {changed} of {rows} labels between the given and the suggested class",
            "review": f"listed {rows} rows, suspects first: edit the column label, then train on the file",
        }[self.policy]
        done += f" (suspects: {suspects}{sure})"
        pairs = [f"  {given} -> {label}: {count:,}" for given, label, count in self.pairs[:_SHOWN]]
        return "\n".join([done, *pairs])


def correct(
    issues: pd.DataFrame,
    policy: str,
    classes: tuple[str, ...],
    *,
    min_confidence: float | None = None,
    probabilities: np.ndarray | None = None,
) -> Correction:
    """Make corrected labels from a table of issues.

    Args:
        issues: the columns `key, given, suggested, p_suggested, is_label_issue`, as in ``issues.csv``, labels as class
            names; `row` gives the source's order, `label_quality` is needed by ``weight``, `reasons` shown by
            ``review``.
        policy: ``keep`` leaves all labels as given. ``relabel`` gives suspects the suggested label, ``drop`` gives them
            an empty one, which means: leave this row out. ``weight`` adds a column `weight`, the label quality of
            suspects and 1 for others. ``soften`` adds a column ``p_<class>`` for each class: `p_suggested` for a
            suspect's suggestion and the rest for its given label, 1 for the label of others. ``review`` lists all rows,
            suspects first, for a person to edit the column `label`.
        classes: the class names.
        min_confidence: the `p_suggested` from which a suspect is changed, 0 to 1; for ``relabel`` (default 0.9) and
            ``drop`` (default: every suspect).
        probabilities: for ``soften``, class probabilities of the true label, float ``[N, K]``, rows as in `issues`.

    Returns:
        The correction; its table has the source's order, but for ``review``.

    Raises:
        UsageError: an unknown policy, an option that it does not read, values out of range, a table that lacks
            something or contradicts itself.

    Warns:
        UserWarning: a class that would lose all of its rows.

    Example:
        >>> columns = ["key", "given", "suggested", "p_suggested", "is_label_issue"]
        >>> rows = [["b", "cat", "dog", 0.97, True], ["a", "dog", "dog", 0.9, False], ["c", "cat", "cat", 0.8, False]]
        >>> done = correct(pd.DataFrame(rows, columns=columns), "relabel", ("cat", "dog"))
        >>> done.table.to_dict("list")
        {'key': ['b', 'a', 'c'], 'label': ['dog', 'dog', 'cat']}
        >>> print(done.summary())
        changed 1 of 3 labels (suspects: 1, changed where p_suggested is 0.9 or more)
          cat -> dog: 1
    """
    _check_request(policy, min_confidence, probabilities)
    known = checked(issues, classes, quality=policy == "weight")
    confidence = _CONFIDENT if policy == "relabel" and min_confidence is None else min_confidence
    suspect = known["is_label_issue"].to_numpy()
    sure = suspect if confidence is None else suspect & (known["p_suggested"].to_numpy() >= confidence)
    known["label"] = known["given"]
    if policy == "relabel":
        known.loc[sure, "label"] = known.loc[sure, "suggested"]
    if policy == "drop":
        known.loc[sure, "label"] = ""
    changed = _changed(known, policy, sure)
    table = _table(known, policy, classes, probabilities)
    _warn_of_lost_classes(known)
    counts = {"rows": len(known), "suspects": int(suspect.sum()), "changed": int(changed.sum())}
    changes = known[changed].assign(action=policy)[list(CHANGES)].reset_index(drop=True)
    return Correction(policy, confidence, table, changes, counts)


def _check_request(policy: str, confidence: float | None, probabilities: np.ndarray | None) -> None:
    if policy not in POLICIES:
        raise UsageError(f"there is no policy {policy!r}: {nearest(str(policy), POLICIES)}")
    if confidence is not None:
        if policy not in ("relabel", "drop"):
            raise UsageError(f"min_confidence has no meaning for {policy}: it belongs to relabel and drop")
        if not 0 <= confidence <= 1:
            raise UsageError(f"min_confidence is {confidence:g}: it is a probability, from 0 to 1")
    if probabilities is not None and policy != "soften":
        raise UsageError(f"probabilities have no meaning for {policy}: they belong to soften")


def _changed(known: pd.DataFrame, policy: str, sure: np.ndarray) -> np.ndarray:
    """The rows that are treated differently: bool ``[N]``."""
    if policy in ("keep", "review"):
        return np.zeros(len(known), dtype=bool)
    if policy == "relabel":
        return np.asarray(known["label"] != known["given"])
    return sure


def _table(
    known: pd.DataFrame, policy: str, classes: tuple[str, ...], probabilities: np.ndarray | None
) -> pd.DataFrame:
    """What is written: key and label, and what the policy adds."""
    if policy == "review":
        worst = known.sort_values(
            ["is_label_issue", "label_quality"], ascending=[False, True], kind="stable", na_position="last"
        )
        shown = ["key", "label", "given", "suggested", "p_suggested", "label_quality", "reasons"]
        return worst[shown].reset_index(drop=True)
    table = known[["key", "label"]].copy()
    if policy == "weight":
        table["weight"] = known["label_quality"].where(known["is_label_issue"], 1.0)
    if policy == "soften":
        soft = _softened(known, classes, probabilities)
        table = pd.concat([table, pd.DataFrame(soft, columns=[f"p_{name}" for name in classes])], axis=1)
    if known["row"].notna().all():
        table = table.iloc[np.argsort(known["row"].to_numpy(), kind="stable")]
    return table.reset_index(drop=True)


def _softened(known: pd.DataFrame, classes: tuple[str, ...], probabilities: np.ndarray | None) -> np.ndarray:
    """Class probabilities of every label: float64 ``[N, K]``."""
    number = {name: k for k, name in enumerate(classes)}
    rows = np.arange(len(known))
    soft = np.zeros((len(known), len(classes)))
    soft[rows, known["given"].map(number).to_numpy(dtype=np.int64)] = 1.0
    suspects = np.flatnonzero(known["is_label_issue"].to_numpy())
    if probabilities is not None:
        soft[suspects] = _full_rows(probabilities, soft.shape)[suspects]
        return soft
    share = known["p_suggested"].to_numpy()[suspects]
    if np.isnan(share).any():
        key = known["key"].iloc[suspects[np.isnan(share)][0]]
        raise UsageError(
            f"the suspect {key!r} has no p_suggested, and soften needs one: fill it in or pass probabilities"
        )
    soft[suspects] *= (1 - share)[:, None]
    soft[suspects, known["suggested"].iloc[suspects].map(number).to_numpy(dtype=np.int64)] += share
    return soft


def _full_rows(probabilities: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != shape:
        raise UsageError(
            f"probabilities have shape {list(values.shape)} where {list(shape)} is needed, rows and classes"
        )
    if (
        not np.isfinite(values).all()
        or values.min(initial=0) < 0
        or np.abs(values.sum(axis=1) - 1).max(initial=0) > 1e-3
    ):
        raise UsageError("probabilities must be 0 or more and sum to 1 in every row: take the softmax of logits first")
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def _warn_of_lost_classes(known: pd.DataFrame) -> None:
    lost = sorted(set(known["given"]) - set(known["label"]))
    if lost:
        named = ", ".join(map(repr, lost[:_SHOWN])) + (f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
        classes = "class loses all its rows" if len(lost) == 1 else "classes lose all their rows"
        warnings.warn(
            f"the {classes} by this: {named}; training needs every class, so raise the confidence or review them",
            UserWarning,
            stacklevel=3,
        )
