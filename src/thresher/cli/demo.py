"""`thresher demo`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def demo(
    out: Annotated[Path | None, typer.Option(help="Folder for the runs and the report. Default runs/demo-N.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    quiet: Annotated[bool, typer.Option(help="No progress.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Real handwritten digits, 40 % of the labels made wrong: compare methods, find the wrong labels, report."""
    from thresher.cli.progress import Progress
    from thresher.demo import EPOCHS, METHODS, run

    if not quiet:
        typer.echo("1,437 handwritten digits, 40 % of their labels made wrong; each method trains on them.", err=True)
    width = max(len(method) for method in METHODS)
    shows: dict[str, Progress] = {}

    def progress(method: str, name: str | None, record: dict[str, Any]) -> None:
        if method not in shows:
            for shown in shows.values():
                shown.done()
            shows.clear()
            shows[method] = Progress(EPOCHS, f"{method:<{width}}  ", quiet)
        if shows[method].live or record["epoch"] == EPOCHS:
            shows[method](name, record)

    outcome = run(out, progress)
    for shown in shows.values():
        shown.done()
    typer.echo(json.dumps(outcome) if as_json else _in_words(outcome))


def _in_words(outcome: dict[str, Any]) -> str:
    methods, found = outcome["methods"], outcome["detection"]
    lines = ["", "method           last   selected   seconds"]
    lines += [f"{m['method']:<15}{m['last']:>6.1%}{m['selected']:>11.1%}{m['seconds']:>10.0f}" for m in methods]
    worst, best = min(methods, key=lambda m: m["last"]), max(methods, key=lambda m: m["last"])
    return "\n".join(
        [
            *lines,
            "",
            f"Trained to the end, {worst['method']} learned wrong labels by heart; {best['method']} is "
            f"{100 * (best['last'] - worst['last']):.0f} points better on clean test digits.",
            f"{found['method']} found {found['recall']:.1%} of the wrong labels; "
            f"{found['precision']:.1%} of its suspects are wrong.",
            f"Look at them: {outcome['report']}",
        ]
    )
