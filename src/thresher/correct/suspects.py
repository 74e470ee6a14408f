"""A table of issues, from a run or made by hand, with every cell checked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from thresher.data.columns import encode
from thresher.errors import UsageError

NEEDED = ("key", "given", "suggested", "p_suggested", "is_label_issue")
"""The columns that every table of issues has."""

# Spreadsheets write truth in the language of the person: German, French, Spanish, Italian, Portuguese, Dutch.
_YES = ("true", "1", "1.0", "yes", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar")
_NO = ("false", "0", "0.0", "no", "falsch", "faux", "falso", "onwaar")
_TRUE = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)


def classes_of(issues: pd.DataFrame) -> tuple[str, ...]:
    """The class names in a table of issues, in the order of classes.

    Args:
        issues: with columns `given` and `suggested`.

    Raises:
        UsageError: a column is not there, or there is one class only.

    Example:
        >>> classes_of(pd.DataFrame({"given": ["10", "9"], "suggested": ["9", ""]}))
        ('9', '10')
    """
    _check_columns(issues, ("given", "suggested"))
    if issues.empty:
        raise UsageError("the table of issues has no rows: there is nothing to correct")
    names = [name for column in ("given", "suggested") for name in _text(issues, column).unique() if name]
    return encode(np.array(names, dtype=object), "the columns given and suggested together")[1]


def checked(issues: pd.DataFrame, classes: Sequence[str], *, quality: bool = False) -> pd.DataFrame:
    """A copy of a table of issues with one kind of value per column.

    Args:
        issues: the columns of `NEEDED`, and perhaps `row`, `label_quality` and `reasons`.
        classes: the class names.
        quality: whether every suspect must have a `label_quality`.

    Returns:
        `key`, `given`, `suggested` and `reasons` as text, `is_label_issue` as bool, `p_suggested`, `label_quality` and
        `row` as float64, NaN where unknown; rows as they come, numbered from 0.

    Raises:
        UsageError: a column, key or label is missing, a key is there twice, a name is no class, a value is out of
            range; in one sentence that names the key.

    Example:
        >>> columns = ["key", "given", "suggested", "p_suggested", "is_label_issue"]
        >>> table = checked(pd.DataFrame([[7, "cat", "dog", "0.9", "yes"]], columns=columns), ("cat", "dog"))
        >>> table[columns].to_dict("records")
        [{'key': '7', 'given': 'cat', 'suggested': 'dog', 'p_suggested': 0.9, 'is_label_issue': True}]
    """
    _check_columns(issues, NEEDED)
    if issues.empty:
        raise UsageError("the table of issues has no rows: there is nothing to correct")
    known = pd.DataFrame({name: _text(issues, name) for name in ("key", "given", "suggested")})
    _check_keys(known["key"])
    known["reasons"] = _text(issues, "reasons") if "reasons" in issues else ""
    known["is_label_issue"] = _flags(issues["is_label_issue"], known["key"])
    for name in ("p_suggested", "label_quality", "row"):
        known[name] = _numbers(issues, name, known["key"])
    suspect = known["is_label_issue"]
    _check_names(known, "given", np.ones(len(known), dtype=bool), classes)
    _check_names(known, "suggested", suspect.to_numpy(), classes)
    if quality and (lacking := suspect & known["label_quality"].isna()).any():
        key = known["key"][lacking].iloc[0]
        raise UsageError(f"the suspect {key!r} has no label_quality, and weight needs it: fill in that column, 0 to 1")
    return known


def _check_columns(issues: pd.DataFrame, needed: Sequence[str]) -> None:
    for name in needed:
        if name not in issues:
            raise UsageError(f"the table of issues has no column {name!r}: it needs {', '.join(needed)}")


def _text(issues: pd.DataFrame, name: str) -> pd.Series:
    """A column as Python texts, nothing where a value is missing."""
    values = ["" if value is None or value != value else str(value) for value in issues[name].tolist()]  # noqa: PLR0124
    return pd.Series(values, dtype=object)


def _check_keys(keys: pd.Series) -> None:
    empty = np.flatnonzero(keys == "")
    if len(empty):
        raise UsageError(f"row {empty[0]} of the table of issues has no key: every row needs its own")
    if keys.duplicated().any():
        raise UsageError(f"the table of issues has the key {keys[keys.duplicated()].iloc[0]!r} twice: remove one")


def _flags(column: pd.Series, keys: pd.Series) -> np.ndarray:
    """True and false, as pandas, a spreadsheet or a person writes them."""
    place, kinds = pd.factorize(column, use_na_sentinel=False)
    found = [_TRUE.get(str(value).strip().lower()) for value in kinds.tolist()]
    if None in found:
        row = int(np.argmax(place == found.index(None)))
        raise UsageError(f"is_label_issue of {keys[row]!r} is {str(column.iloc[row])!r}: write True or False")
    return np.array(found, dtype=bool)[place]


def _numbers(issues: pd.DataFrame, name: str, keys: pd.Series) -> np.ndarray:
    """A column as float64, NaN where it is empty or not there; shares lie in 0 to 1."""
    if name not in issues:
        return np.full(len(issues), np.nan)
    text = issues[name].reset_index(drop=True)
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    strange = np.isnan(values)
    strange[strange] = _text(issues[strange], name).str.strip().ne("").to_numpy(dtype=bool)
    low, high = (0.0, np.inf) if name == "row" else (0.0, 1.0)
    bad = np.flatnonzero(strange | (values < low) | (values > high))
    if len(bad):
        what = "a row number" if name == "row" else "a number from 0 to 1"
        raise UsageError(f"{name} of {keys[bad[0]]!r} is {str(text[bad[0]])!r}: it must be {what}, or empty")
    return values


def _check_names(known: pd.DataFrame, column: str, where: np.ndarray, classes: Sequence[str]) -> None:
    strange = np.flatnonzero(where & ~known[column].isin(set(classes)).to_numpy())
    if len(strange):
        key, name = known["key"][strange[0]], known[column][strange[0]]
        shown = ", ".join(map(repr, classes[:5])) + (" and others" if len(classes) > 5 else "")
        what = f"is {name!r}" if name else "is empty"
        raise UsageError(f"{column} of {key!r} {what}, which is no class: the classes are {shown}")
