"""`thresher study`."""

import json
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thresher.cli import options
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.studies.page import Outcome

_MOST = 8  # trainings at a time, unless more are asked for: each takes its own memory


def study(
    name: Annotated[str | None, typer.Argument(help="A study; without one, all are listed.")] = None,
    full: Annotated[bool, typer.Option("--full", help="As the source did it; the quick form takes minutes.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Train so many instead; the page says so.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Its folder. Default studies/NAME or studies/NAME-full.")] = None,
    root: options.Root = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at a time. Default by the machine.")] = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Repeat an experiment of the literature, and say which of its claims hold here.

    The same command goes on with what is not finished, and loads what is.
    """
    from thresher import studies

    if name is None:
        _list(as_json)
        return
    do = studies.find(name)
    name = name.replace("_", "-")
    folder = out or Path("studies") / (f"{name}-full" if full else name)
    _check(epochs, seed, jobs)
    device = _device(device)
    begin(folder, {"study": name, "full": full, "seed": seed})
    from thresher.engine.checkpoint import Interrupted
    from thresher.studies.lab import Lab

    line = _Line(quiet)
    lab = Lab(folder, full, seed, epochs, None if root is None else str(root), line, jobs or _jobs(device), device)
    started = time.monotonic()
    again = _command(name, full=full, epochs=epochs, seed=seed, out=out)
    try:
        outcome = do(lab)
        page = _write(outcome, lab, again)
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(f"stopped; go on with: {again}") from None
    finally:
        line.done()
    facts = described(name, outcome, lab, page, time.monotonic() - started)
    typer.echo(json.dumps(facts) if as_json else in_words(facts))


def _list(as_json: bool) -> None:
    from thresher import studies

    found = {name: studies.title(name) for name in studies.names()}
    if as_json:
        typer.echo(json.dumps([{"name": name, "title": title} for name, title in found.items()]))
        return
    width = max(map(len, found))
    for name, title in found.items():
        typer.echo(f"{name:<{width}}  {title}")


def _check(epochs: int | None, seed: int, jobs: int | None) -> None:
    for what, value, least in (("epochs", epochs, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        if value is not None and value < least:
            raise UsageError(f"--{what} is {value}: give {least} or more")


def begin(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Claim a folder for a study, or make sure that it holds the same one.

    Args:
        folder: of the study.
        wanted: ``study, full, seed``.

    Raises:
        UsageError: it holds something else, or cannot be written.
    """
    from thresher.disk import plain_disk_errors, write_atomically

    note = folder / "study.json"
    if note.exists():
        there = json.loads(note.read_text())
        different = [key for key, value in wanted.items() if there.get(key) != value]
        if different:
            key = different[0]
            raise UsageError(
                f"{folder} holds a study with {key} {there.get(key)} and not {wanted[key]}: name another with --out"
            )
        return
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{folder} holds something that is no study: name another folder with --out")
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(note, json.dumps(dict(wanted)).encode())


def _device(typed: str | None) -> str:
    """Several processes share the work here, so several ranks are not for this."""
    import torch

    device = typed or "auto"
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if ":" in device or "," in device:
        raise UsageError(f"--device is {device!r}: a study trains on one device, cpu, cuda or the number of a GPU")
    return device


def _jobs(device: str) -> int:
    return min(_MOST, len(os.sched_getaffinity(0))) if device == "cpu" else 1


def _command(name: str, *, full: bool, epochs: int | None, seed: int, out: Path | None) -> str:
    """What to type to do it again, or to go on; the folder of the data and the speed are the machine's own."""
    words = ["thresher", "study", name, *(["--full"] if full else [])]
    words += ["--epochs", str(epochs)] if epochs else []
    words += ["--seed", str(seed)] if seed else []
    return shlex.join([*words, *(["--out", str(out)] if out else [])])


def _write(outcome: "Outcome", lab: Any, command: str) -> Path:
    from thresher.jobs import versions
    from thresher.studies import page

    notes = list(lab.notes)
    if not lab.full:
        notes.insert(0, "This is the quick form, on little data: --full does it as the source did.")
    made = {"command": command, "seed": str(lab.seed), **versions()}
    return page.write(outcome, lab.folder, quick=not lab.full, made=made, notes=notes)


def described(name: str, outcome: "Outcome", lab: Any, page: Path, seconds: float) -> dict[str, Any]:
    """What came out, as plain values."""
    from thresher.studies.page import finding

    claims = [
        {key: getattr(claim, key) for key in ("text", "source", "ours", "holds", "sentence")}
        for claim in outcome.claims
    ]
    return {
        "study": name,
        "title": outcome.title,
        "full": lab.full,
        "finding": finding(outcome.claims),
        "claims": claims,
        "notes": lab.notes,
        "seconds": round(seconds, 1),
        "folder": str(lab.folder),
        "page": str(page),
    }


def in_words(facts: Mapping[str, Any]) -> str:
    """What came out, in a few lines."""
    mark = {True: "holds", False: "does not hold", None: "open"}
    lines = [f"{facts['title']}{'' if facts['full'] else ' (quick form)'}: {facts['finding']}", *facts["notes"]]
    for claim in facts["claims"]:
        lines += [
            f"{mark[claim['holds']]}: {claim['text']}",
            f"  source: {claim['source']}; here: {claim['ours']}",
            f"  {claim['sentence']}",
        ]
    return "\n".join([*lines, f"page: {facts['page']}"])


class _Line:
    """Progress: the newest epoch on one line of a terminal, one line per tenth epoch otherwise."""

    def __init__(self, quiet: bool) -> None:
        import sys

        self.quiet, self.live = quiet, not quiet and sys.stderr.isatty()

    def __call__(self, name: str, record: Mapping[str, Any]) -> None:
        if self.quiet or not (self.live or record["epoch"] % 10 == 0):
            return
        text = f"{name}: epoch {record['epoch']}, loss {record['loss']:.3f}"
        text += f", test {record['test']:.1%}" if record.get("test") is not None else ""
        typer.echo(f"\r\x1b[2K{text}" if self.live else text, err=True, nl=not self.live)

    def done(self) -> None:
        """End the live line."""
        if self.live:
            typer.echo("\r\x1b[2K", err=True, nl=False)
