"""Exact search against a plain double loop, its ties and refusals, and neighbours put together from parts."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from thresher.audit.neighbours import Neighbours, assembled, check, nearest, search
from thresher.audit.neighbours.nearest import Metric
from thresher.errors import UsageError


def draw(rows: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def plain(x: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """By a full table in float64; equal distances by position."""
    x = x.astype(np.float64)
    if metric == "cosine":
        table = 1 - x @ x.T / np.maximum(np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(x, axis=1), 1e-300)
        zero = ~x.any(axis=1)
        table[np.ix_(zero, zero)] = 0
    else:
        table = np.sqrt(((x[:, None] - x) ** 2).sum(axis=2))
    np.fill_diagonal(table, np.inf)
    order = np.argsort(table, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(table, order, axis=1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("tile", [96, 1 << 13])
def test_against_a_full_table(metric: Metric, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(search._TILE, "cpu", tile)
    monkeypatch.setattr(search, "_FOLD", 4)  # so that columns are folded even in small tiles
    x = draw(700, 6)
    found = nearest(x, 7, metric=metric, chunk=50)
    index, distance = plain(x, 7, metric)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_allclose(found.distance, distance, atol=1e-6)
    assert (str(found.index.dtype), str(found.distance.dtype)) == ("int32", "float32")


@settings(deadline=None, max_examples=60)
@given(
    x=arrays.arrays(np.int8, st.tuples(st.integers(4, 40), st.integers(1, 3)), elements=st.integers(0, 2)),
    k=st.integers(1, 3),
)
def test_ties_go_to_the_lower_position(x: np.ndarray, k: int) -> None:
    index, distance = plain(x, k, "euclidean")
    found = nearest(x, k, metric="euclidean")
    np.testing.assert_allclose(found.distance, distance, atol=1e-6)
    np.testing.assert_array_equal(found.index, index)


def test_many_ties_do_not_depend_on_chunks_or_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(0, 3, (600, 3)).astype(np.uint8)
    first = nearest(x, 5)
    monkeypatch.setitem(search._TILE, "cpu", 64)
    second = nearest(x, 5, chunk=7)
    np.testing.assert_array_equal(first.index, second.index)
    np.testing.assert_array_equal(first.distance, second.distance)


def test_equal_samples_are_neighbours_but_never_oneself() -> None:
    found = nearest(np.zeros((400, 3)), 4, metric="euclidean")
    assert found.index[0].tolist() == [1, 2, 3, 4]
    assert found.index[399].tolist() == [0, 1, 2, 3]
    assert not found.distance.any()
    itself = nearest(np.zeros((5, 3)), 5, metric="euclidean", exclude_self=False)
    assert itself.index[3].tolist() == [0, 1, 2, 3, 4]


def test_rows_of_zeros_under_the_cosine() -> None:
    found = nearest(np.array([[0.0, 0], [1, 0], [0, 0], [2, 0]]), 2)
    assert found.index.tolist() == [[2, 1], [3, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(found.distance, [[0, 1], [0, 1], [0, 1], [0, 1]], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_near_copies_far_from_the_origin(scale: float) -> None:
    x = (1e4 + draw(300, 5).astype(np.float64)) * scale
    x[1] = x[0] + 1e-3 * scale
    found = nearest(x, 3, metric="euclidean")
    assert found.index[0, 0] == 1
    np.testing.assert_allclose(found.distance[0, 0] / scale, 1e-3 * 5**0.5, rtol=1e-2)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.dtype(">f4"), np.int64])
def test_dtypes(dtype: np.dtype) -> None:
    x = np.random.default_rng(0).permutation(60).reshape(30, 2).astype(dtype)
    expected = plain(x, 3, "euclidean")[1]
    np.testing.assert_allclose(nearest(x, 3, metric="euclidean").distance, expected, rtol=1e-5)
    tensor = torch.as_tensor(x.astype(np.float32), dtype=torch.bfloat16)
    np.testing.assert_allclose(nearest(tensor, 3, metric="euclidean").distance, expected, rtol=1e-5)
    frozen = x.copy()
    frozen.flags.writeable = False
    assert len(nearest(frozen, 1)) == 30


def test_queries() -> None:
    x = draw(50, 4)
    every = nearest(x, 3)
    some = nearest(x, 3, queries=np.array([7, 3]))
    np.testing.assert_array_equal(some.index, every.index[[7, 3]])
    outside = nearest(x, 3, queries=x[[7, 3]])
    assert outside.index[:, 0].tolist() == [7, 3]
    assert nearest(x, 3, queries=np.empty(0, dtype=int)).index.shape == (0, 3)
    assert nearest(x, 3, queries=np.empty((0, 4))).index.shape == (0, 3)
    seen: list[tuple[int, int]] = []
    nearest(x, 3, chunk=20, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(20, 50), (40, 50), (50, 50)]


def test_faiss_finds_the_same() -> None:
    pytest.importorskip("faiss")
    for x in (draw(900, 9), np.random.default_rng(1).integers(0, 3, (500, 3))):
        ours, theirs = nearest(x, 6, backend="exact"), nearest(x, 6, backend="faiss")
        np.testing.assert_array_equal(ours.index, theirs.index)
        np.testing.assert_array_equal(ours.distance, theirs.distance)


def test_faiss_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UsageError, match=r"pip install 'thresher\[faiss\]'"):
        nearest(draw(9, 2), 2, backend="faiss")


@pytest.mark.parametrize(
    ("x", "options", "said"),
    [
        (np.zeros((3, 2)), {"k": 3}, "only 2 others"),
        (np.zeros((0, 2)), {"k": 1}, "only 0 others"),
        (np.zeros((3, 2)), {"k": 0}, "at least 1"),
        (np.zeros((3, 2)), {"k": 1.5}, "whole number"),
        (np.zeros(3), {"k": 1}, r"shape \[3\]"),
        (np.zeros((3, 0)), {"k": 1}, r"shape \[3, 0\]"),
        (np.array([["a"], ["b"]]), {"k": 1}, "must be numbers"),
        (np.array([[0.0], [1], [np.nan], [np.inf]]), {"k": 1}, "row 2 of the features"),
        (np.array([[0.0], [1e300]]), {"k": 1}, "row 1 of the features"),
        (np.zeros((3, 2)), {"k": 1, "metric": "manhattan"}, "cosine or euclidean"),
        (np.zeros((3, 2)), {"k": 1, "backend": "annoy"}, "auto, exact or faiss"),
        (np.zeros((3, 2)), {"k": 1, "chunk": 0}, "at least 1"),
        (np.zeros((3, 2)), {"k": 1, "queries": np.array([3])}, "from 3 to 3"),
        (np.zeros((3, 2)), {"k": 1, "queries": np.array([0.5])}, "queries are positions"),
        (np.zeros((3, 2)), {"k": 1, "queries": np.zeros((1, 3))}, "3 features, the samples 2"),
        (np.zeros((3, 2)), {"k": 1, "queries": np.full((1, 2), np.nan)}, "row 0 of the queries"),
    ],
)
def test_refused(x: np.ndarray, options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        nearest(x, **options)


def test_assembled_from_folds() -> None:
    x, every = draw(40, 3), np.arange(40)
    fold = every % 3
    parts = []
    for number in range(3):
        order = np.random.default_rng(number).permutation(40)  # a fold may hold the samples in an order of its own
        held = np.flatnonzero(fold[order] == number)
        parts.append((order[held], order, nearest(x[order], 4, queries=held)))
    np.testing.assert_array_equal(assembled(parts).index, nearest(x, 4).index)


def test_assembled_refuses_what_does_not_fit() -> None:
    def found(index: list[list[int]]) -> Neighbours:
        return Neighbours(np.array(index, dtype=np.int32), np.ones(np.shape(index), dtype=np.float32))

    every = np.arange(3)
    for parts, said in [
        ([], "no parts"),
        ([(np.array([0, 2]), every, found([[1], [0]]))], "each of 0 to 1 once"),
        ([(np.array([0, 0]), every, found([[1], [0]]))], "each of 0 to 1 once"),
        ([(np.array([0, 1]), every, found([[1]]))], "part 0 has neighbours of shape"),
        ([(every[:1], every, found([[1]])), (every[1:2], every, found([[0, 2]]))], "part 1 has neighbours of shape"),
        ([(np.array([0, 1]), every, found([[1], [3]]))], "there are 3 samples"),
        ([(np.array([0, 1]), np.array([1, 0, 2]), found([[1], [0]]))], "its own neighbours"),
    ]:
        with pytest.raises(UsageError, match=said):
            assembled(parts)


def test_check() -> None:
    check(Neighbours(np.array([[1], [0]]), np.zeros((2, 1))), 2, own=True)
    for index, distance, said in [
        (np.array([[1], [0]]), np.zeros((2, 2)), "same shape"),
        (np.array([[1.0], [0]]), np.zeros((2, 1)), "whole numbers"),
        (np.empty((2, 0), dtype=int), np.empty((2, 0)), "k >= 1"),
        (np.array([[-1], [0]]), np.zeros((2, 1)), "from -1 to 0"),
        (np.array([[1], [0]]), np.array([[0], [np.nan]]), "NaN or negative"),
        (np.array([[1]]), np.zeros((1, 1)), "neighbours of 1 samples"),
        (np.array([[0], [0]]), np.zeros((2, 1)), "sample 0 is among"),
    ]:
        with pytest.raises(UsageError, match=said):
            check(Neighbours(index, distance), 2, own=True)


def test_memory_does_not_grow_with_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    addmm = torch.addmm

    def watched(*args: Any, **options: Any) -> Any:
        sizes.append(options["out"].numel())
        return addmm(*args, **options)

    monkeypatch.setattr(torch, "addmm", watched)
    nearest(draw(20_000, 8), 2, queries=np.arange(300), backend="exact")
    assert max(sizes) <= search._CHUNK["cpu"] * search._TILE["cpu"]
    assert len(sizes) == 3 * 3  # chunks times tiles
