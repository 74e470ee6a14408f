"""Each sample's nearest neighbours in feature space, by exact search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thresher.audit.neighbours.search import faiss_candidates, faiss_serves, search
from thresher.audit.neighbours.space import prepare
from thresher.errors import UsageError

Metric = Literal["cosine", "euclidean"]
Backend = Literal["auto", "exact", "faiss"]

_LARGE = 20_000
_FAISS_CHUNK = 1024  # a call of its own costs much: at 128 queries it is five times as slow


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest samples of each sample, nearest first, never itself.

    Attributes:
        index: positions of the neighbours, int32 ``[M, k]``.
        distance: their distances, float32 ``[M, k]``, not falling along a row.
    """

    index: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        """M, the number of samples whose neighbours these are."""
        return len(self.index)


def nearest(
    features: np.ndarray | Tensor,
    k: int = 10,
    *,
    queries: np.ndarray | Tensor | None = None,
    exclude_self: bool = True,
    metric: Metric = "cosine",
    chunk: int | None = None,
    device: str = "cpu",
    backend: Backend = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Neighbours:
    """Find the k nearest neighbours of every sample, or of some.

    Exact: the neighbours are those of a full comparison in float32, and of equal distances the lower position comes
    first (see `thresher.audit.neighbours.search`). Beside the features in float32, memory does not grow with their
    number.

    Args:
        features: ``[N, D]``, real numbers of any dtype.
        k: neighbours per sample, below N.
        queries: positions of the samples to ask for, integer ``[M]``; or features of samples that are not among
            these, float ``[M, D]``; all N by default.
        exclude_self: a sample is no neighbour of itself (another sample with equal features is); without a meaning
            for queries from outside.
        metric: ``cosine`` (1 - cosine, 0..2; a row of zeros has distance 0 to its like and 1 to all else) or
            ``euclidean``.
        chunk: queries at a time; by default so many that a tile fits the cache.
        device: where to search.
        backend: what finds the candidates: ``exact`` is ours, ``faiss`` its flat index; the results are the same.
            ``auto`` takes faiss where it is installed, the search runs on the CPU and there are 20,000 samples or
            more, which took two thirds of the time.
        progress: called with the number of queries done, and of all.

    Returns:
        `Neighbours` with M rows; the positions are rows of `features`.

    Raises:
        UsageError: arrays of another shape, values that are not finite, k out of range, an unknown name.

    Example:
        >>> found = nearest(np.array([[0.0], [1.0], [3.0]]), 1, metric="euclidean")
        >>> found.index.tolist(), found.distance.tolist()
        ([[1], [0], [1]], [[1.0], [1.0], [2.0]])
    """
    _check_names(metric, backend, chunk)
    samples = _matrix(features, "features")
    own, outside = _queries(queries, samples, exclude_self)
    _check_k(k, len(samples) - int(bool((own >= 0).any())))
    space, points = prepare(samples, outside, cosine=metric == "cosine", device=device)
    if points is None:
        asked = slice(None) if queries is None else torch.as_tensor(np.asarray(queries), dtype=torch.int64)
        points = space.points[asked]
    candidates = None
    if backend == "faiss" or (backend == "auto" and device == "cpu" and len(samples) >= _LARGE and faiss_serves()):
        candidates, chunk = faiss_candidates(space), chunk or _FAISS_CHUNK
    index, distance = np.empty((len(points), k), dtype=np.int32), np.empty((len(points), k), dtype=np.float32)
    done = 0
    with torch.inference_mode():
        for far, where in search(space, points, own, k, candidates=candidates, chunk=chunk, progress=progress):
            index[done : done + len(where)], distance[done : done + len(where)] = where.cpu(), far.cpu()
            done += len(where)
    return Neighbours(index, distance)


def assembled(parts: Sequence[tuple[np.ndarray, np.ndarray, Neighbours]]) -> Neighbours:
    """Neighbours that were found part by part, as in cross-fitting, in one table of global positions.

    A fold's network has a feature space of its own, so its held samples are compared there, and each part keeps the
    distances of its space.

    Args:
        parts: for each part the global positions of its queries, integer ``[M]``; the global positions of the samples
            that were searched, integer ``[R]``; and what was found, with positions 0..R-1.

    Returns:
        `Neighbours` of all N = the sum of M queries, in the order of their positions.

    Raises:
        UsageError: queries that are not each of 0..N-1 once, a table that does not fit its part, another k, or a sample
            that is its own neighbour.

    Example:
        >>> found = Neighbours(np.array([[1]], dtype=np.int32), np.array([[0.5]], dtype=np.float32))
        >>> parts = [(np.array([1]), np.array([1, 0]), found), (np.array([0]), np.array([0, 1]), found)]
        >>> assembled(parts).index.tolist()
        [[1], [0]]
    """
    if not parts:
        raise UsageError("there are no parts to assemble neighbours from")
    asked = np.concatenate([np.asarray(rows, dtype=np.int64) for rows, _, _ in parts])
    if not np.array_equal(np.sort(asked), np.arange(len(asked))):
        raise UsageError(f"the parts ask for {len(asked)} samples: these must be each of 0 to {len(asked) - 1} once")
    width = parts[0][2].index.shape[1]
    index = np.empty((len(asked), width), dtype=np.int32)
    distance = np.empty((len(asked), width), dtype=np.float32)
    for number, (rows, reference, found) in enumerate(parts):
        where = np.asarray(reference)
        if found.index.shape != (len(rows), width):
            raise UsageError(
                f"part {number} has neighbours of shape {list(found.index.shape)}: they must be {[len(rows), width]}"
            )
        check(found, len(where))
        index[rows], distance[rows] = where[found.index], found.distance
    result = Neighbours(index, distance)
    check(result, len(asked), own=True)
    return result


def check(neighbours: Neighbours, samples: int, *, own: bool = False) -> None:
    """Refuse a table of neighbours that does not belong to these samples.

    Args:
        neighbours: of M samples.
        samples: how many samples the positions count, N.
        own: whether row i is sample i, so that M must be N and no row may hold itself.

    Raises:
        UsageError: shapes that differ, positions out of range, distances that are no numbers.

    Example:
        >>> check(Neighbours(np.array([[1], [2]]), np.zeros((2, 1))), 2)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: the neighbours' positions go from 1 to 2: there are 2 samples
    """
    index, distance = np.asarray(neighbours.index), np.asarray(neighbours.distance)
    if index.ndim != 2 or index.shape != distance.shape or index.dtype.kind not in "iu" or not index.shape[1]:
        raise UsageError(
            f"neighbours are whole numbers [samples, k >= 1] and distances of the same shape: these are {index.dtype}"
            f" {list(index.shape)} and {list(distance.shape)}"
        )
    if own and len(index) != samples:
        raise UsageError(f"there are neighbours of {len(index)} samples, for {samples} samples")
    if index.size and not 0 <= index.min() <= index.max() < samples:
        raise UsageError(
            f"the neighbours' positions go from {index.min()} to {index.max()}: there are {samples} samples"
        )
    if own and (mine := np.flatnonzero((index == np.arange(len(index))[:, None]).any(axis=1))).size:
        raise UsageError(f"sample {mine[0]} is among its own neighbours: search again with exclude_self")
    if not (distance >= 0).all():
        raise UsageError("the neighbours' distances hold NaN or negative values: search again")


def _check_names(metric: str, backend: str, chunk: int | None) -> None:
    if metric not in ("cosine", "euclidean"):
        raise UsageError(f"metric is {metric!r}: choose cosine or euclidean")
    if backend not in ("auto", "exact", "faiss"):
        raise UsageError(f"backend is {backend!r}: choose auto, exact or faiss")
    if chunk is not None and chunk < 1:
        raise UsageError(f"chunk is {chunk}: it must be at least 1")


def _check_k(k: int, others: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise UsageError(f"k is {k!r}: it must be a whole number, at least 1")
    if k > others:
        raise UsageError(
            f"k is {k}, but each sample has only {max(others, 0)} others to compare with: choose a smaller k"
        )


def _matrix(features: np.ndarray | Tensor, what: str) -> Tensor:
    """The features as a tensor, in the dtype they have."""
    if not isinstance(features, Tensor):
        array = np.asarray(features)
        if array.dtype.kind not in "fiub":
            raise UsageError(f"the {what} are of type {array.dtype}: they must be numbers")
        # torch knows neither all of numpy's integers, nor byte orders, nor read-only memory
        array = array if array.dtype in (np.float16, np.float32, np.float64, np.uint8) else array.astype(np.float64)
        features = torch.from_numpy(array if array.flags.writeable else array.copy())
    if features.ndim != 2 or not features.shape[1]:
        raise UsageError(f"the {what} have shape {list(features.shape)}: they must be [samples, features]")
    if features.is_complex():
        raise UsageError(f"the {what} are of type {features.dtype}: they must be real numbers")
    return features.detach()


def _queries(queries: np.ndarray | Tensor | None, samples: Tensor, exclude_self: bool) -> tuple[Tensor, Tensor | None]:
    """The position of each query that shall not be its own neighbour (or -1), and the queries from outside."""
    if queries is None:
        own = torch.arange(len(samples))
        return (own if exclude_self else torch.full_like(own, -1)), None
    if np.ndim(queries) == 2:
        outside = _matrix(queries, "queries")
        if outside.shape[1] != samples.shape[1]:
            raise UsageError(f"the queries have {outside.shape[1]} features, the samples {samples.shape[1]}")
        return torch.full((len(outside),), -1), outside
    rows = np.asarray(queries)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise UsageError(f"queries are positions [M] or features [M, D]: these are {rows.dtype} {list(rows.shape)}")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(samples):
        raise UsageError(f"queries go from {rows.min()} to {rows.max()}: there are {len(samples)} samples")
    own = torch.as_tensor(rows.astype(np.int64))
    return (own if exclude_self else torch.full_like(own, -1)), None
