"""A record of what was really done to the labels, and its file."""

import io
import json
import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thresher.disk import write_atomically
from thresher.errors import UsageError

VERSION = 1
"""Of the generators: raised whenever the same name, rate and seed would give other labels."""

_FACTS = {"generator": str, "version": int, "seed": int, "nominal": float, "classes": list}
DAMAGED: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error, SyntaxError)
DAMAGED += (ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What zipfile, zlib, json and numpy's header parser raise on files that are cut off or altered."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Labels that were made wrong on purpose, and how.

    Attributes:
        labels: with the noise, int64 ``[N]``, one for each row kept.
        clean: as they were, int64 ``[N]``.
        generator: what was asked for, as text with every seed, such as ``symmetric:0.4:0``; several are
            joined by " + ".
        version: of the generators.
        seed: of the first draw.
        nominal: the rate asked for; of several, the share that they would touch together if each touched every class.
        classes: class names; label ``k`` means ``classes[k]``.
        rows: which rows of the source were kept, int64 ``[N]``, ascending, where class imbalance left rows out; None
            where all were kept.

    Example:
        >>> noise = Noise(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), "by hand", 1, 0, 0.25, ("cat", "dog"))
        >>> noise.realised, noise.matrix.tolist()
        (0.25, [[0.5, 0.5], [0.0, 1.0]])
    """

    labels: np.ndarray
    clean: np.ndarray
    generator: str
    version: int
    seed: int
    nominal: float
    classes: tuple[str, ...]
    rows: np.ndarray | None = None

    @cached_property
    def counts(self) -> np.ndarray:
        """Rows by true class (first axis) and label (second), int64 ``[K, K]``."""
        size = len(self.classes)
        return np.bincount(self.clean * size + self.labels, minlength=size * size).reshape(size, size)

    @cached_property
    def realised(self) -> float:
        """The share of labels that are wrong; 0 without rows."""
        return float(np.mean(self.labels != self.clean)) if len(self.clean) else 0.0

    @cached_property
    def matrix(self) -> np.ndarray:
        """The realised transitions, float64 ``[K, K]``: each true class (row) adds up to 1.

        A class without rows keeps its label, so that the matrix stays one of probabilities.
        """
        totals = self.counts.sum(1, keepdims=True)
        return np.where(totals > 0, self.counts / np.maximum(totals, 1), np.eye(len(self.classes)))

    def save(self, path: str | Path) -> None:
        """Write a .npz file without pickled objects, under exactly that path.

        Its arrays are `labels`, `clean`, `matrix`, `rows` if some were left out, and `about`: a JSON text of everything
        else, `realised` included.

        Raises:
            UsageError: the folder does not exist.
            ThresherError: the file cannot be written.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise UsageError(f"{path} cannot be written (no such folder): name a file in a folder of yours")
        facts = {name: getattr(self, name) for name in (*_FACTS, "realised")}
        arrays: dict[str, Any] = {"labels": self.labels, "clean": self.clean, "matrix": self.matrix}
        if self.rows is not None:
            arrays["rows"] = self.rows
        buffer = io.BytesIO()
        np.savez_compressed(buffer, about=np.array(json.dumps(facts, ensure_ascii=False)), **arrays)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> "Noise":
        """Read what `save` wrote. Pickled objects are refused, for they could run code.

        Raises:
            UsageError: no such file, pickled objects in it, a damaged file, or one that does not hold noise.

        Example:
            >>> Noise.load("absent.npz")
            Traceback (most recent call last):
            ...
            thresher.errors.UsageError: there is no noise file absent.npz: check the path
        """
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"there is no noise file {path}: check the path")
        try:
            # Opened here, because numpy leaves the file of a damaged archive open.
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                labels, clean, about = (file[name] for name in ("labels", "clean", "about"))
                rows = file["rows"] if "rows" in file.files else None  # older files have none
            return _checked(labels, clean, rows, json.loads(str(about)))
        except DAMAGED as error:
            raise UsageError(_unreadable(path, error)) from error


def _checked(labels: np.ndarray, clean: np.ndarray, rows: np.ndarray | None, facts: dict[str, Any]) -> Noise:
    """Noise of what a file held; raises a ValueError, LookupError or TypeError if it was something else."""
    known = {name: facts[name] for name in _FACTS}
    if not all(isinstance(known[name], kind) for name, kind in _FACTS.items()):
        raise TypeError("a fact of another type")
    known["classes"] = tuple(map(str, known["classes"]))
    for column in (labels, clean):
        if column.dtype != np.int64 or column.ndim != 1 or len(column) != len(clean):
            raise ValueError("labels of another kind")
        if len(column) and not 0 <= column.min() <= column.max() < len(known["classes"]):
            raise ValueError("labels out of range")
    if rows is not None and (
        rows.dtype != np.int64 or rows.shape != clean.shape or (np.diff(rows, prepend=-1) < 1).any()
    ):
        raise ValueError("rows of another kind")
    return Noise(labels=labels, clean=clean, rows=rows, **known)


def _unreadable(path: Path, error: Exception) -> str:
    if "allow_pickle" in str(error):
        return f"{path} holds pickled Python objects, which could run code: make it again with Noise.save"
    return f"{path} is damaged, or no noise file: make it again with Noise.save"
