"""Write docs/methods/: a page for every method, from its file, and an index by family.

    python docs/pages.py [--check]

`--check` changes nothing and fails when a page is not what the code says, so that nothing on it is typed by hand.
"""

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from thresher import catalogue, recipes
from thresher import methods as zoo
from thresher.engine.method import FAMILIES, SLOTS

FOLDER = Path(__file__).resolve().parent / "methods"
_MARKER = "Written by `python docs/pages.py`"
_SOURCE = "../../src/thresher"
_CODE = re.compile(r"(``[^`]*``|`[^`]*`)")
_LIST = re.compile(r"^([*-]|\d+\.) ")
_IMPORTS = {r"\btorch\.": "import torch", r"\bnn\.": "from torch import nn", r"\bth\.": "import thresher as th"}
_NEEDS = {
    "extra_classes": "one class more than the data has",
    "needs_trusted": "trusted samples",
    "own_rows": "the prediction of each sample by itself",
}


def escaped(text: str) -> str:
    """Text in which nothing but code, between backticks, has a meaning in Markdown."""
    parts = _CODE.split(text)
    return "".join(part if k % 2 else re.sub(r"([*<|])", r"\\\1", part) for k, part in enumerate(parts))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; its cells must be escaped."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def paragraphs(text: str) -> str:
    """Paragraphs of a docstring on one line each; lists and indented blocks keep their lines."""
    shown = []
    for block in text.split("\n\n"):
        if block.startswith(" "):
            shown.append(block)
        elif _LIST.match(block):
            lines = re.sub(r"\n +", " ", block).splitlines()
            shown.append("\n".join(f"{_LIST.match(line)[0]}{escaped(_LIST.sub('', line))}" for line in lines))  # type: ignore[index]
        else:
            shown.append(escaped(" ".join(block.split())))
    return "\n\n".join(shown)


def number(value: float | None) -> str:
    """A number as short as it goes, nothing for None."""
    return "" if value is None else f"{value:g}"


def takes(one: dict[str, Any]) -> str:
    """The values that a setting takes."""
    if one["choices"]:
        return ", ".join(f"`{choice}`" for choice in one["choices"])
    if one["type"] == "bool":
        return "`true`, `false`"
    low, high = number(one["least"]), number(one["most"])
    if low and high:
        return f"{low} to {high}"
    return f"{low} or more" if low else f"{high} or less" if high else ""


def value(default: Any) -> str:
    """A default as it is typed."""
    if default == []:
        return "empty"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def settings(told: dict[str, Any]) -> Iterator[str]:
    """The tables of settings and presets."""
    rows = []
    for one in told["fields"]:
        letter = f"`{one['letter']}`" if one["letter"] else ""
        worth = "" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}"
        rows.append([f"`{one['name']}`", letter, value(one["default"]), takes(one), worth, escaped(one["meaning"])])
    yield "## Settings"
    yield table(["setting", "letter", "default", "takes", "worth searching", "meaning"], rows) if rows else "None."
    if told["presets"]:
        rows = [
            [f"`{key}`", ", ".join(f"`{name}` {value(given)}" for name, given in values.items())]
            for key, values in told["presets"].items()
        ]
        yield "## Presets"
        yield f"`--set {told['name']}.preset=NAME`; a setting given beside it wins."
        yield table(["preset", "settings"], rows)


def first_line(cls: type, slot: str) -> str:
    """What a method's own docstring says of a slot."""
    text = inspect.getdoc(inspect.getattr_static(cls, slot)) or ""
    return escaped(text.split("\n\n")[0].replace("\n", " "))


def place(told: dict[str, Any], cls: type) -> Iterator[str]:
    """Where in a training the method acts, and what it needs."""
    rows = [
        [f"`{slot}`", catalogue.SLOTS_IN_WORDS[slot], first_line(cls, slot), catalogue.LAWS_IN_WORDS[SLOTS[slot]]]
        for slot in told["slots"]
    ]
    yield "## Where it acts"
    yield table(["slot", "what that is", "here", "with several methods"], rows)
    later = [slot for slot in SLOTS if slot in vars(cls) and slot not in told["slots"]]
    if later:
        yield f"With other settings also {' and '.join(f'`{slot}`' for slot in later)}: {first_line(cls, later[0])}"
    networks = f"{told['networks']} network{'s'[: told['networks'] != 1]}"
    needs = [networks, *(words for what, words in _NEEDS.items() if getattr(cls, what, False))]
    yield f"Family: {told['family']}. Needs: {', '.join(needs)}."


def loop(told: dict[str, Any], cls: type) -> Iterator[str]:
    """The drop-in line, or why there is none, and the example of the class."""
    yield "## In your own loop"
    if told["drop_in"] is None:
        yield f"Not as one line: {escaped(told['drop_in_line'])}."
        return
    assigned = {"loss": "criterion", "optimizer": "optimizer"}[told["drop_in"]]
    call = "\nloss = criterion(logits, labels, index)  # index: row numbers of the samples"
    if getattr(cls, "mixes", False):
        call = f"\ninputs, labels = criterion.mix(inputs, labels)  # before logits = net(inputs){call}"
    imports = "import thresher as th" if told["drop_in"] == "loss" else "import torch\n\nimport thresher as th"
    yield f"```python\n{imports}\n\n{assigned} = {told['drop_in_line']}{call if told['drop_in'] == 'loss' else ''}\n```"
    if told["drop_in_with"]:
        names = " and ".join(f"`{name}`" for name in told["drop_in_with"])
        yield f"A run of Thresher finds {names} by itself; a loop of yours has to bring it."
    by_hand = [slot for slot in told["by_hand"] if slot != "fits"]
    if by_hand:
        yield f"What the slot `{by_hand[0]}` does is then up to your loop, through `criterion.update_table(...)`."
    yield from example(cls)


def example(cls: type) -> Iterator[str]:
    """The example of the class's docstring, with the imports that its file has."""
    found = re.search(r"^Example:\n((?: {4}.*\n?|\n)+)", inspect.getdoc(cls) or "", re.MULTILINE)
    if not found:
        return
    code = "\n".join(line[4:].split("  # doctest:")[0] for line in found[1].rstrip().splitlines())
    imports = [f"from {cls.__module__} import {cls.__name__}"] if f"{cls.__name__}(" in code else []
    imports += [line for use, line in _IMPORTS.items() if re.search(use, code) and line not in code]
    yield "\n".join(["```pycon", *(f">>> {line}" for line in imports), code, "```"])


def company(told: dict[str, Any]) -> Iterator[str]:
    """What it combines with, and what it is refused with."""
    yield "## With other methods"
    yield (
        f"With its default settings it may be listed with {linked(told['combines'])}."
        if told["combines"]
        else "Alone only."
    )
    if told["refused"]:
        rows = [[linked(one["methods"]), escaped(one["why"])] for one in told["refused"]]
        yield table(["refused with (the other)", "why"], rows)


def linked(names: Sequence[str]) -> str:
    """Names of methods, each a link to its page."""
    return ", ".join(f"[{name}]({name}.md)" for name in names)


def figures(told: dict[str, Any]) -> Iterator[str]:
    """Its recipes, with what the papers report."""
    rows = []
    for name in told["recipes"]:
        paper = recipes.paper(name)
        figure = "none quoted" if paper.value is None else f"{100 * paper.value:.1f} %"
        source = escaped(" ".join(paper.source.split()))
        rows.append([f"[{name}]({_SOURCE}/recipes/{name}.toml)", figure, paper.metric or "", source])
    yield "## Recipes"
    yield "`thresher run NAME` trains as published; `thresher recipes NAME` shows the protocol."
    yield table(["recipe", "the source's accuracy", "which", "source"], rows) if rows else "None yet."


def command(told: dict[str, Any], cls: type) -> Iterator[str]:
    """A command to try it with."""
    settable = [one for one in told["fields"] if one["default"] != []]
    said = f" --set {told['name']}.{settable[0]['name']}={value(settable[0]['default']).strip('`')}" if settable else ""
    trusted = " --trusted per-class:10" if getattr(cls, "needs_trusted", False) else ""
    yield "## On the command line"
    yield f"```bash\nthresher train digits --noise symmetric:0.4 --method {told['name']}{said}{trusted}\n```"


def page(name: str) -> str:
    """The page of a method."""
    cls, told = zoo.load(name), catalogue.describe(name)
    idea, _, rest = catalogue.text_of(cls).partition("\n\n")
    origin = f"{_MARKER} from [{name}.py]({_SOURCE}/methods/{name}.py); do not edit. [All methods](README.md)"
    parts = [f"# {name}", f"**{escaped(' '.join(idea.split()))}**", paragraphs(rest), *settings(told)]
    parts += [*place(told, cls), *loop(told, cls), *company(told), *figures(told), *command(told, cls), origin]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The list of all pages, by family."""
    told = [catalogue.describe(name) for name in zoo.names()]
    parts = ["# Methods", f"{_MARKER} from the methods' files; do not edit. `thresher methods` lists the same."]
    for family in (family for family in FAMILIES if any(one["family"] == family for one in told)):
        rows = [
            [
                f"[{one['name']}]({one['name']}.md)", escaped(one["idea"]), catalogue.citation(one["paper"]),
                ", ".join(one["slots"]), {"loss": "th.as_loss", "optimizer": "th.as_optimizer"}.get(one["drop_in"], ""),
            ]
            for one in told
            if one["family"] == family
        ]  # fmt: skip
        parts += [f"## {family.capitalize()}", table(["method", "idea", "paper", "slots", "in your own loop"], rows)]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """Every page, by path."""
    return {FOLDER / "README.md": index(), **{FOLDER / f"{name}.md": page(name) for name in zoo.names()}}


def main() -> None:
    """Write the pages, or check them."""
    wanted = pages()
    stale = set(FOLDER.glob("*.md")) - set(wanted)
    if "--check" in sys.argv:
        other = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
        if other or stale:
            names = ", ".join(sorted(path.name for path in [*other, *stale]))
            sys.exit(f"{names} in docs/methods: not what the code says; run python docs/pages.py")
        return
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
