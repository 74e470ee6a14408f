"""Labels, ids and groups in every form that people keep them in."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.data.columns import column, encode, lookup, names, to_numpy
from thresher.errors import UsageError


@pytest.mark.parametrize(
    ("labels", "codes", "classes"),
    [
        ([0, 1, 2, 1], [0, 1, 2, 1], ("0", "1", "2")),
        ([5, 6, 5], [0, 1, 0], ("5", "6")),
        ([0.0, 1.0, 0.0], [0, 1, 0], ("0", "1")),
        ([True, False], [1, 0], ("False", "True")),
        (["dog", "cat", "dog"], [1, 0, 1], ("cat", "dog")),
        (["10", "9", "2"], [2, 1, 0], ("2", "9", "10")),
        (["b", "10", "9"], [2, 0, 1], ("10", "9", "b")),
        (np.array([1, 0], dtype=np.uint8), [1, 0], ("0", "1")),
        (np.array(["x", "y"], dtype=object), [0, 1], ("x", "y")),
        (np.array([1, 0.0], dtype=object), [1, 0], ("0", "1")),
        (torch.tensor([0, 1, 1]), [0, 1, 1], ("0", "1")),
        (torch.tensor([0.0, 1.0], dtype=torch.bfloat16), [0, 1], ("0", "1")),
    ],
)
def test_labels_of_every_kind(labels: object, codes: list[int], classes: tuple[str, ...]) -> None:
    found, named = encode(labels, "y")
    assert found.dtype == np.int64
    assert found.tolist() == codes
    assert named == classes


def test_eleven_classes_are_in_numeric_order() -> None:
    assert encode(list(range(11)), "y")[1] == tuple(str(k) for k in range(11))


def test_pandas_columns_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    assert encode(pandas.Series(["b", "a"]), "y")[1] == ("a", "b")
    assert encode(pandas.Series(["b", "a"], dtype="category"), "y")[1] == ("a", "b")
    with pytest.raises(UsageError, match="y holds an empty or missing value in 1 of 2 rows"):
        encode(pandas.Series(["b", None]), "y")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, -1, 1, -2], "y holds a negative label in 2 of 4 rows, the first is row 1: correct or remove it"),
        (np.array([0, np.nan, 1]), "y holds a value that is NaN or infinite in 1 of 3 rows, the first is row 1"),
        (np.array([0, np.inf, 1]), "y holds a value that is NaN or infinite in 1 of 3 rows"),
        ([0, float("nan"), 1], "y holds an empty or missing value in 1 of 3 rows, the first is row 1"),
        (["a", None, "b"], "y holds an empty or missing value in 1 of 3 rows, the first is row 1"),
        (["a", float("nan"), "b"], "y holds an empty or missing value in 1 of 3 rows"),
        (np.array(["a", ""]), "y holds an empty or missing value in 1 of 2 rows, the first is row 1"),
        ([0.5, 1.0], "y holds a fractional value, where whole numbers or names are needed in 1 of 2 rows"),
        ([1e300, 1.0], "y holds a number too large to be exact in 1 of 2 rows"),
        (np.array([2**63, 1], dtype=np.uint64), "y holds 9223372036854775808, which is too large"),
        ([1, 1, 1], "every label in y is '1': training needs two classes or more"),
        ([], "y is empty: training needs labels"),
        (["cat"], "every label in y is 'cat'"),
        ([0, 1, 3, 1], "class 2 has no row in y, though labels go from 0 to 3"),
        ([0, 7], "classes 1 to 6 have no row in y, though labels go from 0 to 7"),
        (["cat", "dog", 1], "y mixes numbers and text, first in row 2: give all labels as one of them"),
        ([True, 2], "y mixes numbers and true/false, first in row 1"),
        ([b"cat", b"dog"], "y holds values of type bytes: give whole numbers, true/false, or text"),
        (np.array([b"cat", b"dog"]), r"y has dtype \|S3: give whole numbers"),
        (np.array([1j, 2]), "y has dtype complex128"),
        (np.eye(3), r"y has shape \[3, 3\] where one value per row is needed: take the argmax"),
        (np.array([[1], [0]]), r"y has shape \[2, 1\] where one value per row is needed: flatten it"),
        (3, r"y has shape \[\] where one value"),
        (torch.tensor([0, 1]).to_sparse(), "y is a sparse or quantised tensor: pass a dense one"),
    ],
)
def test_bad_labels_are_refused_in_a_sentence(labels: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}"):
        encode(labels, "y")


@given(st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.none()), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_list_is_read_back_or_refused(values: list[object]) -> None:
    try:
        codes, classes = encode(values, "y")
    except UsageError:
        return
    assert [str(value) for value in column(values, "y").tolist()] == [classes[code] for code in codes]
    assert sorted(set(codes.tolist())) == list(range(len(classes)))


def test_lookup_knows_the_training_classes_only() -> None:
    assert lookup([2, 0], ("0", "1", "2"), "y_test").tolist() == [2, 0]
    with pytest.raises(UsageError, match=r"^y_test holds 'emu', unknown to the training labels \('cat', 'dog'\)"):
        lookup(["cat", "emu"], ("cat", "dog"), "y_test")
    with pytest.raises(UsageError, match=r"^y_test holds '3', '4', '5' and 2 more, unknown"):
        lookup([0, 3, 4, 5, 6, 7], ("0", "1"), "y_test")


def test_names_are_objects() -> None:
    assert names(np.array([3, 1]), "id").tolist() == ["3", "1"]
    assert names(["a", "b"], "id").dtype == object


def test_lists_stay_objects() -> None:
    assert to_numpy(["cat", 1], "y").tolist() == ["cat", 1]
