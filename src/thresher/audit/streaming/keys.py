"""Keys beside labels and probabilities: the same rows in the same order, or the search is refused."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thresher.audit.streaming.given import Column, open_column, write_npy
from thresher.audit.streaming.npy import NpyRows, open_npy
from thresher.audit.streaming.sources import Joined, files_in
from thresher.audit.streaming.text import encoded, quoted
from thresher.errors import UsageError

_STEP = 1 << 16


def keys_of(labels: Path | None, probabilities: Path, folder: Path) -> NpyRows | None:
    """The keys of all rows as cells of a CSV file, in a ``.npy`` file of bytes in `folder`; None where no file has any.

    Args:
        labels: the file of labels, or None.
        probabilities: the file of probabilities, or the folder of several.
        folder: of the search.

    Raises:
        UsageError: both have keys, and they are not the same in the same order.
    """
    found = [column for column in (_column(labels), _column(probabilities)) if column is not None]
    if not found:
        return None
    if len(found) == 2:
        _refuse_other(*found)
    path = folder / "keys.npy"
    if not path.exists():
        width = max((encoded(chunk).shape[1] for chunk in _cells(found[0])), default=1)
        write_npy(path, found[0].rows, np.dtype(f"S{width}"), lambda chunk: np.array([_cell(one) for one in chunk]))
    return open_npy(path)


def _column(path: Path | None) -> Column | None:
    if path is None:
        return None
    columns = [open_column(one, "key") for one in files_in(path)]
    found = [column for column in columns if column is not None]
    if found and len(found) < len(columns):
        raise UsageError(
            f"{path}: {len(found)} of {len(columns)} files have a column 'key': give it to all, or to none"
        )
    if len(found) < 2:
        return found[0] if found else None
    parts = tuple(column.rows for column in found)
    files = tuple(part.files[0] for part in parts)
    return Column(Joined(rows=sum(part.rows for part in parts), columns=0, files=files, parts=parts), f"{path}")


def _cell(value: object) -> bytes:
    return quoted(str(value)).encode()


def _cells(column: Column) -> Iterator[list[str]]:
    for chunk in column.rows.chunks(0, column.rows.rows, _STEP):
        yield [quoted(str(one)) for one in chunk.tolist()]


def _refuse_other(one: Column, other: Column) -> None:
    """Refuse keys that differ: rows that were put side by side by luck are the worst mistake here."""
    both = (itertools.chain.from_iterable(_cells(column)) for column in (one, other))
    for row, (a, b) in enumerate(itertools.zip_longest(*both)):
        if a != b:
            raise UsageError(
                f"row {row} has the key {a!r} in {one.what} and {b!r} in {other.what}: "
                "out of core both must have the same rows in the same order, so sort both by key"
            )
