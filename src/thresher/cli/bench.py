"""`thresher bench`."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.cli import options
from thresher.errors import UsageError


def bench(
    suite: Annotated[str | None, typer.Argument(help="A suite's name; without one, list them.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file of results. Default SUITE.json; gone on with.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this row of the table; may be given again.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Instead of the suite's, as in 0,1,2.")] = None,
    rows: Annotated[int | None, typer.Option(help="Training rows of each data set, instead of the suite's.")] = None,
    epochs: Annotated[int, typer.Option(help="Instead of the suite's.")] = 0,
    jobs: Annotated[int, typer.Option(help="Trainings at a time.")] = 1,
    device: options.Device = None,
    root: options.Root = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a table of methods, data and noise, or what is still missing of it."""
    from thresher import bench as runner
    from thresher import suites
    from thresher.report.words import duration

    if suite is None:
        return _list(as_json)
    if jobs < 1 or epochs < 0 or (rows is not None and rows < 1):
        raise UsageError("jobs and rows must be 1 or more, and epochs 0 or more")
    asked = runner.narrowed(
        suites.read(suite), labels=only or (), seeds=_numbers(seeds), rows=rows, epochs=epochs
    )  # fmt: skip
    cells = list(asked.cells())
    if dry_run:
        typer.echo("\n".join(" ".join(map(str, cell.key)) for cell in cells))
        return None
    started, first = time.monotonic(), [-1]

    def progress(row: dict[str, Any], done: int, of: int) -> None:
        first[0] = done - 1 if first[0] < 0 else first[0]
        pace = (time.monotonic() - started) / (done - first[0])
        left = "" if done == of else f", {duration(pace * (of - done))} to go"
        if not quiet:
            print(f"{done}/{of}  {_line(row)}{left}", file=sys.stderr, flush=True)

    out = out or Path(f"{suite}.json")
    document = runner.run(
        asked, out, command=runner.typed(["thresher", *sys.argv[1:]], root), root=None if root is None else str(root),
        device=device or "auto", jobs=jobs, progress=progress,
    )  # fmt: skip
    typer.echo(json.dumps(document) if as_json else _table(runner.summary(document)) + f"\n\nresults: {out}")
    return None


def _list(as_json: bool) -> None:
    from thresher import suites

    known = [suites.read(name) for name in suites.names()]
    facts = [{"name": one.name, "title": one.title, "trainings": len(list(one.cells()))} for one in known]
    lines = [f"{one['name']:<20}{one['trainings']:>6} trainings  {one['title']}" for one in facts]
    typer.echo(json.dumps(facts) if as_json else "\n".join(lines))


def _numbers(text: str | None) -> list[int]:
    words = [] if text is None else text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"seeds is {text!r}: write whole numbers with commas, as in 0,1,2")
    return [int(word) for word in words]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _line(row: Mapping[str, Any]) -> str:
    figures = [f"{name} {_percent(row[name])}" for name in ("last", "selected", "average_precision")]
    return f"{row['data']} {row['noise']} {row['method']} seed {row['seed']}: {', '.join(figures)}"


def _cell(pair: tuple[float, float] | None) -> str:
    return "-" if pair is None else _percent(pair[0]) + (f" ±{100 * pair[1]:.1f}" if pair[1] else "")


def _published(line: Mapping[str, Any]) -> str:
    """The figure of others, how it was chosen, and ours minus theirs in points."""
    if line["published"] is None:
        return ""
    return f"{_percent(line['published']['value'])} {line['published']['metric']} ({100 * line['difference']:+.1f})"


def _table(lines: list[dict[str, Any]]) -> str:
    header = ["data", "noise", "method", "seeds", "last", "selected", "detection AP", "published"]
    shown = [
        [
            line["data"], line["noise"], line["method"], str(line["seeds"]),
            *(_cell(line[name]) for name in ("last", "selected", "average_precision")),
            _published(line),
        ]
        for line in lines
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *shown]
    )
