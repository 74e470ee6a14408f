"""The file of corrected labels, its diff, and the manifest that says where it came from."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from thresher.correct.policies import Correction
from thresher.correct.suspects import classes_of
from thresher.data.reading import Reading
from thresher.engine.checkpoint import write_atomically
from thresher.errors import UsageError
from thresher.result import read_changes, read_run

_FORMAT = "thresher corrected labels"
_VERSION = 1


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
    """

    issues: pd.DataFrame
    classes: tuple[str, ...]
    run: Path | None = None
    data: str | None = None
    reading: tuple[str, ...] = ()
    fingerprint: str | None = None
    left_out: tuple[str, ...] = ()


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
            )
        except (KeyError, TypeError) as error:
            raise UsageError(f"the run.json in {path} is damaged, it does not name its data: train again") from error
    if not path.is_file():
        raise UsageError(f"there is no run and no file {path}: give a run folder or a table of issues")
    found = _table(path)
    return Suspects(found, classes_of(found))


def write(correction: Correction, out: str | Path, suspects: Suspects) -> dict[str, Path]:
    """Write corrected labels, their diff and their manifest, never over anything that exists.

    The diff (``FILE.changes.csv``) and the manifest (``FILE.json``) come first: where FILE.csv is, they are whole.

    Args:
        correction: what to write.
        out: the path of the file of labels; it ends in ``.csv``, and its folder exists.
        suspects: what was corrected.

    Returns:
        The paths by `out`, `changes` and `manifest`.

    Raises:
        UsageError: one of the files exists, the name does not end in ``.csv``, or there is no such folder.
        ThresherError: the folder cannot be written to, or is full.

    Example:
        >>> import tempfile
        >>> from thresher.correct import policies
        >>> columns = ["key", "given", "suggested", "p_suggested", "is_label_issue"]
        >>> issues = pd.DataFrame([["a", "cat", "dog", 1.0, True], ["b", "dog", "dog", 1.0, False]], columns=columns)
        >>> done = policies.correct(issues, "keep", ("cat", "dog"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write(done, f"{folder}/new.csv", Suspects(issues, ("cat", "dog")))
        >>> paths["out"].name, paths["changes"].name, paths["manifest"].name
        ('new.csv', 'new.changes.csv', 'new.json')
    """
    paths = places(out)
    table = _csv(_with_left_out(correction.table, suspects.left_out))
    manifest = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "run": None if suspects.run is None else _relative(suspects.run, paths["out"].parent),
        "data": suspects.data,
        "fingerprint": suspects.fingerprint,
        "policy": correction.policy,
        "min_confidence": correction.min_confidence,
        **correction.counts,
        "sha256": hashlib.sha256(table).hexdigest(),
        "thresher": importlib.metadata.version("thresher"),
    }
    told = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    _write_all({paths["changes"]: _csv(correction.changes), paths["manifest"]: told, paths["out"]: table})
    return paths


def _left_out(run: Path) -> tuple[str, ...]:
    changes = read_changes(run)
    return () if changes is None else tuple(changes.loc[changes["label"] == "", "key"])


def _with_left_out(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The rows that an earlier correction left out, at the end and still without a label: every key must be there."""
    if not keys:
        return table
    rest = pd.DataFrame({"key": list(keys), "label": ""})
    if "weight" in table:
        rest["weight"] = 0.0
    return pd.concat([table, rest], ignore_index=True)


def places(out: str | Path) -> dict[str, Path]:
    """Where a file of labels, its diff and its manifest go, once it is sure that nothing is in their way.

    Raises:
        UsageError: as for `write`.

    Example:
        >>> places("labels.txt")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: labels.txt does not end in .csv: corrected labels are a CSV file
    """
    path = Path(out)
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path} does not end in .csv: corrected labels are a CSV file")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}: make it first, or write elsewhere")
    paths = {"out": path, "changes": path.with_suffix(".changes.csv"), "manifest": path.with_suffix(".json")}
    for one in paths.values():
        if one.exists() or one.is_symlink():
            raise UsageError(f"{one} exists, and nothing is overwritten: choose another --out, or move it away")
    return paths


def origin(path: str | Path) -> dict[str, Any] | None:
    """Where a file of corrected labels came from.

    Args:
        path: of the file that was written as ``--out``.

    Returns:
        The manifest: `run` (the path of a folder as text, or None), `data`, `fingerprint`, `policy`, `min_confidence`,
        `rows`, `suspects`, `changed`, `sha256`, `thresher`, and `edited`: whether the file was changed since. None
        where there is no manifest or it cannot be read, for a file of labels can come from anywhere.

    Example:
        >>> origin("absent.csv") is None
        True
    """
    path = Path(path)
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping) or (found.get("format"), found.get("format_version")) != (_FORMAT, _VERSION):
        return None
    run = found.get("run")
    if not isinstance(found.get("policy"), str) or not isinstance(run, str | None):
        return None
    return {**found, "run": None if run is None else str(path.parent / run), "edited": digest != found.get("sha256")}


def _typed(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """What must be typed to read the same data again; other labels are the point of it."""
    words: list[str] = []
    for name, usual in asdict(Reading()).items():
        value = reading.get(name, usual)
        if name != "labels" and value != usual:
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
    return tuple(words)


def _typed_noise(asked: Mapping[str, Any], seed: int) -> tuple[str, ...]:
    """What must be typed to have the same wrong labels put in again: the corrections are of those."""
    words = [word for text in asked.get("noise", ()) for word in ("--noise", text)]
    words += ["--map", asked["mapping"]] if asked.get("mapping") else []
    return (*words, *(("--seed", str(seed)) if words and seed else ()))


def _write_all(files: Mapping[Path, bytes]) -> None:
    """All of them or, where one cannot be written, none."""
    done = []
    try:
        for path, data in files.items():
            write_atomically(path, data)
            done.append(path)
    except BaseException:
        for path in done:
            path.unlink(missing_ok=True)
        raise


def _table(path: Path) -> pd.DataFrame:
    """Every cell as text: a class may be called 1, or NA."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        separator = ";" if ";" in first and "," not in first else ","  # spreadsheets write both
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=separator)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as a table of issues ({reason}): give a CSV file in UTF-8") from error


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _relative(run: Path, folder: Path) -> str:
    """The run's path from the folder of the labels if it lies below it, so that both can move; else its whole path."""
    run, folder = run.resolve(), folder.resolve()
    return run.relative_to(folder).as_posix() if run.is_relative_to(folder) else str(run)
