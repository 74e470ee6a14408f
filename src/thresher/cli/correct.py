"""`thresher correct`."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer


def correct(
    source: Annotated[str, typer.Argument(metavar="RUN|ISSUES.CSV", help="A run folder, or a table of issues.")],
    policy: Annotated[str, typer.Option(help="keep, relabel, soften, drop, weight or review.")],
    out: Annotated[Path, typer.Option(help="The file to write: key, label and what the policy adds.")],
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="Change suspects from this p_suggested on. Default 0.9 for relabel; for drop, every suspect."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Write corrected labels from the suspects of a run, for thresher train DATA --labels FILE.csv.

    The data itself is never changed, and no file is overwritten. Beside FILE.csv come FILE.changes.csv (what is
    different) and FILE.json (where it came from).
    """
    from thresher import correct as library
    from thresher.cli.train import told
    from thresher.correct.files import places

    places(out)
    suspects = library.read(source)
    with told():
        done = library.correct(suspects.issues, policy, suspects.classes, min_confidence=min_confidence)
    paths = library.write(done, out, suspects)
    following = shlex.join(["thresher", "train", suspects.data or "DATA", *suspects.reading, "--labels", str(out)])
    typer.echo(json.dumps(document(done, paths, following)) if as_json else in_words(done, paths, following))


def document(done: Any, paths: dict[str, Path], following: str) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        **{name: str(path) for name, path in paths.items()},
        "policy": done.policy,
        "min_confidence": done.min_confidence,
        **done.counts,
        "pairs": [{"given": given, "label": label, "count": count} for given, label, count in done.pairs],
        "next": following,
    }


def in_words(done: Any, paths: dict[str, Path], following: str) -> str:
    """What a person reads."""
    return f"{done.summary()}\nlabels: {paths['out']}\nchanges: {paths['changes']}\nnext: {following}"
