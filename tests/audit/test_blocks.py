"""Blocks and threads: nothing is left out, nothing depends on how many threads there are."""

import threading

import numpy as np
import pytest

from thresher.audit import blocks
from thresher.errors import UsageError


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (70_000, 3), (300, 1000), (5, 300_000)])
def test_every_row_once(shape: tuple[int, int]) -> None:
    rows = [row for part in blocks.blocks(np.broadcast_to(0.0, shape)) for row in range(*part.indices(shape[0]))]
    assert rows == list(range(shape[0]))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_results_in_order(count: int) -> None:
    with blocks.at_most(count):
        assert blocks.threads() == count
        assert blocks.share(lambda item: item * item, range(100)) == [item * item for item in range(100)]
        assert blocks.share(str, []) == []


def test_several_threads_work() -> None:
    meeting = threading.Barrier(2, timeout=20)
    with blocks.at_most(2):
        assert sorted(blocks.share(lambda _: meeting.wait(), range(2))) == [0, 1]


def test_an_error_is_raised() -> None:
    with blocks.at_most(2), pytest.raises(ZeroDivisionError):
        blocks.share(lambda item: 1 // item, [1, 0, 1, 1])


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert blocks.threads() == 3
    with blocks.at_most(None):
        assert blocks.threads() == 3
    with blocks.at_most(2), blocks.at_most(None):
        assert blocks.threads() == 2
    for nothing in ("", "0", "2,1"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert blocks.threads() >= 1
    for wrong in (0, -1, 1.5):
        with pytest.raises(UsageError, match="1 or more"), blocks.at_most(wrong):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", [2, 32, 33, 300])
def test_row_max(dtype: str, classes: int) -> None:
    matrix = np.random.default_rng(classes).random((50, classes)).astype(dtype)
    for block in (matrix, np.asfortranarray(matrix), matrix[::2]):
        np.testing.assert_array_equal(blocks.row_max(block), block.max(axis=1))
        np.testing.assert_array_equal(blocks.turned(block), block.T)
