"""Where a run is written, and paths that mean the same from there."""

import dataclasses
import os
from pathlib import Path

from thresher import data as sources
from thresher.data import Reading
from thresher.errors import UsageError


def folder_of(out: str | Path | None, name: str | None, data: str, what: str) -> Path:
    """The folder that was named, or a fresh one with a name made of the data and what is done with them.

    Raises:
        UsageError: a name that is a path, or both a name and a path.

    Example:
        >>> folder_of(None, "first", "pets", "elr"), folder_of("here", None, "pets", "elr")
        (PosixPath('runs/first'), PosixPath('here'))
    """
    if name is not None and (not name or Path(name).name != name):
        raise UsageError(f"name is {name!r}: it names one folder below runs; give a path with --out")
    if out is not None and name is not None:
        raise UsageError(f"both out {str(out)!r} and name {name!r} are given: give one, a name is a folder below runs")
    if out is not None:
        return Path(out)
    if name is not None:
        return Path("runs") / name
    return fresh_folder(f"{Path(data).stem.replace(':', '-')}-{what.replace(',', '-')}")


def fresh_folder(stem: str) -> Path:
    """The first of ``runs/<stem>-1``, ``-2``, ... that does not exist.

    Example:
        >>> fresh_folder("no-such-run")
        PosixPath('runs/no-such-run-1')
    """
    count = 1
    while (Path("runs") / f"{stem}-{count}").exists():
        count += 1
    return Path("runs") / f"{stem}-{count}"


def check_writable(folder: Path) -> None:
    """Refuse a place that nothing can be written to, before a training that would end there."""
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be written, for {parent} is no folder of yours: pick another with --out")


def whole_path(said: object) -> str | None:
    """What still means the same from another folder: a name as it is, a file's whole path; None for arrays."""
    if not isinstance(said, str | os.PathLike):
        return None
    text = os.fspath(said)
    return text if text in sources.NAMES or not Path(text).exists() else str(Path(text).absolute())


def whole_paths(reading: Reading) -> Reading:
    """The same reading, with every file in it as `whole_path` says."""
    test, labels, text_model = map(whole_path, (reading.test, reading.labels, reading.text_model))
    return dataclasses.replace(reading, test=test, labels=labels, text_model=text_model)
