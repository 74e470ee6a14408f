"""The seven filters as passes: what each ranks, in which groups, how many it takes, and which rows it then flags."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from thresher.audit.confident import agrees, label_margin, normalized_margin, self_confidence
from thresher.audit.prune import FILTERS, PRUNING, counts_for, prune_counts
from thresher.audit.streaming.cuts import Cuts, chosen, histogram
from thresher.audit.streaming.passes import Chunk, Joint, State, added, likely
from thresher.errors import UsageError, nearest

PAIR, CLASS, DISAGREES, CONFIDENT = 1, 2, 4, 8
_NEEDED = dict(
    zip(
        FILTERS,
        (PAIR | DISAGREES, CLASS | DISAGREES, PAIR | CLASS | DISAGREES, CONFIDENT | DISAGREES, DISAGREES, CLASS, CLASS),
        strict=True,
    )
)
_SLACK = 1e-6  # rounding of a margin and of its shift

Ranked = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Groups int64, values as they are, values as z in 0..2, and places in the chunk, all ``[n]``."""


@dataclass(frozen=True)
class Ranking:
    """What a filter ranks: groups of values, the largest of which are taken.

    Groups ``given * K + true`` rank margins; one group per class, or one in all, ranks low scores.

    Attributes:
        filter_by: one of `FILTERS`.
        classes: K.
        fraction: ``frac_noise``.
        removed: ``num_to_remove_per_class``, K counts, or None.
        keep: ``min_examples_per_class``.
    """

    filter_by: str
    classes: int
    fraction: float = 1.0
    removed: tuple[int, ...] | None = None
    keep: int = 1

    @property
    def pairs(self) -> int:
        """How many groups are pairs of classes; they come first."""
        return self.classes**2 if self.filter_by in ("prune_by_noise_rate", "both") else 0

    @property
    def groups(self) -> int:
        """How many there are in all; 0 for a filter that takes no counts."""
        scored = {"prune_by_class": self.classes, "both": self.classes}
        return self.pairs + scored.get(self.filter_by, int(self.filter_by.startswith("low_")))

    def wanted(self, joint: np.ndarray, sizes: np.ndarray, confident: int) -> np.ndarray:
        """How many values of each group are taken, int64 ``[G]``.

        Args:
            joint: calibrated, int64 ``[K, K]``.
            sizes: samples per given class, int64 ``[K]``.
            confident: rows that ``confident_learning`` flags.
        """
        if self.filter_by.startswith("low_"):
            return np.array([confident])
        counts = prune_counts(joint, self.keep, self.fraction)
        if self.removed is not None:
            counts = counts_for(np.array(self.removed), counts, sizes)
        left_alone = sizes <= max(self.keep, 1)
        own = np.where(left_alone, 0, np.clip(sizes - counts.diagonal(), 0, sizes))
        pairs = np.where(left_alone[:, None], 0, np.clip(counts, 0, sizes[:, None]))
        np.fill_diagonal(pairs, 0)
        return np.concatenate([pairs.ravel() if self.pairs else own[:0], own if self.groups > self.pairs else own[:0]])

    def ranked(self, chunk: Chunk, floor: float) -> Iterator[Ranked]:
        """The values of a chunk, but for some below `floor`."""
        _, labels, probabilities = chunk
        if self.pairs:
            yield from self._margins(labels, probabilities, floor)
        if self.groups > self.pairs:
            low = normalized_margin if self.filter_by == "low_normalized_margin" else self_confidence
            values = -low(labels, probabilities)
            groups = self.pairs + labels if self.filter_by in PRUNING else np.zeros_like(labels)
            yield groups, values, values.astype(np.float64) + 1.5, np.arange(len(labels))

    def _margins(self, labels: np.ndarray, probabilities: np.ndarray, floor: float) -> Iterator[Ranked]:
        """How far each other class leads the given one, only for rows where one reaches the floor."""
        places = np.arange(len(labels))
        if floor > 0:
            places = np.flatnonzero(label_margin(labels, probabilities) <= 1 - floor + _SLACK)
            labels, probabilities = labels[places], probabilities[places]
        lead = probabilities - self_confidence(labels, probabilities)[:, None]
        reach = lead >= floor - 1 - _SLACK
        reach[np.arange(len(labels)), labels] = False
        row, true = np.nonzero(reach)
        values = lead[row, true]
        z = values.astype(np.float64) + 1
        near = np.flatnonzero(z >= floor)
        row, true, values, z = row[near], true[near], values[near], z[near]
        yield labels[row] * self.classes + true, values, z, places[row]


@dataclass(frozen=True, eq=False)
class Histograms:
    """How the ranked values are distributed, and with thresholds the confident joint in the same pass.

    Attributes:
        ranking: what is ranked.
        cuts: where the bins are.
        joint: counts the joint at the same time; None = it is known.
    """

    ranking: Ranking
    cuts: Cuts
    joint: Joint | None = None

    def partial(self, chunks: Iterable[Chunk]) -> State:
        """See `thresher.audit.streaming.passes.Pass`."""
        counts = np.zeros((len(self.cuts.low), self.cuts.bins), dtype=np.int64)
        states: list[State] = []
        floor = float(self.cuts.low.min(initial=np.inf))
        for chunk in chunks:
            if self.joint is not None:
                states.append(self.joint.partial([chunk]))
                states = [states[0] if len(states) == 1 else added(*states)]
            ranked = self.ranking.ranked(chunk, floor) if len(counts) else iter(())
            histogram(self.cuts, ((groups, z, chunk.start + at) for groups, _, z, at in ranked), counts)
        return {"histogram": counts, **(states[0] if states else {})}

    def merge(self, a: State, b: State) -> State:
        """See `thresher.audit.streaming.passes.Pass`."""
        return added(a, b)


@dataclass(frozen=True, eq=False)
class Flags:
    """What is known of each row, as bits, and the rows at a cut that only a look at all of them can decide.

    Attributes:
        ranking: what is ranked.
        cuts: the last ones.
        thresholds: of the classes, float64 ``[K]``.
    """

    ranking: Ranking
    cuts: Cuts
    thresholds: np.ndarray = field(repr=False)

    def partial(self, chunks: Iterable[Chunk]) -> State:
        """See `thresher.audit.streaming.passes.Pass`; ``bits`` are uint8, one per row of the stretch."""
        states = [self._one(chunk) for chunk in chunks]
        return {name: np.concatenate([state[name] for state in states]) for name in states[0]}

    def merge(self, a: State, b: State) -> State:
        """See `thresher.audit.streaming.passes.Pass`; the candidates of both, in the order of their rows."""
        both = {name: np.concatenate([a[name], b[name]]) for name in ("group", "value", "row")}
        order = np.argsort(both["row"], kind="stable")
        return {name: values[order] for name, values in both.items()}

    def _one(self, chunk: Chunk) -> State:
        start, labels, probabilities = chunk
        bits = np.where(agrees(labels, probabilities), 0, DISAGREES).astype(np.uint8)
        if self.ranking.filter_by == "confident_learning":
            true = likely(probabilities, self.thresholds)
            bits[(true >= 0) & (true != labels)] |= CONFIDENT
        held: list[tuple[np.ndarray, ...]] = []
        floor = float(self.cuts.low.min(initial=np.inf))
        for groups, values, z, at in self.ranking.ranked(chunk, floor):
            rows = start + at
            kind = PAIR if len(groups) and groups[0] < self.ranking.pairs else CLASS
            bits[at[self.cuts.takes(groups, z, rows)]] |= kind
            near = np.flatnonzero(self.cuts.holds(groups, z, rows))
            held.append((groups[near], values[near].astype(np.float64), rows[near]))
        empty = (np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64))
        parts = [np.concatenate(part) for part in zip(empty, *held, strict=True)]
        return {"bits": bits, **dict(zip(("group", "value", "row"), parts, strict=True))}

    def finish(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Decide on the candidates.

        Returns:
            Rows int64 ``[n]``, and the bits to set there, uint8 ``[n]``; a row may be there more than once.
        """
        taken = chosen(self.cuts, state["group"], state["value"], state["row"])
        bits = np.where(state["group"][taken] < self.ranking.pairs, PAIR, CLASS).astype(np.uint8)
        return state["row"][taken], bits


def check(filter_by: str, fraction: float, removed: object, keep: int) -> None:
    """Refuse settings without a meaning.

    Raises:
        UsageError: an unknown filter, values out of range, a setting that the filter does not read.

    Example:
        >>> check("predicted_neq_given", 0.5, None, 1)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: frac_noise has no meaning for filter_by 'predicted_neq_given': it belongs to \
prune_by_noise_rate, prune_by_class, both
    """
    if filter_by not in FILTERS:
        raise UsageError(f"there is no filter_by {filter_by!r}: {nearest(filter_by, FILTERS)}")
    if not 0 <= fraction <= 1:
        raise UsageError(f"frac_noise is {fraction}: it is a share, from 0 to 1")
    if keep < 0 or keep != int(keep):
        raise UsageError(f"min_examples_per_class is {keep}: it is a number of samples, 0 or more")
    said = {"frac_noise": fraction != 1, "num_to_remove_per_class": removed is not None}
    idle = [name for name, given in {**said, "min_examples_per_class": keep != 1}.items() if given]
    if idle and filter_by not in PRUNING:
        raise UsageError(f"{idle[0]} has no meaning for filter_by {filter_by!r}: it belongs to {', '.join(PRUNING)}")


def flagged(bits: np.ndarray, filter_by: str) -> np.ndarray:
    """What the bits of rows come to: bool ``[n]``.

    Example:
        >>> flagged(np.array([PAIR, PAIR | DISAGREES], dtype=np.uint8), "prune_by_noise_rate")
        array([False,  True])
    """
    return np.asarray((bits & _NEEDED[filter_by]) == _NEEDED[filter_by])
