"""Figures: what is drawn, where labels go, and SVG that behaves inside a page."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import StepPatch

from thresher.report import figures, svg
from thresher.report.figures import Curve, Dots
from thresher.report.palette import PALETTE, run_colors


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("role", sorted(set(PALETTE) - {"rule", "surface"}))
@pytest.mark.parametrize("mode", [0, 1])
def test_every_colour_of_text_can_be_read(role: str, mode: int) -> None:
    a, b = luminance(PALETTE[role][mode]), luminance(PALETTE["surface"][mode])
    assert (max(a, b) + 0.05) / (min(a, b) + 0.05) >= 4.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_spread_keeps_order_gap_and_bounds(positions: list[float]) -> None:
    placed = figures.spread(positions, 0.08, 0.0, 1.0)
    order = np.argsort(positions, kind="stable")
    gaps = np.diff(np.array(placed)[order])
    assert (gaps >= 0.08 - 1e-9).all()
    assert max(placed) <= 1.0 + 1e-9
    assert min(placed) >= -1e-9


def test_curves_name_ends_and_mark_the_selected_epoch() -> None:
    x = np.arange(1, 4)
    lines = [
        Curve("gce", x, np.array([0.2, 0.8, np.nan]), "green", mark=2),
        Curve("elr", x, np.array([0.3, 0.8, 0.9]), "blue", bold=True),
    ]
    axes = figures.curves(lines, title="Accuracy", ceiling=0.6).axes[0]
    assert {"gce", "elr", "ceiling 60%"} <= {text.get_text() for text in axes.texts}
    assert [np.size(line.get_xdata()) for line in axes.lines] == [3, 1, 3, 2]
    assert axes.get_ylim()[0] == pytest.approx(0.2)


def test_histogram_counts_every_label_once_and_scales_the_fit() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(4000) < 0.3
    values = np.where(wrong, rng.normal(2, 0.5, 4000), rng.normal(-1, 0.4, 4000))
    groups = SimpleNamespace(means=np.array([-1, 2]), variances=np.array([0.16, 0.25]), weights=np.array([0.7, 0.3]))
    axes = figures.histogram(values, title="Loss", xlabel="loss", wrong=wrong, groups=groups).axes[0]
    right, both = (patch.get_data() for patch in axes.patches if isinstance(patch, StepPatch))
    assert right[0].sum() == (~wrong).sum()
    assert (both[0] - both[2]).sum() == wrong.sum()
    width = np.diff(right[1])[0]
    areas = [
        np.trapezoid(np.asarray(line.get_ydata()), np.asarray(line.get_xdata())) / width for line in axes.lines[1:]
    ]
    assert areas == pytest.approx([2800, 1200], rel=0.02)


def test_matrix_writes_counts_and_leaves_zeros_empty() -> None:
    axes = figures.matrix(np.array([[0, 7], [1, 0]]), ["a", "b"], title="", xlabel="x", ylabel="y").axes[0]
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == [((1, 0), "7"), ((0, 1), "1")]
    assert len(axes.patches) == 4
    empty = figures.matrix(np.zeros((2, 2)), ["a", "b"], title="", xlabel="x", ylabel="y")
    assert len(empty.axes[0].texts) == 0


def test_names_in_any_script_stay_text() -> None:
    names = ["猫", "$\\frac", "a\x00b", "<&>", '#1b2026 id="x']
    figure = figures.matrix(np.eye(5), names, title="", xlabel="x", ylabel="y")
    document = svg.document(figure, "names")
    texts = {element.text for element in ElementTree.fromstring(document).iter("{http://www.w3.org/2000/svg}text")}  # noqa: S314
    assert {"猫", "$\\frac", "a b", "<&>", '#1b2026 id="x'} <= texts
    assert '#1b2026 id="x' in svg.inline(document, "n", "alt")


def test_inline_svg_takes_the_colours_of_the_page() -> None:
    figure = figures.curves([Curve("elr", np.arange(3), np.arange(3) / 3, "blue")], title="T")
    document = svg.document(figure, "t")
    element = svg.inline(document, "t", 'says "yes"')
    assert "&#34;yes&#34;" in element
    assert "var(--blue)" in element
    assert not re.search(r"(fill|stroke): #[0-9a-f]{6}", element)
    assert document == svg.document(
        figures.curves([Curve("elr", np.arange(3), np.arange(3) / 3, "blue")], title="T"), "t"
    )


def test_run_colors_run_out_into_grey() -> None:
    colors = run_colors(9, chosen=0)
    assert colors[0] == "blue"
    assert colors[-2:] == ["muted", "muted"]
    assert len(set(colors[:7])) == 7


def test_ranges_draw_every_interval_and_name_two_series() -> None:
    first = Dots("elr", np.array([0.5, 0.9]), np.array([0.4, 0.8]), np.array([0.6, 0.95]), "blue")
    second = Dots("plain", np.array([0.3, np.nan]), np.array([0.2, np.nan]), np.array([0.4, np.nan]), "muted")
    figure = figures.ranges(["cat", "$x$"], [first, second], title="", xlabel="share")
    axes = figure.axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["elr", "plain"]
    assert list(np.asarray(axes.lines[0].get_xdata())) == [0.5, 0.9]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is on top
    assert not figures.ranges(["cat", "$x$"], [first], title="", xlabel="share").legends
