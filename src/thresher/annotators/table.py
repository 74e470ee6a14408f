"""Labels of several annotators in a table: a row per label, or a column per annotator; an empty cell is no label."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from thresher.annotators.votes import Votes
from thresher.data.cells import distinct
from thresher.data.columns import encode, row_keys
from thresher.data.delimited import named, read_table, refuse_missing
from thresher.errors import UsageError, nearest

_RANGE = re.compile(r"(.*?)(\d+)\.\.(.*?)(\d+)")
_FLOAT = re.compile(r"\d+(\.0)?")
_MARKS = ("-1", "nan", "NaN")  # how others write that there is no label


@dataclass(frozen=True, eq=False)
class VoteTable:
    """Labels of several annotators with the names of everything.

    Attributes:
        votes: the labels.
        keys: of the N rows, object array ``[N]``.
        classes: the K class names.
    """

    votes: Votes
    keys: np.ndarray
    classes: tuple[str, ...]


def read_votes(
    source: str | Path | pd.DataFrame,
    *,
    annotator: str | None = None,
    annotators: str | Sequence[str] = (),
    label: str = "label",
    key: str = "key",
    keys: np.ndarray | None = None,
    classes: tuple[str, ...] | None = None,
    unlabelled: bool = False,
) -> VoteTable:
    """Read a table in one of two forms.

    A label that is the same as one before, by the same annotator for the same row, is read once.

    Args:
        source: a CSV or Parquet file, or a DataFrame.
        annotator: the column of annotators, in a table with a row per label.
        annotators: the columns of labels, in a table with a column per annotator: names, patterns (``a*``) or ranges
            (``a1..a5``), as a list or separated by commas.
        label: the column of labels, beside `annotator`.
        key: the column of keys; with `annotators` it may be missing, and the keys are row numbers.
        keys: of the data, object array ``[N]``, in whose order the rows come; default the keys in the table.
        classes: the class names; default those in the table, sorted.
        unlabelled: whether a row may be without any label.

    Raises:
        UsageError: a table that cannot be read; both forms or neither; a column that is missing; a key that the data
            does not know, or none; two different labels for one row by one annotator; an unknown class; fewer than two
            annotators; a row without a label.

    Example:
        >>> wide = pd.DataFrame({"key": ["x", "y"], "a1": ["cat", "dog"], "a2": ["cat", None]})
        >>> found = read_votes(wide, annotators="a1..a2")
        >>> found.votes.labels, found.votes.rows, found.votes.names, found.classes
        (array([0, 1, 0], dtype=int32), array([0, 1, 0]), ('a1', 'a2'), ('cat', 'dog'))
        >>> long = pd.DataFrame({"key": ["x", "x"], "who": ["ann", "bob"], "label": ["cat", "dog"]})
        >>> read_votes(long, annotator="who").votes.annotators
        array([0, 1])
    """
    if (annotator is None) == (not annotators):
        raise UsageError(
            "labels of several annotators stand in a row each (--annotator names the column of annotators) or in a "
            "column per annotator (--annotators names these): give one of the two"
        )
    where = "the table" if isinstance(source, pd.DataFrame) else f"{source}"
    table = named(source, where) if isinstance(source, pd.DataFrame) else read_table(source, exact=True)
    if table.empty:
        raise UsageError(f"{where} has no rows: list the labels of the annotators")
    cells = _wide(table, annotators, key, where) if annotator is None else _long(table, annotator, label, key, where)
    return _settled(cells, keys, classes, unlabelled, where)


@dataclass(frozen=True, eq=False)
class _Cells:
    """What a table says: texts that occur, and their numbers; a label without a text is none, and is left out."""

    rows: np.ndarray
    keys: list[str] | None
    annotators: np.ndarray
    people: list[str]
    labels: np.ndarray
    texts: list[str]
    size: int

    @property
    def key_names(self) -> list[str]:
        return list(row_keys(self.size)) if self.keys is None else self.keys


def _long(table: pd.DataFrame, annotator: str, label: str, key: str, where: str) -> _Cells:
    """A row per label."""
    refuse_missing((key, annotator, label), table.columns, where, "name the columns with --id, --annotator and --label")
    if len({key, annotator, label}) < 3:
        raise UsageError(f"keys, annotators and labels are in three columns of {where}: name three different ones")
    rows, keys = distinct(table[key])
    people, names = distinct(table[annotator])
    for codes, found, what in ((rows, keys, key), (people, names, annotator)):
        if "" in found:
            row = int(np.flatnonzero(codes == found.index(""))[0])
            raise UsageError(f"the column {what!r} of {where} is empty in row {row}: fill it, or remove the row")
    codes, texts = distinct(table[label])
    given = np.array([text != "" for text in texts], dtype=bool)[codes]
    return _Cells(rows[given], keys, people[given], names, codes[given], texts, len(keys))


def _wide(table: pd.DataFrame, annotators: str | Sequence[str], key: str, where: str) -> _Cells:
    """A column per annotator."""
    columns = expand(annotators, list(table.columns), where)
    keys = None
    if key in table.columns and key not in columns:
        codes, keys = distinct(table[key])
        twice = np.flatnonzero(np.bincount(codes) > 1)
        if len(twice):
            raise UsageError(
                f"{where} has the key {keys[twice[0]]!r} twice: give every row its own, or use --annotator"
            )
    elif key != "key":
        refuse_missing((key,), table.columns, where, "name the column of keys with --id, and not as an annotator")
    texts: dict[str, int] = {}
    rows, people, labels = [], [], []
    for number, column in enumerate(columns):
        codes, found = distinct(table[column])
        place = np.array([texts.setdefault(text, len(texts)) for text in found], dtype=np.int64)
        given = np.flatnonzero(np.array([text != "" for text in found], dtype=bool)[codes])
        rows.append(given)
        people.append(np.full(len(given), number))
        labels.append(place[codes[given]])
    merged = (np.concatenate(parts) for parts in (rows, people, labels))
    at, who, what = merged
    return _Cells(at, keys, who, columns, what, list(texts), len(table))


def expand(patterns: str | Sequence[str], columns: Sequence[str], where: str) -> list[str]:
    """The columns that names, patterns and ranges mean, each once, in the order they are asked for.

    Args:
        patterns: names, patterns with ``*`` or ``?``, or ranges ``a1..a5``; a list, or text separated by commas.
        columns: of the table.
        where: its name in messages.

    Raises:
        UsageError: a name that is no column, or a pattern that none fits.

    Example:
        >>> expand("b,a1..a2", ["a1", "a2", "b", "c"], "the table")
        ['b', 'a1', 'a2']
    """
    asked = [patterns] if patterns in columns else patterns.split(",") if isinstance(patterns, str) else patterns
    found: dict[str, None] = {}
    for pattern in (str(one).strip() for one in asked):
        span = _RANGE.fullmatch(pattern)
        fitting = [name for name in columns if name == pattern or fnmatchcase(name, pattern)]
        if not fitting and span and span[1] == span[3]:
            fitting = [f"{span[1]}{number}" for number in range(int(span[2]), int(span[4]) + 1)]
        refuse_missing(fitting or [pattern], columns, where, "name the columns of the annotators with --annotators")
        found |= dict.fromkeys(fitting)
    return list(found)


def _settled(
    cells: _Cells, keys: np.ndarray | None, classes: tuple[str, ...] | None, unlabelled: bool, where: str
) -> VoteTable:
    """Votes from what a table says, once everything in it is known."""
    if len(set(cells.annotators.tolist())) < 2:
        raise UsageError(f"{where} has labels by fewer than two annotators: use --label for the labels of one")
    labels, names = _classes(cells, classes, where)
    rows, known = (cells.rows, np.array(cells.key_names, dtype=object)) if keys is None else _placed(cells, keys, where)
    rows, who, given = _once(rows, cells.annotators, labels, where, known, cells.people, names)
    votes = Votes(given.astype(np.int32), rows, who, tuple(cells.people), len(known), len(names))
    bare = np.flatnonzero(votes.per_row == 0)
    if len(bare) and not unlabelled:
        raise UsageError(
            f"{where} has no label at all for {len(bare)} of {len(known)} rows, the first is {known[bare[0]]!r}: leave "
            "these rows out, or give the probabilities of a model with --probs"
        )
    return VoteTable(votes, known, names)


def _classes(cells: _Cells, classes: tuple[str, ...] | None, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers of the labels, int64 ``[M]``, and the class names."""
    used = np.unique(cells.labels)
    texts = [cells.texts[k] for k in used]
    numeric = [text for text in texts if text not in _MARKS]
    if all(_FLOAT.fullmatch(text) for text in numeric) and not set(texts) <= set(classes or ()):
        marks = [text for text in texts if text in _MARKS]
        if marks:
            raise UsageError(f"{where} has the label {marks[0]!r}: leave a cell empty where an annotator gave no label")
        texts = [text.removesuffix(".0") for text in texts]  # pandas writes whole numbers so beside empty cells
    if classes is None:
        codes, classes = encode(np.array(texts), f"the labels in {where}")
    else:
        number = {name: k for k, name in enumerate(classes)}
        strange = [text for text in texts if text not in number]
        if strange:
            raise UsageError(
                f"{where} has the label {strange[0]!r}, which the data does not know: {nearest(strange[0], classes)}"
            )
        codes = np.array([number[text] for text in texts], dtype=np.int64)
    return codes[np.searchsorted(used, cells.labels)], classes


def _placed(cells: _Cells, keys: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the data that the labels are for, and the data's keys; without keys in the table, row by row."""
    if cells.keys is None:
        if cells.size != len(keys):
            raise UsageError(
                f"{where} has {cells.size} rows and no column of keys, and the data has {len(keys)}: "
                "give a column 'key', or name it with --id"
            )
        return cells.rows, keys
    place = {key: row for row, key in enumerate(keys.tolist())}
    strange = [key for key in cells.keys if key not in place]
    if strange:
        raise UsageError(
            f"{where} has the key {strange[0]!r}, which the data does not know ({len(strange)} of {len(cells.keys)} "
            "keys): take the keys from the data"
        )
    return np.array([place[key] for key in cells.keys], dtype=np.int64)[cells.rows], keys


def _once(
    rows: np.ndarray,
    who: np.ndarray,
    labels: np.ndarray,
    where: str,
    keys: np.ndarray,
    people: Sequence[str],
    classes: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The votes without repetitions; a repetition with another label is refused."""
    place = rows * len(people) + who
    _, first, which = np.unique(place, return_index=True, return_inverse=True)
    other = np.flatnonzero(labels != labels[first][which])
    if len(other):
        at = other[0]
        one, two = classes[labels[first[which[at]]]], classes[labels[at]]
        raise UsageError(
            f"{where} has two labels by {people[who[at]]!r} for {keys[rows[at]]!r}, {one!r} and {two!r}: keep one"
        )
    first = np.sort(first)
    return rows[first], who[first], labels[first]
