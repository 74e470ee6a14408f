"""Every kind of file: what is in it, what it cannot hold, and that training reads it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thresher.correct import Suspects, correct, origin, undo, write
from thresher.correct.formats import kind_of
from thresher.data import load
from thresher.data.labels import read_labels
from thresher.data.reading import Reading
from thresher.decisions import Decision, decide
from thresher.errors import UsageError

PETS = ("bird", "cat", "dog")
TEXTS = {"cat": "NA", "dog": 'a,"b"', "bird": "ö/\u2028\n"}


def softened() -> dict[str, Decision]:
    """Decisions with a soft label and a row that is left out."""
    made = [
        decide("d", "ambiguous", given="cat", labels=("cat", "dog"), annotator="ann"),
        decide("e", "bad", given="cat", annotator="ann"),
    ]
    return {one.key: one for one in made}


def test_lines_of_json(tmp_path: Path, issues: pd.DataFrame) -> None:
    issues[["given", "suggested"]] = issues[["given", "suggested"]].replace(TEXTS)
    classes = tuple(sorted(TEXTS.values()))
    done = correct(issues, "drop", classes)
    paths = write(done, tmp_path / "new.jsonl", Suspects(issues, classes, left_out=("z",)))
    assert [path.name for path in paths.values()] == ["new.jsonl", "new.jsonl.changes.csv", "new.jsonl.json"]
    lines = [json.loads(line) for line in paths["out"].read_bytes().split(b"\n")[:-1]]
    assert lines == [
        *({"key": "a", "label": None}, {"key": "b", "label": TEXTS["bird"]}, {"key": "c", "label": None}),
        *({"key": "d", "label": None}, {"key": "e", "label": "NA"}, {"key": "f", "label": 'a,"b"'}),
        {"key": "z", "label": None},
    ]
    assert (origin(tmp_path / "new.jsonl") or {})["kind"] == "jsonl"


def test_lines_of_json_with_weights_and_soft_labels(tmp_path: Path, issues: pd.DataFrame) -> None:
    suspects = Suspects(issues, PETS)
    done = correct(issues, "review", PETS, decisions=softened(), then="weight")
    write(done, tmp_path / "new.jsonl", suspects)
    lines = [json.loads(line) for line in (tmp_path / "new.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"key": "a", "label": "dog", "weight": 0.2, "probabilities": None}
    assert lines[3]["probabilities"] == {"bird": 0, "cat": 0.5, "dog": 0.5}
    assert lines[4] == {"key": "e", "label": None, "weight": 1.0, "probabilities": None}
    write(correct(issues, "review", PETS), tmp_path / "list.jsonl", suspects)
    listed = [json.loads(line) for line in (tmp_path / "list.jsonl").read_text(encoding="utf-8").splitlines()]
    assert listed[0]["suggested"] == "dog"
    assert listed[-1]["label_quality"] is None


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_soft_labels_and_left_out_rows_are_read_again(ending: str, tmp_path: Path, issues: pd.DataFrame) -> None:
    """What training reads of a file with everything in it."""
    for then in (None, "soften", "weight"):
        done = correct(issues, "review", PETS, decisions=softened(), then=then)
        path = tmp_path / f"{then}.{ending}"
        write(done, path, Suspects(issues, PETS, left_out=("z",)))
        file = read_labels(path, np.array(list("abcdefz"), dtype=object), PETS)
        assert file.labels[[3, 4, 6]].tolist() == [1, -1, -1]
        assert file.targets is not None
        np.testing.assert_allclose(file.targets[3], [0, 0.5, 0.5])
        assert file.targets[5].tolist() == [0, 0, 1]


def test_labels_as_arrays(tmp_path: Path, issues: pd.DataFrame) -> None:
    done = correct(issues, "review", PETS, decisions=softened(), then="weight")
    write(done, tmp_path / "new.npz", Suspects(issues, PETS))
    with np.load(tmp_path / "new.npz", allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    assert found["key"].tolist() == list("abcdef")
    assert found["label"].tolist() == ["dog", "bird", "cat", "cat", "", "dog"]
    assert found["classes"].tolist() == list(PETS)
    np.testing.assert_allclose(found["weight"], [0.2, 1, 0.4, 1, 1, 1])
    np.testing.assert_allclose(found["probabilities"][[0, 3, 4]], np.array([[0, 0, 1], [0, 0.5, 0.5], [0, 0, 0]]))
    write(correct(issues, "keep", PETS), tmp_path / "plain.npz", Suspects(issues, PETS))
    with np.load(tmp_path / "plain.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["classes", "key", "label"]


@pytest.mark.parametrize("kind", ["int", "bool", "text"])
@pytest.mark.parametrize("ids", [False, True])
def test_the_runs_own_arrays(tmp_path: Path, kind: str, ids: bool) -> None:
    kinds: dict[str, list[Any]] = {"int": [0, 1], "bool": [False, True], "text": ["no", "yes"]}
    names = kinds[kind]
    x, y = np.arange(24, dtype=np.float32).reshape(8, 3), np.array([names[row % 2] for row in range(8)])
    arrays: dict[str, np.ndarray] = {
        "x": x,
        "y": y,
        "x_test": x[:2],
        "y_test": y[:2],
        "group": np.array(list("ppqqrrss")),
    }
    keys = [f"id{row}" for row in range(8)] if ids else [str(row) for row in range(8)]
    if ids:
        arrays["id"] = np.array(keys)
    np.savez(tmp_path / "data.npz", allow_pickle=False, **arrays)
    before, classes = (tmp_path / "data.npz").read_bytes(), load(str(tmp_path / "data.npz")).classes
    issues = pd.DataFrame({"key": keys, "given": [classes[row % 2] for row in range(8)]})
    issues["suggested"] = [classes[1 - row % 2] for row in range(8)]
    issues["p_suggested"], issues["is_label_issue"] = 0.99, [row in (2, 5) for row in range(8)]
    suspects = Suspects(issues.iloc[::-1], classes, tmp_path, str(tmp_path / "data.npz"))
    bad = decide(keys[7], "bad", given=classes[1], annotator="ann")
    done = correct(suspects.issues, "review", classes, decisions={keys[7]: bad}, then="relabel")
    write(done, tmp_path / "new.npz", suspects)
    with np.load(tmp_path / "new.npz", allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    assert found["y"].dtype.kind == y.dtype.kind
    assert found["y"].tolist() == [names[place] for place in (0, 1, 1, 1, 0, 0, 0)]
    np.testing.assert_array_equal(found["x"], x[:7])
    assert found["id"].tolist() == keys[:7]
    assert found["group"].tolist() == list("ppqqrrs")
    np.testing.assert_array_equal(found["y_test"], y[:2])
    again = load(str(tmp_path / "new.npz"))
    assert again.classes == classes
    assert again.train.keys.tolist() == keys[:7]
    assert again.train.labels.tolist() == [0, 1, 1, 1, 0, 0, 0]
    assert (tmp_path / "data.npz").read_bytes() == before
    undo(tmp_path / "new.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["data.npz"]


def test_what_a_kind_cannot_hold(tmp_path: Path, issues: pd.DataFrame) -> None:
    np.savez(
        tmp_path / "data.npz", allow_pickle=False, x=np.zeros((6, 2)), y=np.arange(6) % 2, id=np.array(list("abcdef"))
    )
    own = Suspects(issues, PETS, tmp_path, str(tmp_path / "data.npz"), read_as=Reading())
    for policy, out, suspects, words in (
        ("review", "new.npz", Suspects(issues, PETS), "which an .npz file of inputs and labels cannot be"),
        ("review", "new/", Suspects(issues, PETS), "which a folder of links cannot be"),
        ("weight", "new/", own, "a folder of links holds no weights"),
        ("soften", "new.npz", own, "holds no weights and no soft labels"),
        ("drop", "new/", own, "needs a run on a folder of images"),
        ("drop", "new/", Suspects(issues, PETS), "needs a run on a folder of images"),
    ):
        with pytest.raises(UsageError, match=words):
            write(correct(issues, policy, PETS), f"{tmp_path}/{out}", suspects)
    (tmp_path / "data.npz").unlink()
    with pytest.raises(UsageError, match=r"there is no .*data\.npz: put them back"):
        write(correct(issues, "keep", PETS), tmp_path / "new.npz", own)
    (tmp_path / "data.npz").write_bytes(b"x")
    with pytest.raises(UsageError, match="cannot be read any more"):
        write(correct(issues, "keep", PETS), tmp_path / "new.npz", own)
    assert [path.name for path in tmp_path.iterdir()] == ["data.npz"]


def test_kinds() -> None:
    for out, kind, found in (
        ("a.csv", None, "csv"),
        ("a.CSV", None, "csv"),
        ("a.jsonl", "jsonl", "jsonl"),
        ("a/", None, "folder"),
        ("a", "folder", "folder"),
        ("a.v2", "hf", "hf"),
    ):
        assert kind_of(out, kind) == found
    for out, kind, words in (
        ("a", None, "does not end in"),
        ("a.csv", "jsonl", "does not end in .jsonl"),
        ("a", "x", "no format 'x'"),
    ):
        with pytest.raises(UsageError, match=words):
            kind_of(out, kind)


def test_a_class_called_suggested(tmp_path: Path, issues: pd.DataFrame) -> None:
    issues[["given", "suggested"]] = issues[["given", "suggested"]].replace({"cat": "suggested"})
    done = correct(issues, "review", ("bird", "dog", "suggested"))
    write(done, tmp_path / "list.jsonl", Suspects(issues, ("bird", "dog", "suggested")))
    listed = json.loads((tmp_path / "list.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert isinstance(listed["p_suggested"], float)
    assert "probabilities" not in listed
