"""Tables of annotators in both forms, and every way to get them wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.annotators.table import VoteTable, expand, read_votes
from thresher.errors import UsageError

NAMES = ("cat", "dog", "007", "NA", "a|b")


def seen(table: VoteTable) -> set[tuple[str, str, str]]:
    votes = table.votes
    return {
        (str(table.keys[row]), votes.names[who], table.classes[label])
        for row, who, label in zip(votes.rows, votes.annotators, votes.labels, strict=True)
    }


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 5), st.sampled_from(["csv", "parquet", "frame"]))
def test_both_forms_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, people: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([*NAMES, ""], (n, people))
    labels[0, :2], labels[:, 0] = ("cat", "dog"), rng.choice(NAMES[:2], n)
    keys = [f"k{row}" for row in rng.permutation(n)]
    wide = pd.DataFrame(labels, columns=[f"who {a}" for a in range(people)])
    wide.insert(0, "key", keys)
    long = wide.melt("key", var_name="name", value_name="label").sample(frac=1, random_state=seed % 1000)
    folder = tmp_path_factory.mktemp("votes")

    def stored(frame: pd.DataFrame, name: str) -> Any:
        path = folder / f"{name}.{kind}"
        if kind == "frame":
            return frame.replace("", None)
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
        return path

    expected = {
        (key, f"who {a}", str(label))
        for key, row in zip(keys, labels, strict=True)
        for a, label in enumerate(row)
        if label
    }
    if len({label for *_, label in expected}) < 2 or len({who for _, who, _ in expected}) < 2:
        return
    one = read_votes(stored(wide, "wide"), annotators="who *")
    two = read_votes(stored(long, "long"), annotator="name", keys=np.array(keys, dtype=object))
    assert seen(one) == seen(two) == expected
    assert one.keys.tolist() == two.keys.tolist() == keys
    assert one.classes == two.classes


def test_numbers_beside_empty_cells_stay_whole(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, np.nan, 0.0], "b": [10.0, 2.0, 0.0]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    for source in (frame, tmp_path / "a.csv"):
        found = read_votes(source, annotators=["a", "b"])
        assert found.classes == ("0", "1", "2", "10")
        assert found.keys.tolist() == ["0", "1", "2"]
        assert found.votes.labels.tolist() == [1, 0, 3, 2, 0]
    known = read_votes(frame, annotators="a,b", classes=tuple(str(k) for k in range(11)))
    assert known.votes.labels.tolist() == [1, 0, 10, 2, 0]


def test_the_data_says_the_order() -> None:
    wide = pd.DataFrame({"key": ["x", "y"], "a": ["cat", "dog"], "b": ["cat", "cat"]})
    found = read_votes(wide, annotators="a,b", keys=np.array(["z", "y", "x"], dtype=object), unlabelled=True)
    assert found.votes.rows.tolist() == [2, 1, 2, 1]
    assert found.votes.per_row.tolist() == [0, 2, 2]
    by_row = read_votes(wide.drop(columns="key"), annotators="a,b", keys=np.array(["p", "q"], dtype=object))
    assert by_row.keys.tolist() == ["p", "q"]
    named = read_votes(wide.rename(columns={"key": "id"}), annotators="a,b", key="id")
    assert named.keys.tolist() == ["x", "y"]


def test_a_repeated_label_counts_once() -> None:
    long = pd.DataFrame({"key": list("xxxy"), "who": ["a", "a", "b", "a"], "label": ["cat", "cat", "cat", "dog"]})
    assert len(read_votes(long, annotator="who").votes.labels) == 3


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("a1,a3", ["a1", "a3"]),
        ("a1..a3", ["a1", "a2", "a3"]),
        ("a*", ["a1", "a2", "a3", "a10"]),
        ("a?, b", ["a1", "a2", "a3", "b"]),
        (["b", "a1"], ["b", "a1"]),
        ("x,y", ["x,y"]),
        ("a1,a*", ["a1", "a2", "a3", "a10"]),
    ],
)
def test_columns_by_pattern(patterns: Any, expected: list[str]) -> None:
    assert expand(patterns, ["key", "a1", "a2", "a3", "a10", "b", "x,y"], "t") == expected


WIDE = {"key": ["x", "y"], "a": ["cat", "dog"], "b": ["cat", "cat"]}
LONG = {"key": ["x", "x", "y"], "who": ["a", "b", "a"], "label": ["cat", "dog", "cat"]}


@pytest.mark.parametrize(
    ("table", "words", "message"),
    [
        (WIDE, {}, "give one of the two"),
        (WIDE, {"annotators": "a,b", "annotator": "a"}, "give one of the two"),
        (WIDE, {"annotators": "a,c"}, "has no column 'c', but"),
        (WIDE, {"annotators": "x*"}, r"has no column 'x\*'"),
        (WIDE, {"annotators": "a1..a3"}, "has no column 'a1'"),
        (WIDE, {"annotators": "a"}, "labels by fewer than two annotators: use --label"),
        (WIDE, {"annotators": "a,b", "key": "id"}, "has no column 'id'"),
        ({**WIDE, "key": ["x", "x"]}, {"annotators": "a,b"}, "has the key 'x' twice"),
        ({**WIDE, "a": ["", None], "b": ["cat", "dog"]}, {"annotators": "a,b"}, "fewer than two annotators"),
        (
            {**WIDE, "a": ["cat", ""], "b": ["dog", ""]},
            {"annotators": "a,b"},
            "no label at all for 1 of 2 rows, .* 'y'",
        ),
        ({"a": ["1", "-1"], "b": ["0", "1"]}, {"annotators": "a,b"}, "has the label '-1': leave a cell empty"),
        ({"a": ["1", "nan"], "b": ["0", "1"]}, {"annotators": "a,b"}, "has the label 'nan': leave a cell empty"),
        ({"a": ["1", "1"], "b": ["1", "1"]}, {"annotators": "a,b"}, "needs two classes"),
        (WIDE, {"annotators": "a,b", "classes": ("cat", "bird")}, "has the label 'dog', which the data does not know"),
        (WIDE, {"annotators": "a,b", "keys": np.array(["x", "z"])}, "has the key 'y', which the data does not know"),
        (WIDE, {"annotators": "a,b", "keys": np.array(["x", "y", "z"])}, "no label at all for 1 of 3 rows"),
        ({"a": ["0", "1"], "b": ["0", "1"]}, {"annotators": "a,b", "keys": np.array(["x"])}, "no column of keys"),
        (LONG, {"annotator": "annotator"}, "has no column 'annotator'"),
        (LONG, {"annotator": "who", "label": "class"}, "has no column 'class'"),
        (LONG, {"annotator": "label"}, "three different ones"),
        ({**LONG, "who": ["a", "", "b"]}, {"annotator": "who"}, "column 'who' of the table is empty in row 1"),
        ({**LONG, "key": ["x", None, "y"]}, {"annotator": "who"}, "column 'key' of the table is empty in row 1"),
        ({**LONG, "who": ["a", "a", "b"]}, {"annotator": "who"}, "two labels by 'a' for 'x', 'cat' and 'dog'"),
        ({name: [] for name in LONG}, {"annotator": "who"}, "has no rows"),
    ],
)
def test_bad_tables(table: dict[str, list[Any]], words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_votes(pd.DataFrame(table), **words)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_votes(tmp_path / "absent.csv", annotator="who")
    (tmp_path / "a.csv").write_text("key,who,label\nx,a\n")
    with pytest.raises(UsageError, match="line 2"):
        read_votes(tmp_path / "a.csv", annotator="who")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(UsageError, match="damaged"):
        read_votes(tmp_path / "b.parquet", annotator="who")
