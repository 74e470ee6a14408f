"""`thresher train`."""

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.errors import UsageError

_FREE_AT_RESUME = {"epochs", "device", "root"}


def train(
    context: typer.Context,
    data: Annotated[str | None, typer.Argument(help="digits, mnist, fashion_mnist, or a .npz file.")] = None,
    method: Annotated[str | None, typer.Option(help="One method or several, as in elr,cdr. Default elr.")] = None,
    noise: Annotated[
        list[str] | None, typer.Option(help="Put wrong labels in: NAME:RATE[:SEED]. For benchmarks.")
    ] = None,
    net: Annotated[str | None, typer.Option(help="A network's name, or auto.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Default 60.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate at the start. Default 0.02.")] = None,
    batch: Annotated[int | None, typer.Option("--bs", "--batch", help="Samples per step. Default 128.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random. Default 0.")] = None,
    valid: Annotated[float | None, typer.Option(help="Share held out to select the epoch. Default 0.1.")] = None,
    trusted: Annotated[
        str | None, typer.Option(help="Rows known to be right: a CSV (key,label), or per-class:N.")
    ] = None,
    cross_fit: Annotated[
        int | None, typer.Option(help="Folds of confident learning after training. Default 0.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cpu:N, cuda, or CUDA numbers such as 0,2.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. Default runs/NAME.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the run. Default: data, method and a counter.")] = None,
    root: Annotated[Path | None, typer.Option("--data-root", help="Folder of official data files.")] = None,
    keep: Annotated[int | None, typer.Option("--keep-checkpoints", help="Beside the selected one. Default 2.")] = None,
    pairs: Annotated[list[str] | None, typer.Option("--set", help="method.field=value, or optimizer.lr=0.1.")] = None,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="A TOML file.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a run folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be done, stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    quiet: Annotated[bool, typer.Option(help="No progress.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Train on wrongly labelled data, and find the wrong labels.

    A method's settings can also be given by the letter its paper uses, as in --lambda 7; see thresher methods NAME.
    """
    from thresher import jobs, training
    from thresher.cli.progress import Progress
    from thresher.cli.settings import leftovers, read_toml, request
    from thresher.engine.runtime import is_main_process

    words = [*([] if data is None else [data]), *context.args]  # of `--lambda 7 digits`, the first word is here DATA
    data, short = leftovers(words)
    typed = {
        "data": data, "method": method, "noise": noise or None, "net": net, "epochs": epochs, "lr": lr, "batch": batch,
        "seed": seed, "valid": valid, "trusted": trusted, "cross_fit": cross_fit, "device": device, "out": out,
        "name": name, "root": root, "keep_checkpoints": keep,
    }  # fmt: skip
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        if resume is not None:
            job = _resumed(resume, typed, pairs, short, config)
        else:
            arguments = request(read_toml(config), typed, pairs or (), short, _options(context))
            if "data" not in arguments:
                raise UsageError("train needs data: thresher train DATA, for instance thresher train digits")
            job = jobs.prepare(**arguments)
    for warning in heard:
        typer.echo(f"warning: {warning.message}", err=True)
    if dry_run:
        typer.echo(json.dumps(plan(job), indent=1) if as_json else _in_words(plan(job)))
        return
    progress = Progress(job.options.epochs, quiet=quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *rest: typer.echo(f"warning: {message}", err=True)
        result = training.train(job, progress)
    if not is_main_process():
        return
    progress.done()
    summary = result.summary()
    typer.echo(json.dumps(summary) if as_json else summary_in_words(summary))


def _options(context: typer.Context) -> list[str]:
    """The long names of the command's own options."""
    return [word.lstrip("-") for option in context.command.params for word in option.opts if word.startswith("--")]


def _resumed(
    resume: Path, typed: dict[str, Any], pairs: list[str] | None, short: dict[str, Any], config: Path | None
) -> Any:
    from thresher import jobs

    strange = [key for key, value in typed.items() if value is not None and key not in _FREE_AT_RESUME]
    if strange or pairs or short or config:
        what = strange[0] if strange else "a setting"
        raise UsageError(
            f"--resume goes on with the run as it was, so {what} cannot be changed: only --epochs and --device can"
        )
    return jobs.resumed(
        resume,
        epochs=typed["epochs"],
        device=typed["device"],
        root=None if typed["root"] is None else str(typed["root"]),
    )


def plan(job: Any) -> dict[str, Any]:
    """What a job would do, as plain values."""
    from thresher import nets

    described = job.described()
    shape = tuple(described["data"]["shape"])
    net = nets.build(job.options.net, shape, len(job.data.classes) + job.method.extra_classes)
    return {
        "run": str(job.folder),
        "data": described["data"],
        "noise": None if job.noise is None else {"generator": job.noise.generator, "realised": job.noise.realised},
        "method": [repr(method) for method in job.method.methods],
        "train_rows": len(job.rows),
        "held_out_rows": len(job.held),
        "trusted_rows": len(job.trusted),
        "parameters": sum(p.numel() for p in net.parameters()) * job.method.networks,
        "options": described["options"],
    }


def _in_words(plan: dict[str, Any]) -> str:
    data, options, optimizer = plan["data"], plan["options"], plan["options"]["optimizer"]
    noise = (
        ""
        if plan["noise"] is None
        else f", {plan['noise']['realised']:.1%} of labels made wrong ({plan['noise']['generator']})"
    )
    return (
        f"would train {', '.join(plan['method'])}\n"
        f"on {data['name']}: {plan['train_rows']} rows, {plan['held_out_rows']} held out, "
        f"{plan['trusted_rows']} trusted, {data['test']} test rows, {len(data['classes'])} classes{noise}\n"
        f"with {options['net']} ({plan['parameters']:,} parameters), {options['epochs']} epochs, "
        f"batch {options['batch']}, {optimizer['name']} at {optimizer['lr']:g}, "
        f"{options['schedule']['name']} schedule, seed {options['seed']}\ninto {plan['run']}; nothing was written"
    )


def summary_in_words(summary: dict[str, Any]) -> str:
    """A finished run in a few lines."""
    shown = [(name, summary[name]) for name in ("last", "last10", "selected") if summary[name] is not None]
    accuracy = ", ".join(f"{name} {value:.1%}" for name, value in shown)
    lines = [f"test accuracy: {accuracy} (selected epoch {summary['best_epoch']})"] if accuracy else []
    lines.append(f"labels that look wrong: {summary['noise']['estimated']:.1%}")
    if found := summary["detection"]:
        figures = ", ".join(
            f"{name} {found[name]:.1%}" for name in ("precision", "recall", "f1") if found[name] is not None
        )
        lines.append(f"found by {found['method']}: {figures}")
    run = summary["run"]
    return "\n".join([*lines, f"suspects: {run}/issues.csv", f"report: {run}/report.html"])
