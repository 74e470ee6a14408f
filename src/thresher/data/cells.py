"""The cells of one column, typed or as text: what they are, and what they are as numbers."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

_MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?")  # where numbers are expected
_CODE = re.compile(r"[+-]?0\d")  # 007 is a name
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?![^T ])")  # pandas would take -0 for a year
_EPOCH = pd.Timestamp(0, tz="UTC").as_unit("s")  # in nanoseconds, the year 1600 would be too far away


class Numbers(NamedTuple):
    """Cells as numbers.

    Attributes:
        values: float64 ``[n]``, NaN where a cell is missing or no number.
        strange: bool ``[n]``, whether a cell is neither a number nor missing.
    """

    values: np.ndarray
    strange: np.ndarray


def numbers(cells: pd.Series, kind: str) -> Numbers:
    """Cells as numbers.

    Args:
        cells: numbers, true/false, times, or text of these; empty cells, ``NA``, ``?`` and the like are missing.
        kind: number, or time: then seconds since 1970, UTC where there is no time zone.

    Example:
        >>> numbers(pd.Series(["1.5", "?", "x"]), "number")
        Numbers(values=array([1.5, nan, nan]), strange=array([False, False,  True]))
        >>> numbers(pd.Series(["1970-01-02", ""]), "time").values
        array([86400.,    nan])
    """
    own = _own_kind(cells)
    if own == "names":
        places, texts = distinct(cells)
        found = _parsed(texts, kind)
        return Numbers(found.values[places], found.strange[places])
    values = _seconds(cells) if own == "time" else _floats(cells)
    return Numbers(values, ~np.isnan(values) if own != kind else np.zeros(len(cells), dtype=bool))


def kind_of(cells: pd.Series) -> str:
    """What a column holds: number, time or names.

    Text counts as numbers if every cell is one or missing, unless one begins with a needless zero, as codes do; and
    as times if every cell is a date or a time in the form of ISO 8601, or missing.

    Example:
        >>> [kind_of(pd.Series(cells)) for cells in (["1", "NA"], ["007", "8"], ["2024-02-29", ""], [True])]
        ['number', 'names', 'time', 'number']
    """
    own = _own_kind(cells)
    if own != "names" or isinstance(cells.dtype, pd.CategoricalDtype):
        return own
    texts = distinct(cells)[1]
    for kind in ("number", "time"):
        if not _parsed(texts, kind).strange.any():
            return "names" if any(map(_CODE.match, texts)) else kind
    return "names"


def distinct(cells: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The different texts of a column, without blanks around them; a missing one is empty.

    Returns:
        The place of each cell among them, int64 ``[n]``, and the texts, in the order they come.

    Example:
        >>> distinct(pd.Series(["b", "a", None, "b"]))
        (array([0, 1, 2, 0]), ['b', 'a', ''])
        >>> distinct(pd.Series([2.0, 0.5]))[1]
        ['2', '0.5']
    """
    if cells.dtype == object and pd.api.types.infer_dtype(cells) != "string":
        cells = pd.Series(list(map(as_text, cells)), dtype=object)  # 1, 1.0 and True would count as one
    codes, found = pd.factorize(cells, use_na_sentinel=False)
    texts = [as_text(one).strip() for one in found]
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return np.array([places[text] for text in texts], dtype=np.int64)[codes], list(places)


def as_text(cell: Any) -> str:
    """One cell as text: whole numbers without a point, missing ones empty.

    Example:
        >>> [as_text(cell) for cell in (3.0, 0.5, None, float("nan"), True, "x")]
        ['3', '0.5', '', '', 'True', 'x']
    """
    if isinstance(cell, str):
        return cell
    if cell is None or (pd.api.types.is_scalar(cell) and pd.isna(cell)):
        return ""
    return str(int(cell)) if isinstance(cell, float | np.floating) and float(cell).is_integer() else str(cell)


def _own_kind(cells: pd.Series) -> str:
    """What the type of a column says, without a look at its cells."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return "time"
    plain = pd.api.types.is_numeric_dtype(cells.dtype) and cells.dtype.kind != "c"
    return "number" if plain or pd.api.types.is_timedelta64_dtype(cells.dtype) else "names"


def _floats(cells: pd.Series) -> np.ndarray:
    if pd.api.types.is_timedelta64_dtype(cells.dtype):
        cells = cells.dt.total_seconds()
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _seconds(times: pd.Series) -> np.ndarray:
    """Times as seconds since 1970, float64 with NaN."""
    aware = times.dt.tz_localize("UTC") if times.dt.tz is None else times
    return ((aware - _EPOCH) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)


def _parsed(texts: list[str], kind: str) -> Numbers:
    """Different texts as numbers."""
    lower = [text.lower() for text in texts]
    missing = np.array([text in _MISSING for text in lower], dtype=bool)
    if kind == "time":
        dated = pd.Series([text if _DATE.match(text) else "" for text in texts], dtype=object)
        values = _seconds(pd.to_datetime(dated, format="ISO8601", utc=True, errors="coerce"))
    else:
        logical = [{"true": "1", "false": "0"}.get(text, text) for text in lower]
        values = pd.to_numeric(pd.Series(logical, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    values = np.where(missing, np.nan, values)
    return Numbers(values, np.isnan(values) & ~missing)
