"""The n largest values of many groups at once, exactly, without holding the values.

A histogram of each group's values says in which bin its cut falls. Only the rows in that bin are then looked at one by
one. Where they are too many to hold, the bin is divided again, and where that no longer helps because they are equal
(within 2^-40), their row numbers are: of equal values the first rows go.

Values are binned as ``z`` in 0..2, and edges of bins are multiples of 2^-52, so that differences between the two are
exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

CANDIDATES = 1 << 21
"""Rows that may be held for the last, exact step."""

_ENTRIES = 1 << 22
_BINS = (8, 4096)
_FINEST = 2.0**-52  # the distance between floats above 1
_HALF = 1.0
_ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Cuts:
    """For each group, the interval in which the cut between taken and left values falls; all arrays are ``[G]``.

    Attributes:
        wanted: how many values inside the interval are to be taken, int64; 0 in a group without one.
        inside: how many there are, int64; -1 = not known.
        low: values from here on are inside, float64.
        high: values from here on are taken, float64; infinite where none is.
        start: where the bins begin, float64.
        width: what all bins together span, float64, powers of two.
        first: inside, rows before this one are taken, int64.
        last: and rows from this one on are not, int64.
    """

    wanted: np.ndarray
    inside: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    width: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def bins(self) -> int:
        """In each group's histogram: a power of two."""
        most = max(1, _ENTRIES // max(1, len(self.low)))
        return int(np.clip(1 << (most.bit_length() - 1), *_BINS))

    def equal(self, groups: np.ndarray | slice = _ALL) -> np.ndarray:
        """Whether the values inside count as equal, for they lie within 2^-40 of each other: bool ``[n]``."""
        return np.asarray(self.width[groups] / self.bins < _FINEST)

    @property
    def small(self) -> bool:
        """Whether what is inside is known, and little enough to be held."""
        known, few = (self.inside >= 0).all(), (self.inside <= 1).all()
        return bool(known and (few or self.inside.sum() <= CANDIDATES))

    def holds(self, groups: np.ndarray, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Which values are inside: bool ``[n]``."""
        fits = (z >= self.low[groups]) & (z < self.high[groups])
        return np.asarray(fits & (rows >= self.first[groups]) & (rows < self.last[groups]))

    def takes(self, groups: np.ndarray, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Which values are taken for sure: bool ``[n]``."""
        return np.asarray((z >= self.high[groups]) | ((z >= self.low[groups]) & (rows < self.first[groups])))

    def bin_of(self, groups: np.ndarray, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The bins of values that are inside, int64 ``[n]``; the higher, the sooner taken."""
        place = (z - self.start[groups]) * (self.bins / self.width[groups])
        found = np.clip(place, 0, self.bins - 1).astype(np.int64)
        equal = np.flatnonzero(self.equal(groups))
        if len(equal):
            groups, rows = groups[equal], rows[equal]
            span = self.last[groups] - self.first[groups]
            found[equal] = self.bins - 1 - (rows - self.first[groups]) * self.bins // span
        return np.asarray(found)


def upper_half(groups: int, rows: int) -> Cuts:
    """The first interval: values from 1 on, which are few, for they speak against the given label.

    Args:
        groups: G.
        rows: of the data.

    Example:
        >>> upper_half(3, 100).bins
        4096
    """
    half, none = np.full(groups, _HALF), np.zeros(groups, dtype=np.int64)
    return Cuts(
        wanted=none,
        inside=np.full(groups, -1),
        low=half,
        high=np.full(groups, np.inf),
        start=half,
        width=half,
        first=none,
        last=np.full(groups, rows),
    )


def histogram(cuts: Cuts, parts: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]], counts: np.ndarray) -> None:
    """Count values per group and bin.

    Args:
        cuts: that say where the bins are.
        parts: groups, values and row numbers, ``[n]`` each.
        counts: ``[G, bins]``, added to.

    Example:
        >>> cuts, counts = upper_half(1, 9), np.zeros((1, 4096), dtype=np.int64)
        >>> histogram(cuts, iter([(np.zeros(3, dtype=int), np.array([0.5, 1.25, 1.25]), np.arange(3))]), counts)
        >>> counts.max(), counts.argmax()
        (np.int64(2), np.int64(1024))
    """
    flat = counts.reshape(-1)
    for part in parts:
        kept = np.flatnonzero(cuts.holds(*part))
        groups, z, rows = (values[kept] for values in part)
        np.add.at(flat, groups * cuts.bins + cuts.bin_of(groups, z, rows), 1)


def narrowed(cuts: Cuts, wanted: np.ndarray, counts: np.ndarray) -> Cuts:
    """The bin in which each group's cut falls, as the next interval.

    Args:
        cuts: that the histogram was made with.
        wanted: values to take from inside, int64 ``[G]``.
        counts: the histogram, integer ``[G, bins]``.

    Example:
        >>> counts = np.zeros((1, 4096), dtype=np.int64)
        >>> counts[0, [7, 9]] = 5, 2
        >>> cuts = narrowed(upper_half(1, 9), np.array([4]), counts)
        >>> cuts.wanted, cuts.inside, float(cuts.low[0] * 4096 - 4096)
        (array([2]), array([5]), 7.0)
    """
    bins, each = cuts.bins, np.arange(len(counts))
    down = np.cumsum(counts[:, ::-1], axis=1, dtype=np.int64)
    place = np.minimum((down < wanted[:, None]).sum(axis=1), bins - 1)
    at, total = bins - 1 - place, down[:, -1]
    inside = counts[each, at].astype(np.int64)
    found = _divided(cuts, at, wanted - (down[each, place] - inside), inside)
    below = wanted > total
    idle = wanted <= 0
    return replace(
        found,
        wanted=np.select([idle, below], [0, wanted - total], found.wanted),
        inside=np.select([idle, below], [0, -1], found.inside),
        low=np.select([idle, below], [np.inf, -np.inf], found.low),
        high=np.select([idle, below], [np.inf, _HALF], found.high),
        start=np.where(below, 0.0, found.start),
        width=np.where(below, _HALF, found.width),
    )


def _divided(cuts: Cuts, at: np.ndarray, wanted: np.ndarray, inside: np.ndarray) -> Cuts:
    """The intervals that are the bins `at`: of values, or, where values are equal, of rows."""
    bins, equal = cuts.bins, cuts.equal()
    width = cuts.width / bins
    start, place, span = cuts.start + at * width, bins - 1 - at, cuts.last - cuts.first
    return Cuts(
        wanted=wanted,
        inside=inside,
        low=np.where(equal | (at == 0), cuts.low, start),
        high=np.where(equal | (at == bins - 1), cuts.high, start + width),
        start=np.where(equal, cuts.start, start),
        width=np.where(equal, cuts.width, width),
        first=np.where(equal, cuts.first - (-place * span // bins), cuts.first),
        last=np.where(equal, cuts.first - (-(place + 1) * span // bins), cuts.last),
    )


def chosen(cuts: Cuts, groups: np.ndarray, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which of the values inside are taken: the largest of each group, of equal ones the first rows.

    Args:
        cuts: the last ones.
        groups: int64 ``[n]``.
        values: as exact as they are, float ``[n]``.
        rows: int64 ``[n]``.

    Returns:
        bool ``[n]``.

    Example:
        >>> cuts = replace(upper_half(1, 9), wanted=np.array([2]))
        >>> chosen(cuts, np.zeros(3, dtype=int), np.array([0.5, 0.7, 0.5]), np.array([4, 5, 3])).tolist()
        [False, True, True]
    """
    order = np.lexsort((rows, -values, groups))
    begins = np.searchsorted(groups[order], np.arange(len(cuts.wanted)))
    rank = np.arange(len(order)) - begins[groups[order]]
    taken = np.zeros(len(order), dtype=bool)
    taken[order] = rank < cuts.wanted[groups[order]]
    return taken
