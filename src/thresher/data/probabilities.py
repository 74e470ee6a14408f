"""Predicted probabilities and labels from files, and both brought into one order: by name, by key, never by luck."""

import csv
import io
import tokenize
from pathlib import Path

import numpy as np
import pandas as pd

from thresher.data.columns import encode, names
from thresher.data.delimited import read_parquet
from thresher.errors import UsageError

_CLOSE = 1e-3 + 1e-9  # how far a row's sum may be from 1: figures are often written with three or four digits
_LABEL_NAMES = ("label", "labels", "class", "target", "y", "given")
_DAMAGED = (OSError, ValueError, EOFError, SyntaxError, ArithmeticError, LookupError, MemoryError, tokenize.TokenError)


def read_probabilities(
    path: str | Path, classes: tuple[str, ...] | None = None
) -> tuple[np.ndarray, tuple[str, ...] | None, np.ndarray | None]:
    """Class probabilities from a file.

    Args:
        path: a ``.npy`` matrix, or a table as ``.csv``, ``.tsv`` or ``.parquet``. The names in a table's header are the
            classes (as they are, or all with ``p_`` before them); a column ``key`` holds keys, a column ``predicted``
            is left out, unless classes have these names. Without a header, and in a matrix, the columns are the sorted
            classes, whole numbers by value.
        classes: the class names of the labels, in that order; None if they are not known yet.

    Returns:
        Probabilities, float32 or float64 ``[N, K]``, in the order of the classes whatever the file's is; the class
        names that the file has, in that order, or None; the keys, object array ``[N]``, or None.

    Raises:
        UsageError: a file that cannot be read, names or a number of columns that are not those of the classes, a key
            that is there twice, rows that are no probabilities.

    Example:
        >>> read_probabilities("absent.npy")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.npy: check the path
    """
    path = _existing(path)
    if path.suffix.lower() == ".npy":
        values, header, keys = _matrix(path), None, None
    else:
        values, header, keys = _split(*_table(path, classes), classes, path)
    found = None
    if header is None:
        if classes is not None and values.shape[1] != len(classes):
            raise UsageError(
                f"{path} has {values.shape[1]} columns, and the labels have {len(classes)} classes: give one column "
                "per class, name the columns in a header, or name all classes where some have no label"
            )
    else:
        order, found = _order(header, classes, path)
        values = values if order == list(range(len(order))) else values[:, order]
    _check_rows(values, keys, path)
    return values, found, keys


def read_label_column(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels from a file.

    Args:
        path: a ``.npy`` vector of numbers or texts; or a table as ``.csv``, ``.tsv`` or ``.parquet`` with a column
            ``label``, and perhaps ``key``, or with a single column.

    Returns:
        Labels as text, object array ``[N]``, and the keys, object array ``[N]``, or None.

    Raises:
        UsageError: a file that cannot be read, no column of labels, empty labels, a key that is there twice.

    Example:
        >>> read_label_column("absent.csv")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.csv: check the path
    """
    path = _existing(path)
    if path.suffix.lower() == ".npy":
        return names(_load_npy(path), f"{path}"), None
    header, rows = _texts(path)
    if len(header) == 1:
        values = rows[0].tolist() if _is_name(header[0], rows[0].tolist(), path) else [header[0], *rows[0]]
        return names(values, f"{path}"), None
    if "label" not in header:
        raise UsageError(f"{path} has no column 'label' among {', '.join(header)}: name the column of labels so")
    keys = _keys(rows[header.index("key")], path) if "key" in header else None
    return names(rows[header.index("label")].tolist(), f"the column label in {path}"), keys


def align(
    labels: np.ndarray, label_keys: np.ndarray | None, probabilities: np.ndarray, probability_keys: np.ndarray | None
) -> np.ndarray:
    """The probabilities in the order of the labels: by key where both have keys, else row by row.

    Args:
        labels: ``[N]``.
        label_keys: the labels' keys, object array ``[N]``, or None.
        probabilities: float ``[N, K]``.
        probability_keys: their keys, object array ``[N]``, or None.

    Returns:
        float ``[N, K]``; the same array where nothing has to move.

    Raises:
        UsageError: a key that only one of them has; numbers of rows that differ.

    Example:
        >>> p, a, b = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array(["x", "y"]), np.array(["y", "x"])
        >>> align(np.array(["cat", "dog"]), a, p, b)
        array([[0.2, 0.8],
               [0.9, 0.1]])
    """
    if label_keys is None or probability_keys is None:
        if len(labels) != len(probabilities):
            raise UsageError(
                f"there are {len(labels)} labels and {len(probabilities)} rows of probabilities: give one row per "
                "label in the same order, or a column 'key' in both files"
            )
        return probabilities
    place = {key: row for row, key in enumerate(probability_keys.tolist())}
    wanted = set(label_keys.tolist())
    for one, other, lacking in (
        ("labels", "probabilities", [key for key in label_keys.tolist() if key not in place]),
        ("probabilities", "labels", [key for key in place if key not in wanted]),
    ):
        if lacking:
            raise UsageError(
                f"the {one} have {len(lacking)} keys that the {other} do not have, first {lacking[0]!r}: "
                "every key must be in both"
            )
    rows = np.array([place[key] for key in label_keys.tolist()], dtype=np.int64)
    return probabilities if np.array_equal(rows, np.arange(len(probabilities))) else probabilities[rows]


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    if path.suffix.lower() not in (".npy", ".csv", ".tsv", ".parquet"):
        raise UsageError(f"{path} is of a kind that is not read here: give .npy, .csv, .tsv or .parquet")
    return path


def _load_npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as stream:  # numpy itself leaves a damaged file open
            array = np.load(stream, allow_pickle=False)
    except _DAMAGED as error:
        if "Object arrays" in str(error):
            raise UsageError(
                f"{path} holds pickled Python objects, which could run code: save plain arrays of numbers or text"
            ) from error
        raise UsageError(f"{path} is damaged or no .npy file: write it again with numpy.save") from error
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{path} holds several arrays, as .npz does: save a single one with numpy.save")
    return array


def _matrix(path: Path) -> np.ndarray:
    array = _load_npy(path)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise UsageError(
            f"{path} holds {array.dtype} of shape {list(array.shape)}: probabilities are numbers [samples, classes]"
        )
    return _floats(array)


def _floats(array: np.ndarray) -> np.ndarray:
    """The array as float32 or float64, uncopied where it is that already."""
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        return array.astype(np.float64)
    native = np.float32 if array.dtype.itemsize < 4 else array.dtype.newbyteorder("=")
    return array.astype(native, copy=False)


def _text(path: Path) -> tuple[str, str]:
    """A text file's content and its separator."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    if not text.strip():
        raise UsageError(f"{path} is empty: it must hold one row per sample")
    text = text.strip("\r\n")
    first = text.splitlines()[0]
    return text, "\t" if path.suffix.lower() == ".tsv" else next((one for one in ",;\t" if one in first), ",")


def _parse(text: str, separator: str, path: Path, **options: object) -> pd.DataFrame:
    """Rows without a header; every failure of the parser in one sentence."""
    try:
        table: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
            io.StringIO(text), sep=separator, header=None, keep_default_na=False, low_memory=False, **options
        )
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is no regular table ({reason}): give every line as many columns") from error
    return table


def _first_line(text: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(row for row in csv.reader(io.StringIO(text), delimiter=separator) if row)]


def _table(path: Path, classes: tuple[str, ...] | None) -> tuple[list[str] | None, pd.DataFrame]:
    """The header, or None, and the columns below it, numbered."""
    if path.suffix.lower() == ".parquet":
        table = read_parquet(path)
        columns = [str(name).strip() for name in table.columns]
        _check_header(columns, path)
        return columns, table.set_axis(range(len(columns)), axis=1)
    text, separator = _text(path)
    first = _first_line(text, separator)
    header = first if _is_header(first, classes, path) else None
    if header is None:
        return None, _parse(text, separator, path)
    if len(text.splitlines()) < 2:
        raise UsageError(f"{path} has a header and no rows: it must hold one row per sample")
    _check_header(header, path)
    as_text = {header.index(name): str for name in _beside(header, classes)}
    table = _parse(text, separator, path, skiprows=1, dtype=as_text)
    if table.shape[1] != len(header):
        raise UsageError(f"{path} has {len(header)} names in its header and {table.shape[1]} columns below: mend it")
    return header, table


def _is_header(first: list[str], classes: tuple[str, ...] | None, path: Path) -> bool:
    """Whether a first line names columns; classes may be called 0 and 1, so names are looked for before numbers."""
    if classes is not None and set(classes) <= set(first):
        return True
    numbers = [_number(cell) for cell in first]
    known = [value for value in numbers if value is not None]
    if len(known) == len(first):
        names_only = all(cell.isdecimal() for cell in first) and len(set(first)) == len(first)
        return names_only and abs(sum(known) - 1) > _CLOSE
    if not all(value.is_integer() for value in known):
        raise UsageError(
            f"{path} begins with a line that is neither names nor numbers ({', '.join(first[:4])}): "
            "a file with keys or texts needs a header, with key and the class names"
        )
    return True


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None  # a class may be called nan


def _split(
    header: list[str] | None, table: pd.DataFrame, classes: tuple[str, ...] | None, path: Path
) -> tuple[np.ndarray, list[str] | None, np.ndarray | None]:
    """Probabilities, class names in the file's order, and keys."""
    if header is None:
        return _numeric(table, [f"column {k + 1}" for k in range(table.shape[1])], path), None, None
    extra = _beside(header, classes)
    keys = _keys(table[header.index("key")], path) if "key" in extra else None
    places = [k for k, name in enumerate(header) if name not in extra]
    found = [header[k] for k in places]
    if all(name.startswith("p_") for name in found) and set(found) != set(classes or ()):
        found = [name.removeprefix("p_") for name in found]
    return _numeric(table[places], [header[k] for k in places], path), found, keys


def _beside(header: list[str], classes: tuple[str, ...] | None) -> list[str]:
    """The columns that are no probabilities, unless classes are called so."""
    taken = classes if classes is not None and set(classes) <= set(header) else ()
    return [name for name in ("key", "predicted") if name in header and name not in taken]


def _check_header(header: list[str], path: Path) -> None:
    if "" in header:
        raise UsageError(
            f"{path} has a column without a name, as pandas writes an index: write it with index=False, or name it key"
        )
    twice = [name for k, name in enumerate(header) if name in header[:k]]
    if twice:
        raise UsageError(f"{path} has the column {twice[0]!r} twice: give every column a name of its own")


def _numeric(table: pd.DataFrame, columns: list[str], path: Path) -> np.ndarray:
    """The columns as one matrix of floats."""
    for name, (_, column) in zip(columns, table.items(), strict=True):
        if column.dtype.kind not in "fiub":
            numbers = pd.to_numeric(column, errors="coerce")
            row = int(np.flatnonzero(numbers.isna())[0]) if numbers.isna().any() else 0
            raise UsageError(
                f"{path} has {str(column.iloc[row])!r} in {name!r}, row {row}, where a probability is needed: "
                "numbers are written with a point, and keys stand in a column named key"
            )
    if table.shape[1] == 0:
        raise UsageError(f"{path} has no column of probabilities: give one per class")
    return _floats(table.to_numpy())


def _order(found: list[str], classes: tuple[str, ...] | None, path: Path) -> tuple[list[int], tuple[str, ...]]:
    """Where each class stands in the file, and the classes in their order."""
    if len(found) < 2:
        raise UsageError(f"{path} has the probabilities of one class, {found[0]!r}: give a column for every class")
    if classes is None:
        _, classes = encode(np.array(found), f"the header of {path}")
    missing, strange = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    if missing or strange:
        lacks = f"lacks {', '.join(map(repr, missing[:3]))}" if missing else ""
        knows = f"has {', '.join(map(repr, strange[:3]))}, which no label is" if strange else ""
        raise UsageError(
            f"the header of {path} {' and '.join(filter(None, [lacks, knows]))}: it must name the {len(classes)} "
            "classes of the labels"
        )
    return [found.index(name) for name in classes], classes


def _check_rows(values: np.ndarray, keys: np.ndarray | None, path: Path) -> None:
    """Refuse rows that are no probabilities, and name the first."""
    if not len(values):
        raise UsageError(f"{path} has no rows: it must hold one per sample")
    with np.errstate(invalid="ignore", over="ignore"):
        sums = values.sum(axis=1, dtype=np.float64)
        fine = np.isfinite(sums) & (values.min(axis=1) >= 0) & (np.abs(sums - 1) <= _CLOSE)
    if fine.all():
        return
    row = int(np.flatnonzero(~fine)[0])
    where = f"row {row}" if keys is None else f"row {row} (key {keys[row]!r})"
    low, high = values[row].min(), values[row].max()
    if not np.isfinite(values[row]).all():
        what, hint = "holds an empty, NaN or infinite value", "score it again or leave it out"
    elif low < 0 or high > 1 + _CLOSE:
        what = f"goes from {low:.4g} to {high:.4g} (sum {sums[row]:.4g})"
        hint = "these look like logits or percent, so take the softmax, or divide by 100, first"
    else:
        what, hint = f"sums to {sums[row]:.4g}", "probabilities of one sample sum to 1"
    raise UsageError(f"{path}: {where} {what}, as {np.count_nonzero(~fine)} of {len(values)} rows do not fit: {hint}")


def _texts(path: Path) -> tuple[list[str], list[pd.Series]]:
    """Names and columns of a table, all of it text; the first line counts as names."""
    if path.suffix.lower() == ".parquet":
        table = read_parquet(path)
        return [str(name).strip() for name in table.columns], [table[name] for name in table.columns]
    text, separator = _text(path)
    table = _parse(text, separator, path, dtype=str)
    header = [str(name).strip() for name in table.iloc[0]]
    rows = table.iloc[1:].reset_index(drop=True)
    if len(header) > 1:
        _check_header(header, path)
    return header, [rows[name] for name in rows.columns]


def _is_name(first: str, below: list[object], path: Path) -> bool:
    """Whether the first cell of a single column is its name; where that cannot be told, nobody guesses."""
    if path.suffix.lower() == ".parquet" or first.lower() in _LABEL_NAMES:
        return True
    if first in below or _number(first) is not None:
        return False
    if below and all(_number(str(value)) is not None for value in below):
        return True
    raise UsageError(
        f"{path} begins with {first!r}, which may be a name or a label that is there once: "
        "write 'label' above the labels"
    )


def _keys(column: pd.Series, path: Path) -> np.ndarray:
    keys = names(column.tolist(), f"the column key in {path}")
    twice = pd.Series(keys).duplicated()
    if twice.any():
        raise UsageError(f"{path} has the key {keys[int(twice.to_numpy().argmax())]!r} twice: keys must be unique")
    return keys
