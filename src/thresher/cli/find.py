"""`thresher find`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.cli import options
from thresher.cli.files import refuse_existing, write
from thresher.errors import UsageError

EPOCHS, FOLDS = 30, 5


def find(
    context: typer.Context,
    data: Annotated[str | None, typer.Argument(help="DATA as for thresher train, or the folder of a run.")] = None,
    probs: Annotated[Path | None, typer.Option(help="Class probabilities: .npy, .csv or .parquet.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="With --probs, the labels; otherwise a CSV (key,label) that replaces labels.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Default 5.")] = None,
    method: Annotated[str | None, typer.Option(help="How the folds are trained. Default cross_entropy.")] = None,
    label: options.Label = None,
    path: options.ImagePath = None,
    text: options.Text = None,
    id_column: options.Id = None,
    group: options.Group = None,
    size: options.Size = None,
    skip_bad: options.SkipBad = False,
    noise: options.Noise = None,
    mapping: options.Map = None,
    net: options.Net = None,
    weights: options.Weights = None,
    frozen: options.Frozen = None,
    epochs: Annotated[int | None, typer.Option(help="Of each fold, at most. Default 30.")] = None,
    lr: options.Rate = None,
    batch: options.Batch = None,
    seed: options.Seed = None,
    valid: options.Valid = None,
    device: options.Device = None,
    workers: options.Workers = None,
    out: Annotated[
        Path | None, typer.Option(help="A .csv file for the suspects, or the folder of the new run.")
    ] = None,
    name: options.Name = None,
    root: options.Root = None,
    pairs: options.Pairs = None,
    config: options.Config = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Say which labels look wrong, and what they should be.

    DATA: every row is judged by networks that never saw it (cross-fitting). A run: what it found. --labels and --probs:
    confident learning on your own model's out-of-sample probabilities.
    """
    from thresher.cli.settings import leftovers
    from thresher.cli.train import execute

    data, letters = leftovers([*([] if data is None else [data]), *context.args])
    typed = {
        "method": method, "label": label, "path": path, "text": text, "id": id_column, "group": group,
        "labels": labels, "size": size, "skip_bad": skip_bad or None, "noise": noise or None, "map": mapping,
        "net": net, "weights": weights, "frozen": frozen, "epochs": epochs, "lr": lr, "batch": batch, "seed": seed,
        "valid": valid, "cross_fit": folds, "device": device, "workers": workers, "name": name, "root": root,
    }  # fmt: skip
    others = {**typed, "set": pairs, "config": config, "dry_run": dry_run or None, **letters}
    if probs is not None:
        _refuse_others(others, "--probs", ("labels",))
        _by_probabilities(labels, probs, data, out, as_json)
        return
    if data is not None and resume is None and (Path(data) / "run.json").is_file():
        _refuse_others(others, f"the run {data}")
        _of_run(Path(data), out, as_json)
        return
    table = out if out is not None and out.suffix.lower() == ".csv" else None
    refuse_existing(table)
    arguments = _arguments(
        context, letters, {"data": data, **typed, "out": None if table else out}, pairs or [], config, resume
    )
    summary = execute(arguments, dry_run=dry_run, as_json=as_json, quiet=quiet)
    if summary is not None and table is not None:
        from thresher.result import load

        write(table, load(summary["run"]).finished().to_csv(index=False))


def _refuse_others(typed: dict[str, Any], what: str, allowed: tuple[str, ...] = ()) -> None:
    """Refuse options that would mean nothing where nothing is trained."""
    idle = [name for name, value in typed.items() if value and name not in allowed]
    if idle:
        name = idle[0].lstrip("-").replace("cross_fit", "folds").replace("_", "-")
        raise UsageError(f"with {what} nothing is trained, so --{name} means nothing: leave it out")


def _arguments(
    context: typer.Context,
    letters: dict[str, Any],
    typed: dict[str, Any],
    pairs: list[str],
    config: Path | None,
    resume: Path | None,
) -> dict[str, Any]:
    """Of `thresher.jobs.prepare` for the folds of a search, or of `thresher.jobs.resumed`."""
    from thresher.cli.settings import read_toml, request
    from thresher.cli.train import own_options, resume_arguments

    if resume is not None:
        return resume_arguments(resume, typed, bool(pairs or letters or config))
    typed["method"] = typed["method"] or "cross_entropy"
    arguments = request(read_toml(config), typed, pairs, letters, own_options(context))
    if "data" not in arguments:
        raise UsageError("find needs data, a run, or --labels with --probs: for instance thresher find photos/")
    arguments["settings"].setdefault("epochs", EPOCHS)
    arguments.setdefault("cross_fit", FOLDS)
    return {**arguments, "kind": "find"}


def _of_run(run: Path, out: Path | None, as_json: bool) -> None:
    """What a finished run found."""
    from thresher.cli.train import in_words
    from thresher.result import load

    refuse_existing(out)
    result = load(run)
    summary = result.summary()
    if out is not None:
        write(out, result.finished().to_csv(index=False))
    typer.echo(json.dumps(summary) if as_json else in_words(result, summary))


def _by_probabilities(labels: str | None, probs: Path, data: str | None, out: Path | None, as_json: bool) -> None:
    """Confident learning on probabilities that the user brings."""
    if labels is None or data is not None:
        raise UsageError("--probs needs --labels, and no DATA: thresher find --labels labels.csv --probs probs.npy")
    from thresher.audit.evidence import counted
    from thresher.findings import find_in_probabilities
    from thresher.report.words import summary

    out = out or Path("issues.csv")
    refuse_existing(out)
    issues, classes = find_in_probabilities(labels, probs)
    write(out, issues.to_csv(index=False))
    found = {"issues": str(out), **counted(issues)}
    typer.echo(json.dumps(found) if as_json else "\n".join([*summary(issues, classes), f"suspects: {out}"]))
