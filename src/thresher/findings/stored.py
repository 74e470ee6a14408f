"""What a run knew of its rows when it looked for wrong labels: its folder ``evidence/``, read where it is needed."""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thresher.data.arrays import DAMAGED
from thresher.disk import plain_disk_errors, write_atomically
from thresher.errors import ThresherError

if TYPE_CHECKING:
    from thresher.findings import Findings

FOLDER = "evidence"
"""Inside a run folder: ``rows.npy``, and about these rows ``probabilities``, ``neighbours`` and ``distances.npy``."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Class probabilities and neighbours of n source rows; arrays are mapped, and only what is shown is read.

    Attributes:
        rows: row numbers of the source, int64 ``[n]``.
        probabilities: of the given classes, out of sample where folds were trained and otherwise the model's, float32
            ``[n, K]``, or None.
        index: places in `rows` of the nearest others, nearest first, int32 ``[n, k]``, or None.
        distances: of these, float32 ``[n, k]``.
    """

    rows: np.ndarray
    probabilities: np.ndarray | None = None
    index: np.ndarray | None = None
    distances: np.ndarray | None = None

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.rows, kind="stable")

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Where row numbers (int64 ``[n]``) stand in `rows`, int64 ``[n]``; -1 where there is no such row."""
        if not len(self.rows):
            return np.full(len(rows), -1)
        found = self._order[np.searchsorted(self.rows, rows, sorter=self._order).clip(max=len(self.rows) - 1)]
        return np.where(self.rows[found] == rows, found, -1)

    def belief(self, rows: np.ndarray) -> np.ndarray | None:
        """Class probabilities of row numbers (int64 ``[n]``), float32 ``[n, K]``, NaN where unknown; None without any.

        Example:
            >>> Stored(np.array([4, 2]), np.array([[0.25, 0.75], [1.0, 0.0]])).belief(np.array([2, 3])).tolist()
            [[1.0, 0.0], [nan, nan]]
        """
        if self.probabilities is None:
            return None
        places = self.places(rows)
        known = np.full((len(rows), self.probabilities.shape[1]), np.nan, dtype=np.float32)
        known[places >= 0] = self.probabilities[places[places >= 0]]
        return known

    def neighbours(self, row: int) -> list[tuple[int, float]]:
        """Row numbers and distances of a row's nearest neighbours, nearest first; empty where they are not known.

        Example:
            >>> stored = Stored(np.array([4, 2]), index=np.array([[1], [0]]), distances=np.array([[0.5], [0.5]]))
            >>> stored.neighbours(4)
            [(2, 0.5)]
        """
        place = int(self.places(np.array([row]))[0])
        if place < 0 or self.index is None or self.distances is None:
            return []
        pairs = zip(self.index[place].tolist(), self.distances[place].tolist(), strict=True)
        return [(int(self.rows[at]), far) for at, far in pairs if 0 <= at < len(self.rows)]


def read(run: Path, classes: int) -> Stored | None:
    """What the folder of a run holds, or None where it has no such folder.

    Args:
        run: the folder.
        classes: K.

    Raises:
        ThresherError: a file is damaged, or does not fit the others.

    Example:
        >>> read(Path("absent"), 2) is None
        True
    """
    folder = run / FOLDER
    if not (folder / "rows.npy").is_file():
        return None
    rows = _mapped(folder / "rows.npy", "iu", (None,))
    n = len(rows)
    found = Stored(
        np.asarray(rows, dtype=np.int64),
        _optional(folder / "probabilities.npy", "f", (n, classes)),
        _optional(folder / "neighbours.npy", "iu", (n, None)),
        _optional(folder / "distances.npy", "f", (n, None)),
    )
    if found.index is not None and (found.distances is None or found.distances.shape != found.index.shape):
        raise ThresherError(f"{folder} has neighbours without their distances: {_ADVICE}")
    return found


def write(run: Path, found: "Findings") -> None:
    """Store probabilities and neighbours as plain arrays; ``rows.npy`` comes last, and with it the folder is whole.

    Args:
        run: the folder.
        found: what is known.
    """
    arrays: dict[str, np.ndarray] = {"probabilities": found.probabilities.astype(np.float32, copy=False)}
    if found.neighbours is not None:
        arrays |= {"neighbours": found.neighbours.index, "distances": found.neighbours.distance}
    with plain_disk_errors(run):
        (run / FOLDER).mkdir(exist_ok=True)
    for name, values in {**arrays, "rows": found.rows.astype(np.int64)}.items():
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        write_atomically(run / FOLDER / f"{name}.npy", content.getvalue())


_ADVICE = "find the labels again, or remove that folder"


def _optional(path: Path, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray | None:
    return _mapped(path, kinds, shape) if path.exists() else None


def _mapped(path: Path, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array that stays in its file, of the kinds and the shape that are expected."""
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")  # never reads objects, which could run code
    except DAMAGED as error:
        raise ThresherError(f"{path} is damaged ({error}): {_ADVICE}") from error
    fits = array.ndim == len(shape) and array.dtype.kind in kinds
    if not fits or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = " x ".join("any" if one is None else str(one) for one in shape)
        raise ThresherError(f"{path} has the wrong shape or type, {wanted} numbers are expected: {_ADVICE}")
    return array
