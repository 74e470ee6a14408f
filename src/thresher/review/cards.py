"""A table of issues as arrays, every cell checked: what the review page shows of each row, and what it sorts by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from thresher.correct.suspects import checked
from thresher.errors import UsageError

KINDS = ("", "wrong", "ambiguous", "outlier", "duplicate")
"""What may be the matter with a row; empty where nothing is known."""

_LARGEST = 2.0**53  # row numbers that the page can hold

_MOST_WITNESSES = 62  # they are packed into the bits of one number


@dataclass(frozen=True, eq=False)
class Cards:
    """The M rows of a table of issues, in its order; equal places belong together.

    Attributes:
        classes: the K class names; class numbers are places in it.
        keys: unique texts, object ``[M]``.
        rows: unique row numbers, int64 ``[M]``: those of the source, or places in the table.
        sourced: whether `rows` are those of the source.
        given: class numbers, int32 ``[M]``.
        suggested: likewise, -1 where there is no suggestion.
        p_suggested: probability of the suggested class, float64 ``[M]``, NaN where unknown.
        p_wrong: calibrated probability that the given label is wrong, likewise.
        quality: label quality, likewise; low = bad.
        kinds: places in `KINDS`, int8 ``[M]``.
        flagged: whether the label is called wrong, bool ``[M]``.
        reasons: why, object ``[M]``: phrases divided by semicolons.
        witnesses: which of `doubters` doubt the label, int32 ``[M]``.
        doubters: names of witnesses, divided by commas; the first is empty.
        duplicates: place of a near duplicate with another label, int64 ``[M]``, or -1.
    """

    classes: tuple[str, ...]
    keys: np.ndarray
    rows: np.ndarray
    sourced: bool
    given: np.ndarray
    suggested: np.ndarray
    p_suggested: np.ndarray
    p_wrong: np.ndarray
    quality: np.ndarray
    kinds: np.ndarray
    flagged: np.ndarray
    reasons: np.ndarray
    witnesses: np.ndarray
    doubters: tuple[str, ...]
    duplicates: np.ndarray

    @classmethod
    def of(cls, issues: pd.DataFrame, classes: Sequence[str]) -> "Cards":
        """Check a table of issues.

        Args:
            issues: the columns of ``issues.csv``; `p_wrong`, `kind`, `duplicate_of`, `reasons`, `row` and scores may
                be absent.
            classes: the class names.

        Raises:
            UsageError: whatever `thresher.correct.suspects.checked` refuses, or a `p_wrong` that is no probability.

        Example:
            >>> columns = ["key", "given", "suggested", "p_suggested", "is_label_issue"]
            >>> cards = Cards.of(pd.DataFrame([["a", "cat", "dog", 0.9, True]], columns=columns), ("cat", "dog"))
            >>> cards.rows.tolist(), cards.given.tolist(), cards.suggested.tolist(), cards.flagged.tolist()
            ([0], [0], [1], [True])
        """
        known = checked(issues, classes)
        keys = known["key"].to_numpy(dtype=object)
        names = pd.Index(classes)
        rows, sourced = _rows(known["row"].to_numpy())
        witnesses, doubters = _witnesses(issues)
        return cls(
            classes=tuple(classes),
            keys=keys,
            rows=rows,
            sourced=sourced,
            given=names.get_indexer(pd.Index(known["given"])).astype(np.int32),
            suggested=names.get_indexer(pd.Index(known["suggested"])).astype(np.int32),
            p_suggested=known["p_suggested"].to_numpy(),
            p_wrong=_probability(issues, "p_wrong", keys),
            quality=known["label_quality"].to_numpy(),
            kinds=_kinds(issues),
            flagged=known["is_label_issue"].to_numpy(),
            reasons=known["reasons"].to_numpy(dtype=object),
            witnesses=witnesses,
            doubters=doubters,
            duplicates=_duplicates(issues, keys),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def places(self, rows: np.ndarray) -> np.ndarray:
        """The places of row numbers (int64 ``[n]``) in the table, int64 ``[n]``; -1 where there is no such row.

        Example:
            >>> columns = ["key", "row", "given", "suggested", "p_suggested", "is_label_issue"]
            >>> table = pd.DataFrame([["a", 7, "cat", "dog", 0.9, True]], columns=columns)
            >>> Cards.of(table, ("cat", "dog")).places(np.array([7, 8])).tolist()
            [0, -1]
        """
        order = self._order
        at = np.searchsorted(self.rows, rows, sorter=order).clip(max=len(order) - 1)
        found = order[at]
        return np.where(self.rows[found] == rows, found, -1)

    @cached_property
    def _order(self) -> np.ndarray:
        """Places by rising row number: int64 ``[M]``."""
        return np.argsort(self.rows, kind="stable")


def _rows(given: np.ndarray) -> tuple[np.ndarray, bool]:
    """Row numbers of the source where the table has them for every row, once; else places in the table."""
    whole = (given == np.floor(given)) & (given < _LARGEST)  # false for NaN
    if whole.all() and len(np.unique(given)) == len(given):
        return given.astype(np.int64), True
    return np.arange(len(given)), False


def _probability(issues: pd.DataFrame, name: str, keys: np.ndarray) -> np.ndarray:
    """A column of probabilities as float64 ``[M]``, NaN where it is empty or not there."""
    if name not in issues:
        return np.full(len(issues), np.nan)
    values = pd.to_numeric(issues[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    empty = issues[name].isna().to_numpy() | (issues[name].astype(str).str.strip() == "").to_numpy()
    bad = np.flatnonzero((np.isnan(values) & ~empty) | (values < 0) | (values > 1))
    if len(bad):
        said = str(issues[name].iloc[bad[0]])
        raise UsageError(f"{name} of {keys[bad[0]]!r} is {said!r}: it must be a number from 0 to 1, or empty")
    return values


def _kinds(issues: pd.DataFrame) -> np.ndarray:
    """Places in `KINDS`, int8 ``[M]``; a word that is none of them says nothing."""
    if "kind" not in issues:
        return np.zeros(len(issues), dtype=np.int8)
    places = pd.Index(KINDS).get_indexer(pd.Index(issues["kind"].fillna("").astype(str)))
    return np.asarray(places.clip(min=0), dtype=np.int8)


def _witnesses(issues: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which witnesses doubt each label: places in a list of their names together, int32 ``[M]``, and that list."""
    columns = [name for name in issues.columns if str(name).startswith("score_")][:_MOST_WITNESSES]
    bits = np.zeros(len(issues), dtype=np.int64)
    for bit, name in enumerate(columns):
        score = pd.to_numeric(issues[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bits |= (score > 0).astype(np.int64) << bit
    found, codes = np.unique(np.append(bits, 0), return_inverse=True)  # the empty set is always there, and first
    names = [name.removeprefix("score_") for name in columns]
    told = [", ".join(name for bit, name in enumerate(names) if one >> bit & 1) for one in found.tolist()]
    return codes[:-1].astype(np.int32), tuple(told)


def _duplicates(issues: pd.DataFrame, keys: np.ndarray) -> np.ndarray:
    """The place of the key in `duplicate_of`, int64 ``[M]``; -1 where it is empty or not in the table."""
    if "duplicate_of" not in issues:
        return np.full(len(issues), -1)
    named = pd.Index(issues["duplicate_of"].fillna("").astype(str))
    return np.asarray(pd.Index(keys).get_indexer(named), dtype=np.int64)
