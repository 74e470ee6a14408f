"""`thresher train`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.cli import options
from thresher.errors import UsageError

_FREE_AT_RESUME = {"epochs", "device", "root", "workers"}


def train(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Argument(help="A folder of images, a .csv, .parquet or .npz file, a name.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="One method or several, as in elr,cdr. Default elr.")] = None,
    label: options.Label = None,
    path: options.ImagePath = None,
    text: options.Text = None,
    text_model: options.TextModel = None,
    id_column: options.Id = None,
    group: options.Group = None,
    test: options.Test = None,
    labels: options.Labels = None,
    annotator: options.Annotator = None,
    annotators: options.Annotators = None,
    size: options.Size = None,
    skip_bad: options.SkipBad = False,
    noise: options.Noise = None,
    mapping: options.Map = None,
    net: options.Net = None,
    weights: options.Weights = None,
    frozen: options.Frozen = None,
    epochs: options.Epochs = None,
    lr: options.Rate = None,
    batch: options.Batch = None,
    seed: options.Seed = None,
    valid: options.Valid = None,
    trusted: options.Trusted = None,
    cross_fit: Annotated[
        int | None, typer.Option(help="Folds of confident learning after training. Default 0.")
    ] = None,
    device: options.Device = None,
    workers: options.Workers = None,
    out: options.Out = None,
    name: options.Name = None,
    root: options.Root = None,
    keep_checkpoints: options.Keep = None,
    pairs: options.Pairs = None,
    config: options.Config = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train on wrongly labelled data, and find the wrong labels.

    A method's settings can also be given by the letter its paper uses, as in --lambda 7; see thresher methods NAME.
    """
    from thresher.cli.settings import leftovers, read_toml, request

    words = [*([] if data is None else [data]), *context.args]  # of `--lambda 7 digits`, the first word is here DATA
    data, short = leftovers(words)
    typed = {
        "data": data, "method": method, "label": label, "path": path, "text": text, "text_model": text_model,
        "id": id_column, "group": group, "test": test, "labels": labels, "annotator": annotator,
        "annotators": annotators, "size": size, "skip_bad": skip_bad or None, "noise": noise or None, "map": mapping,
        "net": net, "weights": weights, "frozen": frozen, "epochs": epochs, "lr": lr, "batch": batch, "seed": seed,
        "valid": valid, "trusted": trusted, "cross_fit": cross_fit, "device": device, "workers": workers, "out": out,
        "name": name, "root": root, "keep_checkpoints": keep_checkpoints,
    }  # fmt: skip
    if resume is not None:
        arguments = resume_arguments(resume, typed, bool(pairs or short or config))
    else:
        arguments = request(read_toml(config), typed, pairs or (), short, own_options(context))
        if "data" not in arguments:
            raise UsageError("train needs data: thresher train DATA, for instance thresher train digits")
    execute(arguments, dry_run=dry_run, as_json=as_json, quiet=quiet)


def execute(
    arguments: Mapping[str, Any],
    *,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    extra: Mapping[str, Any] | None = None,
    copy_to: Path | None = None,
) -> dict[str, Any] | None:
    """Prepare a run, and show the plan, or do it and print what came out.

    Args:
        arguments: of `thresher.jobs.prepare`; or `resume`, a run folder, with those of `thresher.jobs.resumed`.
        dry_run: only show the plan.
        as_json: as one JSON document.
        quiet: no progress.
        extra: goes into the JSON document too.
        copy_to: a file that gets the table of issues too.

    Returns:
        The summary of the run; None for a plan, and in processes that are not the first.
    """
    from thresher import jobs, training
    from thresher.cli.progress import Progress, Reads
    from thresher.engine.runtime import is_main_process

    reads = Reads(quiet)
    if "resume" in arguments:
        rest = {key: value for key, value in arguments.items() if key != "resume"}
        job = jobs.resumed(arguments["resume"], **rest, progress=reads)
    else:
        job = jobs.prepare(**arguments, progress=reads)
    reads.done()
    if dry_run:
        typer.echo(json.dumps(plan(job), indent=1) if as_json else _in_words(plan(job)))
        return None
    if not quiet and is_main_process():
        typer.echo(starting(job), err=True)
    progress = Progress(job.options.epochs, quiet=quiet, folds=job.request.cross_fit)
    result = training.train(job, progress)
    if not is_main_process():
        return None
    progress.done()
    summary = {**result.summary(), **(extra or {})}
    if copy_to is not None:
        from thresher.cli.files import write
        from thresher.data.delimited import as_csv

        write(copy_to, as_csv(result.finished()))
        summary["issues"] = str(copy_to)
    typer.echo(json.dumps(summary) if as_json else in_words(result, summary))
    return summary


def own_options(context: typer.Context) -> list[str]:
    """The long names of the command's own options."""
    return [word.lstrip("-") for option in context.command.params for word in option.opts if word.startswith("--")]


def resume_arguments(run: Path, typed: Mapping[str, Any], settings: bool) -> dict[str, Any]:
    """Of `thresher.jobs.resumed`; whatever would make it another run is refused."""
    strange = [key for key, value in typed.items() if value is not None and key not in _FREE_AT_RESUME]
    if strange or settings:
        what = strange[0] if strange else "a setting"
        raise UsageError(
            f"--resume goes on with the run as it was, so {what} cannot be changed: only --epochs, --device and "
            "--workers can"
        )
    return {"resume": run, **{key: typed[key] for key in _FREE_AT_RESUME if typed.get(key) is not None}}


def plan(job: Any) -> dict[str, Any]:
    """What a job would do, as plain values."""
    from thresher import nets

    described, network = job.described(), job.request.model == "net"
    shape = tuple(described["data"]["shape"])
    net = nets.build(job.options.net, shape, len(job.data.classes) + job.method.extra_classes)
    return {
        "run": str(job.folder),
        "model": job.request.model,
        "folds": job.request.cross_fit,
        "data": described["data"],
        "noise": None if job.noise is None else {"generator": job.noise.generator, "realised": job.noise.realised},
        "method": [repr(method) for method in job.method.methods] if network else [],
        "train_rows": len(job.rows),
        "held_out_rows": len(job.held),
        "trusted_rows": len(job.trusted),
        "parameters": sum(p.numel() for p in net.parameters()) * job.method.networks if network else 0,
        "options": described["options"],
    }


def starting(job: Any) -> str:
    """What is about to be trained on, in one line."""
    shape, rows = job.data.train.inputs.shape[1:], len(job.data.train)
    what = f"images of {' x '.join(map(str, shape[1:]))} px" if len(shape) == 3 else f"{shape[0]} features"
    test = "" if job.data.test is None else f", {len(job.data.test):,} test rows"
    learner = f"{'frozen ' if job.options.frozen else ''}{job.options.net}"
    if job.request.model != "net":
        learner = f"{job.request.model} on frozen {job.options.net}" if job.options.frozen else job.request.model
    return f"{job.data.name}: {rows:,} rows of {len(job.data.classes)} classes, {what}{test}; {learner}"


def _in_words(plan: dict[str, Any]) -> str:
    data, options, optimizer = plan["data"], plan["options"], plan["options"]["optimizer"]
    noise = (
        ""
        if plan["noise"] is None
        else f", {plan['noise']['realised']:.1%} of labels made wrong ({plan['noise']['generator']})"
    )
    with_net = (
        f"with {options['net']} ({plan['parameters']:,} parameters), {options['epochs']} epochs, batch "
        f"{options['batch']}, {optimizer['name']} at {optimizer['lr']:g}, {options['schedule']['name']} schedule, "
    )
    network = plan["model"] == "net"
    folds = f", {plan['folds']} folds" if plan["folds"] else ""
    return (
        f"would train {', '.join(plan['method']) if network else plan['model']}{folds}\n"
        f"on {data['name']}: {plan['train_rows']} rows, {plan['held_out_rows']} held out, "
        f"{plan['trusted_rows']} trusted, {data['test']} test rows, {len(data['classes'])} classes{noise}\n"
        f"{with_net if network else 'with '}seed {options['seed']}\ninto {plan['run']}; nothing was written"
    )


def in_words(result: Any, summary: Mapping[str, Any]) -> str:
    """A finished run in a few lines."""
    shown = [(name, summary.get(name)) for name in ("last", "last10", "selected")]
    accuracy = ", ".join(f"{name} {value:.1%}" for name, value in shown if value is not None)
    lines = [f"test accuracy: {accuracy} (selected epoch {summary['best_epoch']})"] if accuracy else []
    lines += result.in_words()
    if found := summary["detection"]:
        figures = ", ".join(
            f"{name} {found[name]:.1%}" for name in ("precision", "recall", "f1") if found[name] is not None
        )
        lines.append(f"found by {found['method']}: {figures}")
    run = summary["run"]
    suspects = summary.get("issues", f"{run}/issues.csv")
    return "\n".join([*lines, f"suspects: {suspects}", f"report: {run}/report.html"])
