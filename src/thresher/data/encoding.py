"""Columns of features as numbers, and the same again for new rows."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from thresher.data.cells import as_text, distinct, kind_of, numbers
from thresher.data.delimited import refuse_missing
from thresher.data.pixels import ENDINGS
from thresher.errors import UsageError

MOST_VALUES = 50
"""Names of one column that get a feature of their own; the rest share one."""

WIDEST = 10_000
"""Features that a table may have altogether."""

_LARGEST = 1e30
_FURTHEST = 1e6  # standard deviations; a new value much farther away would overflow float32 in the network
_UNIQUE = 0.9  # of the rows: a column with so many names names the rows
_NEARLY = 0.9  # of the cells: a column of names with so many numbers is worth a warning
_COMMA = re.compile(r"[+-]?(\d+([.,]\d+)?|\d{1,3}(,\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+,\d+)")


@dataclass(frozen=True)
class Column:
    """How one column becomes features.

    Attributes:
        name: of the column.
        kind: number, time (seconds, likewise a number) or names.
        centre: mean of the training numbers; a number is shown as ``(x - centre) / scale``.
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
        return self._one_hot(cells) if self.kind == "names" else self._standardised(cells, where)

    def _one_hot(self, cells: pd.Series) -> np.ndarray:
        codes, texts = distinct(cells)
        place = {value: k for k, value in enumerate(self.values)}
        places = np.array([place.get(text, len(place)) for text in texts], dtype=np.int64)[codes]
        result: np.ndarray = np.eye(len(place) + 1, dtype=np.float32)[places]  # the last stands for any other
        return result if self.other else result[:, :-1]

    def _standardised(self, cells: pd.Series, where: str) -> np.ndarray:
        values, strange = numbers(cells, self.kind)
        _refuse_first(strange, cells, f"is no {self.kind}, as those were that the network was trained on", self, where)
        _refuse_first(np.abs(values) > _LARGEST, cells, "is infinite or too large", self, where)
        gone = np.isnan(values)
        with np.errstate(over="ignore"):
            shown = (np.where(gone, self.fill, values) - self.centre) / self.scale
        shown = np.clip(shown, -_FURTHEST, _FURTHEST)
        return np.stack([shown, gone] if self.missing else [shown], axis=1).astype(np.float32)


@dataclass(frozen=True)
class TableEncoder:
    """Encodes rows of a table as those of a training were.

    Numbers and times are standardised and stay linear, so a heavy tail stays one: give the logarithm where that is
    meant. Names become one feature each, up to 50 per column; the others share a feature. A name that training did not
    have counts as one of the others, and is all zeros where there were none.

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
        """Decide how each column is encoded; `thresher.data.cells.kind_of` says which are numbers.

        Args:
            table: the columns of features, text or typed, one row per sample.
            where: its name in messages.

        Raises:
            UsageError: nothing is left to learn from, more than 10,000 features, numbers that are infinite or written
                with commas, names of images.

        Warns:
            UserWarning: columns are left out, for they are empty, or name or number the rows; or look like numbers and
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
            warnings.warn(f"the column {name!r} of {where} is left out, for it {reason}", stacklevel=4)
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
            table: has the columns of the training; others are ignored.
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
    def from_facts(cls, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "TableEncoder":
        """The encoder that `facts` described."""
        return cls(tuple(Column(**{**column, "values": tuple(column["values"])}) for column in facts["columns"]))


def _fit(name: str, cells: pd.Series, where: str) -> Column | str:
    """How a column is encoded, or why it is not."""
    kind = kind_of(cells)
    if kind == "names":
        return _fit_names(name, cells, where)
    values = numbers(cells, kind).values
    given = values[~np.isnan(values)]
    if len(given) == 0:
        return "is empty"
    column = Column(name, kind, fill=float(np.median(given)), missing=len(given) < len(values))
    _refuse_first(np.abs(values) > _LARGEST, cells, "is infinite or too large", column, where)
    if kind == "number" and len(given) == len(values) and _numbers_the_rows(given):
        return "numbers the rows"
    scale = float(given.std())
    return Column(name, kind, float(given.mean()), scale if scale > 0 else 1.0, column.fill, column.missing)


def _fit_names(name: str, cells: pd.Series, where: str) -> Column | str:
    codes, texts = distinct(cells)
    counts = np.bincount(codes, minlength=len(texts))
    named = {text: int(count) for text, count in zip(texts, counts, strict=True) if text}
    if not named:
        return "is empty"
    _refuse_what_is_meant_otherwise(name, list(named), where)
    _warn_of_near_numbers(name, cells, where)
    if len(named) > max(MOST_VALUES, _UNIQUE * sum(named.values())):
        return "differs in almost every row"
    order = sorted(range(len(texts)), key=lambda k: (-counts[k], texts[k]))
    values = tuple(texts[k] for k in order[:MOST_VALUES])
    return Column(name, "names", values=values, other=len(texts) > MOST_VALUES)


def _numbers_the_rows(given: np.ndarray) -> bool:
    """Whether these are consecutive whole numbers, each there once, and so many that it is no accident."""
    if len(given) <= MOST_VALUES or given.max() - given.min() != len(given) - 1:
        return False
    return bool(np.array_equal(np.sort(given), given.min() + np.arange(len(given))))


def _refuse_what_is_meant_otherwise(name: str, texts: list[str], where: str) -> None:
    if all(text.lower().endswith(ENDINGS) for text in texts):
        raise UsageError(
            f"the column {name!r} of {where} holds names of images: read them with --path {name}, or take it out"
        )
    commas = [text for text in texts if "," in text]
    if commas and all(map(_COMMA.fullmatch, texts)):
        raise UsageError(
            f"the column {name!r} of {where} holds numbers with commas ({commas[0]!r}): write them with a decimal "
            "point, and without separators of thousands"
        )


def _warn_of_near_numbers(name: str, cells: pd.Series, where: str) -> None:
    strange = numbers(cells, "number").strange
    if not strange.any() or np.mean(strange) > 1 - _NEARLY or isinstance(cells.dtype, pd.CategoricalDtype):
        return
    row = int(np.flatnonzero(strange)[0])
    warnings.warn(
        f"the column {name!r} of {where} counts as names, for {np.count_nonzero(strange)} of its {len(cells)} cells "
        f"are no numbers, the first is {as_text(cells.iloc[row])!r} in row {row}",
        stacklevel=6,
    )


def _refuse_first(bad: np.ndarray, cells: pd.Series, what: str, column: Column, where: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        more = f", and {len(rows) - 1} more like it" if len(rows) > 1 else ""
        raise UsageError(
            f"{as_text(cells.iloc[rows[0]])!r} in the column {column.name!r} of {where}, row {rows[0]}{more}, {what}: "
            "correct it, or leave the cell empty"
        )
