"""The colours and settings of the figures.

Colours are after Okabe and Ito's set for colour-blind readers; every one of them has a partner for dark pages, which
`thresher.report.svg` puts in its place.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

PALETTE: Mapping[str, tuple[str, str]] = {
    "ink": ("#1b2026", "#e6e9ec"),
    "muted": ("#59636e", "#9aa5b1"),
    "rule": ("#d5dade", "#3a434d"),
    "surface": ("#fefefe", "#15191e"),
    "blue": ("#0070b0", "#5cb3ea"),
    "vermilion": ("#c44e00", "#ff8c42"),
    "green": ("#00785a", "#34c79d"),
    "purple": ("#a04c88", "#dc94c2"),
    "amber": ("#9a6a00", "#e8b13a"),
    "teal": ("#2a7f96", "#6fc3d6"),
    "brown": ("#7d5a3c", "#c6a283"),
}
"""Role -> colour on a light page, colour on a dark page."""

FONT = "DejaVu Sans"
"""The font that text is measured in; it comes with matplotlib and is wide, so that the reader's own font fits too."""

_STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": [FONT],
    "font.size": 10.5,
    "text.color": PALETTE["ink"][0],
    "text.parse_math": False,
    "axes.edgecolor": PALETTE["muted"][0],
    "axes.labelcolor": PALETTE["muted"][0],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": PALETTE["ink"][0],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALETTE["rule"][0],
    "grid.linewidth": 0.7,
    "xtick.color": PALETTE["muted"][0],
    "ytick.color": PALETTE["muted"][0],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
}
_SERIES = ("vermilion", "green", "purple", "amber", "teal", "brown")


@contextmanager
def style(salt: str) -> Iterator[None]:
    """The report's matplotlib settings, and ids in the SVG that depend on nothing but the drawing and `salt`."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}):
        yield


def light(role: str) -> str:
    """The colour of a role on a light page."""
    return PALETTE[role][0]


def run_colors(count: int, chosen: int) -> list[str]:
    """A palette role per run: blue for the chosen one, the others in turn, grey when colours run out.

    Example:
        >>> run_colors(3, chosen=2)
        ['vermilion', 'green', 'blue']
    """
    others = iter(_SERIES)
    return ["blue" if i == chosen else next(others, "muted") for i in range(count)]
