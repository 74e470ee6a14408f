"""Figures that several studies draw: lines over epochs in panels, side by side, under one legend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from thresher.report.palette import light, style

ROLES = ("blue", "vermilion", "green", "purple", "amber", "brown", "ink", "teal", "muted")
"""Colours of lines, in their order."""

_WIDTHS = {1: 5.6, 2: 10.4, 3: 10.4}  # inches of a figure with so many panels in a row: as wide as the page
_HEIGHT = 3.0
_LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        lines: name -> y over x, or y alone over the epochs 1, 2, ...; one name has one colour in all panels.
        ylabel: what the values are, with their units.
        percent: the values are fractions, to be shown as percent, up to 100.
        bottom: of percent, the fraction where the axis begins.
        log: a logarithmic vertical axis.
        marks: name -> x, vertical lines with a name.
        level: name -> y, horizontal lines with a name.
        dashed: names of lines to be drawn dashed.
    """

    title: str
    lines: Mapping[str, "pd.Series | Sequence[float] | tuple[Sequence[float], Sequence[float]]"]
    ylabel: str = ""
    percent: bool = True
    bottom: float = 0.0
    log: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    level: Mapping[str, float] = field(default_factory=dict)
    dashed: Sequence[str] = ()


def lines(
    panels: Sequence[Panel],
    *,
    xlabel: str = "epoch",
    legend: str = "",
    across: int = 3,
    order: Sequence[str] = (),
    whole: bool = True,
) -> Figure:
    """Panels of lines with one legend above them.

    Args:
        panels: from left to right.
        xlabel: of all of them.
        legend: the heading of the legend.
        across: panels in a row at most, up to 3.
        order: names in the order of their colours, where another figure has given them colours already.
        whole: ticks of the horizontal axis are whole numbers.

    Example:
        >>> figure = lines([Panel("Test", {"a": [0.5, 0.6]}), Panel("Train", {"a": [0.1, 0.9]})])
        >>> len(figure.axes), figure.axes[0].get_xlabel()
        (2, 'epoch')
    """
    drawn = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    names = [*order, *(name for name in drawn if name not in order)]
    columns = min(across, len(panels))
    rows = -(-len(panels) // columns)
    with style("".join(names) + xlabel):
        figure = Figure(figsize=(_WIDTHS[columns], _HEIGHT * rows + 0.5), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, names)
            axes.set_xlabel(xlabel)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        for axes in grid[len(panels) :]:
            axes.remove()
        if len(drawn) > 1:
            _name(figure, drawn, legend, 3 * columns)
        return figure


def _name(figure: Figure, drawn: Sequence[str], title: str, columns: int) -> None:
    """One legend for all panels."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {name: handle for some, names in found for handle, name in zip(some, names, strict=True)}
    figure.legend(
        [handles[name] for name in drawn], drawn, loc="outside upper left", ncols=min(len(drawn), columns),
        frameon=False, fontsize=9.5, title=title or None, alignment="left", handlelength=1.6,
    )  # fmt: skip


def _draw(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    for name, values in panel.lines.items():
        x, y = values if isinstance(values, tuple) else (np.arange(1, len(values) + 1), values)
        k = names.index(name)
        dash = _LINES[1] if name in panel.dashed else _LINES[min(k // len(ROLES), 2)]
        axes.plot(x, y, color=light(ROLES[k % len(ROLES)]), linestyle=dash, label=name)
    axes.set_title(panel.title, pad=8)
    axes.set_ylabel(panel.ylabel)
    if panel.percent:
        axes.set_ylim(panel.bottom, 1 + 0.01 * (1 - panel.bottom))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if panel.log:
        log_axis(axes)
    _mark(axes, panel)


def log_axis(axes: Axes) -> None:
    """A logarithmic vertical axis with plain numbers, for the figures do not typeset mathematics."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _mark(axes: Axes, panel: Panel) -> None:
    """Named straight lines."""
    thin: dict[str, Any] = {"color": light("muted"), "linewidth": 1, "linestyle": (0, (4, 3))}
    for k, (name, place) in enumerate(sorted(panel.marks.items(), key=lambda item: item[1])):
        axes.axvline(place, **thin)
        axes.annotate(
            name, (place, 1 - k % 4 / 5), (2, -3), xycoords=("data", "axes fraction"), textcoords="offset points",
            va="top", rotation=90, fontsize=8, color=light("muted"),
        )  # fmt: skip
    for name, height in panel.level.items():
        axes.axhline(height, **thin)
        axes.annotate(
            name, (1, height), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
            fontsize=8, color=light("muted"),
        )  # fmt: skip
