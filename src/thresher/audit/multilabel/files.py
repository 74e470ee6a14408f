"""Multi-label data in files: labels and probabilities brought into one order, by name and by key, and a table of them.

The table has a row per sample, as every ``issues.csv``: people review and correct a sample's classes together, and the
classes that are doubted stand in its reasons.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from thresher.audit.multilabel.binary import Request, wrong_labels
from thresher.audit.multilabel.labels import Labels, checked
from thresher.audit.multilabel.scores import get_label_quality_scores
from thresher.data.cells import as_text, numbers
from thresher.data.columns import listed, row_keys
from thresher.data.delimited import TABLES, read_table
from thresher.data.probabilities import align
from thresher.errors import UsageError

SEPARATOR = "|"
"""Between the class names of one sample, in the table and in files; files may have semicolons instead."""

NONE = "(none)"
"""A sample without any class, in the table and in files: an empty label would mean to leave the sample out."""

_COLUMNS = ("labels", "label")
_DAMAGED = (OSError, ValueError, EOFError, SyntaxError)
_NAMED = 3


def find_multilabel_in_files(labels: str | Path, probs: str | Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    r"""Judge multi-label data by the probabilities of the user's own model.

    Classes are those in the header of the probabilities. Where these are a plain matrix, classes are the columns of the
    labels in the order of that file, or the names in its column of names, sorted. Rows are matched by a column ``key``
    in both files, or by their order.

    Args:
        labels: a table (``.csv``, ``.tsv``, ``.parquet``) with a column ``labels`` (or ``label``) of class names
            separated by ``|`` or ``;``, empty or ``(none)`` for a sample without any; or with one column of 0 and 1 per
            class; or a ``.npy`` matrix of 0 and 1.
        probs: a table with one column per class, named as the class or ``p_<class>``, or a ``.npy`` matrix.

    Returns:
        The table of `multilabel_table`, and the class names.

    Raises:
        UsageError: files that cannot be read, or that do not belong together.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     labels, probs = Path(folder) / "labels.csv", Path(folder) / "probs.csv"
        ...     _ = labels.write_text("key,labels\na,cat\nb,cat|dog\nc,dog\nd,\ne,cat\n")
        ...     lines = ("key,cat,dog", "a,.9,.1", "b,.8,.9", "c,.1,.8", "d,.2,.1", "e,.1,.2")
        ...     _ = probs.write_text("\n".join(lines))
        ...     table, classes = find_multilabel_in_files(labels, probs)
        >>> classes, table[["key", "given", "suggested", "reasons"]].to_dict("records")[0]
        (('cat', 'dog'), {'key': 'e', 'given': 'cat', 'suggested': '(none)', 'reasons': "'cat' should go (p 0.10)"})
    """
    values, header, prob_keys = _probabilities(Path(probs))
    given, classes, keys = _labels(Path(labels), header)
    if values.shape[1] != len(classes):
        raise UsageError(
            f"{probs} has {values.shape[1]} columns, and {labels} has {len(classes)} classes ({listed(classes)}): give "
            "a column per class, or name the columns in a header"
        )
    values = align(given, keys, values, prob_keys)
    known = prob_keys if keys is None else keys
    shown = row_keys(len(given)) if known is None else known
    return multilabel_table(given, values, keys=shown, classes=classes), classes


def multilabel_table(
    labels: Labels, pred_probs: np.ndarray, *, keys: Sequence[str] | np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """Every sample with its given and suggested classes, worst first.

    Args:
        labels: lists of class numbers, or a matrix of 0 and 1 ``[N, K]``.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        keys: of the samples, ``[N]``.
        classes: K names.

    Returns:
        The columns of ``issues.csv``: ``key, row, given, suggested, p_suggested, label_quality, p_wrong,
        is_label_issue, reasons, score_confident``. ``given`` and ``suggested`` are class names between ``|``, or
        ``(none)``; suggested is given, with the doubted classes turned round; ``p_suggested`` is the lowest probability
        of an answer that is turned round, or of any answer where none is; ``label_quality`` the aggregated
        self-confidence; ``p_wrong`` is empty; ``score_confident`` is 1 - ``label_quality`` where a class is doubted,
        and -``label_quality`` elsewhere.

    Raises:
        UsageError: arrays that do not fit together; another number of keys or names; ``|`` in a name, or
            the name ``(none)``.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.8], [0.2, 0.1], [0.1, 0.2]])
        >>> table = multilabel_table([[0], [0, 1], [1], [], [0]], p, keys=list("abcde"), classes=["cat", "dog"])
        >>> table["key"].tolist(), table["is_label_issue"].sum()
        (['e', 'b', 'c', 'd', 'a'], np.int64(1))
    """
    given, probabilities = checked(labels, pred_probs)
    for what, names, count in (("keys", keys, len(given)), ("class names", classes, given.shape[1])):
        if len(names) != count:
            raise UsageError(f"there are {len(names)} {what} for labels of shape {list(given.shape)}")
    barred = [name for name in classes if SEPARATOR in name]
    if barred:
        raise UsageError(f"the class {barred[0]!r} has a {SEPARATOR} in its name, which separates names: rename it")
    if NONE in classes:
        raise UsageError(f"a class is called {NONE!r}, which stands for samples without any class: rename it")
    wrong = wrong_labels(given, probabilities, Request())
    quality, flagged = get_label_quality_scores(given, probabilities), wrong.any(axis=1)
    believed = np.where(given, probabilities, 1 - probabilities)
    changed = np.where(wrong, 1 - believed, 1.0).min(axis=1, initial=1.0)
    score = np.where(flagged, 1 - quality, -quality)
    table = pd.DataFrame(
        {
            "key": np.asarray(keys, dtype=object),
            "row": np.arange(len(given)),
            "given": _joined(given, classes),
            "suggested": _joined(given ^ wrong, classes),
            "p_suggested": np.where(flagged, changed, believed.min(axis=1, initial=1.0)),
            "label_quality": quality,
            "p_wrong": np.full(len(given), np.nan),
            "is_label_issue": flagged,
            "reasons": _reasons(given, wrong, probabilities, classes),
            "score_confident": score,
        }
    )
    return table.iloc[np.argsort(-score, kind="stable")].reset_index(drop=True)


def _joined(chosen: np.ndarray, classes: Sequence[str]) -> list[str]:
    """The names of every sample's classes in one text."""
    rows, columns = chosen.nonzero()
    result: list[list[str]] = [[] for _ in chosen]
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        result[row].append(classes[column])
    return [SEPARATOR.join(names) or NONE for names in result]


def _reasons(given: np.ndarray, wrong: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Which classes should go and which are missing; empty where none is doubted."""
    rows, columns = wrong.nonzero()
    result: list[list[str]] = [[] for _ in given]
    for row, k in zip(rows.tolist(), columns.tolist(), strict=True):
        what = "should go" if given[row, k] else "is missing"
        result[row].append(f"'{classes[k]}' {what} (p {probabilities[row, k]:.2f})")
    return ["; ".join(phrases) for phrases in result]


def _probabilities(path: Path) -> tuple[np.ndarray, tuple[str, ...] | None, np.ndarray | None]:
    """A matrix, the classes in its header, and keys."""
    if path.suffix.lower() == ".npy":
        return _matrix(path, "probabilities"), None, None
    table, keys = _keyed(_read(path), path)
    columns = [name for name in table.columns if name != "predicted"]
    if not columns:
        raise UsageError(f"{path} has no column of probabilities: give one per class, named as the class")
    values = np.stack([_column(table[name], name, path) for name in columns], axis=1)
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)).all(axis=1))
    if len(bad):
        raise UsageError(
            f"{path} has {values[bad[0]].tolist()[:_NAMED]} in row {bad[0]}, and {len(bad)} of {len(values)} rows like "
            "it: probabilities are 0 to 1, so take the sigmoid of logits"
        )
    if all(name.startswith("p_") for name in columns):
        columns = [name.removeprefix("p_") for name in columns]
    return values, tuple(columns), keys


def _labels(path: Path, header: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...], np.ndarray | None]:
    """Bool ``[N, K]``, the classes, and keys."""
    if path.suffix.lower() == ".npy":
        values = _matrix(path, "labels of 0 and 1")
        classes = header or tuple(str(k) for k in range(values.shape[1]))
        if values.shape[1] != len(classes):
            raise UsageError(
                f"{path} has {values.shape[1]} columns for {len(classes)} classes: give one column per class"
            )
        return _binary(values, path), classes, None
    table, keys = _keyed(_read(path), path)
    named = [name for name in _COLUMNS if name in table.columns]
    if named and (header is None or named[0] not in header):
        return *_from_names(table[named[0]], header, path), keys
    _check_header(tuple(table.columns), header, path)
    classes = header or tuple(table.columns)
    values = np.stack([_column(table[name], name, path) for name in classes], axis=1)
    return _binary(values, path), classes, keys


def _from_names(cells: pd.Series, header: tuple[str, ...] | None, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """From a column of names in one text, or of lists of names."""
    own = [_split(cell) for cell in cells]
    found = {name for names in own for name in names}
    if header is None and len(found) < 2:
        raise UsageError(f"{path} has fewer than two classes: name all classes in a header of the probabilities")
    whole = all(name.isdecimal() for name in found)
    classes = header or tuple(sorted(found, key=lambda name: (int(name) if whole else 0, name)))
    number = {name: k for k, name in enumerate(classes)}
    strange = sorted(found - set(classes))
    if strange:
        raise UsageError(
            f"{path} has the class {strange[0]!r}, which the probabilities do not have ({listed(classes)}): names are "
            f"separated by {SEPARATOR} or ;"
        )
    result = np.zeros((len(own), len(classes)), dtype=bool)
    for row, names in enumerate(own):
        result[row, [number[name] for name in names]] = True
    return result, classes


def _split(cell: object) -> list[str]:
    """The class names in one cell."""
    if isinstance(cell, list | tuple | np.ndarray):
        return [as_text(one).strip() for one in cell]
    text = as_text(cell)
    if text.strip() == NONE:
        return []
    return [name.strip() for name in text.replace(";", SEPARATOR).split(SEPARATOR) if name.strip()]


def _check_header(columns: tuple[str, ...], header: tuple[str, ...] | None, path: Path) -> None:
    """Refuse columns of labels that are not the classes of the probabilities."""
    missing = [name for name in header or () if name not in columns]
    strange = [name for name in columns if name not in (header or columns)]
    if missing or strange or not columns:
        lacks = f"lacks {listed(missing)}" if missing else ""
        has = f"has {listed(strange)}, which the probabilities do not" if strange else ""
        both = " and ".join(filter(None, [lacks, has])) or "has no column of labels"
        raise UsageError(f"{path} {both}: give a column of 0 and 1 per class, or one called labels with names")


def _read(path: Path) -> pd.DataFrame:
    if path.suffix and not path.name.lower().endswith(TABLES):
        raise UsageError(f"{path} is of a kind that is not read here: give .npy, .csv, .tsv or .parquet")
    table = read_table(path)
    if table.empty:
        raise UsageError(f"{path} has no rows: it must hold one per sample")
    return table


def _keyed(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, np.ndarray | None]:
    """The table without its keys, and these."""
    if "key" not in table.columns:
        return table, None
    keys = table["key"].map(as_text)
    twice = keys[keys.duplicated()]
    if len(twice):
        raise UsageError(f"{path} has the key {twice.iloc[0]!r} twice: keys must be unique")
    return table.drop(columns="key"), keys.to_numpy(dtype=object)


def _column(cells: pd.Series, name: str, path: Path) -> np.ndarray:
    """A column of numbers, float64."""
    values = numbers(cells, "number").values
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UsageError(f"{path} has {as_text(cells.iloc[bad[0]])!r} in {name!r}, row {bad[0]}: a number is needed")
    return values


def _binary(values: np.ndarray, path: Path) -> np.ndarray:
    bad = np.argwhere((values != 0) & (values != 1))
    if len(bad):
        raise UsageError(f"{path} has {values[tuple(bad[0])]} in row {bad[0][0]}: labels per class are 0 or 1")
    return np.asarray(values == 1)


def _matrix(path: Path, what: str) -> np.ndarray:
    """A matrix of numbers from a .npy file."""
    try:
        with path.open("rb") as stream:  # numpy itself leaves a damaged file open
            array = np.load(stream, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}: check the path") from error
    except _DAMAGED as error:
        raise UsageError(f"{path} is damaged or no plain .npy file: write it again with numpy.save") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiub":
        raise UsageError(f"{path} is no matrix of numbers: {what} are [samples, classes]")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
