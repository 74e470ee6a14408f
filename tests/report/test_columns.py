"""What is unusual about a sample, and how suspects differ from the rest."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from thresher.report import Report, RunView
from thresher.report.columns import Columns, excerpt, number


@pytest.fixture
def report() -> Report:
    """200 rows of two classes; row 0 is a suspect with a heavy weight and a rare colour for its class."""
    draws = np.random.default_rng(0)
    given = np.array(["cat", "dog"] * 100, dtype=object)
    weight = np.where(given == "cat", draws.normal(4, 0.5, 200), draws.normal(20, 3, 200))
    colour = np.where(given == "cat", "grey", "brown").astype(object)
    weight[0], colour[0], colour[2], colour[4] = 20.0, "brown", "brown", None
    table = pd.DataFrame({
        "constant": 1.0, "weight": weight, "colour": colour, "id": [f"row {n}" for n in range(200)],
        "tame": draws.random(200) < 0.5, "when": pd.Timestamp("2020-01-01"),
    })  # fmt: skip
    issues = pd.DataFrame({"key": [str(n) for n in range(200)], "row": np.arange(200), "given": given})
    issues["suggested"], issues["is_label_issue"] = "dog", np.arange(200) < 10
    return Report("t", "d", ["cat", "dog"], [RunView("elr", issues=issues)], table=table)


def test_the_unusual_comes_first_with_its_measure(report: Report) -> None:
    values = Columns(report).values([0], ["cat"])[0]
    assert [value.name for value in values[:2]] == ["weight", "colour"]
    others = report.table["weight"][10:][::2] if report.table is not None else pd.Series()
    z = (20.0 - others.mean()) / others.std(ddof=0)
    assert values[0].note == f"{z:.1f} standard deviations above the mean of cat"
    assert values[0].text == "20"
    assert values[1].note == "0\xa0% of cat"
    assert all(not value.note for value in values[2:])


def test_the_usual_the_missing_and_the_unique_have_no_note(report: Report) -> None:
    values = {value.name: value for value in Columns(report).values([4], ["cat"])[0]}
    assert values["colour"].text == "\N{EN DASH}"
    assert values["id"].text == "row 4"
    assert values["when"].text.startswith("2020-01-01")
    assert not any(value.note for value in values.values())


def test_numbers_that_are_not_finite(report: Report) -> None:
    assert report.table is not None
    table = report.table.assign(weight=report.table["weight"].where(report.table.index > 2, np.inf))
    known = Columns(dataclasses.replace(report, table=table))
    values = {value.name: value for value in known.values([0, 20], ["cat", "cat"])[0]}
    assert values["weight"].text == "inf"
    assert all(np.isfinite(one.difference) for one in known.contrasts())


def test_contrasts_by_hand(report: Report) -> None:
    assert report.table is not None
    table = report.table[["weight"]].assign(kind=["odd"] * 8 + ["even"] * 2 + ["odd"] * 19 + ["even"] * 171)
    flat = dataclasses.replace(report, table=table)
    by_name = {one.name: one for one in Columns(flat).contrasts()}
    kind = by_name["kind = odd"]  # of two values the first is named, for both differ alike
    assert kind.difference == pytest.approx((0.8 - 0.1) / np.sqrt((0.16 + 0.09) / 2))
    assert kind.suspects == "80.0\xa0% (49.0 to 94.3)"
    a, b = table["weight"][:10].to_numpy(), table["weight"][10:].to_numpy()
    assert by_name["weight"].difference == pytest.approx((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))


def test_a_column_that_separates_suspects_from_the_rest_comes_first(report: Report) -> None:
    assert report.table is not None
    apart = np.arange(200) < 10
    table = report.table[["weight"]].assign(camera=np.where(apart, "new", "old"), lens=apart * 7.0)
    found = Columns(dataclasses.replace(report, table=table)).contrasts()
    assert {found[0].name, found[1].name} == {"camera = new", "lens"}
    assert found[0].difference == pytest.approx(1 / np.sqrt(0.05 * 0.95))


def test_no_contrast_without_two_groups(report: Report) -> None:
    for flags in (True, False):
        issues = report.run.issues.assign(is_label_issue=flags)
        assert Columns(dataclasses.replace(report, runs=[RunView("elr", issues=issues)])).contrasts() == []
    assert Columns(dataclasses.replace(report, table=None)).contrasts() == []
    assert Columns(dataclasses.replace(report, runs=[RunView("elr")])).contrasts() == []


def test_columns_of_any_kind_and_name_are_read(report: Report) -> None:
    values = [[1], {"a": 1}, None, "x"] * 50
    table = pd.DataFrame({0: pd.array([1, None, 3, 4] * 50, dtype="Int64"), 1: pd.Categorical(["a", "b"] * 100)})
    table = pd.concat([table, pd.Series(values, name="mixed"), pd.Series(range(200), name="mixed")], axis=1)
    found = Columns(dataclasses.replace(report, table=table)).values([0, 1], ["cat", "dog"])
    assert sorted(value.text for value in found[0]) == ["0", "1", "[1]", "a"]
    assert "\N{EN DASH}" in [value.text for value in found[1]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two", "one two"),
        ("  one\n\ttwo ", "one two"),
        ("one two three", "one two…"),
        ("x" * 20, "xxxxxxxxxx…"),
        ("猫" * 20, "猫" * 10 + "…"),
        ("a\x1b[0m", "a [0m"),
        (float("nan"), ""),
        (None, ""),
        (pd.NA, ""),
        (12, "12"),
    ],
)
def test_excerpt_keeps_whole_words(text: object, shown: str) -> None:
    assert excerpt(text, 10) == shown


def test_numbers_for_people() -> None:
    assert [number(x) for x in (0.0, -1234.5, 1e20, 0.00001234)] == ["0", "-1,234", "1e+20", "1.23e-05"]
