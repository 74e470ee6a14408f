"""`thresher report`."""

from pathlib import Path
from typing import Annotated

import typer

from thresher.cli import options
from thresher.cli.files import refuse_existing


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs; several stand side by side.")],
    out: Annotated[Path | None, typer.Option(help="Default RUN/report.html, or report.html for several.")] = None,
    root: options.Root = None,
    debug: options.Debug = False,
) -> None:
    """Write the report of a run again, or one report over several runs."""
    from thresher.reporting import compare
    from thresher.result import load

    path = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    if out is not None or len(runs) > 1:
        refuse_existing(path)
    compare([load(run) for run in runs], path, root=root)
    typer.echo(str(path))
