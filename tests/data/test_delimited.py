import gzip
import lzma
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.data.delimited import as_csv, named, read_table, refuse_missing
from thresher.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


def content(path: Path, raw: bytes | str) -> dict[Any, Any]:
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return read_table(path).to_dict("list")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("id,label\n007,NA\n8,\n", {"id": ["007", "8"], "label": ["NA", ""]}),
        ("\ufeffa,b\n1,nan\n", {"a": ["1"], "b": ["nan"]}),
        ("a;b\n1;x,y\n2;z\n", {"a": ["1", "2"], "b": ["x,y", "z"]}),
        ("a\tb\n1\tx,y;z\n", {"a": ["1"], "b": ["x,y;z"]}),
        ("a|b\n1|x\n", {"a": ["1"], "b": ["x"]}),
        ("a;b\n1,5;x\n2;y\n,1;z\n", {"a": ["1,5", "2", ",1"], "b": ["x", "y", "z"]}),
        ("a;b\n1,5;x\n2;y\n ;z\n", {"a": ["1.5", "2", ""], "b": ["x", "y", "z"]}),
        ('a, b\n1, "x, y"\n', {"a": ["1"], "b": ["x, y"]}),
        ('t,y\n"one, ""two""\nthree",é\n', {"t": ['one, "two"\nthree'], "y": ["é"]}),
        ('t,y\n"é;\n;",1\n', {"t": ["é;\n;"], "y": ["1"]}),
        ("a,b\r\n1,2\r\n", {"a": ["1"], "b": ["2"]}),
        ("a,b\r1,2\r", {"a": ["1"], "b": ["2"]}),
        ("\n\na,b\n\n1,2\n   \n3,4\n\n", {"a": ["1", "3"], "b": ["2", "4"]}),
        ('text\nplain\n""\n', {"text": ["plain", ""]}),
        ("a,b\n", {"a": [], "b": []}),
        (f"t,y\n{'x' * 200_000},1\n", {"t": ["x" * 200_000], "y": ["1"]}),
    ],
)
def test_cells_survive(raw: str, expected: dict[str, list[str]], file: Path) -> None:
    assert content(file, raw) == expected


@pytest.mark.parametrize(
    ("raw", "pattern"),
    [
        (b"", r"is empty: its first line must name the columns"),
        (b"\n \n", r"is empty"),
        (
            b"a,b\n\xe9,1\n",
            r"is not UTF-8 text, for line 2 holds the byte 0xe9, perhaps from Latin-1 .*: save it as UTF",
        ),
        ("a,b\n1,2\n".encode("utf-16"), r"is UTF-16 text: save it as UTF-8"),
        (b"a,b\n1,\0\n", r"holds zero bytes"),
        (b"a,b\n1\n", r"line 2 of .*a\.csv has 1 cell separated by ',', and the header 2"),
        (b"a,b\n\n1,2\n1,2,3\n", r"line 4 of .*a\.csv has 3 cells separated by ','"),
        (b"text\nhello, world\n", r"line 2 of .* has 2 cells separated by ',', and the header 1: put cells"),
        (b"a;b;c\n1;2\n", r"line 2 of .* has 2 cells separated by ';', and the header 3"),
        (b'a,b\n"x\ny,2\n', r"line 2 of .* has quotes that are not closed or not doubled"),
        (b'a,b\n1,"x"y\n', r"line 2 of .* has quotes"),
        (b"a;b,c\n1;2,3\n", r"may be separated by ',' or ';': put cells that hold one of them into quotes"),
        (b"a,b,a\n1,2,3\n", r"has the column 'a' twice"),
        (b",a\n0,1\n", r"has a column without a name, as pandas writes an index"),
    ],
)
def test_what_is_refused(raw: bytes, pattern: str, file: Path) -> None:
    with pytest.raises(UsageError, match=pattern):
        content(file, raw)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*absent\.csv: check the path"):
        read_table(tmp_path / "absent.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(UsageError, match=r"b\.csv is a folder: give the path of a table in it"):
        read_table(tmp_path / "b.csv")


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed(ending: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    packed = pack(b"a,b\n1,2\n")
    path = tmp_path / f"a.csv{ending}"
    assert content(path, packed) == {"a": ["1"], "b": ["2"]}
    for damaged in (packed[:-9], b"a,b\n1,2\n", packed[:12] + b"?" + packed[13:]):
        with pytest.raises(UsageError, match=r"cannot be read \(it is damaged\)"):
            content(path, damaged)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"needs pyarrow to be read: pip install 'thresher\[parquet\]'"):
        read_table(tmp_path / "a.parquet")


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1, 2], "t": ["x", None]}, index=[5, 6])
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").index.tolist() == [0, 1]
    assert read_table(tmp_path / "a.parquet")["a"].tolist() == [1, 2]
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"is damaged or no Parquet file"):
        read_table(tmp_path / "b.parquet")


def test_exact_keeps_blanks_and_commas(file: Path) -> None:
    file.write_text("key;label\n a; 1,5\n")
    assert read_table(file, exact=True).to_dict("list") == {"key": [" a"], "label": [" 1,5"]}


def test_the_nearest_columns_come_first() -> None:
    with pytest.raises(UsageError, match=re.escape("a.csv has no column 'labl', but 'label', 'a', 'b': say so")):
        refuse_missing(["labl"], ["a", "label", "b"], "a.csv", "say so")
    with pytest.raises(UsageError, match=r"'c11' and 28 more: say so"):
        refuse_missing(["x"], [f"c{k}" for k in range(40)], "a.csv", "say so")


def test_names_are_text() -> None:
    table = pd.DataFrame([[1, 2]], columns=[0, " a "])
    assert list(named(table, "the table").columns) == ["0", "a"]
    with pytest.raises(UsageError, match=r"the table has the column '1' twice"):
        named(pd.DataFrame([[1, 2]], columns=[1, "1"]), "the table")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(st.tuples(cells, cells.filter(lambda cell: cell.strip())), min_size=1, max_size=8))
def test_what_pandas_writes_is_read(rows: list[tuple[str, str]], file: Path) -> None:
    frame = pd.DataFrame(rows, columns=["key", "some text"])
    frame.to_csv(file, index=False, quoting=1)
    assert [tuple(row) for row in read_table(file, exact=True).to_numpy().tolist()] == rows


def test_a_table_comes_back_whatever_its_cells_hold(tmp_path: Path) -> None:
    table = pd.DataFrame({"key": ["a\rb", "c,d", 'e"f', "g\nh", " i", "=1+1"], "label": ["x", "", "NA", "y", "z", "ü"]})
    (tmp_path / "a.csv").write_bytes(as_csv(table).encode())
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv", exact=True), table, check_dtype=False)
