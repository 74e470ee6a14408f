"""Probabilities and labels from files: everything by name or by key, and what is in doubt is refused."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.data.probabilities import align, read_label_column, read_probabilities
from thresher.errors import UsageError

PETS = ("bird", "cat", "dog")
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
parquet = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8", "int64"])
def test_a_matrix(tmp_path: Path, dtype: str) -> None:
    values = np.eye(3)[:2] if dtype == "int64" else P
    np.save(tmp_path / "p.npy", values.astype(dtype))
    found, names, keys = read_probabilities(tmp_path / "p.npy", PETS)
    assert (names, keys) == (None, None)
    assert found.dtype == (np.float32 if dtype in ("float16", "float32") else np.float64)
    np.testing.assert_allclose(found, values, atol=1e-3)


@pytest.mark.parametrize("classes", [PETS, None])
def test_columns_are_put_in_order_by_name(tmp_path: Path, classes: tuple[str, ...] | None) -> None:
    path = write(tmp_path / "p.csv", "dog,key,bird,cat\n0.1,a,0.7,0.2\n0.8,b,0.1,0.1\n")
    found, names, keys = read_probabilities(path, classes)
    np.testing.assert_array_equal(found, P)
    assert names == PETS
    assert keys is not None
    assert keys.tolist() == ["a", "b"]


def test_numbers_as_names_are_ordered_by_value(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "10,9,2\n0.7,0.2,0.1\n")
    found, names, _ = read_probabilities(path)
    assert names == ("2", "9", "10")
    assert found.tolist() == [[0.1, 0.2, 0.7]]
    two = write(tmp_path / "two.csv", "1,0\n0.7,0.3\n")
    assert read_probabilities(two, ("0", "1"))[0].tolist() == [[0.3, 0.7]]
    halves = write(tmp_path / "halves.csv", "key,1.5,1.0\na,0.7,0.3\n")
    assert read_probabilities(halves, ("1.0", "1.5"))[0].tolist() == [[0.3, 0.7]]


def test_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "0.7,0.2,0.1\n0.1,0.1,0.8\n")
    found, names, keys = read_probabilities(path, PETS)
    assert (names, keys) == (None, None)
    np.testing.assert_array_equal(found, P)
    certain = write(tmp_path / "certain.csv", "0,1\n1,0\n")
    assert read_probabilities(certain, ("cat", "dog"))[0].tolist() == [[0, 1], [1, 0]]


def test_figures_survive(tmp_path: Path) -> None:
    values = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    pd.DataFrame(values, columns=["dog", "cat", "bird"]).to_csv(tmp_path / "p.csv", index=False)
    found = read_probabilities(tmp_path / "p.csv", PETS)[0]
    np.testing.assert_allclose(found, values[:, ::-1], rtol=1e-15)


def test_a_file_of_predictions(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "key,predicted,p_dog,p_bird,p_cat\nNA,bird,0.1,0.7,0.2\n7,dog,0.8,0.1,0.1\n")
    found, names, keys = read_probabilities(path, PETS)
    np.testing.assert_array_equal(found, P)
    assert names == PETS
    assert keys is not None
    assert keys.tolist() == ["NA", "7"]


def test_classes_with_awkward_names(tmp_path: Path) -> None:
    awkward = ("NA", "key", "nan", "p_x")
    path = write(tmp_path / "p.csv", "p_x,NA,nan,key\n0.1,0.2,0.3,0.4\n")
    assert read_probabilities(path, awkward)[0].tolist() == [[0.2, 0.4, 0.3, 0.1]]


@pytest.mark.parametrize("text", ["cat;dog\n0.5;0.5\n", "\ufeffcat,dog\r\n0.5,0.5\r\n", "\ncat\tdog\n0.5\t0.5\n\n"])
def test_separators_marks_and_line_ends(tmp_path: Path, text: str) -> None:
    found, names, _ = read_probabilities(write(tmp_path / "p.csv", text), ("cat", "dog"))
    assert names == ("cat", "dog")
    assert found.tolist() == [[0.5, 0.5]]


@parquet
def test_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"dog": [0.1, 0.8], "key": ["a", "b"], "bird": [0.7, 0.1], "cat": [0.2, 0.1]}).to_parquet(
        tmp_path / "p.parquet"
    )
    found, names, keys = read_probabilities(tmp_path / "p.parquet", PETS)
    np.testing.assert_array_equal(found, P)
    assert names == PETS
    assert keys is not None
    pd.DataFrame({"label": ["cat", "NA"]}).to_parquet(tmp_path / "l.parquet")
    assert read_label_column(tmp_path / "l.parquet")[0].tolist() == ["cat", "NA"]
    write(tmp_path / "damaged.parquet", "no")
    with pytest.raises(UsageError, match="damaged or no Parquet"):
        read_probabilities(tmp_path / "damaged.parquet")


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: Path) -> None:
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", absent)
    write(tmp_path / "p.parquet", "")
    with pytest.raises(UsageError, match=r"pip install 'thresher\[parquet\]'"):
        read_probabilities(tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cat,dog\n0.5,0.5\n", "lacks 'bird'"),
        ("bird,cat,dog,cow\n0.5,0.5,0,0\n", "has 'cow', which no label is"),
        ("Bird,cat,dog\n0.5,0.5,0\n", "lacks 'bird' and has 'Bird'"),
        ("0.5,0.5\n0.5,0.5\n", "2 columns, and the labels have 3 classes"),
        ("bird,cat,cat\n0.5,0.5,0\n", "column 'cat' twice"),
        (",bird,cat,dog\n0,0.5,0.5,0\n", "without a name.*index=False"),
        ("a,0.5,0.5,0\nb,0.5,0.5,0\n", "needs a header, with key"),
        ("bird,cat,dog\n0.5,0.5,0\n0.5,0.2,0\n", "row 1 sums to 0.7, as 1 of 2 rows"),
        ("key,bird,cat,dog\na,0.5,0.5,0\nb,0.5,0.2,0\n", r"row 1 \(key 'b'\)"),
        ("bird,cat,dog\n2.5,-1,-0.5\n", "goes from -1 to 2.5.*softmax"),
        ("bird,cat,dog\n70,20,10\n", "percent"),
        ("bird,cat,dog\n0.5,,0.5\n", "has '' in 'cat', row 0"),
        ("bird,cat,dog\n0.5,0.5,0\n0.5,x,0.5\n", "has 'x' in 'cat', row 1"),
        ("bird;cat;dog\n0,5;0,5;0\n", "written with a point|no regular table"),
        ("bird,cat,dog\n0.5,0.5,0\n0.5,0.5,0,0,0\n", "no regular table|columns below"),
        ("bird,cat,dog\n0.5,0.5\n", "2 columns below|probability is needed"),
        ("key,bird,cat,dog\na,0.5,0.5,0\na,0.5,0.5,0\n", "key 'a' twice"),
        ("key,bird,cat,dog\n,0.5,0.5,0\n", "an empty or missing value"),
        ("bird,cat,dog\n", "no rows"),
        ("", "is empty"),
        ("key\na\n", "lacks|no column of probabilities"),
        ("bird,cat,dog\ninf,0.5,0\n", "NaN or infinite|in 'bird'"),
    ],
)
def test_refused_tables(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_probabilities(write(tmp_path / "p.csv", text), PETS)


def test_refused_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_probabilities(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="of a kind that is not read"):
        read_probabilities(write(tmp_path / "p.xlsx", "x"))
    (tmp_path / "latin.csv").write_bytes("k\xf6ter,cat\n0.5,0.5\n".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        read_probabilities(tmp_path / "latin.csv")
    with pytest.raises(UsageError, match="the probabilities of one class, 'cat'"):
        read_probabilities(write(tmp_path / "one.csv", "key,cat\na,1\n"))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[0.5, None]], dtype=object), "could run code"),
        (np.array([0.5, 0.5]), r"of shape \[2\]"),
        (np.array([["a", "b"]]), "probabilities are numbers"),
        (np.array([[0.5, 0.5]]), "2 columns, and the labels have 3 classes"),
        (np.array([[0.5, 0.5, np.nan]]), "NaN or infinite"),
        (np.array([[0.5, 0.499, 0.0], [0.5, 0.4, 0.0]]), "row 1 sums to 0.9"),
        (np.zeros((0, 3)), "no rows"),
    ],
)
def test_refused_matrices(tmp_path: Path, array: Any, words: str) -> None:
    np.save(tmp_path / "p.npy", array, allow_pickle=True)
    with pytest.raises(UsageError, match=words):
        read_probabilities(tmp_path / "p.npy", PETS)


def test_damaged_matrix(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", P)
    whole = (tmp_path / "p.npy").read_bytes()
    for cut in (0, 3, 60, len(whole) - 5):
        (tmp_path / "p.npy").write_bytes(whole[:cut])
        with pytest.raises(UsageError, match="damaged or no"):
            read_probabilities(tmp_path / "p.npy")
    np.savez(tmp_path / "several.npz", a=P)
    (tmp_path / "several.npz").rename(tmp_path / "p.npy")
    with pytest.raises(UsageError, match="several arrays"):
        read_probabilities(tmp_path / "p.npy")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(4)), st.permutations(range(6)), st.integers(0, 999))
def test_any_order_of_columns_and_rows_means_the_same(
    tmp_path: Path, columns: list[int], rows: list[int], seed: int
) -> None:
    names = np.array(["1", "NA", "cat", "key"])
    values = np.random.default_rng(seed).dirichlet(np.ones(4), 6)
    table = pd.DataFrame(values[np.ix_(rows, columns)], columns=[f"p_{name}" for name in names[columns]])
    table.insert(seed % 5, "key", [f"k{row}" for row in rows])
    table.to_csv(tmp_path / "p.csv", index=False)
    found, _, keys = read_probabilities(tmp_path / "p.csv", tuple(names.tolist()))
    labels = np.array([f"k{row}" for row in range(6)], dtype=object)
    np.testing.assert_allclose(align(labels, labels, found, keys), values, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "text", "labels", "keys"),
    [
        ("l.csv", "key,label\na,cat\nNA,NA\n", ["cat", "NA"], ["a", "NA"]),
        ("l.csv", "label;note;key\n1;x;a\n01;y;b\n", ["1", "01"], ["a", "b"]),
        ("l.csv", "label\ncat\ndog\n", ["cat", "dog"], None),
        ("l.csv", "cat\ndog\ncat\n", ["cat", "dog", "cat"], None),
        ("l.csv", "species\n0\n1\n", ["0", "1"], None),
        ("l.csv", "0\n1\n1\n", ["0", "1", "1"], None),
        ("l.tsv", "key\tlabel\na\tblack, cat\n", ["black, cat"], ["a"]),
    ],
)
def test_labels(tmp_path: Path, name: str, text: str, labels: list[str], keys: list[str] | None) -> None:
    found, its = read_label_column(write(tmp_path / name, text))
    assert found.tolist() == labels
    assert (None if its is None else its.tolist()) == keys


def test_labels_in_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array([0, 10, 2]))
    assert read_label_column(tmp_path / "l.npy")[0].tolist() == ["0", "10", "2"]
    np.save(tmp_path / "l.npy", np.array(["cat", "NA"]))
    assert read_label_column(tmp_path / "l.npy")[0].tolist() == ["cat", "NA"]
    np.save(tmp_path / "l.npy", np.array(["cat", None], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="could run code"):
        read_label_column(tmp_path / "l.npy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("species\ncat\ndog\n", "may be a name or a label"),
        ("key,class\na,cat\n", "no column 'label' among key, class"),
        ("key,label\na,cat\na,dog\n", "key 'a' twice"),
        ("key,label\na,cat\nb,\n", "row 1"),
        ("key,label\na,cat,x\n", "no regular table"),
        ("\n\n", "is empty"),
    ],
)
def test_refused_labels(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_label_column(write(tmp_path / "l.csv", text))


def test_align_by_row_and_what_it_refuses() -> None:
    keys = np.array(["a", "b"], dtype=object)
    labels = np.array(["cat", "dog"], dtype=object)
    assert align(labels, None, P, keys) is P
    assert align(labels, keys, P, keys) is P
    with pytest.raises(UsageError, match="3 labels and 2 rows"):
        align(np.array(["cat"] * 3), None, P, keys)
    with pytest.raises(UsageError, match="the labels have 1 keys that the probabilities do not have, first 'c'"):
        align(np.array(["cat"] * 3), np.array(["a", "b", "c"]), P, keys)
    with pytest.raises(UsageError, match="the probabilities have 1 keys that the labels do not have, first 'b'"):
        align(np.array(["cat"]), np.array(["a"]), P, keys)
