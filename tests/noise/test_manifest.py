"""The record of noise: its matrix and rate, its file, and the warning of hopeless noise."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import ThresherError, UsageError
from thresher.noise import Noise, apply, hopeless

CLEAN = np.repeat(np.arange(3), 50)
NAMES = ("cat", "dog", "Übung: ≥ 3")
MAP = {0: 1, 1: 0}


def made(*texts: str, seed: int = 0) -> Noise:
    return apply(texts, CLEAN, NAMES, seed=seed, confusions=MAP)


def by_hand(labels: list[int], clean: list[int], classes: int = 2) -> Noise:
    return Noise(
        np.array(labels, dtype=np.int64),
        np.array(clean, dtype=np.int64),
        "by hand",
        1,
        0,
        0.0,
        tuple(map(str, range(classes))),
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_matrix_and_rate_are_what_happened(pairs: list[tuple[int, int]]) -> None:
    labels, clean = [a for a, _ in pairs], [b for _, b in pairs]
    noise = Noise(np.array(labels, dtype=np.int64), np.array(clean, dtype=np.int64), "", 1, 0, 0.0, tuple("abcd"))
    np.testing.assert_allclose(noise.matrix.sum(1), 1)
    assert noise.realised == pytest.approx(sum(a != b for a, b in pairs) / max(len(pairs), 1))
    kept = sum(clean.count(k) * noise.matrix[k, k] for k in range(4))
    assert kept == pytest.approx(len(pairs) * (1 - noise.realised))
    assert all(noise.matrix[k, k] == 1 for k in range(4) if k not in clean)


@pytest.mark.parametrize("name", ["noise.npz", "noise", "noise.v2"])
def test_round_trip_under_exactly_that_path(tmp_path: Path, name: str) -> None:
    noise = made("symmetric:0.4", "asymmetric:0.1:5")
    noise.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    back = Noise.load(tmp_path / name)
    assert back.labels.dtype == back.clean.dtype == np.int64
    assert np.array_equal(back.labels, noise.labels)
    assert np.array_equal(back.clean, noise.clean)
    assert np.array_equal(back.matrix, noise.matrix)
    for fact in ("generator", "version", "seed", "nominal", "realised", "classes"):
        assert getattr(back, fact) == getattr(noise, fact)


def test_round_trip_of_rows(tmp_path: Path) -> None:
    noise = made("longtail:10", "symmetric:0.4")
    noise.save(tmp_path / "noise.npz")
    back = Noise.load(tmp_path / "noise.npz")
    assert noise.rows is not None
    assert back.rows is not None
    assert back.rows.dtype == np.int64
    assert np.array_equal(back.rows, noise.rows)
    assert np.array_equal(back.clean, CLEAN[noise.rows])


def test_a_file_from_before_rows_has_none(tmp_path: Path) -> None:
    noise = made("symmetric:0.4")
    about = {name: getattr(noise, name) for name in ("generator", "version", "seed", "nominal", "classes", "realised")}
    with (tmp_path / "old.npz").open("wb") as file:
        np.savez_compressed(
            file, labels=noise.labels, clean=noise.clean, matrix=noise.matrix, about=np.array(json.dumps(about))
        )
    assert Noise.load(tmp_path / "old.npz").rows is None


def test_file_is_readable_without_thresher(tmp_path: Path) -> None:
    noise = made("symmetric:0.4")
    noise.save(str(tmp_path / "noise.npz"))
    with np.load(tmp_path / "noise.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["about", "clean", "labels", "matrix"]
        about = json.loads(str(file["about"]))
    assert about["realised"] == noise.realised
    assert tuple(about["classes"]) == NAMES


def test_load_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no noise file"):
        Noise.load(tmp_path)


def test_load_refuses_pickled_objects(tmp_path: Path) -> None:
    path = tmp_path / "noise.npz"
    np.savez(path, labels=np.array([0, "x", None], dtype=object), clean=CLEAN, about=np.array("{}"))
    with pytest.raises(UsageError, match="pickled Python objects, which could run code"):
        Noise.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": CLEAN[:-1]},
        {"labels": CLEAN.astype(np.float64)},
        {"clean": CLEAN + 1},
        {"clean": CLEAN - 1},
        {"labels": CLEAN[:, None], "clean": CLEAN[:, None]},
        {"rows": np.arange(len(CLEAN) - 1)},
        {"rows": np.arange(len(CLEAN))[::-1]},
        {"rows": np.arange(len(CLEAN)) - 1},
        {"rows": np.zeros(len(CLEAN), dtype=np.int64)},
        {"rows": np.arange(len(CLEAN)).astype(np.float64)},
        {"about": np.array("{}")},
        {"about": np.array("[]")},
        {"about": np.array("no json")},
        {"about": np.array('{"generator": "", "version": "1", "seed": 0, "nominal": 0.4, "classes": ["a"]}')},
    ],
)
def test_load_refuses_what_is_no_noise(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    path = tmp_path / "noise.npz"
    made("symmetric:0.4").save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | changes))
    with pytest.raises(UsageError, match="is damaged, or no noise file"):
        Noise.load(path)


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
def test_load_refuses_a_file_cut_off(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "noise.npz"
    made("symmetric:0.4").save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="is damaged, or no noise file"):
        Noise.load(path)


def test_load_refuses_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", CLEAN)
    with pytest.raises(UsageError, match="is damaged, or no noise file"):
        Noise.load(tmp_path / "x.npy")


def test_save_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        made("symmetric:0.4").save(tmp_path / "absent" / "noise.npz")


def test_save_over_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "noise.npz").mkdir()
    with pytest.raises(ThresherError, match="cannot be written"):
        made("symmetric:0.4").save(tmp_path / "noise.npz")


def test_save_replaces_the_old_file_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "noise.npz"
    made("symmetric:0.4").save(path)
    made("symmetric:0.2").save(path)
    assert Noise.load(path).nominal == 0.2
    assert [one.name for one in tmp_path.iterdir()] == ["noise.npz"]


@pytest.mark.parametrize(
    ("noise", "lost"),
    [
        (by_hand([0, 0, 1, 1], [0, 0, 1, 1]), None),
        (by_hand([0, 0, 1, 1], [0, 1, 0, 1]), None),
        (by_hand([0, 0, 0, 1], [0, 1, 1, 1]), "of the 3 rows labelled '0', 2 are truly '1' and only 1 '0'"),
        (by_hand([0, 0], [0, 1]), "no row is labelled '1' any more"),
        (by_hand([0, 0], [0, 0]), None),
        (by_hand([], []), None),
    ],
    ids=["clean", "tie", "outvoted", "vanished", "never there", "empty"],
)
def test_hopeless(noise: Noise, lost: str | None) -> None:
    said = hopeless(noise)
    assert (said is None) == (lost is None)
    assert said is None or said.startswith(f"{lost} (classes like this: 1 of 2): no method")


@pytest.mark.parametrize(
    ("text", "bad"), [("symmetric:0.4", False), ("asymmetric:0.48", False), ("asymmetric:0.52", True)]
)
def test_hopeless_begins_where_the_wrong_class_outvotes_the_true_one(text: str, bad: bool) -> None:
    assert (hopeless(made(text)) is not None) == bad
