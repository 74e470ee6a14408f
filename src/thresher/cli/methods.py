"""`thresher methods`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN_A_LOOP = {"loss": "th.as_loss", "optimizer": "th.as_optimizer", None: "no drop-in"}


def methods(
    name: Annotated[str | None, typer.Argument(help="Show one method: paper, settings, presets, combinations.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """List the methods with their slots, papers and use in other loops, or explain one."""
    from thresher import catalogue
    from thresher import methods as zoo

    described = [catalogue.describe(one) for one in ([name] if name else zoo.names())]
    if as_json:
        typer.echo(json.dumps(described))
    elif name:
        typer.echo(_page(described[0], catalogue.text_of(zoo.load(name))))
    else:
        typer.echo("\n".join(_listed(described)))


def _listed(described: Sequence[dict[str, Any]]) -> list[str]:
    """Two lines per method: what it is called, does and can be; its idea and paper, indented."""
    from thresher.catalogue import citation

    names, families = (max(len(one[key]) for one in described) for key in ("name", "family"))
    lines = []
    for one in described:
        what = f"{one['name']:<{names}}  {one['family']:<{families}}  {_IN_A_LOOP[one['drop_in']]:<15}"
        lines += [f"{what}  {', '.join(one['slots'])}", f"    {one['idea']} ({citation(one['paper'])})"]
    return lines


def _page(told: dict[str, Any], text: str) -> str:
    """One method: its file's docstring, and all that follows from its code."""
    name = told["name"]
    lines = [text, ""]
    lines += [f"  --set {name}.{one['name']}={_shown(one['default'])}{_about(one)}" for one in told["fields"]]
    lines += [f"  --set {name}.preset={key}: {_values(values)}" for key, values in told["presets"].items()]
    use = told["drop_in_line"] if told["drop_in"] else f"none, for {told['drop_in_line']}"
    networks = f"; networks: {told['networks']}" if told["networks"] > 1 else ""
    lines += ["", f"family: {told['family']}; slots: {', '.join(told['slots'])}{networks}", f"in your own loop: {use}"]
    lines += [f"combines with: {', '.join(told['combines']) or 'no other method'}"]
    lines += [f"not with {', '.join(one['methods'])}: {one['why']}" for one in told["refused"]]
    return "\n".join([*lines, f"recipes: {', '.join(told['recipes']) or 'none'}"])


def _about(one: dict[str, Any]) -> str:
    """A setting's letter, its meaning, and the values it takes."""
    letter = f" (--{one['letter']})" if one["letter"] else ""
    worth = "" if one["low"] is None else f" Worth searching: {one['low']:g} to {one['high']:g}."
    return f"{letter}: {one['meaning']}{worth}"


def _shown(value: Any) -> str:
    """A value as it is typed."""
    return "" if value == [] else str(value).lower() if isinstance(value, bool) else str(value)


def _values(values: "Mapping[str, Any]") -> str:
    return ", ".join(f"{key}={_shown(value)}" for key, value in values.items())
