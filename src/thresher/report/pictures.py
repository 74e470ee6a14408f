"""Which figures a report has, with the words beneath them and the words for those who do not see them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from thresher.parts import mixture
from thresher.report import figures, sentences, tables, words
from thresher.report.figures import Curve, Dots, column
from thresher.report.palette import run_colors
from thresher.report.view import Report, RunView

CURVES = 8
"""Runs that figures over epochs show at most."""

_MIXED = 100_000


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its file name (without ending) and its text alternative."""

    name: str
    figure: Figure
    alt: str


_WITH_TRUTH = (
    ("clean_right", "right: learned", "ink"),
    ("wrong_right", "wrong: true class", "blue"),
    ("wrong_memorised", "wrong: by heart", "vermilion"),
    ("wrong_other", "wrong: neither", "muted"),
)
_WITHOUT_TRUTH = (("train", "as labelled", "vermilion"), ("changes", "changed its mind", "blue"))
_SCORES = (
    ("score_loss", "Loss", "loss, above the line between its two groups"),
    ("score_margin", "Margin over training", "minus the mean margin over training"),
)


def accuracy(report: Report) -> list[Picture]:
    """Accuracy over epochs of all runs: on clean test data, and on the held-out noisy labels, as far as known."""
    panels = (
        ("test", "On clean test data", None),
        ("valid", "On held-out labels, wrong ones included", sentences.ceiling(report)),
    )
    return [
        Picture(
            f"accuracy-{name}",
            figures.curves(lines, title=title, ceiling=None if top is None else top[0]),
            f"Line chart. Accuracy over epochs. {title}: " + sentences.ends([(line.name, line.y) for line in lines]),
        )
        for name, title, top in panels
        if (lines := _run_curves(report, name))
    ]


def memorisation(report: Report) -> list[Picture]:
    """Per run, what became of rightly and wrongly labelled samples; without truth, agreement and changes of mind."""
    pictures = []
    for run in _plain_first(report):
        known = column(run.history, "wrong_memorised") is not None
        lines = list(_fraction_curves(run, _WITH_TRUTH if known else _WITHOUT_TRUTH, bold=known))
        if lines:
            alt = f"Line chart. Training samples of {run.title} over epochs: "
            alt += sentences.ends([(line.name, line.y) for line in lines])
            name = f"memorisation-{report.runs.index(run) + 1}-{slug(run.title)}"
            title = f"{run.title}, chosen" if run is report.run and len(report.runs) > 1 else run.title
            pictures.append(Picture(name, figures.curves(lines, title=title, bottom=0.0), alt))
    return pictures


def histograms(report: Report) -> list[Picture]:
    """How losses and margins of the chosen run are spread."""
    issues = report.run.issues
    wrong = report.wrong_labels
    return [_histogram(issues, wrong, *spec) for spec in _SCORES if column(issues, spec[0]) is not None]


def pairs(report: Report) -> Picture | None:
    """Given against suggested label of the suspects, as counts; where classes are many, those of the top pairs."""
    suspects = report.suspects
    if not len(suspects):
        return None
    names = busiest(suspects, report.classes)
    shown = suspects[suspects["given"].isin(names) & suspects["suggested"].isin(names)]
    table = pd.crosstab(shown["given"], shown["suggested"]).reindex(index=names, columns=names, fill_value=0)
    values = table.to_numpy()
    i, j = np.unravel_index(values.argmax(), values.shape)
    alt = f"Heat map of given against suggested labels; the largest cell is {names[i]} to {names[j]}: {values[i, j]}."
    figure = figures.matrix(values, names, title="", xlabel="suggested label", ylabel="given label")
    return Picture("given-suggested", figure, alt)


def classes(report: Report, rows: pd.DataFrame) -> Picture | None:
    """The share of suspects per class, beside the share that really is wrong where that is known.

    Args:
        report: what to tell.
        rows: as from `thresher.report.tables.by_class`.
    """
    if not report.run.flagged.any() or len(rows) < 2:
        return None
    rows = _shown(rows)
    shown = [_dots("called wrong", rows, "blue")]
    if "wrong" in rows:
        shown.append(_dots("really wrong", tables.with_interval(rows, "wrong", "labels"), "vermilion"))
    figure = figures.ranges(rows["name"].tolist(), shown, title="", xlabel="share of the labels of each class")
    alt = (
        f"Chart of the share of labels called wrong per class, with 95 % intervals. {sentences.worst(rows, 'doubted')}"
    )
    return Picture("suspects-per-class", figure, alt)


def recalls(report: Report) -> Picture | None:
    """Test accuracy per class of the chosen run, and of ordinary training where that is known."""
    if not report.run.per_class:
        return None
    rows = _shown(tables.recalls(report.run.per_class))
    if not len(rows):
        return None
    names, shown = rows["name"].tolist(), [_dots(report.run.title, rows, "blue")]
    plain = report.plain
    if plain is not None and plain.per_class:
        other = tables.recalls(plain.per_class).set_index("name").reindex(names)
        shown.insert(0, _dots(plain.title, other, "muted"))
    figure = figures.ranges(names, shown, title="", xlabel="share of the class predicted right")
    alt = f"Chart of test accuracy per class, with 95 % intervals. {sentences.worst(rows, 'right')}"
    return Picture("accuracy-per-class", figure, alt)


def transitions(report: Report) -> Picture | None:
    """The noise that was put in, as percent of each true class."""
    values = (report.noise or {}).get("matrix")
    if values is None or len(values) > figures.MATRIX_LIMIT:
        return None
    values = np.asarray(values, dtype=float)
    alt = f"Heat map of true against given labels; on average {words.percent(values.diagonal().mean(), 0)} stay right."
    labels = {"xlabel": "given label", "ylabel": "true label"}
    figure = figures.matrix(values, list(report.classes), title="", percent=True, **labels)
    return Picture("noise", figure, alt)


def busiest(suspects: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """The classes that a matrix shows, in their own order: all, or those of the most frequent pairs."""
    if len(classes) <= figures.MATRIX_LIMIT:
        return list(classes)
    pairs = words.pairs(suspects)
    names = dict.fromkeys(pairs[["given", "suggested"]].head(2 * figures.MATRIX_LIMIT**2).to_numpy().ravel())
    top = set(list(names)[: figures.MATRIX_LIMIT])
    return [name for name in classes if name in top]


def slug(title: str) -> str:
    """A title as part of a file name.

    Example:
        >>> slug("ELR, CDR <7>")
        'elr-cdr-7'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _run_curves(report: Report, name: str) -> list[Curve]:
    """One curve per run that has the column, the chosen one last and so on top."""
    colors = run_colors(len(report.runs), report.chosen)
    order = sorted(sorted(report.order[:CURVES]), key=lambda i: i == report.chosen)
    return [
        Curve(run.title, _epochs(run), y, colors[i], bold=i == report.chosen, mark=run.best_epoch)
        for i in order
        if (y := column((run := report.runs[i]).history, name)) is not None
    ]


def _fraction_curves(run: RunView, specs: tuple[tuple[str, str, str], ...], *, bold: bool) -> Iterator[Curve]:
    for name, label, color in specs:
        y = column(run.history, name)
        if y is not None:
            yield Curve(label, _epochs(run), y, color, bold=bold and name == "wrong_memorised")


def _histogram(issues: pd.DataFrame, wrong: np.ndarray | None, name: str, title: str, xlabel: str) -> Picture:
    values = issues[name].to_numpy(dtype=float)
    known = np.isfinite(values)
    values, wrong = values[known], None if wrong is None else wrong[known]
    some = values[:: max(1, len(values) // _MIXED)]
    groups = mixture.fit(some) if len(np.unique(some)) > 2 else None
    figure = figures.histogram(values, title=title, xlabel=xlabel, wrong=wrong, groups=groups)
    alt = f"Histogram of {len(values):,} labels by {xlabel}; {int((values > 0).sum()):,} are called wrong."
    return Picture(f"histogram-{slug(title)}", figure, alt)


def _plain_first(report: Report) -> list[RunView]:
    """Ordinary training, then the chosen run, so that the two stand side by side; then the others."""
    runs = [report.runs[i] for i in report.order[:CURVES]]
    return sorted(runs, key=lambda run: 0 if run is report.plain else 1 if run is report.run else 2)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The classes that the table beside a chart names."""
    return rows if len(rows) <= tables.ROWS else rows.head(tables.ROWS - 1)


def _dots(name: str, rows: pd.DataFrame, color: str) -> Dots:
    value, low, high = (rows[column].to_numpy(dtype=float) for column in ("share", "low", "high"))
    return Dots(name, value, low, high, color)


def _epochs(run: RunView) -> np.ndarray:
    return run.history["epoch"].to_numpy()
