"""What is written, what it says of where it came from, and that nothing is lost on the way."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from thresher.correct import Suspects, correct, origin, read, write
from thresher.correct.formats import places
from thresher.data.delimited import read_table
from thresher.errors import ThresherError, UsageError
from thresher.result import FORMAT
from thresher.review.cards import Cards

PETS = ("bird", "cat", "dog")


def run_folder(folder: Path, issues: pd.DataFrame | None) -> Path:
    folder.mkdir(parents=True)
    data = {"name": "pets", "fingerprint": "abc", "classes": list(PETS)}
    request = {"source": "/data/pets", "reading": {"label": "breed", "labels": "old.csv", "skip_bad": True}}
    (folder / "run.json").write_text(
        json.dumps({"format_version": FORMAT, "data": data, "request": request}), encoding="utf-8"
    )
    if issues is not None:
        issues.to_csv(folder / "issues.csv", index=False)
    return folder


def test_a_run_below_moves_with_its_labels(tmp_path: Path, issues: pd.DataFrame) -> None:
    run = run_folder(tmp_path / "here" / "runs" / "pets", issues)
    suspects = read(run)
    assert (suspects.classes, suspects.run, suspects.data, suspects.fingerprint) == (PETS, run, "/data/pets", "abc")
    assert suspects.reading == ("--label", "breed", "--skip-bad")
    paths = write(correct(suspects.issues, "relabel", PETS), tmp_path / "here" / "new.csv", suspects)
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        *("new.changes.csv", "new.csv", "new.json", "runs")
    ]
    (tmp_path / "here").rename(tmp_path / "there")
    told = origin(tmp_path / "there" / "new.csv")
    assert told is not None
    assert told["run"] == str(tmp_path / "there" / "runs" / "pets")
    assert (told["policy"], told["min_confidence"], told["changed"], told["rows"]) == ("relabel", 0.9, 2, 6)
    assert (told["fingerprint"], told["data"], told["edited"]) == ("abc", "/data/pets", False)
    assert not paths["out"].exists()
    with (tmp_path / "there" / "new.csv").open("a", encoding="utf-8") as file:
        file.write("g,cat\n")
    assert (origin(tmp_path / "there" / "new.csv") or {})["edited"] is True


def test_a_run_elsewhere_is_named_by_its_whole_path(
    tmp_path: Path, issues: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(tmp_path / "runs" / "pets", issues)
    (tmp_path / "labels").mkdir()
    monkeypatch.chdir(tmp_path)
    suspects = read("runs/pets/issues.csv")  # stands for the run
    assert suspects.run == Path("runs/pets")
    write(correct(suspects.issues, "keep", PETS), "labels/new.csv", suspects)
    assert json.loads(Path("labels/new.json").read_text(encoding="utf-8"))["run"] == str(tmp_path / "runs" / "pets")
    assert (origin("labels/new.csv") or {})["run"] == str(tmp_path / "runs" / "pets")


def test_texts_survive(tmp_path: Path, issues: pd.DataFrame) -> None:
    names = {"cat": "NA", "dog": "1", "bird": 'a,"b"\nö'}
    issues[["given", "suggested"]] = issues[["given", "suggested"]].replace(names)
    issues["key"] = ["NA", "007", "1e5", "a b", "ü,x", "null"]
    issues.to_csv(tmp_path / "mine.csv", index=False)
    suspects = read(tmp_path / "mine.csv")
    assert (suspects.run, suspects.data) == (None, None)
    assert sorted(suspects.classes) == sorted(names.values())
    write(correct(suspects.issues, "drop", suspects.classes), tmp_path / "new.csv", suspects)
    found = pd.read_csv(tmp_path / "new.csv", dtype=str, keep_default_na=False)
    assert dict(zip(found["key"], found["label"], strict=True)) == {
        **dict.fromkeys(("NA", "007", "1e5"), ""),
        **{"a b": 'a,"b"\nö', "ü,x": "NA", "null": "1"},
    }
    assert (origin(tmp_path / "new.csv") or {})["run"] is None


def test_semicolons_and_a_mark_as_spreadsheets_write_them(tmp_path: Path) -> None:
    text = "\ufeffkey;given;suggested;p_suggested;is_label_issue\r\na;cat;dog;0.95;TRUE\r\nb;dog;dog;;FALSE\r\n"
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8", newline="")
    suspects = read(tmp_path / "mine.csv")
    with pytest.warns(UserWarning, match="'cat'"):
        assert correct(suspects.issues, "relabel", suspects.classes).table["label"].tolist() == ["dog", "dog"]


@pytest.mark.parametrize(("yes", "no"), [("WAHR", "FALSCH"), ("VRAI", "FAUX"), ("TRUE", "FALSE")])
def test_a_spreadsheet_of_another_language(tmp_path: Path, yes: str, no: str) -> None:
    columns = "key;given;suggested;p_suggested;p_wrong;is_label_issue;reasons;score_loss"
    lines = [columns, f" a,1;cat;dog;0,95;0,9;{yes};w, z;0,5", f"b,2;dog;dog;;;{no};;-1,5", ""]
    (tmp_path / "mine.csv").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    suspects = read(tmp_path / "mine.csv")
    with pytest.warns(UserWarning, match="'cat'"):
        done = correct(suspects.issues, "relabel", suspects.classes)
    assert done.table.to_dict("list") == {"key": [" a,1", "b,2"], "label": ["dog", "dog"]}
    assert suspects.issues["reasons"].tolist() == ["w, z", ""]
    cards = Cards.of(suspects.issues, suspects.classes)
    assert (cards.p_wrong[0], cards.doubters[cards.witnesses[0]]) == (0.9, "loss")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"key,given,suggested\na,cat,dog,\n", "line 2 of .* has 4 cells .* and the header 3"),
        ("key,given\n\xe9,x\n".encode("latin-1"), "is not UTF-8 text, for line 2"),
        ("key,given\na,x\n".encode("utf-16"), "is UTF-16 text"),
        (b"key,given,suggested\n", "the table of issues has no rows"),
    ],
)
def test_damage_by_a_spreadsheet_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read(tmp_path / "mine.csv")


def test_a_carriage_return_in_a_key_survives(tmp_path: Path, issues: pd.DataFrame) -> None:
    issues["key"] = ["a\rb.png", "\r", "c\r\nd", "e\nf", "g,h", 'i"j']
    suspects = Suspects(issues, PETS)
    paths = write(correct(issues, "drop", PETS), tmp_path / "new.csv", suspects)
    label = dict(zip(*(read_table(paths["out"], exact=True)[name] for name in ("key", "label")), strict=True))
    assert sorted(label) == sorted(issues["key"])
    assert (label["a\rb.png"] == "") == bool(issues["is_label_issue"].iloc[0])


@pytest.mark.parametrize("name", ["new.csv", "new.changes.csv", "new.json"])
def test_nothing_is_overwritten(tmp_path: Path, issues: pd.DataFrame, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    suspects = Suspects(issues, PETS)
    with pytest.raises(UsageError, match=f"{name} exists, and nothing is overwritten"):
        write(correct(issues, "keep", PETS), tmp_path / "new.csv", suspects)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_places_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"new\.txt does not end in \.csv"):
        places(tmp_path / "new.txt")
    with pytest.raises(UsageError, match="no format 'cvs': did you mean csv"):
        places(tmp_path / "new.csv", "cvs")
    with pytest.raises(UsageError, match=r"does not end in \.npz, which is its format"):
        places(tmp_path / "new.csv", "npz")
    with pytest.raises(UsageError, match="is a folder that exists"):
        places("./", "folder")
    with pytest.raises(UsageError, match="there is no folder"):
        places(tmp_path / "absent" / "new.csv")
    with pytest.raises(UsageError, match="has a name of more than 243 bytes"):
        places(tmp_path / f"{'é' * 120}.csv")
    (tmp_path / "new.csv").symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists"):
        places(tmp_path / "new.csv")


def test_a_folder_that_cannot_be_written_to(issues: pd.DataFrame) -> None:
    with pytest.raises(ThresherError, match="cannot be written"):
        write(correct(issues, "keep", PETS), "/proc/new.csv", Suspects(issues, PETS))


def test_sources_that_are_refused(tmp_path: Path, issues: pd.DataFrame) -> None:
    unfinished = run_folder(tmp_path / "unfinished", None)
    with pytest.raises(UsageError, match=f"is not finished: go on with thresher train --resume {unfinished}"):
        read(unfinished)
    damaged = run_folder(tmp_path / "damaged", issues)
    (damaged / "run.json").write_text(json.dumps({"format_version": FORMAT}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"run\.json in .*damaged is damaged"):
        read(damaged)
    with pytest.raises(UsageError, match="is no run"):
        read(tmp_path)
    with pytest.raises(UsageError, match="no run and no file"):
        read(tmp_path / "absent")
    for content in (b"", b"\xff\xfe\x00", b'key,given\n"a,b\n'):
        (tmp_path / "bad.csv").write_bytes(content)
        with pytest.raises(UsageError, match=r"cannot be read: .*bad\.csv|no column"):
            read(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "null", "{", '{"format": "other"}', "[" * 100_000),
        '{"format": "thresher corrected labels", "format_version": 2, "policy": "keep", "run": null}',
        '{"format": "thresher corrected labels", "format_version": 1, "policy": 3, "run": null}',
        '{"format": "thresher corrected labels", "format_version": 1, "policy": "keep", "run": 3}',
    ],
)
def test_a_damaged_manifest_is_no_manifest(tmp_path: Path, content: Any) -> None:
    (tmp_path / "new.csv").write_text("key,label\n", encoding="utf-8")
    assert origin(tmp_path / "new.csv") is None
    (tmp_path / "new.json").write_text(content, encoding="utf-8")
    assert origin(tmp_path / "new.csv") is None
    (tmp_path / "new.json").write_bytes(b"\xff\xfe")
    assert origin(tmp_path / "new.csv") is None
