import json
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.data import encoding
from thresher.data.cells import distinct, kind_of, numbers
from thresher.data.encoding import TableEncoder
from thresher.errors import UsageError


def fit(**columns: Any) -> TableEncoder:
    return TableEncoder.fit(pd.DataFrame(columns), "a.csv")


def encoded(encoder: TableEncoder, **columns: Any) -> list[list[float]]:
    features: list[list[float]] = encoder.encode(pd.DataFrame(columns), "b.csv").tolist()
    return features


def stored(encoder: TableEncoder) -> TableEncoder:
    facts, arrays = encoder.facts()
    return TableEncoder.from_facts(json.loads(json.dumps(facts)), arrays)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3e4", " 7 "], "number"),
        (["1", "", "NA", "?", "null", "N/A"], "number"),
        (["True", "false"], "number"),
        (["", ""], "number"),
        (["0", "0.5", "-0.5"], "number"),
        (["007", "8"], "names"),
        (["1", "two"], "names"),
        (["2024-02-29", "2024-03-01T10:00:00Z"], "time"),
        (["2024-02-30"], "names"),
        (["2024"], "number"),
        (["1212-12-12", "9999-01-01 10:00"], "time"),
        (["2024-01-05x"], "names"),
        (["-0", ":"], "names"),
        (["1,5"], "names"),
    ],
)
def test_what_text_is(cells: list[str], kind: str) -> None:
    assert kind_of(pd.Series(cells, dtype=object)) == kind
    assert kind_of(pd.Series(cells, dtype="str")) == kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pd.Series([1, 2], dtype="Int64"), "number"),
        (pd.Series([True, None], dtype="boolean"), "number"),
        (pd.Series([1.5, None]), "number"),
        (pd.Series(["1", "2"], dtype="category"), "names"),
        (pd.to_datetime(pd.Series(["2024-01-01", None])), "time"),
        (pd.to_datetime(pd.Series(["2024-01-01"])).dt.tz_localize("Europe/Berlin"), "time"),
        (pd.to_timedelta(pd.Series([5, 6]), unit="s"), "number"),
        (pd.Series([1, "a", None], dtype=object), "names"),
        (pd.Series([1j]), "names"),
    ],
)
def test_what_types_are(cells: pd.Series, kind: str) -> None:
    assert kind_of(cells) == kind


def test_numbers_of_every_type() -> None:
    times = pd.Series(["1970-01-01T00:00:10", None])
    assert numbers(pd.to_datetime(times), "time").values.tolist()[0] == 10
    assert np.isnan(numbers(pd.to_datetime(times), "time").values[1])
    assert numbers(pd.to_datetime(times).dt.tz_localize("Etc/GMT-1"), "time").values[0] == 10 - 3600
    assert numbers(pd.to_timedelta(pd.Series([5]), unit="min"), "number").values.tolist() == [300]
    assert numbers(pd.Series([True, None], dtype="boolean"), "number").values[0] == 1
    assert numbers(pd.Series([5.0, None]), "time").strange.tolist() == [True, False]
    assert numbers(pd.to_datetime(times), "number").strange.tolist() == [True, False]


def test_different_values_stay_different() -> None:
    assert distinct(pd.Series([1, "1", True, 1.0, "True"], dtype=object))[1] == ["1", "True"]
    codes, texts = distinct(pd.Series([" a", "a ", None, np.nan, ""], dtype=object))
    assert codes.tolist() == [0, 0, 1, 1, 1]
    assert texts == ["a", ""]
    assert distinct(pd.Series([[1, 2], {"a": 1}], dtype=object))[1] == ["[1, 2]", "{'a': 1}"]


def test_numbers_are_standardised() -> None:
    encoder = fit(a=["1", "2", "6"])
    assert encoder.feature_names == ("a",)
    spread = np.std([1, 2, 6])
    expected = [[-2 / spread], [-1 / spread], [3 / spread]]
    np.testing.assert_allclose(encoded(encoder, a=[1, 2.0, 6]), expected, rtol=1e-6)
    assert encoded(fit(a=[4, 4]), a=[4, 5]) == [[0], [1]]


def test_seconds_keep_their_precision() -> None:
    encoder = fit(t=["2024-01-01T00:00:00", "2024-01-01T00:00:02"])
    assert encoded(encoder, t=["2024-01-01T00:00:01", "2024-01-01 00:00:02"]) == [[0], [1]]
    assert encoded(encoder, t=pd.to_datetime(["2024-01-01T00:00:00"])) == [[-1]]


def test_missing_numbers() -> None:
    encoder = fit(a=["1", "", "3", "8"], b=[1.0, 2.0, 3.0, 4.0])
    assert encoder.feature_names == ("a", "a is missing", "b")
    (gone, mark, b), (three, unmarked, _) = encoded(encoder, a=["NA", "3"], b=[None, 1])
    assert gone == three  # the median
    assert (mark, unmarked, b) == (1, 0, 0)


def test_names_and_others() -> None:
    names = [f"n{k}" for k in range(60) for _ in range(61 - k)]
    encoder = fit(a=names, b=["x", "", *["x"] * (len(names) - 2)])
    assert encoder.feature_names[:2] == ("a = n0", "a = n1")
    assert encoder.feature_names[49:] == ("a = n49", "a = any other", "b = x", "b is missing")
    rows = np.array(encoded(encoder, a=["n0", "n59", "new", None], b=["x", None, "new", ""]))
    assert [np.flatnonzero(row).tolist() for row in rows] == [[0, 51], [50, 52], [50], [50, 52]]


def test_typed_cells_meet_text() -> None:
    encoder = fit(a=["1", "x"], b=["1.5", "2"], c=["True", "False"])
    assert encoded(encoder, a=[1], b=[2], c=[True]) == encoded(encoder, a=["1"], b=["2"], c=["true"])
    assert encoded(encoder, a=[1.0], b=[2], c=[1]) == encoded(encoder, a=["1"], b=["2"], c=["True"])


def test_far_values_stay_finite() -> None:
    assert encoded(fit(a=[1e-300, 2e-300]), a=[1e29, -1e29]) == [[1e6], [-1e6]]
    assert np.isfinite(encoded(fit(a=[1e30, -1e30]), a=[1e30])).all()


@pytest.mark.parametrize(
    ("columns", "pattern"),
    [
        ({"a": ["x"], "b": [1]}, r"'x' in the column 'a' of b\.csv, row 0, is no number, as those were"),
        ({"a": ["1", "x", "y"], "b": [1, 1, 1]}, r"'x' in the column 'a' of b\.csv, row 1, and 1 more like it, is no"),
        ({"a": ["inf"], "b": [1]}, r"'inf' in the column 'a' of b\.csv, row 0, is infinite or too large"),
        ({"a": [1e31], "b": [1]}, r"is infinite or too large"),
        ({"a": pd.to_datetime(["2024-01-01"]), "b": [1]}, r"is no number"),
        ({"a": [1], "B": [1]}, r"b\.csv has no column 'b', but 'a', 'B': it needs the 2 columns that were trained on"),
    ],
)
def test_new_rows_that_do_not_fit(columns: dict[str, Any], pattern: str) -> None:
    with pytest.raises(UsageError, match=pattern):
        encoded(fit(a=["1", "2"], b=[1, 2]), **columns)


@pytest.mark.parametrize(
    ("columns", "pattern"),
    [
        ({"a": ["1", "inf"]}, r"'inf' in the column 'a' of a\.csv, row 1, is infinite or too large"),
        ({"a": ["1,5", "2"]}, r"the column 'a' of a\.csv holds numbers with commas \('1,5'\)"),
        ({"a": ["1,234,567.5", "2"]}, r"holds numbers with commas"),
        ({"a": ["x/1.JPG", "2.png"]}, r"holds names of images: read them with --path a"),
        ({"a": ["", "NA"], "b": [None, None]}, r"no column left to learn from \('a' is empty; 'b' is empty\): add"),
        ({"a": [f"key {k}" for k in range(60)]}, r"no column left .*'a' differs in almost every row.*--text"),
    ],
)
def test_tables_that_cannot_be_learned_from(columns: dict[str, Any], pattern: str) -> None:
    with pytest.raises(UsageError, match=pattern):
        fit(**columns)


@pytest.mark.parametrize(
    ("cells", "pattern"),
    [
        ([f"key {k}" for k in range(60)], r"the column 'a' of a\.csv is left out, for it differs in almost every row"),
        ([str(59 - k) for k in range(60)], r"'a' of a\.csv is left out, for it numbers the rows"),
        ([""] * 60, r"is left out, for it is empty"),
    ],
)
def test_columns_left_out(cells: list[str], pattern: str) -> None:
    with pytest.warns(UserWarning, match=pattern):
        encoder = fit(a=cells, b=[k * k for k in range(60)])
    assert encoder.feature_names == ("b",)
    assert len(encoded(encoder, b=[1])) == 1  # the column need not be there later


def test_near_numbers_are_told() -> None:
    with pytest.warns(
        UserWarning, match=r"'a' of a\.csv counts as names, for 1 of its 20 cells are no numbers, .*'x' in"
    ):
        fit(a=["1"] * 10 + ["2"] * 9 + ["x"])
    with warnings.catch_warnings():
        fit(a=["1", "x"])  # half of them is no slip


def test_too_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "WIDEST", 3)
    with pytest.raises(UsageError, match=re.escape("a.csv would become 4 features, and 3 is the limit")):
        fit(a=["x", "y"], b=["x", "y"])


cell = st.one_of(
    st.none(), st.text(max_size=3), st.integers(-9, 9).map(str), st.floats(-1e29, 1e29).map(str), st.just("2024-01-05")
)


@settings(max_examples=60)
@given(st.lists(st.tuples(cell, cell, st.floats(-1e29, 1e29)), min_size=1, max_size=9))
def test_stored_encoders_give_the_same_bits(rows: list[tuple[Any, Any, float]]) -> None:
    table = pd.DataFrame(rows, columns=["a", "b", "c"]).astype({"a": object, "b": object})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoder = TableEncoder.fit(table, "a.csv")
        except UsageError:
            return
    once, again = encoder.encode(table, "a.csv"), stored(encoder).encode(table, "a.csv")
    assert once.tobytes() == again.tobytes()
    assert stored(encoder) == encoder
    assert np.isfinite(once).all()
    assert once.shape == (len(table), len(encoder.feature_names))
    text = table.astype({"c": object}).map(lambda one: "" if pd.isna(one) else str(one))
    assert encoder.encode(text, "a.csv").tobytes() == once.tobytes()
