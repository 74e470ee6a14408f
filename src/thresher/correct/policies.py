"""What to do with labels that look wrong: keep, relabel, soften, drop, weight, or leave it to a person."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from thresher.correct.correction import CHANGES, Correction
from thresher.correct.limits import check_limit, limited
from thresher.correct.people import Decided
from thresher.correct.suspects import checked
from thresher.data.columns import listed
from thresher.decisions.decision import Decision
from thresher.errors import UsageError, nearest

POLICIES = ("keep", "relabel", "soften", "drop", "weight", "review")
"""What can be done with suspects."""

_CONFIDENT = 0.9


def correct(
    issues: pd.DataFrame,
    policy: str,
    classes: tuple[str, ...],
    *,
    min_confidence: float | None = None,
    probabilities: np.ndarray | None = None,
    max_per_class: float | None = None,
    decisions: Mapping[str, Decision] | None = None,
    then: str | None = None,
    ambiguous: str = "soften",
) -> Correction:
    """Make corrected labels from a table of issues, and from people's decisions.

    Args:
        issues: the columns `key, given, suggested, p_suggested, is_label_issue`, as in ``issues.csv``, labels as class
            names; `row` gives the source's order, `label_quality` is needed by ``weight``, `reasons` shown by
            ``review``.
        policy: ``keep`` leaves all labels as given. ``relabel`` gives suspects the suggested label, ``drop`` gives them
            an empty one, which means: leave this row out. ``weight`` adds a column `weight`, the label quality of
            suspects and 1 for others. ``soften`` adds a column ``p_<class>`` for each class: `p_suggested` for a
            suspect's suggestion and the rest for its given label, 1 for the label of others. ``review`` applies
            `decisions`; without these, it lists all rows, suspects first, for a person to edit the column `label`.
        classes: the class names.
        min_confidence: the `p_suggested` from which a suspect is changed, 0 to 1; for ``relabel`` (default 0.9) and
            ``drop`` (default: every suspect).
        probabilities: for ``soften``, class probabilities of the true label, float ``[N, K]``, rows as in `issues`.
        max_per_class: of each given class, the policy changes at most so many labels (int) or this share (float), those
            with the highest `p_suggested`; people's decisions are not limited.
        decisions: for ``review``, people's current decision by key, as `thresher.decisions.State.decided` gives
            them: a label is taken as it is, and samples that no class fits, or that are bad, are left out.
        then: the policy for suspects that nobody decided; default none, as ``keep``.
        ambiguous: what is done with samples that people called ambiguous: ``soften``, columns as for that policy with
            the same share for every class that fits, empty for other rows; or ``drop``.

    Returns:
        The correction; its table has the source's order, but for the list of ``review``.

    Raises:
        UsageError: an unknown policy, an option that it does not read, values out of range, a table that lacks
            something or contradicts itself, decisions about other rows.

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
    _check_people(policy, decisions, then)
    acting = policy if decisions is None else then or "keep"
    _check_request(acting, min_confidence, probabilities, max_per_class)
    known = checked(issues, classes, quality=acting == "weight")
    people = None if decisions is None else Decided(known, decisions, classes, ambiguous)
    confidence = _CONFIDENT if acting == "relabel" and min_confidence is None else min_confidence
    sure = _chosen(known, people, confidence, max_per_class)
    known["label"] = known["given"].where(
        ~sure, {"relabel": known["suggested"], "drop": ""}.get(acting, known["given"])
    )
    known["action"] = acting
    changed = _changed(known, acting, sure)
    if people is not None:
        _apply(known, people, changed)
    table = _table(known, acting, classes, sure, people, probabilities)
    _warn_of_lost_classes(known)
    counts = {
        "rows": len(known),
        "suspects": int(known["is_label_issue"].sum()),
        "changed": int(changed.sum()),
    }
    changes = known[changed][list(CHANGES)].reset_index(drop=True)
    told = None if people is None else people.counts(known)
    return Correction(policy, confidence, table, changes, counts, then, max_per_class, told)


def _check_people(policy: str, decisions: Mapping[str, Decision] | None, then: str | None) -> None:
    if policy not in POLICIES:
        raise UsageError(f"there is no policy {policy!r}: {nearest(str(policy), POLICIES)}")
    if decisions is not None and policy != "review":
        raise UsageError(f"decisions have no meaning for {policy}: they belong to review, and then may be {policy}")
    if then is None:
        return
    if decisions is None:
        raise UsageError(f"then has no meaning without decisions: it is for suspects that nobody decided, not {policy}")
    others = [name for name in POLICIES if name != "review"]
    if then not in others:
        raise UsageError(f"there is no policy {then!r} for suspects that nobody decided: {nearest(str(then), others)}")


def _check_request(
    policy: str, confidence: float | None, probabilities: np.ndarray | None, limit: float | None
) -> None:
    if confidence is not None:
        if policy not in ("relabel", "drop"):
            raise UsageError(f"min_confidence has no meaning for {policy}: it belongs to relabel and drop")
        if not 0 <= confidence <= 1:
            raise UsageError(f"min_confidence is {confidence:g}: it is a probability, from 0 to 1")
    if probabilities is not None and policy != "soften":
        raise UsageError(f"probabilities have no meaning for {policy}: they belong to soften")
    if limit is not None:
        if policy in ("keep", "review"):
            raise UsageError(f"max_per_class has no meaning for {policy}: it limits what a policy changes")
        check_limit(limit)


def _chosen(known: pd.DataFrame, people: Decided | None, confidence: float | None, limit: float | None) -> np.ndarray:
    """The suspects that the policy treats: sure enough, decided by nobody, within the limit; bool ``[N]``."""
    chosen = known["is_label_issue"].to_numpy(copy=True)
    if confidence is not None:
        chosen &= known["p_suggested"].to_numpy() >= confidence
    if people is not None:
        chosen[people.rows] = False
    return limited(known, chosen, limit)


def _changed(known: pd.DataFrame, policy: str, sure: np.ndarray) -> np.ndarray:
    """The rows that the policy treats differently: bool ``[N]``."""
    if policy in ("keep", "review"):
        return np.zeros(len(known), dtype=bool)
    if policy == "relabel":
        return np.array(known["label"] != known["given"])
    return sure.copy()


def _apply(known: pd.DataFrame, people: Decided, changed: np.ndarray) -> None:
    """Put people's labels and actions in, and mark the rows that they change."""
    for name, values in (("label", people.labels), ("action", people.actions)):
        column = known[name].to_numpy(dtype=object, copy=True)
        column[people.rows] = values
        known[name] = column
    differs = known["label"].ne(known["given"]).to_numpy()
    changed[people.rows] = differs[people.rows]
    changed[list(people.soft)] = True


def _table(
    known: pd.DataFrame,
    policy: str,
    classes: tuple[str, ...],
    sure: np.ndarray,
    people: Decided | None,
    probabilities: np.ndarray | None,
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
        table["weight"] = known["label_quality"].where(sure, 1.0)
    if policy == "soften" or (people is not None and people.soft):
        soft = np.full((len(known), len(classes)), np.nan)  # an empty row: the label stands
        if policy == "soften":
            soft = _softened(known, classes, sure, probabilities)
        if people is not None:
            _share_out(soft, people, classes)
        table = pd.concat([table, pd.DataFrame(soft, columns=[f"p_{name}" for name in classes])], axis=1)
    if known["row"].notna().all():
        table = table.iloc[np.argsort(known["row"].to_numpy(), kind="stable")]
    return table.reset_index(drop=True)


def _softened(
    known: pd.DataFrame, classes: tuple[str, ...], sure: np.ndarray, probabilities: np.ndarray | None
) -> np.ndarray:
    """Class probabilities of every label: float64 ``[N, K]``; NaN for rows that are left out."""
    number = {name: k for k, name in enumerate(classes)}
    soft = np.full((len(known), len(classes)), np.nan)
    there = np.flatnonzero(known["label"] != "")
    soft[there] = 0.0
    soft[there, known["label"].iloc[there].map(number).to_numpy(dtype=np.int64)] = 1.0
    chosen = np.flatnonzero(sure)
    if probabilities is not None:
        soft[chosen] = _full_rows(probabilities, soft.shape)[chosen]
        return soft
    share = known["p_suggested"].to_numpy()[chosen]
    if np.isnan(share).any():
        key = known["key"].iloc[chosen[np.isnan(share)][0]]
        raise UsageError(
            f"the suspect {key!r} has no p_suggested, and soften needs one: fill it in or pass probabilities"
        )
    soft[chosen] *= (1 - share)[:, None]
    soft[chosen, known["suggested"].iloc[chosen].map(number).to_numpy(dtype=np.int64)] += share
    return soft


def _share_out(soft: np.ndarray, people: Decided, classes: tuple[str, ...]) -> None:
    """The same share for every class that people say fits."""
    number = {name: k for k, name in enumerate(classes)}
    for row, names in people.soft.items():
        soft[row] = 0.0
        soft[row, [number[name] for name in names]] = 1 / len(names)


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
        classes = "class loses all its rows" if len(lost) == 1 else "classes lose all their rows"
        warnings.warn(
            f"the {classes} by this: {listed(lost)}; training needs every class, so raise the confidence or review "
            "them",
            UserWarning,
            stacklevel=3,
        )
