"""The figures of the report: data in, matplotlib `Figure` out. No global state, no files.

Lines are named where they end rather than in a legend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from thresher.audit.dynamics import TwoGroups
from thresher.report.palette import light, style
from thresher.report.words import both_ends, shorten

_PANEL = (4.7, 3.1)
_LINE_GAP = 0.062
_NAME_LENGTH = 18
_LONG_NAME = 26
MATRIX_LIMIT = 14
"""Classes that a matrix figure shows at most."""


@dataclass(frozen=True, eq=False)
class Dots:
    """One share per row of a chart, each with its interval: float ``[K]``, NaN where a row has none."""

    name: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    color: str


@dataclass(frozen=True)
class Curve:
    """One named line over epochs; `y` may hold NaN; `mark` is an epoch to put a dot on."""

    name: str
    x: np.ndarray
    y: np.ndarray
    color: str
    bold: bool = False
    mark: int | None = None


def curves(lines: Sequence[Curve], *, title: str, ceiling: float | None = None, bottom: float | None = None) -> Figure:
    """Fractions over epochs as lines, each named where it ends.

    Args:
        lines: what to draw; later ones lie on top.
        title: short text above the axes.
        ceiling: a fraction to mark by a dashed line, the best a noisy accuracy can be.
        bottom: the lower end of the axis; by default a little below the lowest value.

    Example:
        >>> line = Curve("elr", np.arange(3), np.array([0.2, 0.5, 0.9]), "blue", bold=True)
        >>> len(curves([line], title="Accuracy").axes[0].lines)
        1
    """
    with style(title):
        figure, axes = _panel(title)
        for line in lines:
            _draw_curve(axes, line)
        if ceiling is not None:
            axes.axhline(ceiling, color=light("muted"), linestyle=(0, (4, 3)), linewidth=1)
            axes.annotate(
                f"ceiling {ceiling:.0%}", (0, ceiling), (2, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", color=light("muted"), fontsize=9,
            )  # fmt: skip
        drawn = [float(np.nanmin(line.y)) for line in lines] + ([] if ceiling is None else [ceiling])
        axes.set_ylim(max(0.0, np.floor(min([*drawn, 0.9]) * 10) / 10) if bottom is None else bottom, 1.01)
        axes.set_xlabel("epoch")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        _name_ends(axes, lines)
        return figure


def histogram(
    values: np.ndarray,
    *,
    title: str,
    xlabel: str,
    wrong: np.ndarray | None = None,
    groups: TwoGroups | None = None,
    line: float = 0.0,
) -> Figure:
    """How a score is spread, with the two groups that a mixture of two normals sees in it.

    Args:
        values: scores, float ``[N]``, finite.
        title: short text above the axes.
        xlabel: what the score is, with its units.
        wrong: bool ``[N]``, which labels are wrong, where that is known; the bars are then coloured by it.
        groups: the fitted mixture, drawn as two curves.
        line: where the score begins to call a label wrong.

    Example:
        >>> figure = histogram(np.linspace(-1, 1, 50), title="Loss", xlabel="loss")
        >>> figure.axes[0].patches[0].get_data().values
        array([7., 6., 6., 6., 6., 6., 6., 7.])
    """
    with style(title):
        figure, axes = _panel(title)
        edges = np.histogram_bin_edges(values, bins=min(40, max(8, int(np.sqrt(len(values))))))
        _bars(axes, values, edges, wrong)
        axes.axvline(line, color=light("ink"), linewidth=1)
        axes.annotate(
            "called wrong →", (line, 1), (4, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
            va="top", fontsize=9,
        )  # fmt: skip
        if groups is not None:
            _group_lines(axes, groups, edges, area=len(values) * (edges[1] - edges[0]))
        axes.set_xlabel(xlabel)
        axes.set_ylabel("labels")
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        return figure


def matrix(
    values: np.ndarray, names: Sequence[str], *, title: str, xlabel: str, ylabel: str, percent: bool = False
) -> Figure:
    """A square heat map with its numbers in the cells; zeros stay empty.

    Args:
        values: counts or fractions ``[K, K]``.
        names: one name per row and column.
        title: short text above the axes.
        xlabel: what the columns are.
        ylabel: what the rows are.
        percent: the values are fractions, to be shown as percent.

    Example:
        >>> counts = np.array([[0, 3], [1, 0]])
        >>> figure = matrix(counts, ["cat", "dog"], title="Counts", xlabel="suggested", ylabel="given")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['3', '1']
    """
    with style(title):
        size = 1.6 + 0.36 * max(len(names), 4)
        figure = Figure(figsize=(size + 0.5, size), layout="constrained")
        axes = figure.add_subplot()
        _cells(axes, values, percent=percent)
        short = [both_ends(name, _NAME_LENGTH) for name in names]
        steep = max(map(len, short), default=0) > 2
        axes.set_xticks(range(len(names)), short, rotation=45 if steep else 0, ha="right" if steep else "center")
        axes.set_yticks(range(len(names)), short)
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
        return figure


def ranges(names: Sequence[str], series: Sequence[Dots], *, title: str, xlabel: str) -> Figure:
    """Shares with their intervals, one row per name, the first on top; several series are named in a legend.

    Args:
        names: one per row.
        series: what to draw.
        title: short text above the axes.
        xlabel: what is a share of what.

    Example:
        >>> half = Dots("elr", np.array([0.5]), np.array([0.4]), np.array([0.6]), "blue")
        >>> [tick.get_text() for tick in ranges(["cat"], [half], title="", xlabel="right").axes[0].get_yticklabels()]
        ['cat']
    """
    with style(title + xlabel):
        figure = Figure(figsize=(_PANEL[0], 1.2 + 0.235 * len(names) + 0.3 * (len(series) > 1)), layout="constrained")
        axes = figure.add_subplot()
        rows = np.arange(len(names))
        for k, dots in enumerate(series):
            y = rows + 0.3 * (k - (len(series) - 1) / 2)
            axes.hlines(y, dots.low, dots.high, color=light(dots.color), linewidth=1.4, alpha=0.75)
            axes.plot(dots.value, y, "o", color=light(dots.color), markersize=4.5, label=shorten(dots.name))
        axes.set_yticks(rows, [both_ends(name, _LONG_NAME) for name in names])
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=xlabel, title=title)
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], min_n_ticks=3))
        if len(series) > 1:
            figure.legend(loc="outside upper left", ncols=len(series), frameon=False, fontsize=9.5, handletextpad=0.2)
        return figure


def column(history: pd.DataFrame, name: str) -> np.ndarray | None:
    """A column of a history as float ``[epochs]``, or None where it is absent or empty.

    Example:
        >>> column(pd.DataFrame({"test": [0.5, None]}), "test"), column(pd.DataFrame(), "test")
        (array([0.5, nan]), None)
    """
    if name not in history:
        return None
    values = history[name].to_numpy(dtype=float, na_value=np.nan)
    return None if np.isnan(values).all() else values


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart so that neighbours are `gap` away and all lie within low..high, if there is room.

    Example:
        >>> spread([0.5, 0.5, 0.9], 0.25, 0.0, 1.0)
        [0.5, 0.75, 1.0]
    """
    order = np.argsort(positions, kind="stable")
    placed: list[float] = []
    for i in order:
        placed.append(max(positions[i], placed[-1] + gap) if placed else max(positions[i], low))
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], high if k == len(placed) - 1 else placed[k + 1] - gap)
    result = [0.0] * len(placed)
    for place, i in zip(placed, order, strict=True):
        result[i] = float(place)
    return result


def _panel(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_PANEL, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, pad=10)
    return figure, axes


def _draw_curve(axes: Axes, line: Curve) -> None:
    color, width = light(line.color), 2.4 if line.bold else 1.4
    axes.plot(line.x, line.y, color=color, linewidth=width)
    if line.mark is not None and (line.x == line.mark).any():
        axes.plot(line.mark, line.y[line.x == line.mark][0], "o", color=color, markersize=4 + width)


def _name_ends(axes: Axes, lines: Sequence[Curve]) -> None:
    """Write every line's name to the right of its last known value, moved apart where ends meet."""
    low, high = axes.get_ylim()
    ends = [line.y[~np.isnan(line.y)][-1] for line in lines]
    places = spread(ends, _LINE_GAP * (high - low), low, high)
    for line, place in zip(lines, places, strict=True):
        axes.annotate(
            shorten(line.name, _NAME_LENGTH), (1, place), (5, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", color=light(line.color), fontsize=9.5,
            fontweight="bold" if line.bold else "normal",
        )  # fmt: skip


def _bars(axes: Axes, values: np.ndarray, edges: np.ndarray, wrong: np.ndarray | None) -> None:
    """Bars of all values, or of the rightly and the wrongly labelled on top of each other."""
    parts = [(values, "muted", "")] if wrong is None else [
        (values[~wrong], "teal", "label right"), (values[wrong], "vermilion", "label wrong"),
    ]  # fmt: skip
    below = np.zeros(len(edges) - 1)
    for part, role, name in parts:
        heights = np.histogram(part, edges)[0]
        axes.stairs(below + heights, edges, baseline=below, fill=True, color=light(role), alpha=0.55, linewidth=0)
        if name and heights.any():
            peak = int(heights.argmax())
            axes.annotate(
                name, (edges[peak : peak + 2].mean(), below[peak] + heights[peak]), (0, 3), ha="center",
                textcoords="offset points", color=light(role), fontsize=9,
            )  # fmt: skip
        below = below + heights
    axes.set_ylim(0, max(1.0, float(below.max())) * 1.18)


def _group_lines(axes: Axes, groups: TwoGroups, edges: np.ndarray, area: float) -> None:
    """The two fitted normals, each scaled to the number of labels it stands for."""
    x, top = np.linspace(edges[0], edges[-1], 200), axes.get_ylim()[1]
    for mean, variance, weight in zip(groups.means, groups.variances, groups.weights, strict=True):
        density = np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        axes.plot(x, np.minimum(area * weight * density, 2 * top), color=light("ink"), linewidth=1.3)
    axes.set_ylim(0, top)


def _cells(axes: Axes, values: np.ndarray, *, percent: bool) -> None:
    """One tinted square per value; the tint is an opacity, so that it works on light and dark pages."""
    top = float(values.max()) or 1.0
    for i, j in np.ndindex(*values.shape):
        share = float(values[i, j]) / top
        box = Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, facecolor=light("blue"), alpha=0.06 + 0.54 * share)
        axes.add_patch(box)
        if share:
            text = f"{values[i, j] * 100:.0f}" if percent else f"{values[i, j]:.0f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=9 if len(text) < 4 else 7)
