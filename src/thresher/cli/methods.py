"""`thresher methods`."""

import json
from typing import Annotated, Any

import typer


def methods(
    name: Annotated[str | None, typer.Argument(help="Show one method: its paper, idea and settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """List the methods, or explain one."""
    from thresher import methods as zoo

    names = [name] if name else zoo.names()
    described = [describe(one) for one in names]
    if as_json:
        typer.echo(json.dumps(described))
    elif name:
        typer.echo(_page(described[0], zoo.load(name)))
    else:
        width = max(map(len, names))
        typer.echo("\n".join(f"{one['name']:<{width}}  {one['family']:<20}  {one['idea']}" for one in described))


def describe(name: str) -> dict[str, Any]:
    """A method as plain values, from its file alone."""
    import inspect

    from thresher import methods as zoo
    from thresher.engine.drop_in import LOSS_SLOTS, OPTIMIZER_SLOTS, check_drop_in
    from thresher.engine.method import filled_slots, hyperparameters
    from thresher.errors import UsageError

    def can_be(slots: frozenset[str], what: str) -> bool:
        try:
            check_drop_in([cls()], slots, what)
        except UsageError:
            return False
        return True

    cls = zoo.load(name)
    text = inspect.getdoc(inspect.getmodule(cls)) or ""
    paragraphs = text.split("\n\n")
    drop_in = (
        "loss" if can_be(LOSS_SLOTS, "a loss") else "optimizer" if can_be(OPTIMIZER_SLOTS, "an optimiser") else None
    )
    return {
        "name": name,
        "family": cls.family,
        "idea": paragraphs[0].rstrip("."),
        "slots": list(filled_slots(cls)),
        "networks": getattr(cls, "networks", 1),
        "paper": " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else "",
        "fields": [
            {
                "name": p.name,
                "type": p.type,
                "default": p.default,
                "letter": p.letter,
                "low": None if p.search is None else p.search[0],
                "high": None if p.search is None else p.search[1],
            }
            for p in hyperparameters(cls)
        ],
        "drop_in": drop_in,
    }


def _page(described: dict[str, Any], cls: type) -> str:
    import inspect

    lines = [inspect.getdoc(inspect.getmodule(cls)) or "", ""]
    for one in described["fields"]:
        letter = f" (--{one['letter']})" if one["letter"] else ""
        lines.append(f"  --set {described['name']}.{one['name']}={one['default']}{letter}")
    use = {"loss": "th.as_loss", "optimizer": "th.as_optimizer", None: "none, it needs the engine"}[
        described["drop_in"]
    ]
    lines += ["", f"family: {described['family']}; slots: {', '.join(described['slots'])}; in your own loop: {use}"]
    return "\n".join(lines)
