"""`thresher correct`."""

import json
import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.errors import UsageError


def correct(
    source: Annotated[
        str | None, typer.Argument(metavar="RUN|ISSUES.CSV", help="A run folder, or a table of issues.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="keep, relabel, soften, drop, weight or review.")] = None,
    out: Annotated[
        str | None,
        typer.Option(help="What to write: .csv, .jsonl, .npz, or DIR/ for a copy of the image folder made of links."),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="Change suspects from this p_suggested on. Default 0.9 for relabel; for drop, every suspect."
        ),
    ] = None,
    max_per_class: Annotated[
        str | None,
        typer.Option(help="Change at most so many labels of each given class, or this share, as in 50 or 0.1."),
    ] = None,
    decisions: Annotated[
        list[Path] | None,
        typer.Option(
            help="For review: files of people's decisions. Default decisions.jsonl in the run, if it is there."
        ),
    ] = None,
    then: Annotated[
        str | None, typer.Option(help="For review: the policy for suspects that nobody decided. Default keep.")
    ] = None,
    ambiguous: Annotated[
        str, typer.Option(help="For review: soften (the classes that fit share the label) or drop.")
    ] = "soften",
    kind: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl, npz, folder or hf, where --out does not tell.")
    ] = None,
    links: Annotated[str, typer.Option(help="symbolic or hard, for a folder.")] = "symbolic",
    undo: Annotated[
        str | None, typer.Option(metavar="FILE", help="Take back what a correction wrote as FILE, if it is unchanged.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Write corrected labels from the suspects of a run, for thresher train DATA --labels FILE.csv.

    The data itself is never changed, and no file is overwritten. Beside FILE.csv come FILE.changes.csv (what is
    different) and FILE.json (where it came from). review applies what people decided on the page of thresher review.
    """
    if undo is not None:
        _undo(undo, as_json, {"a run": source, "--policy": policy, "--out": out})
        return
    from thresher import correct as library
    from thresher.correct.formats import places

    source, policy, out = _needed(source, policy, out)
    places(out, kind)
    suspects = library.read(source)
    done = library.correct(
        suspects.issues,
        policy,
        suspects.classes,
        min_confidence=min_confidence,
        max_per_class=None if max_per_class is None else _limit(max_per_class),
        decisions=_decided(policy, decisions, suspects.run),
        then=then,
        ambiguous=ambiguous,
    )
    paths = library.write(done, out, suspects, kind=kind, links=links)
    following = next_command(suspects, out, kind)
    typer.echo(json.dumps(document(done, paths, following)) if as_json else in_words(done, paths, following))


def document(done: Any, paths: dict[str, Path], following: str | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        **{name: str(path) for name, path in paths.items()},
        "policy": done.policy,
        "min_confidence": done.min_confidence,
        "max_per_class": done.max_per_class,
        "then": done.then,
        **done.counts,
        "people": done.people,
        "pairs": [{"given": given, "label": label, "count": count} for given, label, count in done.pairs],
        "next": following,
    }


def in_words(done: Any, paths: dict[str, Path], following: str | None) -> str:
    """What a person reads."""
    lines = [done.summary(), f"labels: {paths['out']}", f"changes: {paths['changes']}"]
    return "\n".join([*lines, *([f"next: {following}"] if following else [])])


def next_command(suspects: Any, out: str, kind: str | None) -> str | None:
    """The command that trains on what was written; None where there is none."""
    from thresher.correct.formats import kind_of
    from thresher.correct.original import kind_of_data

    kind = kind_of(out, kind)
    if kind in ("csv", "jsonl"):
        return shlex.join(["thresher", "train", suspects.data or "DATA", *suspects.reading, "--labels", out])
    if kind == "folder" or (kind == "npz" and kind_of_data(suspects) == "npz"):
        return shlex.join(["thresher", "train", out, *_same_test(suspects, kind)])
    return None


def _same_test(suspects: Any, kind: str) -> list[str]:
    """What must be typed to have the same test set and image size; a .npz file holds its own."""
    reading = suspects.read_as
    words = ["--test", reading.test] if reading.test else []
    if kind == "folder" and reading.size:
        words += ["--size", str(reading.size)]
    beside = [Path(suspects.data, name) for name in ("test", "val", "valid", "validation")]
    if kind == "folder" and words[:1] != ["--test"] and Path(suspects.data, "train").is_dir():
        words += next((["--test", str(one)] for one in beside if one.is_dir()), [])
    return words


def _needed(source: str | None, policy: str | None, out: str | None) -> tuple[str, str, str]:
    if source is None:
        raise UsageError("there is nothing to correct: give a run folder or a table of issues, or --undo FILE")
    if policy is None:
        raise UsageError("there is no --policy: keep, relabel, soften, drop, weight or review")
    if out is None:
        raise UsageError("there is no --out: name the file to write, as in --out corrected.csv")
    return source, policy, out


def _limit(text: str) -> float:
    from thresher.correct.limits import parse_limit

    return parse_limit(text)


def _decided(policy: str, files: list[Path] | None, run: Path | None) -> Mapping[str, Any] | None:
    """People's current decisions by key, of the files that were named, or of the run; None where there are none."""
    from thresher.decisions import NAME, merge, waiting
    from thresher.decisions.agreement import disagreeing

    if policy != "review" and not files:
        unread = None if run is None else waiting(run)
        if unread is not None:
            sentence = f"which {policy} does not look at: --policy review --then {policy} does"
            warnings.warn(f"{unread} holds decisions, {sentence}", stacklevel=2)
        return None
    if not files and (run is None or not (run / NAME).is_file()):
        return None
    named = files or [Path(str(run)) / NAME]
    state = merge(named)
    found = state.decided()
    if not found:
        if not files:
            return None
        raise UsageError(f"{', '.join(map(str, files))} holds no decision: review some suspects first")
    if count := disagreeing(state):
        warnings.warn(f"people decided {count:,} samples differently: the latest decision of each counts", stacklevel=2)
    return found


def _undo(path: str, as_json: bool, others: Mapping[str, str | None]) -> None:
    strange = [name for name, value in others.items() if value is not None]
    if strange:
        raise UsageError(f"--undo takes back one file and nothing else: leave {strange[0]} out")
    from thresher import correct as library

    gone = library.undo(path)
    typer.echo(json.dumps({"undone": [str(one) for one in gone.values()]}) if as_json else f"taken back: {gone['out']}")
