"""`thresher find --labels --probs`: confident learning on probabilities that the user brings, of any size."""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from thresher.cli.files import refuse_existing
from thresher.errors import UsageError

_PATIENCE = 2.0  # seconds that need no word
_NAME_LENGTH = 40
_ROWS, _ENTRIES = 200_000, 50_000_000  # that are judged in memory, all evidence taken together, in seconds


def by_probabilities(
    labels: str | None,
    probs: Sequence[Path],
    out: Path | None,
    *,
    as_json: bool = False,
    quiet: bool = False,
    filter_by: str | None = None,
    on: str | None = None,
    all_rows: bool | None = None,
    workers: int | None = None,
    classes: str | None = None,
) -> None:
    """Find wrong labels, write ``issues.csv``, and say what was found.

    Small files are read into memory, aligned by key where they have keys, and every label gets its p_wrong. Folders of
    shards and large files are read in passes; so is everything for which `filter_by`, `on` or `all_rows` says
    how. Several models are read in memory.
    """
    if labels is None:
        raise UsageError("--probs needs --labels, and no DATA: thresher find --labels labels.csv --probs probs.npy")
    asked = bool(filter_by or on or all_rows)
    if len(probs) > 1 and asked:
        raise UsageError("several --probs are read in memory: leave --filter-by, --on and --all-rows out")
    if len(probs) > 1 and any(one.is_dir() for one in probs):
        raise UsageError("several --probs are files, one of each model, and a folder is none: give one folder alone")
    known = _named(classes)
    out = out or Path("issues.csv")
    refuse_existing(out)
    how = {"filter_by": filter_by or "prune_by_noise_rate", "on": on or "threads", "all_rows": all_rows}
    shows, told = Passes(quiet), {**how, "workers": workers, "classes": known}
    if len(probs) > 1:
        found, said = _in_memory(labels, probs, out, known, workers)
    elif _streamed(Path(labels), probs[0], asked):
        found, said = _in_passes(Path(labels), probs[0], out, shows, told)
    elif asked:
        found, said = _in_passes_by_key(labels, probs[0], out, shows, told)
    else:
        found, said = _in_memory(labels, probs, out, known, workers)
    shows.done()
    typer.echo(json.dumps({"issues": str(out), **found}) if as_json else "\n".join([*said, f"suspects: {out}"]))


def _named(classes: str | None) -> tuple[str, ...] | None:
    """The class names that were typed."""
    if classes is None:
        return None
    named = tuple(name.strip() for name in classes.split(","))
    if len(named) < 2 or "" in named or len(set(named)) < len(named):
        raise UsageError(f"--classes is {classes!r}: name two or more, each once, as in cat,dog,bird")
    return named


def _streamed(labels: Path, probs: Path, asked: bool) -> bool:
    """Whether the files are to be read in passes as they are: they are large, or nothing has to be put into order."""
    from thresher.audit.streaming.sources import open_probabilities

    if probs.is_dir() or (asked and {labels.suffix.lower(), probs.suffix.lower()} == {".npy"}):
        return True
    if probs.suffix.lower() not in (".npy", ".parquet") or not probs.is_file():
        return False
    found = open_probabilities(probs)
    return found.rows > _ROWS or found.rows * found.columns > _ENTRIES


def _in_memory(
    labels: str, probs: Sequence[Path], out: Path, known: Sequence[str] | None, workers: int | None
) -> tuple[dict[str, Any], list[str]]:
    from thresher.audit.blocks import at_most
    from thresher.audit.issues import counted
    from thresher.cli.files import write
    from thresher.data.delimited import as_csv
    from thresher.findings import find_in_probabilities
    from thresher.report.words import summary

    with at_most(workers):
        issues, classes = find_in_probabilities(labels, *probs, classes=known)
    write(out, as_csv(issues))
    return counted(issues), summary(issues, classes)


def _in_passes_by_key(
    labels: str, probs: Path, out: Path, shows: "Passes", how: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Tables in any order: read and aligned in memory, then as `_in_passes`."""
    import numpy as np
    import pandas as pd

    from thresher.data.columns import encode, row_keys
    from thresher.data.probabilities import align, read_label_column, read_probabilities

    given, label_keys = read_label_column(labels)
    codes, classes = encode(given, f"the labels in {labels}", how["classes"])
    values, _, keys = read_probabilities(probs, classes)
    values = align(codes, label_keys, values, keys)
    known = keys if label_keys is None else label_keys
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame({"key": row_keys(len(codes)) if known is None else known, "label": given})
        table.to_csv(Path(folder, "labels.csv"), index=False)
        np.save(Path(folder, "probs.npy"), values)
        paths = Path(folder, "labels.csv"), Path(folder, "probs.npy")
        return _in_passes(*paths, out, shows, {**how, "classes": classes})


def _in_passes(
    labels: Path, probs: Path, out: Path, shows: "Passes", how: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    from thresher.audit.streaming import FilesFound, find_label_issues_in_files

    found: FilesFound = find_label_issues_in_files(labels, probs, issues=out, progress=shows, **how)
    return found.counted(), _sentences(found)


def _sentences(found: Any) -> list[str]:
    """What was found, for people; without `thresher.report.words`, whose import takes longer than a million rows."""
    if not found.suspects:
        return [f"None of {found.rows:,} labels looks wrong."]
    verb, percent = "looks" if found.suspects == 1 else "look", 100 * found.suspects / found.rows
    said = [f"{found.suspects:,} of {found.rows:,} labels ({percent:.{0 if percent >= 9.95 else 1}f} %) {verb} wrong."]
    given, suggested = divmod(int(found.pairs.argmax()), len(found.classes))
    names = _shown(found.classes[given]), _shown(found.classes[suggested])
    said.append(f"The most frequent mistake: {names[0]} that should be {names[1]} ({int(found.pairs.max()):,}).")
    if not found.listed_all:
        said.append("The list has the suspects only, for there are many rows; --all-rows lists every row.")
    return said


def _shown(name: str) -> str:
    """A class name without what would move a terminal's cursor, the end cut off."""
    plain = "".join(sign if sign.isprintable() else " " for sign in name)
    return plain if len(plain) <= _NAME_LENGTH else plain[: _NAME_LENGTH - 1] + "…"


class Passes:
    """Shows how far the passes over the files are, where that takes a while: on standard error.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet, self.live = quiet, not quiet and sys.stderr.isatty()
        self._next = 0.0
        self._name, self._started, self._from = "", 0.0, 0

    def __call__(self, name: str, done: int, of: int) -> None:
        """Show a pass, the rows done, all rows, and the time to go in this pass, now and then."""
        now = time.monotonic()
        self._next = self._next or now + _PATIENCE
        if name != self._name:
            self._name, self._started, self._from = name, now, done
        if self.quiet or now < self._next:
            return
        self._next = now + (_PATIENCE / 10 if self.live else 5 * _PATIENCE)
        line = f"{name}: {done:,} of {of:,} rows{self._left(now, done, of)}"
        print(f"\r\x1b[2K{line}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def _left(self, now: float, done: int, of: int) -> str:
        if done <= self._from:
            return ""
        minutes, seconds = divmod(round((now - self._started) / (done - self._from) * (of - done)), 60)
        return f", {minutes} min {seconds} s to go" if minutes else f", {seconds} s to go"

    def done(self) -> None:
        """End the live line."""
        if self.live:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
