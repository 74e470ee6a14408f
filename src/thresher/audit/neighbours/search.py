"""Exact nearest rows in float32: candidates by matrix products, then true differences decide.

The squared distance is taken as ``|r|^2 - 2 q.r + |q|^2`` (one matrix product per tile) only to find candidates, for
its rounding error is too large for near duplicates. The candidates' distances are then summed from differences, and a
row whose candidates could miss a neighbour, by the worst case of that rounding error, is looked at again. So the result
depends neither on the size of the tiles nor on what found the candidates.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from thresher.audit.neighbours.space import ENTRIES, Space
from thresher.errors import UsageError

Found = tuple[Tensor, Tensor]
"""Values of candidates, float32 ``[M, m]``, and their positions, int64 ``[M, m]``."""

_SPARE = 6  # candidates beyond the k wanted: enough that rounding rarely leaves a row in doubt
_TILE = {"cpu": 1 << 13, "cuda": 1 << 16}
_CHUNK = {"cpu": 128, "cuda": 2048}  # with the tile: 4 MiB, which fits a core's cache; 512 MiB on a GPU
_FOLD = 32
_TIED = 256
_EPS = torch.finfo(torch.float32).eps


def search(
    space: Space,
    queries: Tensor,
    own: Tensor,
    k: int,
    *,
    candidates: Callable[[Tensor, Tensor, int], Found] | None = None,
    chunk: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Found]:
    """The k nearest samples of every query, nearest first, of equal distances the lower position first.

    Of more than 256 samples that lie at the k-th distance up to rounding, the first 256 are compared.

    Args:
        space: the samples, at least k of them beside a query itself.
        queries: points of the space, float32 ``[M, D]``.
        own: the position of each query among the samples, which is left out; -1 for none; int64 ``[M]``.
        k: of one or more.
        candidates: finds the approximately nearest ``(queries, own, count)``; by default exact, in tiles.
        chunk: queries at a time.
        progress: called with the number of queries done, and of all.

    Yields:
        Distances and positions of one chunk of queries after the other.
    """
    count = min(k + _SPARE, len(space.points) - int(bool((own >= 0).any())))
    find = candidates or Tiles(space)
    done = 0
    for query, self_ in zip(
        *(x.split(chunk or _CHUNK[queries.device.type]) for x in (queries, own.to(queries.device))), strict=True
    ):
        values, index = find(query, self_, count)
        squared, ranked = _ranked(space, query, index, k)
        if count < len(space.points) - 1:
            _settle(space, query, self_, values.amax(1), index, (squared, ranked))
        done += len(query)
        if progress is not None:
            progress(done, len(queries))
        yield space.distance(squared), ranked


class Tiles:
    """Finds candidates by one matrix product per tile of samples; memory does not grow with their number."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.width = _TILE[space.points.device.type]

    def __call__(self, query: Tensor, own: Tensor, count: int) -> Found:
        """The `count` samples of the smallest approximate squared distance, in no order."""
        values, index = [], []
        for start, tile in self.each(query, own):
            found, columns = _smallest(tile, min(count, tile.shape[1]))
            values.append(found)
            index.append(columns + start)
        best = torch.cat(values, 1).topk(count, dim=1, largest=False, sorted=False)
        return best.values + query.square().sum(1, keepdim=True), torch.cat(index, 1).gather(1, best.indices)

    def each(self, query: Tensor, own: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Approximate squared distances without the query's own square, infinite to itself, in memory used again."""
        twice = query * -2
        buffer = query.new_empty(len(query) * min(self.width, len(self.space.points)))
        rows = torch.arange(len(query), device=query.device)
        for start in range(0, len(self.space.points), self.width):
            points = self.space.points[start : start + self.width]
            tile = buffer[: len(query) * len(points)].view(len(query), len(points))
            torch.addmm(self.space.squares[start : start + self.width], twice, points.T, out=tile)
            here = (own >= start) & (own < start + len(points))
            tile[rows[here], own[here] - start] = torch.inf
            yield start, tile


def faiss_serves() -> bool:
    """Whether faiss is installed and may be loaded beside torch (on macOS each brings an OpenMP, and they collide).

    Example:
        >>> faiss_serves() in (True, False)
        True
    """
    return sys.platform != "darwin" and importlib.util.find_spec("faiss") is not None


def faiss_candidates(space: Space) -> Callable[[Tensor, Tensor, int], Found]:
    """Candidates by faiss's ``IndexFlatL2``, which is exact up to rounding.

    Raises:
        UsageError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UsageError("backend 'faiss' needs faiss: pip install 'thresher[faiss]', or choose 'exact'") from error
    index = faiss.IndexFlatL2(space.points.shape[1])
    index.add(space.points.cpu().numpy())

    def find(query: Tensor, own: Tensor, count: int) -> Found:
        wanted = min(count + 1, len(space.points))
        squared, positions = (torch.from_numpy(x).to(query.device) for x in index.search(query.cpu().numpy(), wanted))
        squared[positions == own[:, None]] = torch.inf
        best = squared.topk(count, dim=1, largest=False)
        return best.values, positions.gather(1, best.indices)

    return find


def _smallest(tile: Tensor, count: int) -> Found:
    """The `count` smallest of each row, in no order.

    They lie in the `count` groups of columns with the smallest minima, and a minimum over groups costs far less than a
    selection over columns. A group is every so-manieth column, so that the minima are taken along whole vectors.
    """
    groups = tile.shape[1] // _FOLD
    if groups <= count:
        return tile.topk(count, dim=1, largest=False, sorted=False)
    folded = tile[:, : groups * _FOLD].unflatten(1, (_FOLD, groups))
    best = folded.amin(1).topk(count, dim=1, largest=False, sorted=False).indices
    inside = folded.gather(2, best[:, None].expand(-1, _FOLD, -1)).flatten(1)
    rest = tile[:, groups * _FOLD :]
    every = torch.cat([inside, rest], 1) if rest.shape[1] else inside
    found = every.topk(count, dim=1, largest=False, sorted=False)
    column = found.indices
    within = column // count * groups + best.gather(1, column % count)
    return found.values, torch.where(column < inside.shape[1], within, column - inside.shape[1] + groups * _FOLD)


def _ranked(space: Space, query: Tensor, index: Tensor, k: int) -> Found:
    """The k nearest of some candidates (-1: none), by differences; equal distances by position, each one once."""
    index = index.sort(1).values
    squared = torch.empty(index.shape, device=query.device)
    step = max(1, ENTRIES // (index.shape[1] * query.shape[1]))
    for start in range(0, len(query), step):
        some = slice(start, start + step)
        squared[some] = (space.points[index[some].clamp(min=0)] - query[some, None]).square_().sum(2)
    squared[index < 0] = torch.inf
    squared[:, 1:][index[:, 1:] == index[:, :-1]] = torch.inf
    order = squared.sort(dim=1, stable=True)
    return order.values[:, :k], index.gather(1, order.indices[:, :k])


def _settle(space: Space, query: Tensor, own: Tensor, seen_to: Tensor, index: Tensor, found: Found) -> None:
    """Look again at the queries whose unseen samples may be as near as the k-th found; writes into `found`.

    Args:
        space: the samples.
        query: float32 ``[c, D]``.
        own: int64 ``[c]``.
        seen_to: the largest approximate squared distance among the candidates; the unseen ones have no smaller.
        index: the candidates, ``[c, m]``.
        found: what they gave.
    """
    squared, ranked = found
    last = squared[:, -1]
    # A sample within the k-th distance is no longer than the query and that distance together, which bounds the
    # rounding error of its products.
    reach = last + (query.shape[1] + 4) * _EPS * (2 * query.square().sum(1).sqrt() + last.sqrt()).square()
    doubt = torch.nonzero(seen_to <= reach)[:, 0]
    if not len(doubt):
        return
    extra = torch.full((len(doubt), _TIED), -1, device=query.device)
    taken = torch.zeros((len(doubt), 1), dtype=torch.int32, device=query.device)
    limit = (reach[doubt] - query[doubt].square().sum(1))[:, None]
    for start, tile in Tiles(space).each(query[doubt], own[doubt]):
        near = tile <= limit
        rank = near.cumsum(1, dtype=torch.int32) + taken
        row, column = torch.nonzero(near & (rank <= _TIED), as_tuple=True)
        extra[row, rank[row, column].long() - 1] = column + start
        taken = rank[:, -1:]
    squared[doubt], ranked[doubt] = _ranked(space, query[doubt], torch.cat([index[doubt], extra], 1), ranked.shape[1])
