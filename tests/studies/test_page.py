from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from thresher.errors import ThresherError
from thresher.studies._figures import Panel, lines
from thresher.studies.page import ROWS, Claim, Figure, Outcome, finding, write

BAD = "<script>alert(1)</script>"


def outcome(**changes: object) -> Outcome:
    parts: dict[str, object] = {
        "title": f"Title {BAD}",
        "question": f"Question {BAD}?",
        "settings": {f"data {BAD}": f"digits {BAD}"},
        "figures": [Figure("curve", lines([Panel(BAD, {BAD: [0.1, 0.2]})]), f"Caption {BAD}")],
        "tables": {
            "numbers": pd.DataFrame({f"a{BAD}": [BAD], "b": [0.123456]}),
            "long": pd.DataFrame({"n": range(ROWS + 1)}),
        },
        "claims": [Claim(f"Text {BAD}", f"source {BAD}", f"ours {BAD}", None, f"Sentence {BAD}")],
    }  # fmt: skip
    return Outcome(**{**parts, **changes})  # type: ignore[arg-type]


def test_everything_is_escaped_and_written(tmp_path: Path) -> None:
    made = {"command": f"thresher study x {BAD}", "seed": "0"}
    page = write(outcome(), tmp_path, quick=True, made=made, notes=[f"note {BAD}"])
    text = page.read_text()
    assert BAD not in text
    assert text.count("&lt;script&gt;") >= 12
    for word in ("Title", "Question", "Caption", "source", "ours", "Sentence", "note", "quick form", "open:"):
        assert word in text
    assert (tmp_path / "figures" / "curve.svg").read_text().startswith("<?xml")
    assert pd.read_csv(tmp_path / "numbers.csv").to_dict("list") == {f"a{BAD}": [BAD], "b": [0.123456]}
    assert len(pd.read_csv(tmp_path / "long.csv")) == ROWS + 1


def test_the_page_is_whole_and_dark_too(tmp_path: Path) -> None:
    text = write(outcome(), tmp_path, quick=False, made={"command": "thresher study x"}).read_text()
    assert "quick form" not in text
    assert "prefers-color-scheme:dark" in text
    assert "src=" not in text
    assert "var(--blue)" in text
    assert "0.1235" in text
    assert f"{ROWS + 1} rows" in text


def test_writing_twice_replaces(tmp_path: Path) -> None:
    write(outcome(), tmp_path, quick=True, made={})
    first = (tmp_path / "index.html").read_text()
    write(outcome(), tmp_path, quick=True, made={})
    assert (tmp_path / "index.html").read_text() == first
    assert not list(tmp_path.glob("**/*.tmp"))


def test_figures_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = [Figure("one", matplotlib.figure.Figure(), ""), Figure("one", matplotlib.figure.Figure(), "")]
    with pytest.raises(ThresherError, match="two figures"):
        write(outcome(figures=twice), tmp_path, quick=True, made={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ((True,), "The claim holds."),
        ((True, True), "All 2 claims hold."),
        ((False,), "0 of 1 claims hold, 1 does not."),
        ((True, False, False), "1 of 3 claims holds, 2 do not."),
        ((None, None), "0 of 2 claims hold, 2 stay open."),
    ],
)
def test_the_finding_counts(answers: tuple[bool | None, ...], sentence: str) -> None:
    assert finding([Claim("", "", "", answer, "") for answer in answers]) == sentence


def test_a_line_has_one_colour_in_all_panels() -> None:
    figure = lines([Panel("1", {"a": [0.1], "b": [0.2]}), Panel("2", {"b": [0.3]})])
    first, second = ({line.get_label(): line.get_color() for line in axes.lines} for axes in figure.axes)
    assert first["b"] == second["b"] != first["a"]


def test_marks_and_levels_are_named() -> None:
    axes = lines([Panel("1", {"a": [0.1, 0.2]}, marks={"here": 1.5}, level={"there": 0.5}, percent=False)]).axes[0]
    assert {text.get_text() for text in axes.texts} == {"here", "there"}


def test_a_comparison_of_numpys_numbers_counts() -> None:
    claims = [Claim("", "", "", holds, "") for holds in (np.float64(1.0) > 0, np.float64(1.0) < 0)]  # type: ignore[arg-type]
    assert finding(claims) == "1 of 2 claims holds, 1 does not."
