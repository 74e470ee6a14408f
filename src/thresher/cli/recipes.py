"""`thresher recipes` and `thresher run`."""

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thresher.cli import options

if TYPE_CHECKING:
    from thresher.recipes import Paper

_WIDTH = 100


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show one recipe, as a TOML file for train -c.")] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """List the recipes, settings of published experiments with their figures, or show one."""
    from thresher import recipes as known

    described = [describe(one) for one in ([name] if name else known.names())]
    if as_json:
        typer.echo(json.dumps(described))
    elif name:
        settings, _, _ = known.text(name).partition("[paper]")
        words = [*paper_in_words(known.paper(name)), f"run it with: thresher run {name}"]
        typer.echo("\n".join([settings.rstrip(), "", *(f"# {line}" for line in words)]))
    else:
        typer.echo("\n".join(_columns([_row(one) for one in described])))


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe's name; see thresher recipes.")],
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: options.Seed = None,
    device: options.Device = None,
    out: options.Out = None,
    name: options.Name = None,
    root: options.Root = None,
    pairs: options.Pairs = None,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train as a recipe says, and put the paper's figure beside ours."""
    from thresher import recipes as known
    from thresher.cli.settings import merged, read_toml, request
    from thresher.cli.train import execute

    typed = {"epochs": epochs, "seed": seed, "device": device, "out": out, "name": name, "root": root}
    arguments = request(merged(known.read(recipe), read_toml(config)), typed, pairs or (), {})
    extra = {"paper": describe(recipe)["paper"]}
    summary = execute(arguments, dry_run=dry_run, as_json=as_json, quiet=quiet, extra=extra)
    if summary is not None and not as_json:
        typer.echo("\n".join(beside(summary, known.paper(recipe))))


def describe(name: str) -> dict[str, Any]:
    """A recipe as plain values: name, data, noise, methods, all settings, and the paper's figure."""
    from dataclasses import asdict

    from thresher import recipes as known

    settings, reported = known.read(name), asdict(known.paper(name))
    return {
        "name": name,
        **{key: settings.get(key) for key in ("data", "noise", "method")},
        "settings": {key: value for key, value in settings.items() if key not in ("data", "noise", "method")},
        "paper": {key: reported[key] for key in ("value", "metric", "protocol", "source")},
    }


def beside(summary: dict[str, Any], reported: "Paper") -> list[str]:
    """Lines that put the paper's figure beside the same one of a finished run.

    Args:
        summary: the document of ``thresher train --json``.
        reported: what the paper says.

    Example:
        >>> from thresher.recipes import Paper
        >>> beside({"last10": 0.931}, Paper("On all rows.", "Some paper, Table 1", 0.944, "last10"))[0]
        'paper: 94.4% last10, here 93.1%'
    """
    from thresher.recipes import METRICS

    lines = paper_in_words(reported)
    ours = None if reported.value is None or reported.metric is None else summary[METRICS[reported.metric]]
    if ours is not None:
        lines[0] += f", here {ours:.1%}"
    return lines


def paper_in_words(reported: "Paper") -> list[str]:
    """What a paper reports, in lines for people."""
    words = [f"source: {reported.source}", f"protocol: {reported.protocol}"]
    wrapped = [line for text in words for line in textwrap.wrap(text, _WIDTH, subsequent_indent="  ")]
    return [f"paper: {_figure(reported.value, reported.metric)}", *wrapped]


def _figure(value: float | None, metric: str | None) -> str:
    return "no figure" if value is None else f"{value:.1%} {metric or '(of which epoch is not stated)'}"


def _row(described: dict[str, Any]) -> list[str]:
    noise, reported = described["noise"] or ["as given"], described["paper"]
    figure = _figure(reported["value"], reported["metric"])
    return [described["name"], described["data"], ", ".join(noise), described["method"], figure]


def _columns(rows: list[list[str]]) -> list[str]:
    table = [["name", "data", "noise", "method", "paper"], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
