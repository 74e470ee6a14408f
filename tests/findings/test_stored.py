from pathlib import Path

import numpy as np
import pytest

from thresher.errors import ThresherError
from thresher.findings.stored import Stored, read


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    np.save(folder / "rows.npy", np.array([7, 3, 5]))
    np.save(folder / "probabilities.npy", np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32))
    np.save(folder / "neighbours.npy", np.array([[1, 2], [2, 0], [9, -1]], dtype=np.int32))
    np.save(folder / "distances.npy", np.arange(6, dtype=np.float32).reshape(3, 2))
    return tmp_path


def found(run: Path) -> Stored:
    stored = read(run, 2)
    assert stored is not None
    return stored


def test_by_row_number(run: Path) -> None:
    stored = found(run)
    belief = stored.belief(np.array([5, 4, 7]))
    assert belief is not None
    assert np.allclose(belief, [[0.5, 0.5], [np.nan, np.nan], [0.7, 0.3]], equal_nan=True)
    assert stored.neighbours(7) == [(3, 0.0), (5, 1.0)]
    assert stored.neighbours(4) == []
    assert stored.neighbours(5) == []  # places that are none


def test_parts_may_be_absent(run: Path) -> None:
    for name in ("probabilities", "neighbours", "distances"):
        (run / "evidence" / f"{name}.npy").unlink()
    stored = found(run)
    assert stored.belief(np.array([7])) is None
    assert stored.neighbours(7) == []
    (run / "evidence" / "rows.npy").unlink()
    assert read(run, 2) is None


def test_no_rows() -> None:
    assert Stored(np.zeros(0, dtype=np.int64)).neighbours(1) == []


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("rows", np.zeros((3, 1), dtype=np.int64)),
        ("rows", np.zeros(3)),
        ("rows", np.zeros(2, dtype=np.int64)),
        ("probabilities", np.zeros((3, 3))),
        ("probabilities", np.zeros((2, 2))),
        ("probabilities", np.zeros((3, 2), dtype=np.int64)),
        ("neighbours", np.zeros((4, 2), dtype=np.int32)),
        ("neighbours", np.zeros((3, 5), dtype=np.int32)),
        ("distances", np.zeros(3)),
    ],
)
def test_what_does_not_fit(run: Path, name: str, array: np.ndarray) -> None:
    np.save(run / "evidence" / f"{name}.npy", array)
    with pytest.raises(ThresherError, match="find the labels again, or remove that folder"):
        read(run, 2)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"nonsense"])
def test_damaged(run: Path, content: bytes) -> None:
    (run / "evidence" / "probabilities.npy").write_bytes(content)
    with pytest.raises(ThresherError, match=r"probabilities\.npy"):
        read(run, 2)


def test_nothing_that_could_run_code(run: Path) -> None:
    np.save(run / "evidence" / "rows.npy", np.array([{}, {}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(ThresherError, match="damaged"):
        read(run, 2)


def test_neighbours_without_distances(run: Path) -> None:
    (run / "evidence" / "distances.npy").unlink()
    with pytest.raises(ThresherError, match="without their distances"):
        read(run, 2)
