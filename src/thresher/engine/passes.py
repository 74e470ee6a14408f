"""Passes over the data: who visits which row when, and where in the epoch the run stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thresher.engine.step import Batch
from thresher.errors import ThresherError
from thresher.randomness import generator, mix, seed_default

if TYPE_CHECKING:
    from thresher.engine.run import Run

PREPARE, BETWEEN, EPOCH, AFTER = 0, 1, 2, 3
"""Phases of an epoch. Only in `EPOCH` is the position kept: what comes before is redone from a boundary checkpoint."""

_TRUSTED = 31


@dataclass
class Position:
    """Where a run stands inside an epoch: verbs (passes and scans) finished, batches done in the open one.

    To resume, the epoch is called again from its top with `resume_verb` and `resume_done` set: finished passes yield
    nothing, finished scans return their saved rows, and the open pass goes on at its next batch.
    """

    phase: int = EPOCH
    verb: int = 0
    done: int = 0
    open: bool = False
    resume_verb: int = -1
    resume_done: int = 0

    def enter(self, phase: int) -> None:
        """Start a phase: its verbs are numbered from 0."""
        self.phase, self.verb, self.done = phase, 0, 0

    def next_verb(self) -> int:
        """Number a pass or scan.

        Raises:
            ThresherError: a pass is still open.
        """
        if self.open:
            raise ThresherError(
                "a pass or scan was started inside a pass: finish one before the next, or it cannot resume"
            )
        self.verb += 1
        return self.verb - 1

    def is_finished(self, verb: int) -> bool:
        """Whether an interrupted epoch had already finished this verb."""
        return self.phase == EPOCH and verb < self.resume_verb

    def batches_done(self, verb: int) -> int:
        """How many batches of this verb an interrupted epoch had already done."""
        return self.resume_done if self.phase == EPOCH and verb == self.resume_verb else 0


@dataclass(frozen=True)
class Lane:
    """One split's batches for one pass on this rank.

    Attributes:
        order: row numbers in visiting order, int64 on the CPU, once per cycle.
        cuts: start and stop in `order`, per batch.
        real: rows visited for their own sake, per batch and rank; 0 where a rank only keeps step.
        steps: batches in one cycle.
    """

    order: Tensor
    cuts: list[tuple[int, int]]
    real: list[list[int]]
    steps: int


def cut(rows: int, size: int) -> list[tuple[int, int]]:
    """Start and stop of each batch; a last batch of one row joins its neighbour, for batch norm needs two.

    Example:
        >>> cut(9, 4), cut(10, 4)
        ([(0, 4), (4, 9)], [(0, 4), (4, 8), (8, 10)])
    """
    starts = list(range(0, rows, size))
    if len(starts) > 1 and rows - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], rows], strict=True)) if rows else []


def rows_of(split: Tensor | None, size: int) -> Tensor:
    """The row numbers a split names, sorted int64 on the CPU; a split is a mask ``[N]``, an index, or None for all."""
    if split is None:
        return torch.arange(size)
    split = split.detach().cpu()
    if split.dtype == torch.bool:
        if len(split) != size:
            raise ThresherError(f"a split is a mask of {len(split)} rows, and the run has {size}")
        return split.nonzero().flatten()
    return split.to(torch.int64).sort().values


def shuffled(rows: Tensor, labels: Tensor | None, *seed: int) -> Tensor:
    """The rows in random order; with labels (of these rows), classes take turns and small ones repeat."""
    source = generator(*seed)
    if labels is None:
        return rows[torch.randperm(len(rows), generator=source)]
    groups = [rows[labels == label] for label in labels.unique()]
    turns = -(-len(rows) // len(groups))
    columns = []
    for group in groups:
        repeats = [group[torch.randperm(len(group), generator=source)] for _ in range(-(-turns // len(group)))]
        columns.append(torch.cat(repeats)[:turns])
    return torch.stack(columns, 1).flatten()[: len(rows)]


def first_occurrences(index: Tensor) -> Tensor:
    """Positions of the first occurrence of every value, increasing, int64.

    Example:
        >>> first_occurrences(torch.tensor([5, 3, 5, 3, 7])).tolist()
        [0, 1, 4]
    """
    _, inverse = index.unique(return_inverse=True)
    positions = torch.arange(len(index) - 1, -1, -1)
    first = torch.empty(int(inverse.max()) + 1, dtype=torch.int64)
    first[inverse.flip(0)] = positions
    return first.sort().values


def lane(run: "Run", split: Tensor | None, size: int, balanced: bool, cycles: int, *seed: int) -> Lane:
    """Lay out one split: `cycles` visits of all its rows (more than one for a split that cycles beside another)."""
    world, rank = run.runtime.world, run.runtime.rank
    rows = rows_of(split, run.size)
    rows = rows if run.kept is None else rows[run.kept[rows]]
    counts = torch.bincount(rows % world, minlength=world).tolist()
    per_rank = [cut(count, size) for count in counts]
    mine = rows[rows % world == rank]
    labels = run.labels[mine.to(run.device)].cpu() if balanced else None
    steps = max(len(cuts) for cuts in per_rank)
    order = torch.cat([shuffled(mine, labels, *seed, rank, cycle) for cycle in range(cycles)]) if len(mine) else mine
    real = [[stop - start for start, stop in cuts] + [0] * (steps - len(cuts)) for cuts in per_rank]
    cuts = per_rank[rank]
    if len(cuts) < steps:  # this rank keeps step with rows that neither write nor weigh
        order = order if len(mine) else torch.arange(rank, run.size, world)[:size]
        cuts = cuts + [(0, min(size, len(mine) or len(order)))] * (steps - len(cuts))
    shifted = [(start + cycle * len(mine), stop + cycle * len(mine)) for cycle in range(cycles) for start, stop in cuts]
    return Lane(order, shifted, [row * cycles for row in real], steps)


def shares(first: Lane, rank: int, world: int, accumulate: int) -> list[float]:
    """What each batch's mean loss weighs, so that one optimiser step is the mean over all its rows everywhere."""
    totals = [sum(column) for column in zip(*first.real, strict=True)]
    result = []
    for step, total in enumerate(totals):
        start = step - step % accumulate
        group = sum(totals[start : start + accumulate]) if accumulate > 1 else total
        result.append(world * first.real[rank][step] / group)
    return result


def iterate(
    run: "Run", splits: Sequence[Tensor | None], views: Sequence[str], sizes: Sequence[int], balanced: bool
) -> Iterator[tuple[Batch, ...]]:
    """Yield the batches of a pass, one per split; see `Run.batches`."""
    position = run.position
    verb = position.next_verb()
    if position.is_finished(verb):
        seed_after(run, verb)
        return
    seed = (run.seed, run.epoch, position.phase, verb)
    lanes = [lane(run, splits[0], sizes[0], balanced, 1, *seed, 0)]
    steps = len(lanes[0].cuts)
    for k, (split, size) in enumerate(zip(splits[1:], sizes[1:], strict=True), 1):
        once = lane(run, split, size, balanced, 1, *seed, k)
        cycles = -(-steps // max(1, once.steps))
        lanes.append(lane(run, split, size, balanced, cycles, *seed, k) if cycles > 1 else once)
    weights = shares(lanes[0], run.runtime.rank, run.runtime.world, run.accumulate)
    start = position.batches_done(verb)
    feeds = [_feed(run, lane, views, min(start, steps), steps, mix(*seed, k)) for k, lane in enumerate(lanes)]
    run.begin_pass()
    position.open, position.done = True, start
    try:
        for done in range(start, steps):
            seed_default(run.device, *seed, done, run.runtime.rank)
            run.begin_batch(done, steps, weights[done])
            batches = tuple(next(feed) for feed in feeds)
            _set_gate(run, batches[0], balanced)
            yield batches
            position.done = done + 1
            run.end_batch()
    finally:
        position.open = False
        run.gate.open, run.gate.first = True, None
    run.end_pass()
    seed_after(run, verb)


def seed_after(run: "Run", verb: int) -> None:
    """Draws between passes depend on the place alone, not on how many batches this process has seen."""
    seed_default(run.device, run.seed, run.epoch, run.position.phase, verb)


def _set_gate(run: "Run", batch: Batch, balanced: bool) -> None:
    run.gate.open = run.share > 0
    run.gate.length = len(batch.index)
    first = first_occurrences(batch.index.cpu()) if balanced else None
    run.gate.first = None if first is None or len(first) == len(batch.index) else first.to(run.device)


def _feed(run: "Run", lane: Lane, views: Sequence[str], start: int, stop: int, seed: int) -> Iterator[Batch]:
    """The batches of one lane, from the data source that the run reads."""
    if not lane.cuts:
        raise ThresherError("a pass was asked for a split without rows")
    order, source_rows = lane.order.to(run.device), run.rows[lane.order]
    while start < stop:  # one cycle at a time: a row that comes round again gets other views
        cycle = start // lane.steps
        cuts = lane.cuts[start : min(stop, (cycle + 1) * lane.steps)]
        inputs = run.source.open([source_rows[a:b] for a, b in cuts], views, mix(seed, cycle))
        for (a, b), shown in zip(cuts, inputs, strict=True):
            index = order[a:b]
            yield Batch(index, run.labels[index], shown)
        start += len(cuts)


def trusted_rows(count: int, size: int, when: tuple[int, ...], step: int) -> Tensor:
    """Which of `count` trusted samples to show beside batch `step`: cycles through them in a shuffled order."""
    size = min(size, count)
    first = step * size
    cycles = range(first // count, (first + size - 1) // count + 1)
    order = torch.cat([torch.randperm(count, generator=generator(*when, _TRUSTED, cycle)) for cycle in cycles])
    return order[first % count : first % count + size]
