from pathlib import Path

import numpy as np
import pytest

from thresher.data.labels import read_keyed, read_labels
from thresher.errors import UsageError

KEYS = np.array(["a/1.png", "007", "1.0", "é, b"], dtype=object)
CLASSES = ("NA", "1", "true")
WHOLE = 'key,label\n"é, b",true\n1.0,1\n007,NA\na/1.png,1\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def test_in_the_order_of_the_data(file: Path) -> None:
    for text in (WHOLE, "\ufeff" + WHOLE, WHOLE.replace(",", ";").replace('"é; b"', '"é, b"')):
        file.write_text(text, encoding="utf-8")
        found = read_labels(file, KEYS, CLASSES)
        assert found.labels.tolist() == [1, 0, 1, 2]
        assert found.labels.dtype == np.int64
        assert found.weights is None
        assert found.targets is None


def test_rows_left_out_weights_and_soft_labels(file: Path) -> None:
    file.write_text(
        "label,key,weight,p_true,p_NA,p_1,p_wrong\n"
        '1,"é, b",0.5,0.2,0.3,0.5001,x\n'
        ",1.0,,,,,\n"
        "NA,007,0,,,,\n"
        "true,a/1.png,2,1,0,0,\n"
    )
    found = read_labels(file, KEYS, CLASSES)
    assert found.labels.tolist() == [2, 0, -1, 1]
    assert found.weights is not None
    assert found.targets is not None
    assert found.weights.dtype == np.float32
    assert found.targets.dtype == np.float32
    assert found.weights.tolist() == [2, 0, 0, 0.5]
    expected = np.array([[0, 0, 1], [1, 0, 0], [0.29997, 0.50005, 0.19998]])
    np.testing.assert_allclose(found.targets[[0, 1, 3]], expected, atol=1e-5)
    np.testing.assert_allclose(found.targets.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", r"labels\.csv is empty"),
        ("key,label\n", r"labels\.csv has no rows"),
        (
            "id,label\n1,1\n",
            r"labels\.csv has no column 'key', but 'id', 'label': a file of labels needs key and label",
        ),
        ("key\n1\n", r"has no column 'label'"),
        ("key:label\n1:1\n", r"has no column 'key', but 'key:label'"),
        (WHOLE + "x,1\ny,1\n", r"has the key 'x', which the data does not know \(2 of 6 keys\)"),
        (WHOLE.replace("007", "7"), r"has the key '7', which the data does not know \(1 of 4 keys\)"),
        (WHOLE.replace("1.0,", "1,"), r"has the key '1', which"),
        (WHOLE + "007,NA\n007,NA\n", r"has the key '007' twice: list each once"),
        (WHOLE + "007,NA\n1.0,NA\n", r"has the key '007' twice, and 1 more: list each once"),
        ("key,label\n007,1\n", r"has no label for 3 of 4 rows, the first is 'a/1\.png'"),
        (WHOLE.replace("true", "tru"), r"has the label 'tru', which the data does not know: did you mean true\?"),
        ('key,label\n"é, b",\n1.0,\n007,\na/1.png,\n', r"has no label at all"),
        (b"key,label\n\xe9,1\n", r"labels\.csv is not UTF-8 text, for line 2 holds the byte 0xe9"),
        ("key,label\na,b,1\n", r"line 2 of .*labels\.csv has 3 cells"),
    ],
)
def test_what_is_refused(text: str | bytes, pattern: str, file: Path) -> None:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError, match=pattern):
        read_labels(file, KEYS, CLASSES)


@pytest.mark.parametrize(
    ("columns", "cells", "pattern"),
    [
        ("weight", "-1", r"has no weight of 0 or more for '007'"),
        ("weight", "", r"has no weight of 0 or more for '007'"),
        ("weight", "inf", r"has 'inf' in the column 'weight' for '007': give a number"),
        ("weight", "nan", r"has 'nan' in the column 'weight' for '007': give a number"),
        ("weight", "much", r"has 'much' in the column 'weight' for '007': give a number"),
        ("weight", "0", r"gives every row the weight 0"),
        ("p_NA", "1", r"has no column 'p_1', 'p_true': give soft labels for every class, or for none"),
        ("p_NA,p_1,p_true", "0.5,0.2,0.2", r"the soft label of '007' adds up to 0\.9: its probabilities"),
        ("p_NA,p_1,p_true", "1.5,-0.5,0", r"the soft label of '007' adds up to 1: its probabilities must be 0 or more"),
        ("p_NA,p_1,p_true", "1,0,", r"the soft label of '007'"),
        ("p_NA,p_1,p_true", "1,0,x", r"has 'x' in the column 'p_true' for '007': give a number"),
    ],
)
def test_weights_and_soft_labels_without_meaning(columns: str, cells: str, pattern: str, file: Path) -> None:
    file.write_text(f"key,label,{columns}\n007,NA,{cells}\n")
    with pytest.raises(UsageError, match=pattern):
        read_labels(file, KEYS[1:2], CLASSES)


def test_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    lines = [
        '{"key": "a/1.png", "label": "1", "weight": 0.5, "probabilities": {"NA": 0.25, "1": 0.75, "true": 0}}',
        '{"key": "007", "label": null, "weight": null, "probabilities": null}',
        '{"label": "true", "key": "1.0", "weight": 1}',
        '{"key": "é, b", "label": "NA", "weight": 2, "more": [1]}',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = read_labels(path, KEYS, CLASSES)
    assert found.labels.tolist() == [1, -1, 2, 0]
    assert found.weights is not None
    assert found.weights.tolist() == [0.5, 0.0, 1.0, 2.0]
    assert found.targets is not None
    assert found.targets[[0, 2, 3]].tolist() == [[0.25, 0.75, 0], [0, 0, 1], [1, 0, 0]]
    for text, pattern in (
        ("[1]\n", "line 1 of .* is no object"),
        (lines[0] + "\nx\n", "line 2 of .* is no JSON"),
        ('{"key": "a", "probabilities": 3}\n', "line 1 of .* is no object"),
        ('{"key": "a"}\n', "has no column 'label'"),
        ("\n", "has no column 'key'"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=pattern):
            read_labels(path, KEYS, CLASSES)
    path.write_bytes(b'{"key": "\xff"}\n')
    with pytest.raises(UsageError, match=r"line 1 of .* is no JSON"):
        read_labels(path, KEYS, CLASSES)
    with pytest.raises(UsageError, match="there is no file"):
        read_labels(tmp_path / "absent.jsonl", KEYS, CLASSES)


def test_some_rows(file: Path) -> None:
    file.write_text('key,label\n"é, b",true\n007,NA\n')
    rows, labels = read_keyed(file, KEYS, CLASSES)
    assert (rows.tolist(), labels.tolist()) == ([1, 3], [0, 2])
    assert rows.dtype == labels.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("key,label\n007,\n", r"has the label '', which the data does not know"),
        ("key,label\n7,NA\n", r"has the key '7', which the data does not know"),
        ("key,label\n007,NA\n007,1\n", r"has the key '007' twice"),
        ("key,label\n", r"has no rows"),
    ],
)
def test_some_rows_refused(text: str, pattern: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=pattern):
        read_keyed(file, KEYS, CLASSES)


def test_listings_whose_class_is_called_suggested(file: Path) -> None:
    file.write_text("key,given,suggested,p_suggested,label\n007,a,suggested,0.9,suggested\n")
    assert read_labels(file, KEYS[1:2], ("a", "suggested")).targets is None
    file.write_text("key,p_suggested,label\n007,0.9,suggested\n")
    with pytest.raises(UsageError, match="has no column 'p_a': give soft labels for every class"):
        read_labels(file, KEYS[1:2], ("a", "suggested"))
