"""Given labels of any kind as class numbers in a ``.npy`` file: read in pieces, written in pieces."""

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from thresher.audit.streaming.npy import Rows, open_npy
from thresher.audit.streaming.parquet import ParquetRows, parquet
from thresher.disk import replacing
from thresher.errors import UsageError

_STEP = 1 << 16
_MANY = 100_000  # distinct labels that no classification has


@dataclass(frozen=True, kw_only=True)
class CsvRows(Rows):
    """One column of a CSV file as text."""

    place: int
    separator: str

    def chunks(self, start: int, stop: int, step: int) -> Iterator[np.ndarray]:
        """See `Rows`."""
        kept: list[str] = []
        with self.files[0].open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.separator)
            next(reader)
            for number, row in enumerate(filter(None, reader)):
                if number >= stop:
                    break
                if number >= start:
                    kept.append(self._cell(row, number))
                if len(kept) == step:
                    yield np.array(kept)
                    kept = []
        if kept:
            yield np.array(kept)

    def _cell(self, row: list[str], number: int) -> str:
        if len(row) <= self.place:
            raise UsageError(f"{self.files[0]} has too few cells in row {number}: give every row as many")
        return row[self.place]


@dataclass(frozen=True)
class Column:
    """One value per row of a table, or of a ``.npy`` file: its rows, and what it is called in messages."""

    rows: Rows
    what: str


def open_column(path: Path, name: str) -> Column | None:
    """A column of a table by its name, None where it has none; of ``.npy`` files there is only ``label``.

    Raises:
        UsageError: a file that cannot be read or is of another kind.

    Example:
        >>> open_column(Path("absent.npy"), "label")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.npy: check the path
    """
    kind = path.suffix.lower()
    if kind == ".npy":
        return _npy_column(path) if name == "label" else None
    if kind == ".parquet":
        with parquet(path) as file:
            names = list(file.schema_arrow.names)
            rows = file.metadata.num_rows
        found = names[0] if len(names) == 1 and name == "label" else name
        column = ParquetRows(rows=rows, columns=0, files=(path,), chosen=(found,))
        return Column(column, f"the column {found} in {path}") if found in names else None
    if kind in (".csv", ".tsv"):
        return _csv_column(path, name)
    raise UsageError(f"{path} is of a kind that is not read here: give .npy, .csv, .tsv or .parquet")


def _npy_column(path: Path) -> Column:
    rows = open_npy(path)
    if rows.columns == 1:
        rows = replace(rows, columns=0)
    if rows.columns:
        raise UsageError(
            f"{path} has shape {[rows.rows, rows.columns]} where one value per row is needed: "
            "take the argmax over classes, or a single column"
        )
    if rows.dtype.kind not in "iubfU":
        raise UsageError(f"{path} has dtype {rows.dtype}: give whole numbers, true/false, or text")
    return Column(rows, f"{path}")


def _csv_column(path: Path, name: str) -> Column | None:
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = "\t" if path.suffix.lower() == ".tsv" else next((c for c in ",;\t" if c in first), ",")
            header = [cell.strip() for cell in next(csv.reader([first], delimiter=separator), [])]
            rows = sum(1 for row in csv.reader(file, delimiter=separator) if row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV text in UTF-8: save it as that") from error
    if name not in header:
        return None
    column = CsvRows(rows=rows, columns=0, files=(path,), place=header.index(name), separator=separator)
    return Column(column, f"the column {name} in {path}")


def encoded(column: Column, folder: Path, classes: Sequence[str] | None = None) -> tuple[Rows, tuple[str, ...]]:
    """Class numbers, in a file that is written into `folder` unless the labels are such numbers already.

    Args:
        column: of labels.
        folder: of the search.
        classes: the class names in their order; default the labels that occur, sorted, whole numbers by value.

    Raises:
        UsageError: no labels, a single class, labels that are empty, fractional or none of `classes`, a gap in numbers.
    """
    present = _present(column)
    names = {value: _name(value) for value in present}
    order = _order(list(names.values()), column, classes)
    number = {value: order.index(name) for value, name in names.items()}
    if getattr(column.rows, "dtype", np.dtype("U1")).kind in "iu" and all(a == b for a, b in number.items()):
        return column.rows, order
    path = folder / "labels.npy"
    if not path.exists():
        kind = np.min_scalar_type(len(order) - 1)
        keys = np.array(list(number))
        sort = np.argsort(keys)
        codes = np.array(list(number.values()), dtype=kind)[sort]
        write_npy(path, column.rows, kind, lambda chunk: codes[np.searchsorted(keys[sort], chunk)])
    return open_npy(path), order


def write_npy(path: Path, rows: Rows, dtype: np.dtype, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write what `change` makes of single values, piece by piece, whole or not at all."""
    with replacing(path) as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (rows.rows,)}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in rows.chunks(0, rows.rows, _STEP):
            file.write(np.ascontiguousarray(change(_plain(chunk)), dtype=dtype).tobytes())


def _plain(chunk: np.ndarray) -> np.ndarray:
    """Text as numpy's own, for it sorts and compares quickly."""
    if chunk.dtype.kind != "O":
        return chunk
    return np.array(["" if value is None else value for value in chunk.tolist()])


def _present(column: Column) -> list[int | str | bool]:
    """The labels that occur."""
    found: set[int | str | bool] = set()
    start = 0
    for piece in column.rows.chunks(0, column.rows.rows, _STEP):
        chunk = _plain(piece)
        found.update(_distinct(chunk, column.what, start))
        if len(found) > _MANY:
            raise UsageError(f"{column.what} holds more than {_MANY:,} different labels: these are no classes")
        start += len(chunk)
    return sorted(found, key=lambda value: (isinstance(value, str), value))


def _distinct(chunk: np.ndarray, what: str, start: int) -> list[int | str | bool]:
    kind = chunk.dtype.kind
    if kind == "U":
        bad = chunk == ""
    elif kind == "f":
        bad = ~np.isfinite(chunk) | (chunk != np.floor(chunk))
    elif kind in "iub":
        bad = np.zeros(0, dtype=bool) if kind != "i" or not len(chunk) or chunk.min() >= 0 else chunk < 0
    else:
        raise UsageError(f"{what} has dtype {chunk.dtype}: give whole numbers, true/false, or text")
    if bad.any():
        row = int(bad.argmax())
        raise UsageError(
            f"{what} holds {str(chunk[row])!r} in row {start + row}, which is no label: correct or remove it"
        )
    if kind in "iu" and len(chunk) and chunk.max() < _STEP:
        return list(np.flatnonzero(np.bincount(chunk)).tolist())
    values = np.unique(chunk).tolist()
    return [int(value) for value in values] if kind == "f" else values


def _name(value: int | str | bool) -> str:
    return str(value)


def _order(names: list[str], column: Column, classes: Sequence[str] | None) -> tuple[str, ...]:
    """The classes in their order."""
    if classes is not None:
        strange = sorted(set(names) - set(classes))
        if strange:
            raise UsageError(
                f"{column.what} holds {strange[0]!r}, which is none of the {len(classes)} classes: name all"
            )
        return tuple(classes)
    if len(names) < 2:
        what = f"every label in {column.what} is {names[0]!r}" if names else f"{column.what} is empty"
        raise UsageError(f"{what}: there must be labels of two classes or more")
    if not all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names))
    numbers = sorted(map(int, names))
    gap = next((a + 1 for a, b in itertools.pairwise(numbers) if b - a > 1), None)
    if gap is not None:
        raise UsageError(
            f"class {gap} has no row in {column.what}, though labels go from {numbers[0]} to {numbers[-1]}: name all "
            "classes, or pass names as text"
        )
    return tuple(sorted(names, key=int))
