"""A folder of links: what lies where, that training reads it, and that nothing else can be reached or changed."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from thresher.correct import Suspects, correct, origin, undo, write
from thresher.correct.links import folder_names
from thresher.data import load
from thresher.data.reading import Reading
from thresher.decisions import decide
from thresher.errors import UsageError


def photos(folder: Path, keys: list[str]) -> Path:
    """Images of different colours."""
    for number, key in enumerate(keys):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 10 * number, dtype=np.uint8)).save(folder / key)
    return folder


def suspects_of(folder: Path, keys: list[str], given: list[str], suggested: list[str], **more: object) -> Suspects:
    issues = pd.DataFrame({"key": keys, "given": given, "suggested": suggested, "p_suggested": 1.0})
    issues["is_label_issue"] = issues["given"] != issues["suggested"]
    classes = tuple(sorted({*given, *suggested}))
    reading = Reading(**more)  # type: ignore[arg-type]
    return Suspects(issues, classes, folder / "run", str(folder), read_as=reading)


KEYS = ["cat/1.png", "cat/2.png", "cat/x/1.png", "dog/1.png", "dog/2.png", "dog/ü '\"$(x).png"]
GIVEN = ["cat"] * 3 + ["dog"] * 3


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(one): (one.read_bytes(), one.stat().st_mtime_ns) for one in sorted(folder.rglob("*")) if one.is_file()}


@pytest.mark.parametrize("links", ["symbolic", "hard"])
def test_images_lie_in_their_corrected_class(tmp_path: Path, links: str) -> None:
    source = photos(tmp_path / "photos", KEYS)
    before = snapshot(source)
    suspects = suspects_of(source, KEYS, GIVEN, ["dog", "cat", "cat", "dog", "cat", "dog"])
    bad = decide("cat/2.png", "bad", given="cat", annotator="ann")
    done = correct(suspects.issues, "review", ("cat", "dog"), decisions={"cat/2.png": bad}, then="relabel")
    paths = write(done, f"{tmp_path}/clean/", suspects, links=links)
    out = tmp_path / "clean"
    assert paths["out"] == out
    found = sorted(one.relative_to(out).as_posix() for one in out.rglob("*") if not one.is_dir())
    assert found == sorted(["cat/2.png", "cat/x/1.png", "dog/1.png", "dog/1-2.png", "dog/ü '\"$(x).png"])
    for place, key in (("dog/1-2.png", "cat/1.png"), ("cat/2.png", "dog/2.png"), ("dog/1.png", "dog/1.png")):
        assert (out / place).read_bytes() == (source / key).read_bytes()
        assert (out / place).is_symlink() == (links == "symbolic")
        assert (out / place).samefile(source / key)
    changes = pd.read_csv(paths["changes"], dtype=str, keep_default_na=False).set_index("key")["file"].to_dict()
    assert changes == {"cat/1.png": "dog/1-2.png", "dog/2.png": "cat/2.png", "cat/2.png": ""}
    again = load(str(out))
    assert dict(zip(again.train.keys, again.train.labels.tolist(), strict=True)) == {
        place: int(place.startswith("dog")) for place in found
    }
    assert (origin(out) or {})["edited"] is False
    assert snapshot(source) == before
    undo(out)
    assert [one.name for one in tmp_path.iterdir()] == ["photos"]
    assert snapshot(source) == before


def test_undo_sees_every_change(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", KEYS)
    suspects = suspects_of(source, KEYS, GIVEN, GIVEN)
    for links in ("symbolic", "hard"):
        out = tmp_path / links
        write(correct(suspects.issues, "keep", suspects.classes), out, suspects, kind="folder", links=links)
        (out / "cat" / "mine.png").write_bytes(b"x")
        with pytest.raises(UsageError, match="was changed since"):
            undo(out)
        (out / "cat" / "mine.png").unlink()
        (out / "cat" / "1.png").rename(out / "cat" / "3.png")
        with pytest.raises(UsageError, match="was changed since"):
            undo(out)
        (out / "cat" / "3.png").unlink()
        (out / "cat" / "1.png").write_bytes((source / "cat/1.png").read_bytes())  # a copy, which may be somebody's work
        with pytest.raises(UsageError, match="was changed since"):
            undo(out)
    assert (source / "cat/1.png").exists()


def test_train_and_test_folders(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", [f"{part}/{key}" for part in ("train", "test") for key in KEYS])
    suspects = suspects_of(source, KEYS, GIVEN, GIVEN)
    write(correct(suspects.issues, "keep", suspects.classes), tmp_path / "clean", suspects, kind="folder")
    assert (tmp_path / "clean/cat/1.png").samefile(source / "train/cat/1.png")


def test_a_table_of_paths(tmp_path: Path) -> None:
    """Class names of a table can be anything; files of the same name come from different folders."""
    paths = ["a/1.png", "b/1.png", "b/2.png", "b/3.png", "b/4.png"]
    photos(tmp_path, paths)
    given = ["x/y", "../..", "x/y", "../..", ".hidden"]
    table = pd.DataFrame({"image": paths, "label": given, "name": list("pqrst")})
    table.to_csv(tmp_path / "t.csv", index=False)
    suggested = ["../..", "../..", "x/y", "../..", ".hidden"]
    suspects = suspects_of(tmp_path / "t.csv", list("pqrst"), given, suggested, path="image", id="name")
    write(correct(suspects.issues, "relabel", suspects.classes), tmp_path / "clean", suspects, kind="folder")
    found = sorted(one.relative_to(tmp_path / "clean").as_posix() for one in (tmp_path / "clean").rglob("*.png"))
    assert found == ["%2E.%2F../1-2.png", "%2E.%2F../1.png", "%2E.%2F../3.png", "%2Ehidden/4.png", "x%2Fy/2.png"]
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        *("a", "b", "clean", "clean.changes.csv", "clean.json", "t.csv"),
    ]


@pytest.mark.parametrize("where", ["photos/clean", "photos/cat/clean", "link/clean", "photos/../photos/clean"])
def test_never_inside_the_source(tmp_path: Path, where: str) -> None:
    source = photos(tmp_path / "photos", KEYS)
    (tmp_path / "link").symlink_to(source, target_is_directory=True)
    suspects = suspects_of(source, KEYS, GIVEN, GIVEN)
    with pytest.raises(UsageError, match=r"lies inside .*photos, which is never changed"):
        write(correct(suspects.issues, "keep", suspects.classes), tmp_path / where, suspects, kind="folder")
    assert sorted(one.name for one in source.iterdir()) == ["cat", "dog"]


@pytest.mark.parametrize(
    "key", ["../outside.png", "cat/../../outside.png", "/etc/passwd", "cat//1.png", "1.png", "cat/."]
)
def test_keys_that_lead_elsewhere(tmp_path: Path, key: str) -> None:
    source = photos(tmp_path / "photos", KEYS)
    Path(tmp_path / "outside.png").write_bytes(b"x")
    suspects = suspects_of(source, [*KEYS, key], [*GIVEN, "dog"], [*GIVEN, "dog"])
    with pytest.raises(UsageError, match="is no class folder and file below it"):
        write(correct(suspects.issues, "keep", suspects.classes), tmp_path / "clean", suspects, kind="folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["outside.png", "photos"]


def test_images_that_are_gone_and_links_that_cannot_be(tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", KEYS)
    suspects = suspects_of(source, KEYS, GIVEN, GIVEN)
    done = correct(suspects.issues, "keep", suspects.classes)
    with pytest.raises(UsageError, match="no 'soft' links: "):
        write(done, tmp_path / "clean", suspects, kind="folder", links="soft")
    (source / "dog/1.png").unlink()
    with pytest.raises(UsageError, match=re.escape("1 images of") + ".*'dog/1.png'; put them back"):
        write(done, tmp_path / "clean", suspects, kind="folder")
    assert [one.name for one in tmp_path.iterdir()] == ["photos"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_a_class_is_one_visible_folder(names: list[str]) -> None:
    names = [name for name in names if name.isascii() or name.encode(errors="replace").decode() == name]
    try:
        folders = folder_names(names)
    except UsageError as error:
        assert "same folder" in str(error)  # noqa: PT017 (upper and lower case are one folder on some disks)
        return
    assert list(folders) == names
    assert len(set(folders.values())) == len(names)
    for folder in folders.values():
        assert os.path.basename(folder) == folder
        assert folder not in ("", ".", "..")
        assert not folder.startswith(".")
        assert "\0" not in folder
        assert len(os.fsencode(folder)) <= 255


def test_class_names_that_no_folder_can_have() -> None:
    for names, words in (
        (["a/b", "a%2Fb"], "would have the same folder"),
        (["Cat", "cat"], "would have the same folder"),
        (["ö" * 200], "too long a name"),
    ):
        with pytest.raises(UsageError, match=words):
            folder_names(names)
