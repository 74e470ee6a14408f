"""What there is to correct: the issues of a run with what it was trained on, or a table of issues alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from thresher.correct.suspects import classes_of
from thresher.data.delimited import read_table
from thresher.data.reading import Reading
from thresher.errors import UsageError
from thresher.result import read_changes, read_run

_OF_LABELS = ("labels", "annotator", "annotators")
"""What a run was told of a file of labels, which corrected ones take the place of."""

_SHARES = ("p_suggested", "label_quality", "p_wrong")


@dataclass(frozen=True, eq=False)
class Suspects:
    """What there is to correct.

    Attributes:
        issues: the table of issues.
        classes: the class names.
        run: the run folder it belongs to, or None.
        data: the run's data as it was typed or found, or None.
        reading: how the run read it, as words of a command line, for instance ``("--text", "body")``.
        fingerprint: of the run's data, or None.
        left_out: keys of rows that the run's own labels left out; they stay so.
        read_as: how the run read its data, or None.
    """

    issues: pd.DataFrame
    classes: tuple[str, ...]
    run: Path | None = None
    data: str | None = None
    reading: tuple[str, ...] = ()
    fingerprint: str | None = None
    left_out: tuple[str, ...] = ()
    read_as: Reading | None = None


def read(source: str | Path) -> Suspects:
    """Read a run's issues, or a table of issues.

    Args:
        source: a run folder, or a CSV file with the columns of `thresher.correct.suspects.NEEDED`; the file
            ``issues.csv`` inside a run folder stands for the run.

    Raises:
        UsageError: there is no such file, it cannot be read, or the run is not finished.

    Example:
        >>> read("absent.csv")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no run and no file absent.csv: give a run folder or a table of issues
    """
    path = Path(source)
    if path.name == "issues.csv" and (path.parent / "run.json").is_file():
        path = path.parent
    if path.is_dir():
        stored = read_run(path)
        issues = path / "issues.csv"
        if not issues.is_file():
            kind = stored.get("request", {}).get("kind", "train")
            raise UsageError(f"{path} is not finished: go on with thresher {kind} --resume {path}")
        try:
            asked, data = stored["request"], stored["data"]
            return Suspects(
                _table(issues),
                tuple(data["classes"]),
                path,
                asked["source"],
                _typed(asked["reading"]) + _typed_noise(asked, stored.get("options", {}).get("seed", 0)),
                data["fingerprint"],
                _left_out(path),
                Reading(**{name: value for name, value in asked["reading"].items() if name in asdict(Reading())}),
            )
        except (KeyError, TypeError) as error:
            raise UsageError(f"the run.json in {path} is damaged, it does not name its data: train again") from error
    if not path.is_file():
        raise UsageError(f"there is no run and no file {path}: give a run folder or a table of issues")
    found = _table(path)
    return Suspects(found, classes_of(found))


def _left_out(run: Path) -> tuple[str, ...]:
    changes = read_changes(run)
    return () if changes is None else tuple(changes.loc[changes["label"] == "", "key"])


def _typed(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """What must be typed to read the same data again; other labels are the point of it."""
    words: list[str] = []
    for name, usual in asdict(Reading()).items():
        value = reading.get(name, usual)
        if name not in _OF_LABELS and value != usual:
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
    return tuple(words)


def _typed_noise(asked: Mapping[str, Any], seed: int) -> tuple[str, ...]:
    """What must be typed to have the same wrong labels put in again: the corrections are of those."""
    words = [word for text in asked.get("noise", ()) for word in ("--noise", text)]
    words += ["--map", asked["mapping"]] if asked.get("mapping") else []
    return (*words, *(("--seed", str(seed)) if words and seed else ()))


def _table(path: Path) -> pd.DataFrame:
    """Every cell as text, for a class may be called 1, or NA; numbers with points, whatever a spreadsheet wrote."""
    try:
        found = read_table(path, exact=True)
    except UsageError as error:
        raise UsageError(f"the table of issues cannot be read: {error}") from error
    for name in found.columns:
        if name in _SHARES or name.startswith("score_"):
            found[name] = [one.replace(",", ".") if isinstance(one, str) else one for one in found[name]]
    return found
