"""The page: one HTML file with everything in it, readable without a network, on paper, on a phone, in the dark."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from thresher.report import cards, kinds, people, pictures, review, sentences, svg, tables, words
from thresher.report.columns import Columns
from thresher.report.palette import PALETTE, run_colors
from thresher.report.pictures import Picture
from thresher.report.view import Report

PAIRS = 10
"""Pairs of classes that a table names at most."""

_SUMS = ("labels", "suspects", "expected", "wrong")


def write(path: Path, report: Report, *, apart: bool = True) -> Path:
    """Write the report to `path`, and its figures as SVG files to ``figures/`` beside it.

    Args:
        path: the HTML file; missing folders are made, an old report is replaced when the new one is complete.
        report: what to tell.
        apart: write the figures as files, too; the page holds them anyway.

    Returns:
        `path`.

    Raises:
        OSError: the files cannot be written.

    Example:
        >>> import tempfile
        >>> from thresher.report import RunView
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write(Path(folder) / "report.html", Report("toy", "2 rows", ["a", "b"], [RunView("elr")]))
        ...     "<title>toy" in page.read_text(encoding="utf-8")
        True
    """
    path = Path(path)
    drawn = _draw(report)
    documents = {p.name: svg.document(p.figure, p.name) for group in drawn.values() for p in group}
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items() if apart else ():
        _replace(path.parent / "figures" / f"{name}.svg", text)
    _replace(path, render(report, drawn, documents, apart=apart))
    return path


def render(
    report: Report, drawn: Mapping[str, Sequence[Picture]], documents: Mapping[str, str], *, apart: bool = True
) -> str:
    """The page as text.

    Args:
        report: what to tell.
        drawn: the figures by section.
        documents: their SVG by name.
        apart: whether the figures are files, too.
    """
    known, planned = Columns(report), review.expect(report)
    return template("page.html.j2").render(
        report=report,
        apart=apart,
        words=words,
        say=sentences,
        css=stylesheet(),
        drawings={
            section: [svg.inline(documents[p.name], p.name, p.alt) for p in group] for section, group in drawn.items()
        },
        colors=run_colors(len(report.runs), report.chosen),
        curves=pictures.CURVES,
        noise=noise_facts(report.noise),
        **_suspects(report, known),
        **_accuracy(report),
        **_kinds(report, known),
        correction=_correction(report, known),
        review=review,
        planned=planned,
        people=people.table(report.annotators),
        people_said=people.sentences(report.annotators, report.agreement),
        steps=sentences.steps(report),
    )


def noise_facts(noise: Mapping[str, Any] | None) -> dict[str, str]:
    r"""What is known about the noise, in words, without its matrix.

    Example:
        >>> noise_facts({"generator": "symmetric", "nominal": 0.4, "realised": 0.398, "seed": 0, "matrix": None})
        {'generator': 'symmetric', 'rate asked for': '40.0\xa0%', 'labels made wrong': '39.8\xa0%', 'seed': '0'}
    """
    rates = {"nominal": "rate asked for", "realised": "labels made wrong"}
    return {
        rates.get(name, name): words.percent(float(value)) if name in rates else str(value)
        for name, value in (noise or {}).items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def _suspects(report: Report, known: Columns) -> dict[str, Any]:
    """What the sections about suspects show."""
    run, suspects, wrong = report.run, report.suspects, report.wrong_labels
    found, contrasts = len(suspects) > 0, known.contrasts()
    return {
        "cards": cards.suspects(report, known),
        "contrasts": contrasts,
        "reach": max((abs(one.difference) for one in contrasts), default=1.0),
        "shown_classes": pictures.busiest(suspects, report.classes) if found else [],
        "pairs": tables.top(tables.pairs_expected(suspects), PAIRS + 1, ["count", "expected"]) if found else ([], None),
        "per_class": tables.top(tables.by_class(run.issues, run.flagged, wrong), tables.ROWS, _SUMS) if found else None,
        "witnesses": tables.witnesses(run.issues) if found else None,
        "doubted": tables.doubted_by(run.issues, run.flagged, wrong).to_dict("records") if found else [],
        "overlap": tables.overlap([report.runs[i] for i in report.order]),
    }


def _kinds(report: Report, known: Columns) -> dict[str, Any]:
    """What the sections about samples that are not simply labelled wrong show."""
    return {
        "copies": kinds.copies(report, known),
        "ambiguous": kinds.of_kind(report, known, "ambiguous"),
        "outliers": kinds.of_kind(report, known, "outlier"),
        "tags": kinds.TAGS,
    }


def _accuracy(report: Report) -> dict[str, Any]:
    """What the sections about accuracy show besides the report's own values."""
    per_class = report.run.per_class
    rows = tables.recalls(per_class) if per_class else None
    return {
        "balanced": [tables.balanced(run.per_class) for run in report.runs],
        "recalls": None if rows is None or rows.empty else tables.top(rows, tables.ROWS, ["right", "total"]),
    }


def _correction(report: Report, known: Columns) -> dict[str, Any] | None:
    """What the section about a correction shows."""
    if report.label_changes is None:
        return None
    changes = tables.changed(report)
    return {
        "said": sentences.correction(report),
        "pairs": tables.top(words.pairs(changes.rename(columns={"label": "suggested"})), PAIRS + 1, ["count"]),
        "cards": cards.changes(report, known),
        "count": len(changes),
        "runs": [] if report.before is None else [("before", report.before), ("after", report.run)],
    }


def _draw(report: Report) -> dict[str, list[Picture]]:
    """All figures, by the section they stand in."""
    run, planned = report.run, review.expect(report)
    counted = tables.by_class(run.issues, run.flagged, report.wrong_labels) if run.flagged.any() else pd.DataFrame()
    single = {
        "pairs": pictures.pairs(report),
        "noise": pictures.transitions(report),
        "classes": pictures.classes(report, counted),
        "recalls": pictures.recalls(report),
    }
    return {
        "accuracy": pictures.accuracy(report),
        "memorisation": pictures.memorisation(report),
        "histograms": pictures.histograms(report),
        "review": [] if planned is None else review.pictures(planned),
        **{name: [] if picture is None else [picture] for name, picture in single.items()},
    }


def template(name: str) -> Template:
    """A template of this package; what is put into it is escaped, and what it lacks is an error."""
    return Environment(
        loader=FunctionLoader(_own), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template(name)


def stylesheet() -> Markup:
    """The style of every page that Thresher writes, for light and dark and for paper."""
    return Markup(_colors() + _own("style.css"))  # noqa: S704 - our own file


def _own(name: str) -> str:
    """A file of this package."""
    return files("thresher.report").joinpath(name).read_text(encoding="utf-8")


def _colors() -> str:
    """The palette as CSS variables, for light and dark pages and for paper."""
    light = "".join(f"--{role}:{pair[0]};" for role, pair in PALETTE.items())
    dark = "".join(f"--{role}:{pair[1]};" for role, pair in PALETTE.items())
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
