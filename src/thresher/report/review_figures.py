"""The figures about a review: what the first labels are worth, and whether probabilities mean what they say."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from thresher.report import figures
from thresher.report.figures import Curve
from thresher.report.palette import light, style


def precision(
    n: np.ndarray,
    expected: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    stop: int = 0,
) -> Figure:
    """The share of wrong labels among the first n.

    Args:
        n: numbers of labels, rising, integer ``[m]``, two or more.
        expected: the share expected, 0..1, ``[m]``.
        low: the lower end of its interval.
        high: the upper end.
        truth: the real share, where known.
        stop: how many labels are worth a look; 0 draws no line.

    Example:
        >>> n, share = np.arange(1, 4), np.array([0.9, 0.8, 0.6])
        >>> axes = precision(n, share, share - 0.1, share + 0.1, stop=2).axes[0]
        >>> [text.get_text() for text in axes.texts]
        ['expected', 'worth a look: 2']
    """
    lines = [Curve("expected", n, expected, "blue", bold=True)]
    if truth is not None:
        lines.append(Curve("really wrong", n, truth, "vermilion"))
    least = min(float(np.min(line.y)) for line in lines)
    bottom = max(0.0, np.floor(10 * min(least, float(low.min()), 0.9)) / 10)
    figure = figures.curves(lines, title="", bottom=bottom)
    with style("precision"):
        axes = figure.axes[0]
        axes.fill_between(n, low, high, color=light("blue"), alpha=0.18, linewidth=0)
        axes.set(xlabel="first labels of the list", xlim=(0, n[-1]), ylabel="wrong among them")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if stop:
            late = stop > 0.6 * n[-1]
            axes.axvline(stop, color=light("ink"), linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                f"worth a look: {stop:,}", (stop, 0), (-5 if late else 5, 6), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right" if late else "left", fontsize=9, color=light("ink"),
            )  # fmt: skip
    return figure


def reliability(mean: np.ndarray, wrong: np.ndarray, low: np.ndarray, high: np.ndarray) -> Figure:
    """What was said against what is so; dots on the dashed line mean that probabilities can be taken at their word.

    Args:
        mean: mean probability of each bin, 0..1, ``[B]``.
        wrong: share of its labels that is wrong, 0..1, ``[B]``.
        low: the lower end of the interval of that share.
        high: the upper end.

    Example:
        >>> half = np.array([0.5])
        >>> len(reliability(half, half, half - 0.1, half + 0.1).axes[0].lines)
        2
    """
    with style("reliability"):
        figure = Figure(figsize=(4.7, 3.1), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=light("muted"), linewidth=1, linestyle=(0, (4, 3)))
        axes.vlines(mean, low, high, color=light("vermilion"), linewidth=1.4, alpha=0.75)
        axes.plot(mean, wrong, "o", color=light("vermilion"), markersize=5, clip_on=False, zorder=3)
        axes.set(xlabel="probability that the label is wrong", ylabel="really wrong", xlim=(0, 1), ylim=(0, 1))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
            axis.set_major_locator(MaxNLocator(5))
        return figure
