"""`thresher find`."""

import dataclasses
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
    probs: Annotated[
        list[Path] | None,
        typer.Option(help="Class probabilities: .npy, .csv, .parquet, or a folder of these. Several: several models."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="With --probs, the labels; otherwise a CSV or JSONL file (key, label) that replaces labels."),
    ] = None,
    filter_by: Annotated[str | None, typer.Option(help="With --probs. Default prune_by_noise_rate.")] = None,
    on: Annotated[str | None, typer.Option(help="With --probs: threads (default), processes or ray.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="With --probs, where some class has no label: all names, as in cat,dog,bird.")
    ] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="With --probs: list every row, however many.")] = False,
    decisions: Annotated[
        Path | None, typer.Option(help="With a run: calibrate on what people decided in thresher review. Needs --out.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Default 5.")] = None,
    method: Annotated[str | None, typer.Option(help="How the folds are trained. Default cross_entropy.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Of the folds: net (default); for tables and texts logistic, forest or boosting.")
    ] = None,
    label: options.Label = None,
    path: options.ImagePath = None,
    text: options.Text = None,
    text_model: options.TextModel = None,
    id_column: options.Id = None,
    group: options.Group = None,
    annotator: options.Annotator = None,
    annotators: options.Annotators = None,
    multilabel: Annotated[
        bool, typer.Option("--multilabel", help="With --labels and --probs: samples may have several labels.")
    ] = False,
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
    trusted: options.Trusted = None,
    device: options.Device = None,
    workers: Annotated[
        int | None, typer.Option(help="That read images or, with --probs, files. Default by the machine.")
    ] = None,
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

    DATA: every row is judged by models that never saw it (cross-fitting). A run: what it found. --labels and --probs:
    confident learning on your own model's out-of-sample probabilities, or several people's labels.
    """
    from thresher.cli.train import execute

    data, letters = _words(data, context.args)
    typed = {
        "method": method, "model": model, "label": label, "path": path, "text": text, "text_model": text_model,
        "id": id_column, "group": group, "labels": labels, "annotator": annotator, "annotators": annotators,
        "size": size, "skip_bad": skip_bad or None, "noise": noise or None, "map": mapping,
        "net": net, "weights": weights, "frozen": frozen, "epochs": epochs, "lr": lr, "batch": batch, "seed": seed,
        "valid": valid, "trusted": trusted, "cross_fit": folds, "device": device, "workers": workers, "name": name,
        "root": root,
    }  # fmt: skip
    others = {"data": data, **typed, "set": pairs, "config": config, "dry_run": dry_run or None, **letters}
    shown: dict[str, Any] = {"out": out, "as_json": as_json}
    how = {"filter_by": filter_by, "on": on, "all_rows": all_rows or None, "classes": classes}
    brought = bool(probs) or (data is None and resume is None and (annotator or annotators))
    finished = data is not None and resume is None and (Path(data) / "run.json").is_file()
    if decisions is not None and (multilabel or brought or not finished):
        raise UsageError("--decisions belongs to a finished run: thresher find RUN --decisions FILE --out issues.csv")
    if multilabel or brought:
        _in_files(probs or [], others, how, multilabel, {**shown, "quiet": quiet})
        return
    _refuse_idle(how)
    if finished:
        _refuse_others(others, f"the run {data}", ("data",))
        _of_run(Path(str(data)), decisions, **shown)
        return
    table = out if out is not None and out.suffix.lower() == ".csv" else None
    refuse_existing(table)
    arguments = _arguments(
        context, letters, {"data": data, **typed, "out": None if table else out}, pairs or [], config, resume
    )
    execute(arguments, dry_run=dry_run, as_json=as_json, quiet=quiet, copy_to=table)


def _words(data: str | None, rest: list[str]) -> tuple[str | None, dict[str, Any]]:
    """DATA and the papers' letters; without such words nothing is imported, for that takes seconds."""
    if not rest:
        return data, {}
    from thresher.cli.settings import leftovers

    return leftovers([*([] if data is None else [data]), *rest])


def _in_files(
    probs: list[Path], typed: dict[str, Any], how: dict[str, Any], multilabel: bool, shown: dict[str, Any]
) -> None:
    """Judge labels by what the user brings: a model's probabilities, several annotators, or both."""
    labels, people = typed["labels"], ("annotator", "annotators")
    if typed["data"] is not None:
        raise UsageError(f"the labels are judged by files alone, and {typed['data']} is data: give only one of them")
    if multilabel or any(typed[name] for name in people):
        from thresher.cli import find_votes

        shown = {name: value for name, value in shown.items() if name != "quiet"}
        if len(probs) > 1:
            raise UsageError("several --probs go with plain --labels only: give one file")
        one = probs[0] if probs else None
        _refuse_idle(how)
        _refuse_others(typed, "files of labels", ("labels", *(() if multilabel else (*people, "label", "id"))))
        if multilabel:
            find_votes.by_multilabel(labels, one, **shown)
            return
        columns = {**{name: typed[name] for name in (*people, "label")}, "key": typed["id"]}
        find_votes.by_annotators(labels, one, columns=columns, **shown)
        return
    from thresher.cli.find_probs import by_probabilities

    _refuse_others(typed, "--probs", ("labels", "workers"))
    by_probabilities(labels, probs, workers=typed["workers"], **shown, **how)


def _refuse_idle(how: dict[str, Any]) -> None:
    """Refuse options of --probs without it."""
    idle = [name for name, value in how.items() if value is not None]
    if idle:
        raise UsageError(f"--{idle[0].replace('_', '-')} belongs to --labels with --probs: leave it out")


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
    _refuse_training(typed, letters)
    typed["method"] = typed["method"] or "cross_entropy"
    arguments = request(read_toml(config), typed, pairs, letters, own_options(context))
    if "data" not in arguments:
        raise UsageError("find needs data, a run, or --labels with --probs: for instance thresher find photos/")
    arguments["settings"].setdefault("epochs", EPOCHS)
    arguments.setdefault("cross_fit", FOLDS)
    return {**arguments, "kind": "find"}


def _refuse_training(typed: dict[str, Any], letters: dict[str, Any]) -> None:
    """Refuse settings of a network's training where a classifier of scikit-learn is asked for."""
    model = typed["model"]
    network = () if typed["frozen"] else ("net", "weights")  # which give a classifier its features
    idle = [name for name in ("method", "epochs", "lr", "batch", "valid", *network) if typed[name] is not None]
    idle += list(letters)
    if model not in (None, "net") and idle:
        raise UsageError(f"with --model {model} no network is trained, so --{idle[0]} means nothing: leave it out")


def _of_run(run: Path, decisions: Path | None, out: Path | None, as_json: bool) -> None:
    """What a finished run found, perhaps calibrated on people's decisions."""
    from thresher.cli.train import in_words
    from thresher.decisions import fold, read, waiting
    from thresher.findings.stored import FOLDER
    from thresher.result import load

    refuse_existing(out)
    result = load(run)
    if decisions is not None:
        if out is None:
            raise UsageError("the run stays as it is: name the calibrated table with --out FILE.csv")
        from thresher.findings.again import calibrated

        classes = tuple(result.run["data"]["classes"])
        table = calibrated(run, result.finished(), classes, fold(read(decisions)))
        result = dataclasses.replace(result, issues=table)
    summary = result.summary()
    if out is not None:
        from thresher.data.delimited import as_csv

        write(out, as_csv(result.finished()))
        summary["issues"] = str(out)
    unread = waiting(run) if decisions is None and (run / FOLDER).is_dir() else None
    if unread is not None:
        sentence = f"which --decisions {unread} --out FILE.csv would calibrate p_wrong by"
        typer.echo(f"hint: {unread} holds decisions, {sentence}", err=True)
    typer.echo(json.dumps(summary) if as_json else in_words(result, summary))
