"""Files of labels by key: corrected ones for every row, and trusted ones for some."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from thresher.data.cells import as_text
from thresher.data.columns import listed
from thresher.data.delimited import read_table, refuse_missing
from thresher.errors import UsageError, nearest

PREFIX = "p_"
"""In front of a class name: the column of its probabilities."""

_CLOSE = 1e-3  # how far from 1 a row of probabilities may add up


@dataclass(frozen=True, eq=False)
class LabelFile:
    """Labels for every row of a data set, in the order of its rows.

    Attributes:
        labels: class numbers, int64 ``[N]``; -1 leaves a row out.
        weights: float32 ``[N]``, or None without such a column.
        targets: class probabilities, float32 ``[N, K]``, rows that sum to 1, or None without such columns.
    """

    labels: np.ndarray
    weights: np.ndarray | None = None
    targets: np.ndarray | None = None


def read_labels(path: Path, keys: np.ndarray, classes: tuple[str, ...]) -> LabelFile:
    r"""Read a file with a label for every row: columns ``key`` and ``label``, in any order of rows.

    A table, or ``.jsonl`` objects with these names, whose soft labels are ``"probabilities": {class: share}``.

    An empty label leaves the row out. A column ``weight`` weighs the rows; columns ``p_<class>``, one for every class,
    are soft labels, and where all of a row's are empty its label stands. Other columns are not read.

    Args:
        path: of the file.
        keys: of the data, object array ``[N]``.
        classes: the K class names.

    Raises:
        UsageError: keys that are missing, unknown or there twice; an unknown class; weights or probabilities without a
            meaning; a file that cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels.csv"
        ...     _ = path.write_text("key,label\nb,dog\na,cat\n")
        ...     read_labels(path, np.array(["a", "b"], dtype=object), ("cat", "dog")).labels
        array([0, 1])
    """
    table = keyed(path)
    place = {key: row for row, key in enumerate(keys)}
    _refuse_unknown(table["key"], place, path)
    listed_keys = set(table["key"])
    lacking = [key for key in keys if key not in listed_keys]
    if lacking:
        raise UsageError(
            f"{path} has no label for {len(lacking)} of {len(keys)} rows, the first is {lacking[0]!r}: list every row, "
            "with an empty label where it is to be left out"
        )
    table = table.set_index("key").loc[list(keys)].reset_index()
    labels = _numbers(table["label"], classes, path, empty=-1)
    if (labels < 0).all():
        raise UsageError(f"{path} has no label at all: give at least two classes")
    return LabelFile(labels, _weights(table, path), _targets(table, labels, classes, path))


def read_keyed(path: Path, keys: np.ndarray, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    r"""Read a file with labels for some rows: columns ``key`` and ``label``, as a table or as ``.jsonl``.

    Args:
        path: of the file.
        keys: of the data, object array ``[N]``.
        classes: the class names.

    Returns:
        Row numbers, ascending, and class numbers, int64 ``[n]`` both.

    Raises:
        UsageError: keys that are unknown or there twice, an unknown class, no rows, a file that cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "trusted.csv"
        ...     _ = path.write_text("key,label\nb,dog\n")
        ...     read_keyed(path, np.array(["a", "b"], dtype=object), ("cat", "dog"))
        (array([1]), array([1]))
    """
    return matched(keyed(path), keys, classes, path)


def matched(
    table: pd.DataFrame, keys: np.ndarray, classes: tuple[str, ...], path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and classes that a table of keys and labels speaks of.

    Args:
        table: columns ``key`` and ``label`` as text, no key twice.
        keys: of the data, object array ``[N]``.
        classes: the class names.
        path: where the table is from, for messages.

    Returns:
        Row numbers, ascending, and class numbers, int64 ``[n]`` both.

    Raises:
        UsageError: an unknown key or class.

    Example:
        >>> table = pd.DataFrame({"key": ["b"], "label": ["dog"]})
        >>> matched(table, np.array(["a", "b"], dtype=object), ("cat", "dog"), Path("x.csv"))
        (array([1]), array([1]))
    """
    place = {key: row for row, key in enumerate(keys)}
    _refuse_unknown(table["key"], place, path)
    labels = _numbers(table["label"], classes, path)
    rows = np.array([place[key] for key in table["key"]], dtype=np.int64)
    order = np.argsort(rows)
    return rows[order], labels[order]


def keyed(path: Path) -> pd.DataFrame:
    """The table in a file, once it is sure that it has columns ``key`` and ``label``, rows, and no key twice.

    Raises:
        UsageError: it has not, or cannot be read.

    Example:
        >>> keyed(Path("absent.csv"))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.csv: check the path
    """
    table = _lines(path) if path.suffix.lower() == ".jsonl" else read_table(path, exact=True)
    refuse_missing(("key", "label"), table.columns, f"{path}", "a file of labels needs key and label")
    if table.empty:
        raise UsageError(f"{path} has no rows: list keys with their labels")
    table = table.assign(key=table["key"].map(as_text), label=table["label"].map(as_text))
    twice = table["key"][table["key"].duplicated()]
    if len(twice):
        more = f", and {twice.nunique() - 1} more" if twice.nunique() > 1 else ""
        raise UsageError(f"{path} has the key {twice.iloc[0]!r} twice{more}: list each once")
    return table


def _lines(path: Path) -> pd.DataFrame:
    """One JSON object per line, as `thresher.correct` writes them; null and what is missing become empty cells."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            record = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:  # damaged UTF-8 is a ValueError, too
            raise UsageError(f"line {number} of {path} is no JSON: write one object per line") from error
        shares = record.pop("probabilities", None) or {} if isinstance(record, dict) else None
        if not isinstance(shares, dict):
            raise UsageError(f"line {number} of {path} is no object with key and label: write one per line")
        if record:
            records.append(record | {f"{PREFIX}{name}": share for name, share in shares.items()})
    return pd.DataFrame(records, dtype=object).where(lambda cells: cells.notna(), "")


def _refuse_unknown(found: pd.Series, place: dict[str, int], path: Path) -> None:
    strange = [key for key in found if key not in place]
    if strange:
        raise UsageError(
            f"{path} has the key {strange[0]!r}, which the data does not know ({len(strange)} of {len(found)} keys): "
            "take the keys from rows.csv or issues.csv of a run"
        )


def _numbers(names: pd.Series, classes: tuple[str, ...], path: Path, empty: int | None = None) -> np.ndarray:
    """Class numbers of names; empty ones are `empty`, or refused."""
    number = {name: k for k, name in enumerate(classes)}
    if empty is not None:
        number.setdefault("", empty)
    strange = sorted(set(names) - set(number))
    if strange:
        raise UsageError(
            f"{path} has the label {strange[0]!r}, which the data does not know: {nearest(strange[0], classes)}"
        )
    return np.array([number[name] for name in names], dtype=np.int64)


def _floats(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """The numbers of a column, NaN where it is empty."""
    cells = table[column].map(as_text).str.strip()
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values) & (cells != "").to_numpy())
    if len(bad):
        raise UsageError(
            f"{path} has {cells.iloc[bad[0]]!r} in the column {column!r} for {table['key'].iloc[bad[0]]!r}: "
            "give a number"
        )
    return values


def _weights(table: pd.DataFrame, path: Path) -> np.ndarray | None:
    if "weight" not in table:
        return None
    weights = _floats(table, "weight", path)
    weights = np.where(np.isnan(weights) & (table["label"] == "").to_numpy(), 0.0, weights)
    bad = np.flatnonzero(~(weights >= 0))
    if len(bad):
        raise UsageError(f"{path} has no weight of 0 or more for {table['key'].iloc[bad[0]]!r}: give every row one")
    if not weights.any():
        raise UsageError(f"{path} gives every row the weight 0: nothing would be learned")
    return weights.astype(np.float32)


def _targets(table: pd.DataFrame, labels: np.ndarray, classes: tuple[str, ...], path: Path) -> np.ndarray | None:
    columns = [f"{PREFIX}{name}" for name in classes]
    missing = [column for column in columns if column not in table]
    listing = {"given", "suggested", "p_suggested"} <= set(table.columns)  # where p_suggested is no class's
    if len(missing) == len(columns) or (missing and listing):
        return None
    if missing:
        raise UsageError(f"{path} has no column {listed(missing)}: give soft labels for every class, or for none")
    values = np.stack([_floats(table, column, path) for column in columns], 1)
    empty = np.isnan(values).all(1)
    values[empty] = np.eye(len(classes))[np.maximum(labels[empty], 0)]
    sums = values.sum(1)
    bad = np.flatnonzero(~((values >= 0).all(1) & (np.abs(sums - 1) <= _CLOSE)))
    if len(bad):
        raise UsageError(
            f"{path}: the soft label of {table['key'].iloc[bad[0]]!r} adds up to {sums[bad[0]]:.4g}: its probabilities "
            "must be 0 or more and add up to 1"
        )
    return np.asarray(values / sums[:, None], dtype=np.float32)
