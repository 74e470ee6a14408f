"""Tables as data: features, texts, or images named in a column; and new rows like those of a training."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from thresher.data.arrays import augment
from thresher.data.cells import as_text, kind_of, numbers
from thresher.data.columns import encode, lookup
from thresher.data.delimited import TABLES, file_stem, named, read_table, refuse_missing
from thresher.data.encoding import TableEncoder
from thresher.data.images import ImageReader, read_files
from thresher.data.reading import Lazy, Reader, Reading
from thresher.data.roles import keys_of, labels, of, texts_of
from thresher.data.samples import Data, Samples
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.data.sentences import SentenceEncoder
    from thresher.data.texts import TextEncoder

__all__ = ["TableReader", "load_table", "load_test_table", "read_table", "reader_from"]

Table = str | os.PathLike[str] | pd.DataFrame


def load_table(source: Table, reading: Reading | None = None, name: str | None = None) -> Data:
    """Read a table as training data.

    Args:
        source: a file that `read_table` reads, or a DataFrame, whose index is not looked at.
        reading: its columns of labels, keys and groups; then that of image paths (relative to the file) or of texts;
            without these, all other columns are features. Labels in text stay as they are, but for blanks around them.
        name: of the data set; default the file's name without its endings, or ``table``.

    Returns:
        The data with a `TableReader`; `table` has the columns that are none of labels, keys and groups.

    Raises:
        UsageError: a column that is missing, has empty cells where none may be, or keys twice; labels that are no
            classes; whatever `read_table` and the encoders refuse.
        ThresherError: an image cannot be read, and ``reading.skip_bad`` does not allow that.

    Warns:
        UserWarning: columns or images are left out.

    Example:
        >>> people = pd.DataFrame({"age": [30, 50], "job": ["cook", "judge"], "label": ["no", "yes"]})
        >>> data = load_table(people)
        >>> data.classes, data.train.inputs.tolist()
        (('no', 'yes'), [[-1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    """
    reading = reading or Reading()
    table, base, where = _opened(source)
    _check_columns(table, reading, where)
    codes, classes = encode(labels(table, reading.label, where), of(reading.label, where))
    keys = keys_of(table, reading.id, where)
    groups = None if reading.group is None else texts_of(table, reading.group, where)
    beside = {reading.label, reading.id, reading.group} - {reading.path, reading.text}
    seen = table[[column for column in table.columns if column not in beside]]
    inputs, kept, reader = _inputs(table, seen, reading, base, where)
    return Data(
        name=name or ("table" if isinstance(source, pd.DataFrame) else file_stem(Path(source))),
        train=Samples(
            inputs, torch.from_numpy(codes[kept]), keys[kept], groups=None if groups is None else groups[kept]
        ),
        test=None,
        classes=classes,
        augment=augment(inputs),
        reader=reader,
        table=_shown(seen.iloc[kept].reset_index(drop=True), reading),
        shown=reading.text,
    )


def load_test_table(source: Table, reading: Reading, reader: Reader | None, classes: tuple[str, ...]) -> Samples:
    """Read a table as a test set of data that are known already.

    Args:
        source: as for `load_table`; columns that training did not use are ignored.
        reading: its columns of labels and keys, and of texts or image paths; that of keys may be missing.
        reader: of the training data.
        classes: of the training data.

    Raises:
        UsageError: the training data are no table; a class they do not have; whatever `load_table` refuses.
        ThresherError: as for `load_table`.

    Example:
        >>> people = pd.DataFrame({"age": [30, 50], "label": ["no", "yes"]})
        >>> load_test_table(people, Reading(), load_table(people).reader, ("no", "yes")).labels
        tensor([0, 1])
    """
    table, base, where = _opened(source)
    if not isinstance(reader, TableReader):
        raise UsageError(f"the test set {where} is a table, and the training set is not: give one like it")
    refuse_missing([reading.label], table.columns, where, "name the column of labels with --label")
    _refuse_no_rows(table, where)
    codes = lookup(labels(table, reading.label, where), classes, of(reading.label, where))
    inputs, keys, kept = reader.rows(table, base, where, reading)
    return Samples(inputs, torch.from_numpy(codes[kept]), keys)


@dataclass(frozen=True, eq=False)
class TableReader:
    """Reads more rows of a table; fulfils `Reader`.

    Attributes:
        encoder: of features, texts or images.
        column: that of texts or image paths; None for features.
        id: that of keys, or None.
    """

    encoder: "TableEncoder | TextEncoder | SentenceEncoder | ImageReader"
    column: str | None = None
    id: str | None = None

    def read(self, source: object, reading: Reading) -> tuple[Tensor | Lazy, np.ndarray]:
        """Read inputs without labels; columns that training did not use are ignored.

        Args:
            source: a table (file or DataFrame); texts as a list, too; images also as `ImageReader` takes them.
            reading: its columns of keys, texts and image paths, where they differ from those of the training. Where
                a new table has no column of keys as training had, keys are row numbers.

        Returns:
            Features float32 ``[n, D]``, or images; and the keys (object array ``[n]``).

        Raises:
            UsageError: another kind of source, a missing column, no rows, or what `load_table` refuses.
            ThresherError: an image cannot be read, and ``reading.skip_bad`` does not allow that.
        """
        is_path = isinstance(source, str | os.PathLike)
        if isinstance(source, pd.DataFrame) or (is_path and os.fspath(cast(str, source)).lower().endswith(TABLES)):
            return self.rows(*_opened(cast(Table, source)), reading)[:2]
        if isinstance(self.encoder, ImageReader):
            return self.encoder.read(source, reading)
        if (
            self.column is not None
            and isinstance(source, list | tuple | np.ndarray | pd.Series)
            and np.ndim(source) == 1
        ):
            texts = pd.DataFrame({self.column: pd.Series(list(source), dtype=object)})
            return self.rows(texts, Path(), "the list of texts", Reading())[:2]
        given = f"{source}" if is_path else f"a {type(source).__name__}"
        raise UsageError(f"{given} cannot be read: the run was trained on a table, so give a .csv file or a DataFrame")

    def rows(
        self, table: pd.DataFrame, base: Path, where: str, reading: Reading
    ) -> tuple[Tensor | Lazy, np.ndarray, np.ndarray]:
        """Read rows that have been opened.

        Args:
            table: from `read_table` or `named`.
            base: the folder that image paths are relative to.
            where: the name of the table in messages.
            reading: as for `read`.

        Returns:
            Inputs and keys, as `read` gives them, and which rows these are (int64), for images may be left out.
        """
        _refuse_no_rows(table, where)
        keyed = None if reading.id == self.id and self.id not in table.columns else reading.id
        keys = keys_of(table, keyed, where)
        if isinstance(self.encoder, TableEncoder):
            return torch.from_numpy(self.encoder.encode(table, where)), keys, np.arange(len(table))
        is_image = isinstance(self.encoder, ImageReader)
        column = (reading.path if is_image else reading.text) or self.column or ""
        refuse_missing([column], table.columns, where, f"name the column with --{'path' if is_image else 'text'}")
        if isinstance(self.encoder, ImageReader):
            inputs, kept, _ = _images(table, column, reading, base, where, self.encoder)
            return inputs, keys[kept], kept
        return torch.from_numpy(self.encoder.encode(_texts(table, column))), keys, np.arange(len(table))

    def facts(self) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """What to store; see `thresher.data.reading.Reader.facts`."""
        kind = "table" if self.column is None else "image table" if isinstance(self.encoder, ImageReader) else "texts"
        facts, arrays = self.encoder.facts()
        kind = "sentences" if "model" in facts else kind
        return {**facts, "kind": kind, "column": self.column, "id": self.id}, arrays


def reader_from(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TableReader:
    """The reader that `TableReader.facts` described.

    Example:
        >>> data = load_table(pd.DataFrame({"age": [30, 50], "label": ["no", "yes"]}))
        >>> reader_from(*data.reader.facts()).read(pd.DataFrame({"age": [50]}), Reading())
        (tensor([[1.]]), array(['0'], dtype=object))
    """
    from thresher.data.sentences import SentenceEncoder
    from thresher.data.texts import TextEncoder

    encoder: TableEncoder | TextEncoder | SentenceEncoder | ImageReader
    if facts["kind"] == "image table":
        encoder = ImageReader(facts["size"], facts["channels"])
    elif facts["kind"] == "sentences":
        encoder = SentenceEncoder.from_facts(facts, arrays)
    else:
        encoder = (TableEncoder if facts["kind"] == "table" else TextEncoder).from_facts(facts, arrays)
    return TableReader(encoder, facts["column"], facts["id"])


def _opened(source: Table) -> tuple[pd.DataFrame, Path, str]:
    """A table, the folder that paths in it are relative to, and its name in messages."""
    if isinstance(source, pd.DataFrame):
        return named(source, "the table"), Path(), "the table"
    path = Path(source)
    return read_table(path), path.parent, path.name


def _inputs(
    table: pd.DataFrame, seen: pd.DataFrame, reading: Reading, base: Path, where: str
) -> tuple[Tensor | Lazy, np.ndarray, TableReader]:
    """Inputs, which rows they are (int64), and a reader of more."""
    every = np.arange(len(table))
    if reading.path is not None:
        inputs, kept, images = _images(table, reading.path, reading, base, where)
        return inputs, kept, TableReader(images, reading.path, reading.id)
    if reading.text is not None:
        texts = _texts(table, reading.text)
        if not any(texts):
            raise UsageError(f"{of(reading.text, where)} is empty in every row: name the column of texts with --text")
        words = _text_encoder(texts, reading, where)
        return torch.from_numpy(words.encode(texts)), every, TableReader(words, reading.text, reading.id)
    if seen.shape[1] == 0:
        raise UsageError(
            f"{where} has no column besides {', '.join(map(repr, table.columns))}: add features, texts or image paths"
        )
    encoder = TableEncoder.fit(seen, where)
    return torch.from_numpy(encoder.encode(seen, where)), every, TableReader(encoder, None, reading.id)


def _text_encoder(texts: list[str], reading: Reading, where: str) -> "TextEncoder | SentenceEncoder":
    if reading.text_model is not None:
        from thresher.data.sentences import SentenceEncoder

        return SentenceEncoder(reading.text_model)
    from thresher.data.texts import TextEncoder

    return TextEncoder.fit(texts, of(reading.text or "", where))


def _images(
    table: pd.DataFrame, column: str, reading: Reading, base: Path, where: str, like: ImageReader | None = None
) -> tuple[Tensor | Lazy, np.ndarray, ImageReader]:
    paths = texts_of(table, column, where).tolist()
    return read_files([base / path for path in paths], paths, reading, where, like)


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    """The texts of a column; a missing one is empty."""
    return [as_text(cell).strip() for cell in table[column].tolist()]


def _shown(seen: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """What a person looks at: numbers as numbers, anything else as it was given."""
    result = seen.copy()
    for column in result.columns:
        cells = result[column]
        is_text = cells.dtype == object or isinstance(cells.dtype, pd.StringDtype)
        if is_text and column not in (reading.text, reading.path) and kind_of(cells) == "number":
            values = numbers(cells, "number").values
            whole = np.isfinite(values).all() and np.all(values == np.rint(values)) and np.abs(values).max() < 2**53
            result[column] = values.astype(np.int64) if whole else values
    return result


def _check_columns(table: pd.DataFrame, reading: Reading, where: str) -> None:
    """Refuse columns that are not there, or asked for in two ways that exclude each other."""
    roles = {"label": "labels", "id": "keys", "group": "groups", "path": "image paths", "text": "texts"}
    asked = {role: getattr(reading, role) for role in roles if getattr(reading, role) is not None}
    for role, column in asked.items():
        refuse_missing([column], table.columns, where, f"name the column of {roles[role]} with --{role}")
        if role != "label" and column == reading.label:
            raise UsageError(f"{of(column, where)} cannot be both --label and --{role}: name two columns")
    if reading.text_model is not None and reading.text is None:
        raise UsageError("--text-model reads texts, and no column of texts is named: add --text COLUMN")
    if reading.path is not None and reading.text is not None:
        raise UsageError("both --path and --text are given: a table is read for its images or for its texts")
    _refuse_no_rows(table, where)


def _refuse_no_rows(table: pd.DataFrame, where: str) -> None:
    if len(table) == 0:
        raise UsageError(f"{where} has no rows: give one per sample")
