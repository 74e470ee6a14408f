"""The columns of a table of samples: what is unusual about one sample, and how suspects differ from the rest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from thresher.report import tables, words
from thresher.report.view import Report

_SAMPLE = 50_000
_LEVELS = 200
_CONTRASTS = 8
_SMALL = 0.1
_FEW = 5
_RARE = 0.05
_LONG = 80
_MOST_COLUMNS = 500


@dataclass(frozen=True, eq=False)
class Column:
    """One column, over a sample of the rows.

    Attributes:
        name: its heading.
        values: float ``[n]`` with NaN for the missing, or codes of `levels`, int ``[n]`` with -1 for the missing.
        levels: the values that occur, as text; None for numbers.
    """

    name: str
    values: np.ndarray
    levels: list[str] | None = None


@dataclass(frozen=True)
class Value:
    """A sample's value: how `rare` it is within the class the sample is labelled with, 0..1, and a `note` if it is."""

    name: str
    text: str
    rare: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class Contrast:
    """How suspects and the rest differ in one column.

    Attributes:
        name: of the column, with the value whose share is compared.
        suspects: its mean, or the share of that value, among suspects, as text.
        rest: the same among the other labels.
        difference: in units of the standard deviation within the two groups.
    """

    name: str
    suspects: str
    rest: str
    difference: float


class Columns:
    """The columns of a report's table, seen through the rows of the chosen run's issues.

    Statistics are taken from at most 50,000 suspects and as many others, evenly over the list of issues.

    Args:
        report: whose table has the rows that its issues name.
    """

    def __init__(self, report: Report) -> None:
        table = report.table if report.table is not None else pd.DataFrame()
        shown = [j for j, name in enumerate(table.columns) if name != report.text_column]
        self.table = table.iloc[:, shown[:_MOST_COLUMNS]]
        run = report.run
        parts = [tables.thinned(run.suspects, _SAMPLE), tables.thinned(run.issues[~run.flagged], _SAMPLE)]
        sample = pd.concat(parts) if len(run.issues) else pd.DataFrame({"row": [], "given": []})
        self.flagged = np.arange(len(sample)) < len(parts[0])
        self.given = sample["given"].to_numpy(dtype=object)
        rows = sample["row"].to_numpy(dtype=np.int64)
        self.columns = [_column(self.table.iloc[rows, j]) for j in range(self.table.shape[1])] if len(rows) else []

    def values(self, rows: Sequence[int], given: Sequence[str]) -> list[list[Value]]:
        """The values of some samples, those first that are unusual beside labels of the same class not in doubt.

        Args:
            rows: row numbers in the table.
            given: the class that each is labelled with.

        Returns:
            Per sample one `Value` per column.
        """
        inside = {name: np.flatnonzero((self.given == name) & ~self.flagged) for name in set(given)}
        found = []
        for row, name in zip(rows, given, strict=True):
            raw = [self.table.iat[int(row), j] for j in range(len(self.columns))]
            values = [_value(column, one, inside[name], name) for column, one in zip(self.columns, raw, strict=True)]
            found.append(sorted(values, key=lambda value: value.rare))
        return found

    def contrasts(self) -> list[Contrast]:
        """The columns in which suspects and the rest differ most, at most eight.

        Numbers are compared by the standardised mean difference; of other columns the value whose share differs most,
        by the standardised difference of two shares (Austin, Communications in Statistics 2009), which has the same
        unit; below 0.1 it is not worth a line. Numbers that are not finite and values that are missing are left out.
        """
        if self.flagged.all() or not self.flagged.any():
            return []
        found = [_contrast(column, self.flagged) for column in self.columns]
        large = [one for one in found if one is not None and abs(one.difference) >= _SMALL]
        return sorted(large, key=lambda one: -abs(one.difference))[:_CONTRASTS]


def number(value: float) -> str:
    """A number with as many digits as tell something.

    Example:
        >>> number(0.123456), number(41.28), number(52310.4), number(3.0)
        ('0.123', '41.3', '52,310', '3')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.3g}"


def excerpt(text: object, length: int = 240) -> str:
    """The beginning of a text, in whole words.

    Example:
        >>> excerpt("A quick brown fox jumps.", 10), excerpt(None)
        ('A quick…', '')
    """
    if text is None or text is pd.NA or text != text:  # noqa: PLR0124 - not a number
        return ""
    # Of a long text only the beginning is looked at.
    plain = words.shorten(" ".join(str(text)[: 20 * length].split()), 20 * length)
    if len(plain) <= length:
        return plain
    cut = plain[: length + 1].rsplit(" ", 1)[0]
    return (cut if len(cut) <= length else plain[:length]) + "…"


def _column(part: pd.Series) -> Column:
    """A column as numbers where it holds numbers, otherwise as levels."""
    name = words.shorten(str(part.name), _LONG)
    if pd.api.types.is_numeric_dtype(part) and not pd.api.types.is_bool_dtype(part):
        values = part.to_numpy(dtype=float, na_value=np.nan)
        return Column(name, np.where(np.isfinite(values), values, np.nan))
    codes, levels = pd.factorize(part.astype(object).map(str, na_action="ignore"))
    return Column(name, codes, list(levels))


def _value(column: Column, raw: Any, rows: np.ndarray, given: str) -> Value:
    """A raw value, and how rare one like it is in the rows of its class."""
    if pd.api.types.is_scalar(raw) and pd.isna(raw):
        return Value(column.name, words.UNKNOWN)
    if column.levels is not None:
        return _level(column, str(raw), column.values[rows], given)
    return _numeric(column.name, float(raw), column.values[rows], given)


def _numeric(name: str, value: float, inside: np.ndarray, given: str) -> Value:
    text = f"{value:.6g}" if abs(value) < 1e15 and value != round(value) else f"{value:.0f}"
    inside = inside[~np.isnan(inside)]
    deviation = float(inside.std()) if len(inside) >= _FEW else 0.0
    if not deviation or not math.isfinite(value):
        return Value(name, text)
    z = (value - float(inside.mean())) / deviation
    side = "above" if z > 0 else "below"
    note = f"{abs(z):.1f} standard deviations {side} the mean of {words.shorten(given)}" if abs(z) >= 2 else ""
    return Value(name, text, math.erfc(abs(z) / math.sqrt(2)), note)


def _level(column: Column, text: str, inside: np.ndarray, given: str) -> Value:
    shown = excerpt(text, _LONG)
    inside = inside[inside >= 0]
    levels = column.levels or []
    if len(inside) < _FEW or len(levels) > min(_LEVELS, len(column.values) / 2) or text not in levels:
        return Value(column.name, shown)
    times = int((inside == levels.index(text)).sum())
    rare = (times + 1) / (len(inside) + 1)  # the sample itself is one that has the value
    note = f"{words.share(times, len(inside))} of {words.shorten(given)}" if rare < _RARE else ""
    return Value(column.name, shown, rare, note)


def _contrast(column: Column, flagged: np.ndarray) -> Contrast | None:
    """How suspects and the rest differ in a column; None where that cannot be said."""
    if column.levels is not None:
        return _share_contrast(column, column.levels, flagged)
    known = ~np.isnan(column.values)
    a, b = column.values[flagged & known], column.values[~flagged & known]
    if not len(a) or not len(b):
        return None
    # Two groups that are each of one value have no deviation of their own.
    spread = math.sqrt((a.var() + b.var()) / 2) or float(column.values[known].std())
    mean, other = float(a.mean()), float(b.mean())
    return Contrast(column.name, number(mean), number(other), (mean - other) / spread) if spread else None


def _share_contrast(column: Column, levels: list[str], flagged: np.ndarray) -> Contrast | None:
    known = column.values >= 0
    if not 1 < len(levels) <= min(_LEVELS, len(flagged) / 2):
        return None
    a, b = (np.bincount(column.values[part & known], minlength=len(levels)) for part in (flagged, ~flagged))
    n, m = int(a.sum()), int(b.sum())
    if not n or not m:
        return None
    p, q, both = a / n, b / m, (a + b) / (n + m)
    spread = np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    spread = np.where(spread > 0, spread, np.sqrt(both * (1 - both)))
    difference = np.divide(p - q, spread, out=np.zeros(len(p)), where=spread > 0)
    k = int(np.abs(difference).argmax())
    name = f"{column.name} = {excerpt(levels[k], 40)}"
    return Contrast(name, words.roughly(p[k], n), words.roughly(q[k], m), float(difference[k]))
