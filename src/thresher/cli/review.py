"""`thresher review`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thresher.cli import options
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.review.opening import Review

_LOCAL = "127.0.0.1"


def review(
    sources: Annotated[list[str], typer.Argument(metavar="RUN|ISSUES.CSV", help="A run folder, or a table of issues.")],
    data: Annotated[str | None, typer.Option(help="DATA of these issues, where the run does not know it.")] = None,
    label: options.Label = None,
    path: options.ImagePath = None,
    text: options.Text = None,
    id_column: options.Id = None,
    root: options.Root = None,
    annotator: Annotated[str | None, typer.Option(help="Who reviews. Default the user's name.")] = None,
    top: Annotated[int | None, typer.Option(help="Review the first N rows. Default all suspects.")] = None,
    budget: Annotated[float | None, typer.Option(help="Review for about so many minutes, 20 rows each.")] = None,
    blind: Annotated[
        float | None, typer.Option(help="Mix in rows nobody suspects, unmarked: a share below 1, or a number.")
    ] = None,
    hide: Annotated[bool, typer.Option("--hide-suggestion", help="Do not show what the label should be.")] = False,
    decisions: Annotated[
        Path | None, typer.Option(help="Default RUN/decisions.jsonl, or ISSUES.decisions.jsonl.")
    ] = None,
    port: Annotated[int, typer.Option(help="0 is any that is free.")] = 0,
    host: Annotated[str, typer.Option(help="The interface. Others than this machine's own can be reached.")] = _LOCAL,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Put several files of decisions together instead.")] = False,
    out: Annotated[Path | None, typer.Option(help="With --merge: the file to write.")] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Look at the suspects in a browser, and decide.

    The address holds a token: whoever has it can decide. Every decision is on the disk before the page moves on; Ctrl-C
    ends the review, and the same command goes on with it. With --merge, the arguments are files of decisions: thresher
    review --merge ann.jsonl bob.jsonl --out both.jsonl says how far they agree.
    """
    if merge:
        _merge([Path(one) for one in sources], out, as_json)
        return
    if len(sources) > 1 or out is not None:
        what = "--out belongs to --merge" if out is not None else f"{len(sources)} sources are given"
        raise UsageError(f"{what}: review one run or one table of issues at a time")
    from thresher.data import Reading
    from thresher.review.opening import Wish, opened
    from thresher.review.serve import listen

    place = listen(host, port)
    wish = Wish(
        source=sources[0],
        annotator=_user() if annotator is None else annotator,
        data=data,
        reading=Reading(label=label or "label", path=path, text=text, id=id_column),
        root=root,
        decisions=decisions,
        top=top,
        minutes=budget,
        blind=blind,
        hide=hide,
    )
    with place:
        _refuse_idle(wish)
        found = opened(wish)
        with found.log:
            _serve(found, place, host, not no_browser, as_json)


def _refuse_idle(wish: Any) -> None:
    """Refuse options that would mean nothing without data."""
    named = {"label": wish.reading.label != "label", "path": wish.reading.path, "text": wish.reading.text}
    for name, given in {**named, "id": wish.reading.id}.items():
        if given and wish.data is None:
            raise UsageError(f"--{name} says how a table is read: name the table with --data, or leave it out")


def _serve(found: "Review", place: Any, host: str, browser: bool, as_json: bool) -> None:
    from thresher.review.serve import is_local, serve

    if not is_local(host):
        typer.echo(f"warning: {host} can be reached from other machines, and what is sent is not encrypted", err=True)

    def started(address: str, port: int) -> None:
        queue = found.session.queue
        about = {
            "url": address,
            "port": port,
            "decisions": str(found.log.path),
            "rows": len(queue),
            "decided": found.session.progress()["decided"],
            "annotator": found.session.annotator,
        }
        typer.echo(json.dumps(about) if as_json else address)
        for line in _beginning(found, about):
            typer.echo(line, err=True)

    serve(found, place, host, told=started, browser=browser)
    for line in _end(found):
        typer.echo(line, err=as_json)


def _beginning(found: "Review", about: dict[str, Any]) -> list[str]:
    """What a person should know who opens the page."""
    lines = [f"{_rows(about['rows'])}, {about['decided']:,} decided by {about['annotator']}; Ctrl-C ends the review"]
    plan = found.expected()
    if plan is not None and plan.count:
        span = f"{plan.low:,.0f} to {plan.high:,.0f}"
        lines.append(f"about {plan.found:,.0f} of {plan.count:,} suspects are expected to be wrong ({span})")
    return lines


def _end(found: "Review") -> list[str]:
    """What came out of it."""
    progress = found.session.progress()
    state = found.log.state
    lines = [f"decided {progress['decided']:,} of {_rows(progress['total'])}"]
    lines[0] += f": {found.log.path}" if state.version else ""  # a file without records does not stay
    if precision := progress["precision"]:
        low, high = precision["low"], precision["high"]
        lines.append(f"wrong among the suspects decided: {precision['value']:.1%} ({low:.1%} to {high:.1%})")
    missed = found.session.audited()
    if missed is not None:
        low, high = missed.rate_low, missed.rate_high
        lines.append(f"wrong among labels that nobody suspects: {missed.rate:.1%} ({low:.1%} to {high:.1%})")
    if missed is not None and missed.recall is not None:
        lines.append(f"so the suspects hold about {missed.recall:.0%} of all wrong labels")
    return [*lines, *([f"next: {found.command}"] if state.decided() else [])]  # or there is nothing to apply


def _rows(number: int) -> str:
    return f"{number:,} row{'s' if number != 1 else ''}"


def _merge(paths: list[Path], out: Path | None, as_json: bool) -> None:
    """Put files of decisions together, and say how far people agree."""
    from thresher.cli.files import refuse_existing, write
    from thresher.decisions import merge
    from thresher.decisions.agreement import compare

    if len(paths) < 2:
        raise UsageError("--merge needs two or more files of decisions: name them one after the other")
    refuse_existing(out)
    state = merge(paths)
    if out is not None:
        write(out, b"".join(one.line() for one in state.records).decode())
    about = _agreement(state, compare(state), out)
    typer.echo(json.dumps(about) if as_json else _in_words(about))


def _agreement(state: Any, found: Any, out: Path | None) -> dict[str, Any]:
    """How far people agree, as plain values; kappa is null where it is not defined."""
    people = state.annotators()
    return {
        "out": None if out is None else str(out),
        "records": state.version,
        "rows": len(state.decided()),
        "annotators": list(people),
        "agreement": None if found.agreement is None else _plain(found.agreement.observed),
        "alpha": None if found.agreement is None else _plain(found.agreement.alpha),
        "pairs": []
        if found.kappa is None
        else [
            {"annotators": [a, b], "kappa": _plain(found.kappa.loc[a, b])}
            for n, a in enumerate(found.kappa.index)
            for b in found.kappa.index[n + 1 :]
        ],
        "disagreements": found.disagreements.to_dict("records"),
    }


def _plain(value: float) -> float | None:
    return round(float(value), 4) if value == value else None  # noqa: PLR0124 - not a number


def _in_words(about: dict[str, Any]) -> str:
    """What a person reads about a merge."""
    lines = [f"{about['records']:,} records of {', '.join(about['annotators'])} about {_rows(about['rows'])}"]
    if about["agreement"] is None:
        lines.append("no row was decided by two of them, so nothing can be said of their agreement")
    else:
        differ = len(about["disagreements"])
        lines.append(f"agreement on rows that two or more decided: {about['agreement']:.1%}; they differ on {differ:,}")
    for pair in about["pairs"]:
        kappa = "not defined" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
        lines.append(f"  {' and '.join(pair['annotators'])}: Cohen's kappa {kappa}")
    return "\n".join([*lines, *([] if about["out"] is None else [f"decisions: {about['out']}"])])


def _user() -> str:
    """The name of whoever is at work here."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run without names
        return "reviewer"
