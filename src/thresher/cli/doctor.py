"""`thresher doctor`."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

_EXTRAS = {"parquet": "pyarrow", "onnx": "onnxscript"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    root: Annotated[Path | None, typer.Option("--data-root", help="Folder of official data files.")] = None,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Say what this installation has: versions, devices, threads, extras and data."""
    found = examine(root)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for topic, values in found.items():
        typer.echo(f"{topic}:")
        for name, value in values.items():
            typer.echo(f"  {name}: {value}")


def examine(root: Path | None = None) -> dict[str, dict[str, Any]]:
    """The facts, as plain values."""
    import torch

    from thresher import data as sources
    from thresher.errors import UsageError
    from thresher.jobs import versions

    def state(name: str) -> str:
        try:
            return f"{len(sources.load(name, root=root).train):,} training rows"
        except UsageError as error:
            return str(error).removeprefix(f"{name}: ")

    cuda = {f"cuda:{k}": torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())}
    return {
        "versions": versions(),
        "devices": {"cpu": f"{os.cpu_count()} cores", **cuda},
        "threads": {"torch": torch.get_num_threads()},
        "extras": {name: importlib.util.find_spec(package) is not None for name, package in _EXTRAS.items()},
        "data": {name: state(name) for name in sources.NAMES},
    }
