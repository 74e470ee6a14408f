"""The passes in their order: which labels in files are probably wrong, without holding the files."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.audit.blocks import at_most
from thresher.audit.streaming.cuts import Cuts, narrowed, upper_half
from thresher.audit.streaming.executors import Spread
from thresher.audit.streaming.npy import Rows
from thresher.audit.streaming.passes import Chunk, Joint, Pass, State, Sums, calibrated, complaint, thresholds
from thresher.audit.streaming.selection import Flags, Histograms, Ranking, flagged
from thresher.audit.streaming.workspace import Workspace
from thresher.disk import plain_disk_errors
from thresher.errors import UsageError

_CHUNK = 1 << 18  # entries of a matrix that are computed with at a time
_STRETCH = 1 << 24  # entries of a stretch at most: a result that is lost with a killed worker
_SHARES = 8  # stretches per worker at least, so that none waits long for another
_SAVED = 10.0  # seconds of work that a kill may cost

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Data:
    """Labels and probabilities, row by row.

    Attributes:
        labels: class numbers.
        probabilities: columns in the order of the classes.
        step: rows that are computed with at a time.
    """

    labels: Rows
    probabilities: Rows
    step: int

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        """The rows from `start` to `stop`, piece by piece."""
        low = start
        for block in self.probabilities.chunks(start, stop, self.step):
            high = low + len(block)
            labels = next(self.labels.chunks(low, high, len(block)))
            yield Chunk(low, labels.astype(np.int64), block)
            low = high


def step_for(columns: int, rows: int | None = None) -> int:
    """Rows that are computed with at a time.

    Example:
        >>> step_for(10), step_for(1000), step_for(10, 100)
        (26214, 262, 100)
    """
    return rows or max(1, _CHUNK // max(1, columns))


@dataclass(frozen=True)
class Work:
    """One pass over stretches of the data, as workers are given it."""

    data: Data
    what: Pass

    def __call__(self, stretch: tuple[int, int]) -> State:
        """The part of one stretch."""
        with at_most(1):  # the workers share the cores already
            return self.what.partial(self.data.chunks(*stretch))


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found, beside the flags.

    Attributes:
        sizes: samples per given class, int64 ``[K]``.
        thresholds: float64 ``[K]``.
        joint: calibrated confident joint, int64 ``[K, K]``; zeros where the filter needs none.
        suspects: how many rows are flagged.
    """

    sizes: np.ndarray
    thresholds: np.ndarray
    joint: np.ndarray
    suspects: int


class Search:
    """A search that saves what it knows: passes that are finished, and the stretches of the one under way.

    Args:
        data: what to search in.
        ranking: the filter.
        workspace: where to save.
        spread: who computes; see `thresher.audit.streaming.executors.workers`.
        count: of workers.
        progress: called with the name of a pass, rows done, and all rows.
    """

    def __init__(
        self, data: Data, ranking: Ranking, workspace: Workspace, spread: Spread, count: int, progress: Progress
    ) -> None:
        self.data, self.ranking, self.workspace = data, ranking, workspace
        self.spread, self.progress = spread, progress
        rows = data.probabilities.rows
        size = min(-(-rows // (_SHARES * count)), _STRETCH // max(1, data.probabilities.columns))
        size = max(1, -(-size // data.step)) * data.step
        self.stretches = [(low, min(low + size, rows)) for low in range(0, rows, size)]

    def run(self) -> Found:
        """All passes; afterwards `flags` has a byte for each row."""
        sums = self.passed("thresholds", Sums(self.ranking.classes))
        self._refuse_bad(sums)
        limits = thresholds(sums)
        joint, cuts = self._cuts(sums["count"], limits)
        flags = Flags(self.ranking, cuts, limits)
        state = self.passed("flags", flags, self._keep_bits)
        return Found(sums["count"], limits, joint, self._decide(flags, state))

    def _cuts(self, sizes: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, Cuts]:
        """The joint, and where each group's cut falls."""
        cuts = upper_half(self.ranking.groups, self.data.probabilities.rows)
        if not self.ranking.groups:
            return np.zeros((len(sizes), len(sizes)), dtype=np.int64), cuts
        state = self.passed("joint", Histograms(self.ranking, cuts, Joint(limits)))
        joint = calibrated(state["joint"], sizes)
        wanted = self.ranking.wanted(joint, sizes, int(state["confident"][0]))
        cuts, level = narrowed(cuts, wanted, state["histogram"]), 0
        while not cuts.small:
            level += 1
            state = self.passed(f"cuts-{level}", Histograms(self.ranking, cuts))
            cuts = narrowed(cuts, cuts.wanted, state["histogram"])
        return joint, cuts

    def passed(self, name: str, what: Pass, sink: Callable[[tuple[int, int], State], None] | None = None) -> State:
        """One pass; it goes on where a killed one was. `sink` takes out of each stretch's state what is not merged."""
        rows = self.data.probabilities.rows
        finished = self.workspace.load(name)
        if finished is not None:
            return finished
        state = self.workspace.load("part")
        if state is not None and str(state.pop("name")) != name:
            state = None  # of the pass before, which was finished after it
        done = 0 if state is None else int(state.pop("rows"))
        left = _from(done, self.stretches)
        saved = time.monotonic()
        self.progress(name, done, rows)
        for stretch, part in zip(left, self.spread(Work(self.data, what), left), strict=True):
            if sink is not None:
                sink(stretch, part)
            state = part if state is None else what.merge(state, part)
            self.progress(name, stretch[1], rows)
            if time.monotonic() - saved > _SAVED:
                position = {"name": np.array(name), "rows": np.array(stretch[1])}
                self.workspace.save("part", {**state, **position})
                saved = time.monotonic()
        result = state or {}
        self.workspace.save(name, result)
        self.workspace.forget("part")
        return result

    @property
    def flags(self) -> Path:
        """A byte for each row, 1 = probably wrong, once `run` is done."""
        return self.workspace.folder / "flags"

    def _keep_bits(self, stretch: tuple[int, int], state: State) -> None:
        path = self.workspace.folder / "bits"
        with plain_disk_errors(path), path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(stretch[0])
            file.write(state.pop("bits").tobytes())
            file.flush()
            os.fsync(file.fileno())  # what is saved after it must not be there without it

    def _decide(self, flags: Flags, state: State) -> int:
        """Set the bits of candidates that are taken, and turn bits into flags; once, however often it is called."""
        decided = self.workspace.load("suspects")
        if decided is not None:
            return int(decided["suspects"])
        rows, bits = flags.finish(state)
        order = np.argsort(rows, kind="stable")
        rows, bits, suspects = rows[order], bits[order], 0
        source = self.workspace.folder / "bits"
        with plain_disk_errors(self.flags), source.open("rb") as file, self.flags.open("wb") as out:
            for low in range(0, self.data.probabilities.rows, _CHUNK):
                block = np.frombuffer(file.read(_CHUNK), dtype=np.uint8).copy()
                near = slice(*np.searchsorted(rows, [low, low + len(block)]))
                np.bitwise_or.at(block, rows[near] - low, bits[near])
                mask = flagged(block, self.ranking.filter_by)
                suspects += int(np.count_nonzero(mask))
                out.write(mask.tobytes())
            out.flush()
            os.fsync(out.fileno())
        self.workspace.save("suspects", {"suspects": np.array(suspects)})
        return suspects

    def _refuse_bad(self, sums: State) -> None:
        count, first = (int(one) for one in sums["bad"])
        if not count:
            return
        row = next(self.data.probabilities.chunks(first, first + 1, 1))[0]
        files = self.data.probabilities.files
        what, _, hint = complaint(row).partition(": ")
        raise UsageError(
            f"{files[0] if len(files) == 1 else files[0].parent}: row {first} {what}, as {count} of "
            f"{self.data.probabilities.rows} rows do not fit: {hint}"
        )


def _from(done: int, stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of the stretches when so many rows are done."""
    return [(max(low, done), high) for low, high in stretches if high > done]
