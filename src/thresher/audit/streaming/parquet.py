"""Numbers and texts in Parquet files that may be larger than memory, by pyarrow, an extra."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.audit.streaming.npy import Rows, native
from thresher.errors import UsageError

BESIDE = ("key", "predicted")
"""Columns of a table of probabilities that are none."""


@dataclass(frozen=True, kw_only=True)
class ParquetRows(Rows):
    """Columns of one Parquet file: one number each, a single column of lists, or a single column of any values.

    Attributes:
        chosen: the columns that are read.
    """

    chosen: tuple[str, ...]

    def chunks(self, start: int, stop: int, step: int) -> Iterator[np.ndarray]:
        """See `Rows`."""
        with parquet(self.files[0]) as file:
            groups: list[int] = []  # only the row groups that hold some of the rows are read
            low = skip = 0
            for group in range(file.metadata.num_row_groups):
                high = low + file.metadata.row_group(group).num_rows
                if high > start and low < stop:
                    skip = skip if groups else start - low
                    groups.append(group)
                low = high
            left = stop - start
            for batch in file.iter_batches(batch_size=step, row_groups=groups, columns=list(self.chosen)):
                part = batch.slice(min(skip, len(batch)), left)
                skip, left = skip - min(skip, len(batch)), left - len(part)
                if len(part):
                    yield self._numbers(part)

    def _numbers(self, batch: Any) -> np.ndarray:
        if not self.columns:
            return np.asarray(batch.column(0).to_numpy(zero_copy_only=False))
        if self.names is None:
            return self._listed(batch.column(0))
        return native(np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], axis=1))

    def _listed(self, column: Any) -> np.ndarray:
        import pyarrow.compute

        lengths = pyarrow.compute.list_value_length(column).to_numpy(zero_copy_only=False)
        if not np.all(lengths == self.columns):
            raise UsageError(
                f"{self.files[0]} has lists of other lengths than {self.columns} in {self.chosen[0]!r}: "
                "give one probability per class in every row"
            )
        return native(column.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.columns))


def parquet(path: Path) -> Any:
    """An open Parquet file.

    Raises:
        UsageError: no such file, no Parquet file, or pyarrow is not installed.

    Example:
        >>> parquet(Path("absent.parquet"))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.parquet: check the path
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"{path} needs pyarrow to be read: pip install 'thresher[parquet]'") from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except Exception as error:  # pyarrow has errors of its own
        raise UsageError(f"{path} is damaged or no Parquet file: write it again") from error


def _index(schema: Any) -> list[str]:
    """The columns that are the index of a table of pandas, which is no column of it."""
    known = schema.pandas_metadata or {}
    return [name for name in known.get("index_columns", []) if isinstance(name, str) and name.startswith("__index")]


def open_parquet(path: Path) -> ParquetRows:
    """The probabilities in a Parquet file: every column but those of `BESIDE`, or the one column of lists."""
    import pyarrow.types as kinds

    with parquet(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        lists = [field.name for field in schema if kinds.is_list(field.type) or kinds.is_fixed_size_list(field.type)]
        others = [field for field in schema if field.name not in (*lists, *BESIDE, *_index(schema))]
        if len(lists) == 1 and not others:
            first = next(file.iter_batches(batch_size=1, columns=lists), None)
            width = 0 if first is None or first.column(0)[0].as_py() is None else len(first.column(0)[0])
            return ParquetRows(rows=rows, columns=width, files=(path,), chosen=(lists[0],))
        wrong = [field.name for field in others if not (kinds.is_floating(field.type) or kinds.is_integer(field.type))]
        if lists or wrong or not others:
            name = (lists + wrong + ["nothing"])[0]
            raise UsageError(
                f"{path} has {name!r} where a probability is needed: give one column of numbers per class, or one "
                "column of lists, and keys in a column named key"
            )
        names = tuple(field.name for field in others)
        return ParquetRows(rows=rows, columns=len(names), files=(path,), names=names, chosen=names)
