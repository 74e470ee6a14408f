"""People's decisions as corrected labels: every one of them exactly, whatever a policy does with the others."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from thresher.decisions.decision import Decision
from thresher.errors import UsageError, nearest

AMBIGUOUS = ("soften", "drop")
"""What can be done with a sample that several classes fit."""


class Decided:
    """Decisions next to the rows of a table of issues.

    Args:
        known: as `thresher.correct.suspects.checked` gives it.
        decisions: the current one by key; skips are no decisions.
        classes: the class names.
        ambiguous: one of `AMBIGUOUS`; soften gives every class that fits the same share: those that the person named,
            or else the given and the suggested class. Where only one is known, the row is left out.

    Attributes:
        rows: places in `known` that were decided, int64 ``[n]``.
        labels: the new label of each, object ``[n]``; empty: left out.
        soft: by place in `known`, the classes that share a label.
        actions: of each, object ``[n]``.

    Raises:
        UsageError: a key that the table does not have, or a name that is no class.

    Warns:
        UserWarning: decisions that were made about other given labels.
    """

    def __init__(
        self,
        known: pd.DataFrame,
        decisions: Mapping[str, Decision],
        classes: Sequence[str],
        ambiguous: str = "soften",
    ) -> None:
        if ambiguous not in AMBIGUOUS:
            raise UsageError(f"there is no way {ambiguous!r} with ambiguous labels: {nearest(ambiguous, AMBIGUOUS)}")
        made = [one for one in decisions.values() if one.action != "skip"]
        place = {key: row for row, key in enumerate(known["key"])}
        _check(made, place, set(classes))
        _warn_of_others(made, dict(zip(known["key"], known["given"], strict=True)))
        self.rows = np.array([place[one.key] for one in made], dtype=np.int64)
        self.actions = np.array([one.action for one in made], dtype=object)
        self.soft: dict[int, tuple[str, ...]] = {}
        labels = []
        for row, one in zip(self.rows.tolist(), made, strict=True):
            fit = _fitting(one) if ambiguous == "soften" else ()
            if fit:
                self.soft[row] = fit
            given = str(known["given"].iat[row])
            labels.append(one.label or ((given if given in fit else fit[0]) if fit else ""))
        self.labels = np.array(labels, dtype=object)

    def mask(self, size: int) -> np.ndarray:
        """Which rows were decided: bool ``[size]``."""
        found = np.zeros(size, dtype=bool)
        found[self.rows] = True
        return found

    def counts(self, known: pd.DataFrame) -> dict[str, int]:
        """As `Correction.people`."""
        out = self.labels == ""
        moved = ~out & (self.labels != known["given"].to_numpy(dtype=object)[self.rows])
        moved &= ~np.isin(self.rows, list(self.soft))
        return {"decided": len(self.rows), "moved": int(moved.sum()), "out": int(out.sum()), "split": len(self.soft)}


def _fitting(one: Decision) -> tuple[str, ...]:
    """The classes that fit an ambiguous sample; nothing where fewer than two are known."""
    if one.action != "ambiguous":
        return ()
    found = one.labels or tuple(name for name in (one.given, one.suggested) if name)
    return tuple(dict.fromkeys(found)) if len(set(found)) > 1 else ()


def _check(made: Sequence[Decision], place: Mapping[str, int], classes: set[str]) -> None:
    strange = [one.key for one in made if one.key not in place]
    if strange:
        raise UsageError(
            f"{len(strange)} of {len(made)} decisions are about keys that the table of issues does not have, the first "
            f"is {strange[0]!r}: give the decisions that belong to it"
        )
    for one in made:
        for name in (one.label, *_fitting(one)):
            if name is not None and name not in classes:
                hint = nearest(name, sorted(classes))
                raise UsageError(f"the decision about {one.key!r} names {name!r}, which is no class: {hint}")


def _warn_of_others(made: Sequence[Decision], given: Mapping[str, str]) -> None:
    """Keys that are row numbers fit any table; what tells other data is that the given labels are not the same."""
    others = [one for one in made if one.given != given[one.key]]
    if others:
        first = others[0]
        warnings.warn(
            f"{len(others):,} of {len(made):,} decisions were made when the given label was another one, the first is "
            f"about {first.key!r}, then {first.given!r} and now {given[first.key]!r}: check that they are of this data",
            UserWarning,
            stacklevel=4,
        )
