"""Numbers and texts in ``.npy`` files that may be larger than memory.

Files are read stretch by stretch into fresh memory. They are never mapped into it, for pages of a mapping count as
memory that the process holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import UsageError

_CLOSED = "it is damaged or cut short: write it again with numpy.save"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows that are read from front to back. An object is small and picklable, and opens no file until it is read.

    Attributes:
        rows: how many.
        columns: numbers in each row; 0 where a row is a single value.
        files: that they come from.
        names: of the columns, or None.
    """

    rows: int
    columns: int
    files: tuple[Path, ...]
    names: tuple[str, ...] | None = None

    def chunks(self, start: int, stop: int, step: int) -> Iterator[np.ndarray]:
        """The rows from `start` to `stop`, in order, about `step` at a time and never more."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class NpyRows(Rows):
    """One ``.npy`` file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "p.npy", np.array([[0.5, 0.5], [0.25, 0.75]], dtype=np.float16))
        ...     rows = open_npy(Path(folder) / "p.npy")
        ...     [chunk.tolist() for chunk in rows.chunks(1, 2, 10)], rows.rows, rows.columns
        ([[[0.25, 0.75]]], 2, 2)
    """

    dtype: np.dtype
    offset: int
    by_column: bool = False

    def chunks(self, start: int, stop: int, step: int) -> Iterator[np.ndarray]:
        """See `Rows`."""
        with self.files[0].open("rb", buffering=0) as file:
            for low in range(start, stop, step):
                yield native(self._read(file, low, min(low + step, stop)))

    def _read(self, file: Any, low: int, high: int) -> np.ndarray:
        if self.by_column and self.columns:
            parts = [
                self._fill(file, np.empty(high - low, self.dtype), k * self.rows + low) for k in range(self.columns)
            ]
            return np.stack(parts, axis=1)
        shape = (high - low, self.columns) if self.columns else (high - low,)
        return self._fill(file, np.empty(shape, self.dtype), low * max(self.columns, 1))

    def _fill(self, file: Any, array: np.ndarray, place: int) -> np.ndarray:
        """Read an array's worth of entries, from the entry at `place` on."""
        file.seek(self.offset + place * self.dtype.itemsize)
        room = memoryview(array.reshape(-1).view(np.uint8).data) if array.size else memoryview(b"")
        while len(room):
            count = file.readinto(room)
            if not count:
                raise UsageError(f"{self.files[0]} ends too early: {_CLOSED}")
            room = room[count:]
        return array


def open_npy(path: Path) -> NpyRows:
    """Read the header of a ``.npy`` file.

    Raises:
        UsageError: no such file, no ``.npy`` file, one that is cut short, or pickled objects.

    Example:
        >>> open_npy(Path("absent.npy"))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.npy: check the path
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    form = np.lib.format
    try:
        with path.open("rb") as file:
            version = form.read_magic(file)
            read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}[version]
            shape, by_column, dtype = read(file)
            offset, size = file.tell(), path.stat().st_size
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    except Exception as error:  # a broken header raises whatever Python's parser does
        raise UsageError(f"{path} is damaged or no .npy file: write it again with numpy.save") from error
    if dtype.hasobject:
        raise UsageError(
            f"{path} holds pickled Python objects, which could run code: save plain arrays of numbers or text"
        )
    if size < offset + int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise UsageError(f"{path} is shorter than its header says: {_CLOSED}")
    if not 1 <= len(shape) <= 2:
        raise UsageError(f"{path} holds an array of shape {list(shape)}: give one value or one row per sample")
    columns = shape[1] if len(shape) == 2 else 0
    return NpyRows(rows=shape[0], columns=columns, files=(path,), dtype=dtype, offset=offset, by_column=by_column)


def native(array: np.ndarray) -> np.ndarray:
    """Numbers as float32 or float64 in this machine's byte order, one-dimensional arrays as they are.

    Example:
        >>> native(np.ones((1, 2), dtype=np.float16)).dtype, native(np.ones((1, 2), dtype=bool)).dtype
        (dtype('float32'), dtype('float64'))
    """
    if array.ndim == 1:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64, copy=False)
