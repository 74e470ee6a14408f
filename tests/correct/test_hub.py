"""A Hugging Face data set on disk, read back by the package itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from thresher.correct import Suspects, correct, hub, undo, write
from thresher.data.reading import Reading
from thresher.decisions import decide
from thresher.errors import UsageError

datasets = pytest.importorskip("datasets")

PETS = ("bird", "cat", "dog")


def read(path: Path) -> Any:
    return datasets.load_from_disk(str(path))


def test_labels_alone(tmp_path: Path, issues: pd.DataFrame, capfd: pytest.CaptureFixture[str]) -> None:
    made = {"d": decide("d", "ambiguous", given="cat", suggested="dog", annotator="ann")}
    made["e"] = decide("e", "bad", given="cat", annotator="ann")
    done = correct(issues, "review", PETS, decisions=made, then="weight")
    write(done, tmp_path / "clean", Suspects(issues, PETS), kind="hf")
    found = read(tmp_path / "clean")
    assert found["key"][:] == ["a", "b", "c", "d", "f"]
    assert found.features["label"].names == list(PETS)
    assert found["label"][:] == [2, 0, 1, 1, 2]
    np.testing.assert_allclose(found["weight"][:], [0.2, 1, 0.4, 1, 1])
    np.testing.assert_allclose(found["probabilities"][3], [0, 0.5, 0.5])
    np.testing.assert_allclose(found["probabilities"][0], [0, 0, 1])
    assert capfd.readouterr().err == ""
    undo(tmp_path / "clean")
    assert list(tmp_path.iterdir()) == []


def test_with_texts_of_a_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["007", "NA"], "body": ["good", "bad ö"], "stars": ["low", "high"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    issues = pd.DataFrame({"key": ["NA", "007"], "given": ["high", "low"], "suggested": "low", "p_suggested": 1.0})
    issues["is_label_issue"] = [True, False]
    reading = Reading(label="stars", text="body", id="id")
    suspects = Suspects(issues, ("high", "low"), tmp_path, str(tmp_path / "t.csv"), read_as=reading)
    with pytest.warns(UserWarning, match="loses all"):
        done = correct(issues, "relabel", suspects.classes)
    write(done, tmp_path / "clean", suspects, kind="hf")
    rows = list(read(tmp_path / "clean"))
    assert rows == [
        {"key": "NA", "id": "NA", "body": "bad ö", "stars": 1},
        {"key": "007", "id": "007", "body": "good", "stars": 1},
    ]


def test_with_arrays(tmp_path: Path) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "d.npz", allow_pickle=False, x=x, y=np.array([0, 1, 0, 1]))
    issues = pd.DataFrame({"key": list("3210"), "given": list("1010"), "suggested": list("0010"), "p_suggested": 1.0})
    issues["is_label_issue"] = issues["given"] != issues["suggested"]
    suspects = Suspects(issues, ("0", "1"), tmp_path, str(tmp_path / "d.npz"), read_as=Reading())
    write(correct(issues, "drop", suspects.classes), tmp_path / "clean", suspects, kind="hf")
    found = read(tmp_path / "clean")
    assert found["key"][:] == ["2", "1", "0"]
    np.testing.assert_array_equal(np.array(found["x"][:]), x[[2, 1, 0]])
    assert found["label"][:] == [0, 1, 0]


def test_with_images(tmp_path: Path) -> None:
    keys = ["cat/1.png", "dog/1.png"]
    for number, key in enumerate(keys):
        (tmp_path / "photos" / key).parent.mkdir(parents=True)
        Image.fromarray(np.full((4, 4), 50 * number, dtype=np.uint8)).save(tmp_path / "photos" / key)
    issues = pd.DataFrame({"key": keys, "given": ["cat", "dog"], "suggested": ["cat", "cat"], "p_suggested": 1.0})
    issues["is_label_issue"] = [False, False]
    suspects = Suspects(issues, ("cat", "dog"), tmp_path, str(tmp_path / "photos"), read_as=Reading())
    write(correct(issues, "keep", suspects.classes), tmp_path / "clean", suspects, kind="hf")
    found = read(tmp_path / "clean")
    assert [int(np.asarray(row["image"]).max()) for row in found] == [0, 50]
    assert found["label"][:] == [0, 1]


def test_without_the_package(tmp_path: Path, issues: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UsageError, match=r"needs the package datasets: pip install 'thresher\[hf\]'"):
        write(correct(issues, "keep", PETS), tmp_path / "clean", Suspects(issues, PETS), kind="hf")
    with pytest.raises(UsageError, match="datasets"):
        hub.library()
    assert list(tmp_path.iterdir()) == []
