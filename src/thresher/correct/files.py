"""Writes corrected labels, their diff, and the manifest that says where they came from; and takes them back."""

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from thresher.correct import exports, hub
from thresher.correct import links as linking
from thresher.correct.correction import Correction
from thresher.correct.draft import clear, digest, draft, place, take_back
from thresher.correct.formats import beside, kind_of, places, refuse_unfit
from thresher.correct.manifest import FORMAT, VERSION, origin
from thresher.correct.original import kind_of_data
from thresher.correct.source import Suspects
from thresher.errors import UsageError


def write(
    correction: Correction,
    out: str | Path,
    suspects: Suspects,
    *,
    kind: str | None = None,
    links: str = "symbolic",
) -> dict[str, Path]:
    """Write corrected labels, their diff and their manifest, never over anything that exists.

    All of them appear or, whatever ends the process, none that counts: the diff (``FILE.changes.csv``) and the manifest
    (``FILE.json``) come first, so where FILE.csv is, they are whole; what an ended process leaves is cleared away by
    the next one that wants the same place. For anything but a CSV file, their names begin with the whole name.

    Args:
        correction: what to write.
        out: the path; its ending tells the kind (``.csv``, ``.jsonl``, ``.npz``, ``/``), and its folder exists.
        suspects: what was corrected.
        kind: one of `thresher.correct.formats.FORMATS`, where the ending does not tell it.
        links: ``symbolic`` or ``hard``, for a folder.

    Returns:
        The paths by `out`, `changes` and `manifest`.

    Raises:
        UsageError: one of the files exists, the kind is not clear or cannot hold the correction, there is no such
            folder, or the data that the kind needs are gone.
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
    kind, paths = kind_of(out, kind), places(out, kind)
    refuse_unfit(correction, kind, kind == "npz" and kind_of_data(suspects) == "npz")
    files = linking.check_place(paths["out"], suspects, links) if kind == "folder" else {}
    with draft(paths["out"]) as folder:
        changes, target = correction.changes, folder / "out"
        if kind == "folder":
            made = linking.link(target, correction.table, files, kind_of_data(suspects) == "folder", links)
            changes = changes.assign(file=changes["key"].map(made).fillna(""))
        else:
            _write_table(kind, target, _with_left_out(correction.table, suspects.left_out), suspects)
        exports.write_csv(folder / "changes", changes)
        sums = {paths["out"]: digest(target), paths["changes"]: digest(folder / "changes")}
        told = _manifest(correction, suspects, kind, paths["out"].parent, *sums.values())
        (folder / "manifest").write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
        sums[paths["manifest"]] = digest(folder / "manifest")
        place(folder, {paths["changes"]: "changes", paths["manifest"]: "manifest", paths["out"]: "out"}, sums)
    return paths


def undo(out: str | Path) -> dict[str, Path]:
    """Take back what `write` wrote, if it is as it was written; the data it was made from are not touched.

    Args:
        out: the path that was given to `write`.

    Returns:
        The paths that are gone, by `out`, `changes` and `manifest`.

    Raises:
        UsageError: nothing that was written by a correction is there, or it was changed since.
        ThresherError: it cannot be deleted.

    Example:
        >>> undo("absent.csv")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: absent.csv is no correction that Thresher wrote, or its manifest absent.json is gone
    """
    path = Path(out)
    paths = beside(path)
    if clear(path) and not (path.exists() or path.is_symlink()):
        return paths  # an undo, or a correction, that was ended half-way
    told = origin(path)
    if told is None or path.is_symlink():
        raise UsageError(f"{path} is no correction that Thresher wrote, or its manifest {paths['manifest']} is gone")
    sums = {path: str(told["sha256"])}
    sums |= {one: digest(one) for what, one in paths.items() if what != "out" and one.is_file()}
    diff = paths["changes"]
    for one, changed in ((path, told["edited"]), (diff, sums.get(diff) != told.get("changes_sha256", sums.get(diff)))):
        if changed:
            raise UsageError(f"{one} was changed since it was written: delete it yourself if you are done with it")
    with draft(path) as folder:
        take_back(folder, sums)
    return paths


def _write_table(kind: str, target: Path, table: pd.DataFrame, suspects: Suspects) -> None:
    if kind == "csv":
        exports.write_csv(target, table)
    elif kind == "jsonl":
        exports.write_jsonl(target, table, suspects.classes)
    elif kind == "hf":
        hub.save(target, table, suspects.classes, suspects)
    elif kind_of_data(suspects) == "npz":
        exports.write_arrays(target, table, suspects)
    else:
        exports.write_labels(target, table, suspects.classes)


def _manifest(
    correction: Correction, suspects: Suspects, kind: str, folder: Path, total: str, changes: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "kind": kind,
        "run": None if suspects.run is None else _relative(suspects.run, folder),
        "data": suspects.data,
        "fingerprint": suspects.fingerprint,
        "policy": correction.policy,
        "min_confidence": correction.min_confidence,
        "max_per_class": correction.max_per_class,
        "then": correction.then,
        "people": correction.people,
        **correction.counts,
        "sha256": total,
        "changes_sha256": changes,
        "thresher": importlib.metadata.version("thresher"),
    }


def _with_left_out(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The rows that an earlier correction left out, at the end and still without a label: every key must be there."""
    if not keys:
        return table
    rest = pd.DataFrame({"key": list(keys), "label": ""})
    if "weight" in table:
        rest["weight"] = 0.0
    return pd.concat([table, rest], ignore_index=True)


def _relative(run: Path, folder: Path) -> str:
    """The run's path from the folder of the labels if it lies below it, so that both can move; else its whole path."""
    run, folder = run.resolve(), folder.resolve()
    return run.relative_to(folder).as_posix() if run.is_relative_to(folder) else str(run)
