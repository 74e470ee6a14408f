"""Noise after a matrix: exact counts, the file, and the sentences for matrices that are none."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.noise import transition
from thresher.noise.transition import check_matrix, read_matrix

K = 4
GOOD = np.array([[0.75, 0.25], [0.1, 0.9]])
labellings = st.lists(st.integers(0, K - 1), max_size=150).map(lambda values: np.array(values, dtype=np.int64))
rows = st.lists(st.integers(0, 9), min_size=K, max_size=K).filter(any)
matrices = st.lists(rows, min_size=K, max_size=K).map(lambda m: np.array(m) / np.array(m).sum(1, keepdims=True))


def counts(clean: np.ndarray, noisy: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(clean * classes + noisy, minlength=classes**2).reshape(classes, classes)


@given(labellings, matrices, st.integers(0, 2**63))
def test_counts_are_the_matrix_to_less_than_one_row(clean: np.ndarray, matrix: np.ndarray, seed: int) -> None:
    before = clean.copy()
    noisy = transition(clean, matrix, seed)
    found, sizes = counts(clean, noisy, K), np.bincount(clean, minlength=K)
    assert noisy.dtype == np.int64
    assert np.array_equal(found.sum(1), sizes)
    assert (np.abs(found - matrix * sizes[:, None]) < 1 + 1e-9).all()
    assert not found[matrix == 0].any()
    assert np.array_equal(noisy, transition(clean, matrix, seed))
    assert np.array_equal(found, counts(clean, transition(clean, matrix, seed + 1), K))
    assert np.array_equal(clean, before)


def test_whole_numbers_are_met_exactly_where_cutting_down_would_miss_them() -> None:
    clean = np.repeat([0, 1], 100)
    matrix = np.array([[0.71, 0.29], [0.42, 0.58]])  # 0.29 * 100 and 0.58 * 100 are a little less than 29 and 58
    assert counts(clean, transition(clean, matrix, 0), 2).tolist() == [[71, 29], [42, 58]]


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6])
def test_more_noise_than_by_cutting_down_and_as_much_as_asked_for(rate: float) -> None:
    """ANL's generator moves ``int(T[i, j] * n)`` rows, which of 603 rows and ten classes leaves several right."""
    clean = np.repeat(np.arange(10), 603)
    matrix = np.full((10, 10), rate / 9)
    np.fill_diagonal(matrix, 1 - rate)
    found = counts(clean, transition(clean, matrix, 0), 10)
    moved = found.sum() - np.trace(found)
    cut = np.floor(matrix * 603 + 1e-9).astype(int)
    assert moved == pytest.approx(rate * len(clean), abs=10)
    assert cut.sum() - np.trace(cut) < moved - 10


def test_rows_left_over_go_to_the_largest_fractions_then_to_the_lower_class() -> None:
    clean = np.zeros(6, dtype=np.int64)
    matrix = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]])  # 3, 1.5, 1.5
    assert np.bincount(transition(clean, matrix, 0)).tolist() == [3, 2, 1]
    matrix[0] = [0.05, 0.1, 0.85]  # 0.3, 0.6, 5.1
    assert np.bincount(transition(clean, matrix, 0)).tolist() == [0, 1, 5]


def test_which_rows_is_chance() -> None:
    clean = np.repeat([0, 1], 20)
    changed = sum(transition(clean, np.array([[0.6, 0.4], [0.4, 0.6]]), seed) != clean for seed in range(200))
    assert changed.min() > 40
    assert changed.max() < 120


def test_identity_changes_nothing() -> None:
    clean = np.arange(40) % 4
    assert np.array_equal(transition(clean, np.eye(4, dtype=np.int8), 0), clean)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (GOOD[:1], r"T has shape \[1, 2\]: give a square matrix"),
        (GOOD[0], r"T has shape \[2\]"),
        (np.zeros((0, 0)), r"T has shape \[0, 0\]"),
        (np.eye(3), "T is for 3 classes, and the data has 2"),
        (np.array([[0.5, 0.4], [0, 1]]), "row 0 of T adds up to 0.9: each row"),
        (np.array([[1, 0], [0.5, 0.50001]]), "row 1 of T adds up to 1.00001"),
        (np.array([[1, 0], [1.5, -0.5]]), "T has -0.5 in row 1, column 1, which is negative"),
        (np.array([[1, np.nan], [0, 1]]), "T has nan in row 0, column 1, which is not finite"),
        (np.array([[1, 0], [np.inf, 1]]), "T has inf in row 1, column 0"),
        (np.eye(2).astype(str), "T has dtype <U32: give numbers"),
        (np.eye(2).astype(complex), "T has dtype complex128"),
        (np.eye(2).astype(bool), "T has dtype bool"),
        (np.eye(2).astype(object), "T has dtype object"),
    ],
)
def test_matrices_that_are_none(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_matrix(matrix, "T", 2)


def test_generator_refuses_what_does_not_fit_the_labels() -> None:
    with pytest.raises(UsageError, match="the matrix of transition noise has shape"):
        transition(np.array([0, 1]), GOOD[:1], 0)
    with pytest.raises(UsageError, match="labels for noise go from 0 to 2 where there are 2 classes"):
        transition(np.array([0, 2]), GOOD, 0)
    with pytest.raises(UsageError, match="the seed of noise is -1"):
        transition(np.array([0, 1]), GOOD, -1)


def test_rows_off_by_the_rounding_of_floats_are_taken() -> None:
    shares = check_matrix(np.full((3, 3), 1 / 3, dtype=np.float32), "T")
    np.testing.assert_array_equal(shares.sum(1), 1)


@pytest.mark.parametrize("name", ["T.npy", "T.NPY", "T.csv", "T.Csv"])
def test_read(tmp_path: Path, name: str) -> None:
    if name.lower().endswith("npy"):
        with (tmp_path / name).open("wb") as file:
            np.save(file, GOOD.astype(np.float32))
    else:
        (tmp_path / name).write_text("\ufeff0.75, 0.25\n\n1e-1,0.9\n", encoding="utf-8")
    np.testing.assert_allclose(read_matrix(tmp_path / name, 2), GOOD, atol=1e-7)


@pytest.mark.parametrize(
    "text", ["", "cat,dog\n0.5,0.5\n0,1\n", "1,0\n1\n", "1;0\n0;1\n", "1,\n0,1\n", "\x00\x01", "1,0\n0,1,0\n"]
)
def test_read_refuses_text_that_is_no_matrix(tmp_path: Path, text: str) -> None:
    (tmp_path / "T.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"T\.csv (cannot be read as a transition matrix|has shape)"):
        read_matrix(tmp_path / "T.csv", 2)


def test_read_refuses_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "T.csv").write_bytes(b"\xff\xfe1,0")
    with pytest.raises(UsageError, match="cannot be read as a transition matrix"):
        read_matrix(tmp_path / "T.csv", 2)


def test_read_refuses_pickled_objects_archives_and_files_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "T.npy"
    np.save(path, np.array([[1, None], [0, 1]], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="cannot be read as a transition matrix"):
        read_matrix(path, 2)
    with path.open("wb") as file:
        np.savez(file, GOOD)
    with pytest.raises(UsageError, match="cannot be read as a transition matrix"):
        read_matrix(path, 2)
    np.save(path, GOOD)
    whole = path.read_bytes()
    for keep in (0, 5, 60, len(whole) - 3):
        path.write_bytes(whole[:keep])
        with pytest.raises(UsageError, match="cannot be read as a transition matrix"):
            read_matrix(path, 2)


def test_read_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no transition matrix"):
        read_matrix(tmp_path, 2)
