"""Columns of features as numbers, and the same again for new rows."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from thresher.data.delimited import refuse_missing
from thresher.errors import UsageError

MOST_VALUES = 50
"""Names of one column that get a column of their own; the rest share one."""

WIDEST = 10_000
"""Features that a table may have altogether."""

_MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?")  # where numbers are expected
_LARGEST = 1e30
_FURTHEST = 1e6  # standard deviations; a new value that is farther away would overflow float32 in the network
_UNIQUE = 0.9  # of the rows: a column of names with so many is one of ids
_NUMBERS = 0.9  # of the cells: a column of names with so many numbers is worth a warning
_CODE = re.compile(r"[+-]?0\d")  # 007 is a name
_EPOCH = pd.Timestamp(0, tz="UTC")


@dataclass(frozen=True)
class Column:
    """How one column becomes features.

    Attributes:
        name: of the column.
        kind: number, time (seconds, likewise a number) or names.
        centre: mean of the training numbers; they are shown as ``(x - centre) / scale``.
        scale: their standard deviation, or 1 if all are equal.
        fill: their median, which stands for a missing one.
        missing: some are missing, and a further feature says which.
        values: the most frequent names, one feature each, most frequent first; an empty cell counts as a name.
        other: there are more names, which share a feature.
    """

    name: str
    kind: str
    centre: float = 0.0
    scale: float = 1.0
    fill: float = 0.0
    missing: bool = False
    values: tuple[str, ...] = ()
    other: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        if self.kind == "names":
            own = [f"{self.name} = {value}" if value else f"{self.name} is missing" for value in self.values]
            return (*own, *([f"{self.name} = any other"] if self.other else []))
        return (self.name, *([f"{self.name} is missing"] if self.missing else []))

    def encode(self, cells: pd.Series, where: str) -> np.ndarray:
        """Its features, float32 ``[n, len(features)]``; see `TableEncoder.encode`."""
        return self._one_hot(cells) if self.kind == "names" else self._numbers(cells, where)

    def _one_hot(self, cells: pd.Series) -> np.ndarray:
        codes, texts = factorised(cells)
        place = {value: k for k, value in enumerate(self.values)}
        places = np.array([place.get(text, len(place)) for text in texts], dtype=np.int64)[codes]
        # one more than there are, for names without a feature
        result: np.ndarray = np.eye(len(place) + 1, dtype=np.float32)[places]
        return result if self.other else result[:, :-1]

    def _numbers(self, cells: pd.Series, where: str) -> np.ndarray:
        values, strange = floats(cells, self.kind)
        _refuse_first(strange, cells, f"is no {self.kind}, unlike those that were trained on", self.name, where)
        _refuse_first(np.abs(values) > _LARGEST, cells, "is infinite or too large", self.name, where)
        gone = np.isnan(values)
        with np.errstate(over="ignore"):
            shown = (np.where(gone, self.fill, values) - self.centre) / self.scale
        shown = np.clip(shown, -_FURTHEST, _FURTHEST)
        return np.stack([shown, gone] if self.missing else [shown], axis=1).astype(np.float32)


@dataclass(frozen=True)
class TableEncoder:
    """Encodes rows of a table as a training did.

    Numbers and times are standardised and stay linear, so a heavy tail stays one: give the logarithm where that is
    meant. Names become one feature each, up to 50 per column; others share a feature, or have none if training had
    no others.

    Attributes:
        columns: in the order of their features.

    Example:
        >>> table = pd.DataFrame({"age": ["30", "", "50"], "job": ["cook", "judge", "cook"]})
        >>> encoder = TableEncoder.fit(table, "people.csv")
        >>> encoder.feature_names
        ('age', 'age is missing', 'job = cook', 'job = judge')
        >>> encoder.encode(pd.DataFrame({"age": [50.0], "job": ["smith"]}), "new.csv").tolist()
        [[1.0, 0.0, 0.0, 0.0]]
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, table: pd.DataFrame, where: str) -> "TableEncoder":
        """Decide how each column is encoded.

        Text in which every cell is a number, empty, or ``NA``, ``?`` and the like counts as numbers, unless one begins
        with a needless zero, as codes do; likewise dates and times as ISO 8601 writes them.

        Args:
            table: the columns of features, text or typed, one row per sample.
            where: its name in messages.

        Raises:
            UsageError: nothing is left to learn from, more than 10,000 features, infinite numbers, names of images.

        Warns:
            UserWarning: columns are left out, for they are empty, name or number the rows; or look like numbers and
                are not.
        """
        fitted = {str(name): _fit(str(name), cells, where) for name, cells in table.items()}
        columns = tuple(column for column in fitted.values() if isinstance(column, Column))
        left = {name: reason for name, reason in fitted.items() if isinstance(reason, str)}
        if not columns:
            reasons = "; ".join(f"{name!r} {reason}" for name, reason in left.items())
            raise UsageError(
                f"{where} has no column left to learn from ({reasons}): add features, or name the column of texts with "
                "--text, or that of image paths with --path"
            )
        for name, reason in left.items():
            warnings.warn(f"the column {name!r} of {where} is left out, for it {reason}", stacklevel=2)
        width = sum(len(column.features) for column in columns)
        if width > WIDEST:
            raise UsageError(f"{where} would become {width:,} features, and {WIDEST:,} is the limit: leave columns out")
        return cls(columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One per feature, such as ``age``, ``age is missing``, ``job = cook``, ``job = any other``."""
        return tuple(feature for column in self.columns for feature in column.features)

    def encode(self, table: pd.DataFrame, where: str) -> np.ndarray:
        """The features of new rows.

        Args:
            table: has the trained columns; others are ignored.
            where: its name in messages.

        Returns:
            float32 ``[n, len(feature_names)]``; numbers lie within 1,000,000 standard deviations.

        Raises:
            UsageError: a column is missing; a cell is no number where those of training were; infinite numbers.
        """
        names = [column.name for column in self.columns]
        refuse_missing(names, table.columns, where, f"it needs the {len(names)} columns that were trained on")
        result = np.empty((len(table), len(self.feature_names)), dtype=np.float32)
        start = 0
        for column in self.columns:
            end = start + len(column.features)
            result[:, start:end] = column.encode(table[column.name], where)
            start = end
        return result

    def facts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `from_facts` needs: plain values, which JSON keeps exactly, and no arrays."""
        return {"columns": [asdict(column) for column in self.columns]}, {}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], _: Mapping[str, np.ndarray]) -> "TableEncoder":
        """The encoder that `facts` described."""
        return cls(tuple(Column(**{**column, "values": tuple(column["values"])}) for column in facts["columns"]))


def floats(cells: pd.Series, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Cells as numbers.

    Args:
        cells: numbers, true/false, times, or text of these.
        kind: number, or time: then seconds since 1970, UTC where there is no time zone.

    Returns:
        float64 ``[n]``, NaN where a cell is missing or no number; bool ``[n]``, whether it is no number.

    Example:
        >>> floats(pd.Series(["1.5", "?", "x"]), "number")
        (array([1.5, nan, nan]), array([False, False,  True]))
        >>> floats(pd.Series(["1970-01-02", ""]), "time")[0]
        array([86400.,    nan])
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return _seconds(cells), np.full(len(cells), kind != "time") & cells.notna().to_numpy()
    if pd.api.types.is_timedelta64_dtype(cells.dtype):
        return cells.dt.total_seconds().to_numpy(dtype=np.float64), np.full(len(cells), kind == "time")
    if pd.api.types.is_numeric_dtype(cells.dtype) and cells.dtype.kind != "c":
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        return values, np.full(len(cells), kind == "time") & ~np.isnan(values)
    codes, texts = factorised(cells)
    values, strange = _parsed(texts, kind)
    return values[codes], strange[codes]


def factorised(cells: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Cells as text: the place of each (int64 ``[n]``) among the different ones; missing ones are empty.

    Example:
        >>> factorised(pd.Series(["b", "a", None, "b"]))
        (array([0, 1, 2, 0]), ['b', 'a', ''])
        >>> factorised(pd.Series([2.0, 0.5]))[1]
        ['2', '0.5']
    """
    if cells.dtype == object:
        cells = cells.map(_text, na_action="ignore")
    codes, found = pd.factorize(cells, use_na_sentinel=False)
    texts = ["" if one is None or pd.isna(one) else _text(one).strip() for one in found]
    places = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    return np.array([places[text] for text in texts], dtype=np.int64)[codes], list(places)


def _text(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float | np.floating) and float(cell).is_integer() else str(cell)


def _seconds(times: pd.Series) -> np.ndarray:
    """Times as seconds since 1970, float64 with NaN."""
    aware = times.dt.tz_localize("UTC") if times.dt.tz is None else times
    return np.asarray(((aware - _EPOCH) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64))


def _parsed(texts: list[str], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Different texts as numbers, float64 with NaN, and which are neither numbers nor missing."""
    lower = [text.lower() for text in texts]
    missing = np.array([text in _MISSING for text in lower], dtype=bool)
    if kind == "time":
        dated = [text if "-" in text else "" for text in texts]  # 2024 alone is a number
        found = pd.to_datetime(pd.Series(dated, dtype=object), format="ISO8601", utc=True, errors="coerce")
        values = _seconds(found)
    else:
        logical = [{"true": "1", "false": "0"}.get(text, text) for text in lower]
        values = pd.to_numeric(pd.Series(logical, dtype=object), errors="coerce").to_numpy(dtype=np.float64, copy=True)
    values[missing] = np.nan
    return values, np.isnan(values) & ~missing


def _fit(name: str, cells: pd.Series, where: str) -> Column | str:
    """How a column is encoded, or why it is not."""
    kind, values = _kind(name, cells, where)
    if kind == "names":
        return _fit_names(name, cells, where)
    given = values[~np.isnan(values)]
    if len(given) == 0:
        return "is empty"
    _refuse_first(np.abs(values) > _LARGEST, cells, "is infinite or too large", name, where)
    if _numbers_the_rows(given, len(cells)):
        return "numbers the rows"
    scale = float(given.std())
    return Column(
        name,
        kind,
        centre=float(given.mean()),
        scale=scale if scale > 0 else 1.0,
        fill=float(np.median(given)),
        missing=len(given) < len(values),
    )


def _kind(name: str, cells: pd.Series, where: str) -> tuple[str, np.ndarray]:
    """The kind of a column, and its numbers where it has some."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return "names", np.zeros(0)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return "time", floats(cells, "time")[0]
    values, strange = floats(cells, "number")
    is_text = cells.dtype == object or isinstance(cells.dtype, pd.StringDtype)
    codes = is_text and any(_CODE.match(text) for text in factorised(cells)[1])
    if not strange.any() and not codes:
        return "number", values
    times, undated = floats(cells, "time")
    if not undated.any() and not codes_only(codes, times):
        return "time", times
    if not codes and np.mean(strange) <= 1 - _NUMBERS:
        row = int(np.flatnonzero(strange)[0])
        warnings.warn(
            f"the column {name!r} of {where} counts as names, for {int(strange.sum())} of {len(cells)} cells are no "
            f"numbers, the first is {str(cells.iloc[row])!r} in row {row}",
            stacklevel=5,
        )
    return "names", values
