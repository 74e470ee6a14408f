import csv
import gzip
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from thresher.data import Reading, load, reader_from
from thresher.data.images import ImageReader, Skipped
from thresher.data.table import TableReader, load_table, load_test_table
from thresher.errors import ThresherError, UsageError

PEOPLE = "id,age,job,label\n007,30,cook,NA\n8,,judge,1\n9,50,cook,NA\n10,41,cook,1\n"


@pytest.fixture
def people(workplace: Path) -> Path:
    (workplace / "people.csv").write_text(PEOPLE)
    return Path("people.csv")


def written(text: str | bytes, name: str = "a.csv") -> Path:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return Path(name)


def again(reader: Any) -> TableReader:
    facts, arrays = reader.facts()
    restored = reader_from(json.loads(json.dumps(facts)), arrays)
    assert isinstance(restored, TableReader)
    return restored


def tensor(inputs: Any) -> torch.Tensor:
    """Inputs, once it is sure that they lie in memory."""
    assert isinstance(inputs, torch.Tensor)
    return inputs


def same(one: Any, two: Any) -> bool:
    return bool(torch.equal(one[0], two[0])) and one[1].tolist() == two[1].tolist()


def test_features(people: Path) -> None:
    data = load(str(people), reading=Reading(id="id"))
    assert data.name == "people"
    assert data.classes == ("1", "NA")
    assert data.train.labels.tolist() == [1, 0, 1, 0]
    assert data.train.keys.tolist() == ["007", "8", "9", "10"]
    assert tensor(data.train.inputs).dtype == torch.float32
    assert data.train.inputs.shape == (4, 4)
    assert data.reader.encoder.feature_names == ("age", "age is missing", "job = cook", "job = judge")  # type: ignore
    assert data.table is not None
    assert list(data.table.columns) == ["age", "job"]
    assert data.table["age"].dtype == np.float64
    assert data.shown is None
    assert load(str(people)).train.keys.tolist() == ["0", "1", "2", "3"]


def test_numbers_are_shown_as_numbers() -> None:
    data = load_table(pd.DataFrame({"a": ["1", "2"], "b": ["007", "x"], "label": ["x", "y"]}))
    assert data.table is not None
    assert data.table.to_dict("list") == {"a": [1, 2], "b": ["007", "x"]}
    assert data.table["a"].dtype == np.int64


def test_groups_and_an_id_that_is_shown() -> None:
    frame = pd.DataFrame({"t": ["one", "two", "six"], "g": [1, 1, 2], "y": [True, False, True]}, index=[5, 5, 5])
    data = load_table(frame, Reading(label="y", group="g", text="t", id="t"), "mine")
    assert data.name == "mine"
    assert data.train.groups is not None
    assert data.train.groups.tolist() == ["1", "1", "2"]
    assert data.classes == ("False", "True")
    assert data.train.keys.tolist() == ["one", "two", "six"]
    assert data.table is not None
    assert data.table.to_dict("list") == {"t": ["one", "two", "six"]}
    assert data.shown == "t"
    assert list(frame.columns) == ["t", "g", "y"]


def test_texts(workplace: Path) -> None:
    path = written('text,label,note\n"a good, ""fine"" day",yes,x\n"bad\nday",no,\n,yes,z\n')
    data = load_table(path, Reading(text="text"))
    assert data.table is not None
    assert data.table["text"].tolist() == ['a good, "fine" day', "bad\nday", ""]
    assert not tensor(data.train.inputs)[2].any()
    texts = ['a good, "fine" day', "bad\nday", None]
    for reader in (data.reader, again(data.reader)):
        assert reader is not None
        for source in (path, texts, np.array(texts, dtype=object), pd.Series(texts), pd.DataFrame({"text": texts})):
            assert same(reader.read(source, Reading(text="text")), (data.train.inputs, data.train.keys))
        assert reader.read(pd.DataFrame({"t2": texts}), Reading(text="t2"))[0].shape == data.train.inputs.shape


@pytest.mark.parametrize("classes", [("NA", "null"), ("1", "2"), ("true", "false"), ("é ß", "日本"), ("007", "7")])
def test_classes_of_every_name(classes: tuple[str, str], workplace: Path) -> None:
    path = written("a,label\n" + "".join(f"{k},{classes[k % 2]}\n" for k in range(4)))
    data = load_table(path)
    assert set(data.classes) == set(classes)
    assert [data.classes[k] for k in data.train.labels] == [classes[k % 2] for k in range(4)]


def test_ten_comes_after_two(workplace: Path) -> None:
    assert load_table(written("a,label\n1,10\n2,2\n3,1\n")).classes == ("1", "2", "10")


@pytest.mark.parametrize("name", ["a.tsv", "a.csv.gz", "a.txt", "b.c.csv"])
def test_file_names(name: str, workplace: Path) -> None:
    text = PEOPLE.replace(",", "\t").encode()
    path = written(gzip.compress(text) if name.endswith("gz") else text, name)
    assert load(str(path)).name == name.removesuffix(".gz").rpartition(".")[0]


@pytest.mark.parametrize(
    ("text", "reading", "pattern"),
    [
        ("", {}, r"a\.csv is empty: its first line must name the columns"),
        ("a,label\n", {}, r"a\.csv has no rows: give one per sample"),
        (
            "a,lable\n1,x\n",
            {},
            r"a\.csv has no column 'label', but 'lable', 'a': name the column of labels with --label",
        ),
        ("a b label\n1 2 x\n", {}, r"a\.csv has no column 'label', but 'a b label': name"),
        ("a,label\n1,x\n2,y\n", {"id": "key"}, r"has no column 'key', .*: name the column of keys with --id"),
        ("a,label\n1,x\n2,y\n", {"group": "g"}, r"has no column 'g', .*: name the column of groups with --group"),
        ("a,label\n1,x\n2,y\n", {"text": "t"}, r"has no column 't', .*: name the column of texts with --text"),
        ("a,label\n1,x\n2,y\n", {"path": "p"}, r"has no column 'p', .*: name the column of image paths with --path"),
        ("a,label\n1,x\n2,y\n", {"path": "a", "text": "a"}, r"both --path and --text are given"),
        ("a,label\n1,x\n2,y\n", {"id": "label"}, r"the column 'label' in a\.csv cannot be both --label and --id"),
        ("a,label\n1,x\n2,\n3,\n", {}, r"the column 'label' in a\.csv holds an empty .* in 2 of 3 rows, .* is row 1"),
        ("a,label\n1,x\n2,x\n", {}, r"every label in the column 'label' in a\.csv is 'x'"),
        ("a,label\n1,x\n", {}, r"every label in the column 'label' in a\.csv is 'x'"),
        ("label\nx\ny\n", {}, r"a\.csv has no column besides 'label': add features, texts or image paths"),
        ("id,label\n1,x\n2,y\n", {"id": "id"}, r"a\.csv has no column besides 'id', 'label'"),
        ("id,a,label\n1,1,x\n1,2,y\n", {"id": "id"}, r"'id' in a\.csv has the key '1' 2 times, and 2 of 2 rows share"),
        ("id,a,label\n1,1,x\n,2,y\n", {"id": "id"}, r"'id' in a\.csv holds an empty or missing value in 1 of 2 rows"),
        ("g,a,label\n1,1,x\n,2,y\n", {"group": "g"}, r"'g' in a\.csv holds an empty or missing value in 1 of 2 rows"),
        ("t,label\n,x\n ,y\n", {"text": "t"}, r"the column 't' in a\.csv is empty in every row: name .* --text"),
        ("t,label\n?,x\n!,y\n", {"text": "t"}, r"the column 't' in a\.csv holds no words at all"),
        (
            "p,label\n,x\nb.png,y\n",
            {"path": "p"},
            r"the column 'p' in a\.csv holds an empty or missing value in 1 of 2",
        ),
        (
            "a,label\n" + "".join(f"1,{k}.5\n" for k in range(30)),
            {},
            r"30 different numbers with fractions, a quantity",
        ),
        (
            "a,label\n" + "".join(f"1,n{k}\n" for k in range(60)),
            {},
            r"60 different values in 60 rows, which are no clas",
        ),
    ],
)
def test_what_is_refused(text: str, reading: dict[str, Any], pattern: str, workplace: Path) -> None:
    with pytest.raises(UsageError, match=pattern):
        load_table(written(text), Reading(**reading))


def test_no_file(workplace: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file absent\.csv: check the path"):
        load("absent.csv")
    Path("b.csv").mkdir()
    with pytest.raises(UsageError, match=r"b\.csv is a folder"):
        load("b.csv")


@pytest.mark.parametrize(
    ("labels", "pattern"),
    [
        ([0.5, 1.5], r"the column 'label' in the table holds a fractional value"),
        ([0.0, None], r"the column 'label' in the table holds an empty or missing value in 1 of 2 rows"),
        (["x", pd.NA], r"holds an empty or missing value in 1 of 2 rows, the first is row 1"),
        (["x", 1], r"mixes numbers and text"),
        (["x", "\ud800"], r"holds the text '\\ud800' in row 1, which no file can hold"),
    ],
)
def test_labels_of_frames(labels: list[object], pattern: str) -> None:
    with pytest.raises(UsageError, match=pattern):
        load_table(pd.DataFrame({"a": [1, 2], "label": pd.Series(labels, dtype=object)}))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pd.Series([0, 1], dtype="Int64"), ("0", "1")),
        (pd.Series([0, 1], dtype="category"), ("0", "1")),
        (pd.Series([False, True], dtype="boolean"), ("False", "True")),
        (pd.Series([0.0, 1.0]), ("0", "1")),
    ],
)
def test_typed_labels(labels: pd.Series, classes: tuple[str, str]) -> None:
    assert load_table(pd.DataFrame({"a": [1, 2], "label": labels})).classes == classes


def test_new_rows(people: Path) -> None:
    data = load(str(people), reading=Reading(id="id"))
    for reader in (data.reader, again(data.reader)):
        assert reader is not None
        assert same(reader.read(str(people), Reading(id="id")), (data.train.inputs, data.train.keys))
        new = pd.DataFrame({"job": ["smith", None], "extra": [1, 2], "age": [None, 30]})
        inputs, keys = reader.read(new, Reading(id="id"))  # keys of the training need not be there
        assert keys.tolist() == ["0", "1"]
        assert tensor(inputs)[:, 1:].tolist() == [[1, 0, 0], [0, 0, 0]]
        assert tensor(inputs)[1, 0] == tensor(data.train.inputs)[0, 0]
        with pytest.raises(UsageError, match=r"has no column 'name', but .*: name the column of keys with --id"):
            reader.read(new, Reading(id="name"))


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        (pd.DataFrame({"age": [1]}), r"the table has no column 'job', but 'age': it needs the 2 columns that were tra"),
        (pd.DataFrame({"age": [], "job": []}), r"the table has no rows"),
        (pd.DataFrame({"age": ["old"], "job": ["x"]}), r"'old' in the column 'age' of the table, row 0, is no number"),
        ("photos", r"photos cannot be read: the run was trained on a table, so give a \.csv file or a DataFrame"),
        ([[1, 2]], r"a list cannot be read: the run was trained on a table"),
        ("absent.csv", r"there is no file absent\.csv"),
    ],
)
def test_new_rows_that_do_not_fit(source: object, pattern: str, people: Path) -> None:
    reader = load(str(people), reading=Reading(id="id")).reader
    assert reader is not None
    with pytest.raises(UsageError, match=pattern):
        reader.read(source, Reading())


def test_new_texts_that_do_not_fit() -> None:
    reader = load_table(pd.DataFrame({"t": ["a b", "c d"], "label": [0, 1]}), Reading(text="t")).reader
    assert reader is not None
    with pytest.raises(UsageError, match=r"the table has no column 't', but 'x': name the column with --text"):
        reader.read(pd.DataFrame({"x": ["a"]}), Reading())
    with pytest.raises(UsageError, match=r"the list of texts has no rows"):
        reader.read([], Reading())
    with pytest.raises(UsageError, match=r"a ndarray cannot be read"):
        reader.read(np.array([["a", "b"]]), Reading())


def test_a_test_table(people: Path) -> None:
    other = written("age,job,label,id\n50,cook,1,a\n30,cook,NA,b\n", "test.csv")
    data = load(str(people), reading=Reading(id="id", test=str(other)))
    assert data.test is not None
    assert data.test.labels.tolist() == [0, 1]
    assert data.test.keys.tolist() == ["a", "b"]
    assert torch.equal(tensor(data.test.inputs)[1], tensor(data.train.inputs)[0])


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("age,job,label\n1,x,2\n", r"the column 'label' in test\.csv holds '2', unknown to the training labels"),
        ("age,job,label\n1,x,\n", r"the column 'label' in test\.csv holds an empty or missing value in 1 of 1 rows"),
        (
            "age,job\n1,x\n",
            r"test\.csv has no column 'label', but 'age', 'job': name the column of labels with --label",
        ),
        ("age,label\n1,NA\n", r"test\.csv has no column 'job'"),
        ("age,job,label\n", r"test\.csv has no rows"),
    ],
)
def test_test_tables_that_do_not_fit(text: str, pattern: str, people: Path) -> None:
    with pytest.raises(UsageError, match=pattern):
        load(str(people), reading=Reading(id="id", test=str(written(text, "test.csv"))))


def test_a_test_table_for_something_else(people: Path) -> None:
    with pytest.raises(UsageError, match=r"the test set people\.csv is a table, and the training set is not"):
        load_test_table(people, Reading(), ImageReader(4, 3), ("NA", "1"))


@pytest.fixture
def photos(workplace: Path) -> Path:
    """Eight images of 6x4 pixels, and a table that names them, in a folder of its own."""
    (workplace / "set" / "img").mkdir(parents=True)
    rows = []
    for k in range(8):
        Image.new("RGB", (6, 4), (30 * k, 0, 0)).save(f"set/img/{k}.png")
        rows.append(f"img/{k}.png,{'red' if k > 3 else 'black'},p{k // 2},{k}")
    return written("file,label,who,n\n" + "\n".join(rows), "set/photos.csv")


def test_images(photos: Path) -> None:
    reading = Reading(path="file", group="who")
    data = load(str(photos), reading=reading)
    assert data.train.inputs.shape == (8, 3, 4, 4)
    assert tensor(data.train.inputs)[:, 0, 0, 0].tolist() == [30 * k for k in range(8)]
    assert data.train.keys.tolist() == [str(k) for k in range(8)]
    assert data.train.groups is not None
    assert data.train.groups[5] == "p2"
    assert data.table is not None
    assert data.table["n"].tolist() == list(range(8))
    for reader in (data.reader, again(data.reader)):
        assert reader is not None
        assert same(reader.read(photos, reading), (data.train.inputs, data.train.keys))
        assert reader.read("set/img", Reading())[1].tolist() == [f"{k}.png" for k in range(8)]
        frame = pd.DataFrame({"file": ["set/img/3.png"]})  # relative to where the command runs
        assert tensor(reader.read(frame, Reading())[0])[0, 0, 0, 0] == 90
    data = load(str(photos), reading=Reading(path="file", id="file", test=str(photos)))
    assert data.train.keys[1] == "img/1.png"
    assert data.test is not None
    assert torch.equal(tensor(data.test.inputs), tensor(data.train.inputs))


def test_images_that_cannot_be_read(photos: Path) -> None:
    Path("set/img/2.png").write_bytes(b"no image")
    Path("set/img/5.png").unlink()
    with pytest.raises(ThresherError, match=r"2\.png .*; 2 of 8 images in photos\.csv are like that"):
        load(str(photos), reading=Reading(path="file"))
    reading = Reading(path="file", skip_bad=True, group="who", test=str(photos))
    with pytest.warns(Skipped, match=r"2 of 8 images in photos\.csv are left out, .*: img/2\.png, img/5\.png"):
        data = load(str(photos), reading=reading)
    kept = [0, 1, 3, 4, 6, 7]
    assert data.train.keys.tolist() == [str(k) for k in kept]
    assert data.train.labels.tolist() == [int(k > 3) for k in kept]
    assert data.train.groups is not None
    assert data.train.groups.tolist() == [f"p{k // 2}" for k in kept]
    assert data.table is not None
    assert data.table["n"].tolist() == kept
    assert data.test is not None
    assert data.test.labels.tolist() == data.train.labels.tolist()


def test_columns_left_out_are_told(workplace: Path) -> None:
    text = "name,a,label\n" + "".join(f"key{k},{k % 7},{k % 2}\n" for k in range(60))
    with pytest.warns(UserWarning, match=re.escape("the column 'name' of a.csv is left out, for it differs in almost")):
        data = load_table(written(text))
    assert data.table is not None
    assert list(data.table.columns) == ["name", "a"]  # people may still look at it


def test_fingerprints_repeat(workplace: Path) -> None:
    path = written("t,label\n" + "".join(f"word{k % 5} word{k % 3},{k % 2}\n" for k in range(40)))
    once, twice = (load_table(path, Reading(text="t")).fingerprint for _ in range(2))
    assert once == twice


value = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(value, value, st.sampled_from("xy")), min_size=2, max_size=8))
def test_any_table_is_read_or_refused(rows: list[tuple[str, str, str]], workplace: Path) -> None:
    with open("any.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("a", "b", "label"), *rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for reading in (Reading(), Reading(text="a")):
            try:
                data = load_table("any.csv", reading)
            except UsageError:
                continue
            assert [data.classes[k] for k in data.train.labels] == [row[2] for row in rows]
            assert same(again(data.reader).read("any.csv", reading), (data.train.inputs, data.train.keys))
