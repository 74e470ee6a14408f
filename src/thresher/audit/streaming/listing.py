"""One more pass: what ``issues.csv`` says of each row, or of each suspect."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.audit.confident import normalized_margin
from thresher.audit.streaming.passes import Chunk, State, added

ROW = np.dtype([("row", "<i8"), ("score", "<f8"), ("p", "<f4"), ("given", "<i4"), ("suggested", "<i4"), ("flag", "?")])
BINS = 1 << 16


@dataclass(frozen=True)
class Listing:
    """The rows to list, and what the whole list must know: a pass.

    Attributes:
        flags: a byte for each row, 1 = suspect.
        classes: K.
        every: list all rows.
    """

    flags: Path
    classes: int
    every: bool

    def partial(self, chunks: Iterable[Chunk]) -> State:
        """See `thresher.audit.streaming.passes.Pass`; ``rows`` are those to list, of the stretch."""
        pairs = np.zeros(self.classes**2, dtype=np.int64)
        sizes, scores = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)
        kept = []
        for chunk in chunks:
            found = self._judged(chunk)
            suspects = found[found["flag"]]
            pairs += np.bincount(suspects["given"] * self.classes + suspects["suggested"], minlength=len(pairs))
            sizes += np.bincount(score_bin(np.abs(found["score"])), minlength=BINS)
            kept.append(found if self.every else suspects)
            scores += np.bincount(score_bin((1 - kept[-1]["score"]) / 2), minlength=BINS)
        return {"pairs": pairs, "sizes": sizes, "scores": scores, "rows": np.concatenate(kept)}

    def merge(self, a: State, b: State) -> State:
        """See `thresher.audit.streaming.passes.Pass`."""
        return added(a, b)

    def _judged(self, chunk: Chunk) -> np.ndarray:
        """All rows of a chunk, with the values of `thresher.audit.evidence.issues_table`."""
        start, given, probabilities = chunk
        flag = np.fromfile(self.flags, dtype=bool, count=len(given), offset=start)
        quality = normalized_margin(given, probabilities)
        best = probabilities.argmax(axis=1)
        torn = np.flatnonzero(flag & (best == given))
        others = probabilities[torn]
        others[np.arange(len(torn)), given[torn]] = -np.inf
        best[torn] = others.argmax(axis=1)
        found = np.empty(len(given), dtype=ROW)
        found["row"], found["given"], found["suggested"] = start + np.arange(len(given)), given, best
        found["p"], found["flag"] = probabilities[np.arange(len(given)), best], flag
        found["score"] = np.where(flag, 1 - quality, -quality)
        return found


def score_bin(fractions: np.ndarray) -> np.ndarray:
    """The bin of fractions 0 to 1, int64 ``[n]``.

    Example:
        >>> score_bin(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 32768, 65535]
    """
    return np.asarray(np.clip((fractions * BINS).astype(np.int64), 0, BINS - 1))
