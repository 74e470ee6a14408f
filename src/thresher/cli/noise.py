"""`thresher noise`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thresher.cli import options
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.noise import Noise

_PAIRS = 5


def noise(
    data: Annotated[
        str, typer.Argument(help="Anything that train takes; on labels that people got wrong, noise comes on top.")
    ],
    specs: Annotated[
        list[str],
        typer.Option(
            "--noise",
            help="NAME:RATE[:SEED], feature:TYPE:RATE[:SEED]; give it again for more, one after the other.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write, FILE.npz.")],
    map_text: Annotated[
        str | None, typer.Option("--map", help='Of asymmetric noise, by class names: "cat>dog,dog>cat" or "cat<>dog".')
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the realised transition matrix as FILE.svg.")] = False,
    seed: Annotated[int, typer.Option(help="Of noise that names none; a second one has the next.")] = 0,
    label: options.Label = None,
    path: options.ImagePath = None,
    text: options.Text = None,
    id_column: options.Id = None,
    skip_bad: options.SkipBad = False,
    root: options.Root = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Make labels wrong on purpose, and keep a record of it: labels, realised rate and transition matrix."""
    from thresher.data import Reading, load
    from thresher.disk import write_atomically
    from thresher.labelling import put_in
    from thresher.noise import hopeless

    picture = out.with_suffix(".svg") if plot else None
    _check(out, picture)
    reading = Reading(label=label or Reading.label, path=path, text=text, id=id_column, skip_bad=skip_bad)
    source = load(data, root=root, reading=reading)
    drawn = put_in(source, specs, seed=seed, mapping=map_text)
    drawing = None if picture is None else _draw(drawn)
    drawn.save(out)
    if picture is not None and drawing is not None:
        write_atomically(picture, drawing.encode())
    warning = hopeless(drawn)
    if warning:
        typer.echo(f"warning: {warning}", err=True)
    facts = {"data": source.name, "of": len(source.train), **described(drawn), "hopeless": warning}
    facts |= {"out": str(out), "plot": None if picture is None else str(picture)}
    typer.echo(json.dumps(facts) if as_json else in_words(facts))


def _check(out: Path, picture: Path | None) -> None:
    """Refuse a place that cannot be written to, or holds something already."""
    if out.suffix.lower() != ".npz":
        raise UsageError(f"--out is {str(out)!r}: name a .npz file, for example noise.npz")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for {out.name}: make it, or name a file elsewhere")
    for path in (out, picture):
        if path is not None and path.exists():
            raise UsageError(f"{path} is there already: name another file with --out, or remove it")


def described(noise: "Noise") -> dict[str, Any]:
    """What was done, as plain values.

    Returns:
        ``generator, version, seed, nominal, realised, rows, wrong``; ``sizes``, the rows of each true class by name;
        and ``pairs``, the most frequent mistakes first: ``true, label, count, share`` (of the rows of that true class).

    Example:
        >>> import numpy as np
        >>> from thresher.noise import apply
        >>> noise = apply(["pairflip:0.2"], np.repeat([0, 1], 10), ["cat", "dog"], seed=0, confusions={})
        >>> found = described(noise)
        >>> found["wrong"], found["sizes"], found["pairs"][0]
        (4, {'cat': 10, 'dog': 10}, {'true': 'cat', 'label': 'dog', 'count': 2, 'share': 0.2})
    """
    import numpy as np

    mistakes = noise.counts - np.diag(np.diag(noise.counts))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_PAIRS]
    places = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, mistakes.shape), strict=True) if mistakes[i, j]]
    return {
        **{name: getattr(noise, name) for name in ("generator", "version", "seed", "nominal", "realised")},
        "rows": len(noise.labels),
        "wrong": int(mistakes.sum()),
        "sizes": dict(zip(noise.classes, noise.counts.sum(1).tolist(), strict=True)),
        "pairs": [
            {
                "true": noise.classes[i],
                "label": noise.classes[j],
                "count": int(mistakes[i, j]),
                "share": float(noise.matrix[i, j]),
            }
            for i, j in places
        ],
    }


def in_words(facts: dict[str, Any]) -> str:
    """What was done, in a few lines."""
    before = f"{facts['data']} + "
    on_top = facts["generator"].startswith(before)
    lines = [f"{facts['data']}: {facts['generator'].removeprefix(before)}"]
    lines[0] += ", on top of the labels that people gave" if on_top else ""
    if facts["rows"] < facts["of"]:
        sizes = facts["sizes"]
        large, small = max(sizes, key=sizes.get), min(sizes, key=sizes.get)
        lines.append(
            f"rows kept: {facts['rows']:,} of {facts['of']:,}; the largest class, {large}, has {sizes[large]:,}, "
            f"the smallest, {small}, {sizes[small]:,}"
        )
    what, asked = (
        ("wrong labels", "touched by people or by the noise") if on_top else ("labels made wrong", "rate asked for")
    )
    lines.append(
        f"{what}: {facts['wrong']:,} of {facts['rows']:,}, {facts['realised']:.1%} ({asked}: {facts['nominal']:.1%})"
    )
    if facts["pairs"]:
        width = max(len(f"{pair['true']} > {pair['label']}") for pair in facts["pairs"])
        lines.append("most frequent mistakes, true class > label:")
    for pair in facts["pairs"]:
        name = f"{pair['true']} > {pair['label']}"
        lines.append(f"  {name:<{width}}  {pair['count']:>7,} rows, {pair['share']:.1%} of {pair['true']}")
    lines.append(f"labels and record: {facts['out']}")
    return "\n".join([*lines, f"transition matrix: {facts['plot']}"] if facts["plot"] else lines)


def _draw(noise: "Noise") -> str:
    """The realised transitions as an SVG document; of many classes, those of the most frequent mistakes."""
    import numpy as np

    from thresher.report import figures, svg

    mistakes = noise.counts - np.diag(np.diag(noise.counts))
    places = np.unravel_index(np.argsort(-mistakes, axis=None, kind="stable"), mistakes.shape)
    pairs = np.stack(places, axis=1).ravel().tolist()
    shown = sorted(list(dict.fromkeys(pairs))[: figures.MATRIX_LIMIT])
    some = "" if len(shown) == len(noise.classes) else f", {len(shown)} of {len(noise.classes)} classes"
    figure = figures.matrix(
        noise.matrix[np.ix_(shown, shown)], [noise.classes[k] for k in shown], title=f"% of each true class{some}",
        xlabel="label", ylabel="true class", percent=True,
    )  # fmt: skip
    return svg.document(figure, "noise")
