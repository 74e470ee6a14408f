"""Class probabilities in files that may be larger than memory: ``.npy``, Parquet, and folders of either."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.audit.streaming.npy import Rows, open_npy
from thresher.audit.streaming.parquet import open_parquet
from thresher.errors import UsageError

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True)
class Joined(Rows):
    """The rows of several files, one after another."""

    parts: tuple[Rows, ...]

    def chunks(self, start: int, stop: int, step: int) -> Iterator[np.ndarray]:
        """See `Rows`."""
        low = 0
        for part in self.parts:
            if low < stop and low + part.rows > start:
                yield from part.chunks(max(start - low, 0), min(stop - low, part.rows), step)
            low += part.rows


@dataclass(frozen=True, kw_only=True)
class Ordered(Rows):
    """Rows with their columns in another order."""

    source: Rows
    order: tuple[int, ...]

    def chunks(self, start: int, stop: int, step: int) -> Iterator[np.ndarray]:
        """See `Rows`."""
        for chunk in self.source.chunks(start, stop, step):
            yield chunk[:, self.order]


def files_in(path: Path) -> list[Path]:
    """The files of a folder in the order of their names, or the file itself.

    Raises:
        UsageError: a folder without ``.npy`` or Parquet files, with both, or with names whose order is in doubt.

    Example:
        >>> files_in(Path("p.npy"))
        [PosixPath('p.npy')]
    """
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in (".npy", ".parquet") and one.is_file())
    if len({one.suffix.lower() for one in found}) != 1:
        what = "both .npy and .parquet files" if found else "no .npy or .parquet file"
        raise UsageError(f"{path} holds {what}: give a folder of one kind, its files in the order of their names")
    by_number = sorted(found, key=lambda one: _DIGITS.sub(lambda digits: digits.group().zfill(20), one.name))
    if by_number != found:
        one, other = next(pair for pair in zip(found, by_number, strict=True) if pair[0] != pair[1])
        raise UsageError(
            f"{path} has files whose order is in doubt, as {one.name} and {other.name}: "
            "write their numbers with as many digits"
        )
    return found


def open_probabilities(path: Path) -> Rows:
    """Class probabilities in a ``.npy`` or Parquet file, or in a folder of such files.

    Raises:
        UsageError: files that cannot be read, are no matrices of numbers, or do not belong together.

    Example:
        >>> open_probabilities(Path("absent.npy"))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.npy: check the path
    """
    parts = [open_parquet(one) if one.suffix.lower() == ".parquet" else _matrix(one) for one in files_in(path)]
    for part in parts[1:]:
        if (part.columns, part.names) != (parts[0].columns, parts[0].names):
            raise UsageError(
                f"{part.files[0]} has other columns than {parts[0].files[0]}: "
                "give every file the same, in the same order"
            )
    if len(parts) == 1:
        return parts[0]
    files = tuple(part.files[0] for part in parts)
    rows, first = sum(part.rows for part in parts), parts[0]
    return Joined(rows=rows, columns=first.columns, files=files, names=first.names, parts=tuple(parts))


def _matrix(path: Path) -> Rows:
    if path.suffix.lower() != ".npy":
        raise UsageError(
            f"{path} is of a kind that is not read piece by piece: give .npy, .parquet or a folder of them"
        )
    found = open_npy(path)
    if found.columns == 0 or found.dtype.kind not in "fiub":
        shape = [found.rows, found.columns][: 1 + bool(found.columns)]
        raise UsageError(f"{path} holds {found.dtype} of shape {shape}: probabilities are numbers [samples, classes]")
    return found


def by_class(source: Rows, classes: Sequence[str], what: str) -> Rows:
    """The rows with their columns in the order of the classes, by the names that the columns have.

    Raises:
        UsageError: columns that are not those of the classes.

    Example:
        >>> rows = Rows(rows=5, columns=2, files=(Path("p.parquet"),), names=("p_dog", "p_cat"))
        >>> by_class(rows, ["cat", "dog"], "p.parquet").names
        ('cat', 'dog')
    """
    if source.names is None:
        if source.columns != len(classes):
            raise UsageError(
                f"{what} has {source.columns} columns, and the labels have {len(classes)} classes: give one column per "
                "class, name the columns in a header, or name all classes where some have no label"
            )
        return source
    found = [*source.names]
    if all(name.startswith("p_") for name in found) and set(found) != set(classes):
        found = [name.removeprefix("p_") for name in found]
    missing, strange = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    if missing or strange:
        lacks = f"lacks {', '.join(map(repr, missing[:3]))}" if missing else ""
        knows = f"has {', '.join(map(repr, strange[:3]))}, which no label is" if strange else ""
        raise UsageError(
            f"the header of {what} {' and '.join(filter(None, [lacks, knows]))}: it must name the {len(classes)} "
            "classes of the labels"
        )
    order = tuple(found.index(name) for name in classes)
    if order == tuple(range(len(order))):
        return source
    return Ordered(
        rows=source.rows, columns=len(order), files=source.files, names=tuple(classes), source=source, order=order
    )
