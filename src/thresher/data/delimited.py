"""Tables in files, CSV and Parquet, with every cell of a CSV as the text that stands there: "007" and "NA" survive."""

import csv
import difflib
import gzip
import io
import lzma
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from thresher.errors import UsageError

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".csv.gz", ".csv.xz", ".tsv.gz", ".tsv.xz")
"""How the names of tables end."""

_SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
_LOOKED_AT = 50  # rows that decide the separator
_NAMED = 12  # columns that a message lists
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)


def read_table(path: str | Path, exact: bool = False) -> pd.DataFrame:
    r"""Read a table; a CSV keeps its cells as text, Parquet its types.

    A CSV is UTF-8 text whose first line names the columns. Its cells are separated by commas, or, where header and
    rows leave no doubt, by semicolons, tabs or bars. With semicolons, numbers with decimal commas get points.

    Args:
        path: of a ``.parquet`` file, or of a CSV with any other ending; ``.gz`` and ``.xz`` are unpacked.
        exact: keep blanks before a cell, and decimal commas.

    Returns:
        One row per sample, maybe none; the names of the columns are text, stripped of blanks around them.

    Raises:
        UsageError: no such file; a damaged or empty one; another encoding; no separator that fits; rows of other
            lengths than the header; columns without a name or with the same.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("id;label\n007;NA\n")
        ...     read_table(Path(folder, "a.csv")).to_dict("list")
        {'id': ['007'], 'label': ['NA']}
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the path of a table in it")
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    table = read_parquet(path) if path.suffix.lower() == ".parquet" else _csv(path, exact)
    return named(table, f"{path}")


def named(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with the names of its columns as text, and its rows numbered.

    Args:
        table: anything that pandas holds; it is not changed.
        where: its name in messages.

    Raises:
        UsageError: a column without a name, or two with the same.

    Example:
        >>> named(pd.DataFrame({7: [1.5]}, index=["x"]), "the table").to_dict("list")
        {'7': [1.5]}
    """
    names = [str(name).strip() for name in table.columns]
    if "" in names:
        raise UsageError(
            f"{where} has a column without a name, as pandas writes an index: write it with index=False, or name it"
        )
    twice = [name for k, name in enumerate(names) if name in names[:k]] if len(set(names)) < len(names) else []
    if twice:
        raise UsageError(f"{where} has the column {twice[0]!r} twice: give every column a name of its own")
    return table.set_axis(names, axis=1).reset_index(drop=True)


def refuse_missing(wanted: Iterable[str], columns: Iterable[str], where: str, what_to_do: str) -> None:
    """Refuse a table without a column, and name those it has, the nearest first.

    Raises:
        UsageError: one of `wanted` is not among `columns`.

    Example:
        >>> refuse_missing(["label"], ["age", "labels"], "a.csv", "name it with --label")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: a.csv has no column 'label', but 'labels', 'age': name it with --label
    """
    has = list(columns)
    for name in wanted:
        if name not in has:
            near = difflib.get_close_matches(name, has, n=3)
            shown = [*near, *(one for one in has if one not in near)]
            more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
            raise UsageError(
                f"{where} has no column {name!r}, but {', '.join(map(repr, shown[:_NAMED]))}{more}: {what_to_do}"
            )


def file_stem(path: Path) -> str:
    """A file's name without its endings.

    Example:
        >>> file_stem(Path("tables/bank.full.csv.gz"))
        'bank.full'
    """
    return Path(path.stem).stem if path.suffix.lower() in (".gz", ".xz") else path.stem


def as_csv(table: pd.DataFrame) -> str:
    r"""A table as CSV with a header, which is read again as it is: Python leaves a carriage return without quotes.

    Example:
        >>> as_csv(pd.DataFrame({"key": ["a\rb", "c"], "row": [0, 1]}))
        '"key","row"\n"a\rb",0\n"c",1\n'
    """
    content = str(table.to_csv(index=False, lineterminator="\n"))
    if "\r" in content:
        content = str(table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC))
    return content


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file as it is; an index of pandas that has a name is a column, as it would be in a CSV.

    Raises:
        UsageError: it is damaged, or pyarrow is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pd.DataFrame({"a": [0.5]}, index=pd.Index(["x"], name="key")).to_parquet(f"{folder}/p.parquet")
        ...     read_parquet(Path(folder, "p.parquet")).to_dict("list")
        {'key': ['x'], 'a': [0.5]}
    """
    try:
        table = pd.read_parquet(path)
    except ImportError as error:
        raise UsageError(f"{path} needs pyarrow to be read: pip install 'thresher[parquet]'") from error
    except Exception as error:  # pyarrow has errors of its own, and it may not be there to name them
        raise UsageError(f"{path} is damaged or no Parquet file: write it again") from error
    named = [name for name in table.index.names if name is not None and name not in table.columns]
    return table.reset_index(level=named) if named else table


def _csv(path: Path, exact: bool) -> pd.DataFrame:
    text = _text(path)
    separator = _separator(text, path)
    _check_lengths(text, separator, path)
    try:
        table: pd.DataFrame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None,  # pandas would take a first column without a name for an index
            dtype=str,
            keep_default_na=False,  # a class may be called NA
            skipinitialspace=not exact,
        )
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is no regular table ({reason}): give every row as many cells") from error
    table = table.iloc[1:].set_axis(table.iloc[0].tolist(), axis=1).astype(object)
    return table.apply(_with_points) if separator == ";" and not exact and len(table) else table


def _text(path: Path) -> str:
    """The text of a file, packed or not."""
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix.lower(), bytes)
    try:
        raw = unpack(path.read_bytes())
    except _DAMAGED as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise UsageError(f"{path} cannot be read ({reason}): check its permissions, or write it again") from error
    if raw.startswith(_UTF16):
        raise UsageError(f"{path} is UTF-16 text: save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path} is not UTF-8 text, for line {line} holds the byte 0x{raw[error.start]:02x}, perhaps from Latin-1 "
            "or Windows-1252: save it as UTF-8"
        ) from error
    if "\0" in text:
        raise UsageError(f"{path} holds zero bytes, so it is no text: save the table as CSV in UTF-8")
    if not text.strip():
        raise UsageError(f"{path} is empty: its first line must name the columns")
    return text


@contextmanager
def _long_cells() -> Iterator[None]:
    """A text may be longer than the 128 KiB that Python's csv module allows by default."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _separator(text: str, path: Path) -> str:
    """The one character that divides the header and the first rows into equally many cells, more than one."""
    widths = {one: _widths(text, one) for one in _SEPARATORS}
    regular = [one for one, found in widths.items() if found[0] > 1 and len(set(found)) == 1]
    if len(regular) > 1:
        raise UsageError(
            f"{path} may be separated by {' or '.join(_SEPARATORS[one] for one in regular)}: "
            "put cells that hold one of them into quotes"
        )
    if regular:
        return regular[0]
    return max(_SEPARATORS, key=lambda one: widths[one][0])  # of several with equal width, the first: the comma


def _widths(text: str, separator: str) -> list[int]:
    """The number of cells in the header and in the first rows."""
    widths: list[int] = []
    try:
        with _long_cells():
            for _, row in _rows(text, separator):
                widths.append(len(row))
                if len(widths) > _LOOKED_AT:
                    break
    except _Irregular:  # quotes may be irregular for this separator
        return [*widths, 0]
    return widths


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a text with the lines they begin in, without blank lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise _Irregular(line, error) from error


class _Irregular(Exception):
    """The line where quotes are wrong, and what is."""


def _check_lengths(text: str, separator: str, path: Path) -> None:
    """Refuse rows with more or fewer cells than the header, which pandas would fill, and quotes that do not close."""
    width = 0
    try:
        with _long_cells():
            for line, row in _rows(text, separator):
                width = width or len(row)
                if len(row) != width:
                    raise UsageError(
                        f"line {line} of {path} has {len(row)} cell{'s'[: len(row) != 1]} separated by "
                        f"{_SEPARATORS[separator]}, and the header {width}: put cells that hold the separator into "
                        "quotes, and give every row as many"
                    )
    except _Irregular as error:
        raise UsageError(
            f"line {error.args[0]} of {path} has quotes that are not closed or not doubled ({error.args[1]}): write a "
            'quote inside quotes as ""'
        ) from error


def _with_points(column: pd.Series) -> pd.Series:
    """A column of numbers with decimal commas, written with points; any other as it is."""
    texts = pd.unique(column)
    filled = [text.strip() for text in texts if text.strip()]
    if not any("," in text for text in filled) or not all(_DECIMAL_COMMA.fullmatch(text) for text in filled):
        return column
    points = np.array([text.replace(",", ".") for text in texts], dtype=object)
    return pd.Series(points[pd.factorize(column)[0]], index=column.index)
