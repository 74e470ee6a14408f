"""The columns of a table that say what a row is rather than what is in it: its label, its key, its group."""

import numpy as np
import pandas as pd

from thresher.data.cells import distinct, numbers
from thresher.data.columns import names, row_keys
from thresher.data.delimited import refuse_missing
from thresher.errors import UsageError

_MOST_CLASSES = 50  # a column with more values, and with half as many as rows, names no classes
_MOST_FRACTIONS = 20  # likewise fractions, which are a quantity


def labels(table: pd.DataFrame, column: str, where: str) -> list[object]:
    """A column of labels, as `thresher.data.columns.encode` takes them.

    Args:
        table: from `thresher.data.delimited.named`.
        column: one of its.
        where: the name of the table in messages.

    Raises:
        UsageError: so many values that they are no classes.

    Example:
        >>> labels(pd.DataFrame({"y": ["NA", " 007", None]}), "y", "a.csv")
        ['NA', '007', None]
    """
    codes, texts = distinct(table[column])
    many, what = len(texts), of(column, where)
    values = numbers(pd.Series(texts, dtype=object), "number").values
    if many > _MOST_FRACTIONS and not np.isnan(values).any() and np.any(values != np.rint(values)):
        raise UsageError(
            f"{what} holds {many} different numbers with fractions, a quantity and no classes: name the column of "
            "classes with --label, or divide the numbers into a few classes first"
        )
    if many > max(_MOST_CLASSES, len(codes) / 2):
        raise UsageError(
            f"{what} holds {many} different values in {len(codes)} rows, which are no classes: name the column of "
            "classes with --label"
        )
    return _values(table[column], what)


def texts_of(table: pd.DataFrame, column: str, where: str) -> np.ndarray:
    """A column without empty cells as text, object array ``[N]``; see `thresher.data.columns.names`.

    Raises:
        UsageError: missing values, a mixture of kinds, fractions.

    Example:
        >>> texts_of(pd.DataFrame({"group": [7, 8]}), "group", "a.csv")
        array(['7', '8'], dtype=object)
    """
    return names(_values(table[column], of(column, where)), of(column, where))


def keys_of(table: pd.DataFrame, column: str | None, where: str) -> np.ndarray:
    """One key per row, object array ``[N]``: those of a column, or row numbers.

    Raises:
        UsageError: no such column; keys that are missing or there twice.

    Example:
        >>> keys_of(pd.DataFrame({"id": ["007", "8"]}), "id", "a.csv")
        array(['007', '8'], dtype=object)
    """
    if column is None:
        return row_keys(len(table))
    refuse_missing([column], table.columns, where, "name the column of keys with --id, or leave it out")
    keys = texts_of(table, column, where)
    twice = pd.Series(keys, dtype=object).duplicated(keep=False).to_numpy()
    if twice.any():
        first = keys[int(twice.argmax())]
        raise UsageError(
            f"{of(column, where)} has the key {first!r} {np.count_nonzero(keys == first)} times, and "
            f"{np.count_nonzero(twice)} of {len(keys)} rows share theirs: keys must be unique"
        )
    return keys


def of(column: str, where: str) -> str:
    """The name of a column in messages.

    Example:
        >>> of("y", "a.csv")
        "the column 'y' in a.csv"
    """
    return f"the column {column!r} in {where}"


def _values(cells: pd.Series, what: str) -> list[object]:
    """Cells as Python has them: text without blanks around it, None where one is missing."""
    missing = cells.isna().tolist()
    values = [cell.strip() if isinstance(cell, str) else cell for cell in cells.tolist()]
    for row, value in enumerate(values):
        if isinstance(value, str) and not _is_valid(value):
            raise UsageError(f"{what} holds the text {value!r} in row {row}, which no file can hold: mend it")
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]


def _is_valid(text: str) -> bool:
    """Whether a text is free of halves of characters."""
    return text.isascii() or text.encode(errors="replace").decode() == text
