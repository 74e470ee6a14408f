"""``issues.csv`` of data in files, worst first: every row, or the suspects alone where the rows are too many."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from thresher.audit.streaming import text
from thresher.audit.streaming.executors import workers
from thresher.audit.streaming.listing import BINS, ROW, Listing, score_bin
from thresher.audit.streaming.npy import NpyRows
from thresher.audit.streaming.passes import State
from thresher.audit.streaming.search import Search, Work
from thresher.disk import plain_disk_errors, replacing

COLUMNS = (
    *("key", "row", "given", "suggested", "p_suggested", "label_quality", "p_wrong", "is_label_issue", "reasons"),
    "score_confident",
)
ALL_ROWS = 4_000_000
"""As many rows are listed without being asked; they are also as many as are sorted at a time."""

_LINES = 1 << 15


def list_issues(
    path: Path, search: Search, classes: Sequence[str], keys: NpyRows | None, every: bool, count: int | None
) -> np.ndarray:
    """Write the list, once a search is done; threads of this machine do it, for the flags lie here.

    Args:
        path: of the new file.
        search: that is done.
        classes: names.
        keys: of all rows, from `keys_of`; None = their numbers.
        every: list all rows, not the suspects alone.
        count: of threads.

    Returns:
        Suspects per given and suggested class, int64 ``[K, K]``.
    """
    what, spilled = Listing(search.flags, len(classes), every), search.workspace.folder / "rows"
    state: State = {}
    with plain_disk_errors(spilled), spilled.open("wb") as file, workers("threads", count) as (spread, _):
        for stretch, part in zip(search.stretches, spread(Work(search.data, what), search.stretches), strict=True):
            file.write(part.pop("rows").tobytes())
            state = what.merge(state, part) if state else part
            search.progress("list", stretch[1], search.data.probabilities.rows)
    write_issues(path, spilled, state, classes, keys)
    return state["pairs"].reshape(len(classes), len(classes))


def write_issues(path: Path, spilled: Path, state: State, classes: Sequence[str], keys: NpyRows | None) -> None:
    """Write ``issues.csv``, worst first; of equal scores the first row comes first.

    Args:
        path: of the new file.
        spilled: the rows of all stretches, one after another.
        state: merged, of `Listing`.
        classes: names.
        keys: of all rows, as bytes; None = their numbers.
    """
    with replacing(path) as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        together = int(state["scores"].sum()) == int(state["sizes"].sum()) <= ALL_ROWS
        scale = None if together else _median(state["sizes"])
        for rows in _sorted(spilled, state["scores"]):
            unit = scale or float(np.median(np.abs(rows["score"]))) or 1.0
            for low in range(0, len(rows), _LINES):
                file.write(_lines(rows[low : low + _LINES], classes, keys, unit))


def _sorted(spilled: Path, counts: np.ndarray) -> Iterator[np.ndarray]:
    """The rows, worst first, at most `ALL_ROWS` at a time.

    Neighbouring bins of scores are sorted together, as many as fit. A single bin that does not fit, 2^-15 of a score
    wide, comes in several parts, each sorted by itself.
    """
    down = 0
    ends = np.cumsum(counts)
    while down < BINS:
        before = ends[down - 1] if down else 0
        up = max(int(np.searchsorted(ends, before + ALL_ROWS, side="right")), down + 1)
        if ends[up - 1] > before:
            yield from _between(spilled, down, up)
        down = up


def _between(spilled: Path, down: int, up: int) -> Iterator[np.ndarray]:
    """The rows whose scores fall into some bins, sorted."""
    held: list[np.ndarray] = []
    count = 0
    for rows in _spilled(spilled):
        place = score_bin((1 - rows["score"]) / 2)
        fits = rows[(place >= down) & (place < up)]
        if held and count + len(fits) > ALL_ROWS:
            yield _worst_first(held)
            held, count = [], 0
        held.append(fits)
        count += len(fits)
    yield _worst_first(held)


def _spilled(path: Path) -> Iterator[np.ndarray]:
    step = 1 << 19
    with path.open("rb") as file:
        while len(data := file.read(step * ROW.itemsize)):
            yield np.frombuffer(data, dtype=ROW)


def _worst_first(parts: Sequence[np.ndarray]) -> np.ndarray:
    rows = np.concatenate(parts)
    return rows[np.argsort(-rows["score"], kind="stable")]


def _median(counts: np.ndarray) -> float:
    """The median of fractions from their histogram, to half a bin."""
    return float((np.searchsorted(np.cumsum(counts), counts.sum() / 2) + 0.5) / BINS)


def _lines(rows: np.ndarray, classes: Sequence[str], keys: NpyRows | None, unit: float) -> bytes:
    number = text.whole(rows["row"])
    empty = np.zeros((len(rows), 0), dtype=np.uint8)
    quality = 1 / (1 + np.exp(np.clip(rows["score"] / unit, -500, 500)))
    flag = rows["flag"].astype(np.int64)
    return text.lines(
        [
            number if keys is None else _keys(keys, rows["row"]),
            number,
            text.named(rows["given"], classes),
            text.named(rows["suggested"], classes),
            text.decimal(rows["p"]),
            text.decimal(quality),
            empty,
            text.named(flag, ["False", "True"]),
            _reasons(rows, classes),
            text.decimal(rows["score"]),
        ]
    )


def _reasons(rows: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """What `thresher.audit.evidence.confident_evidence` says of suspects, uint8 ``[n, width]``; nothing of others."""
    quote = '"' if any(text.quoted(name) != name for name in classes) else ""
    said = [quote + f"a model that never saw it expects '{name}' (p ".replace('"', 2 * '"') for name in classes]
    end = np.tile(text.encoded([")" + quote]), (len(rows), 1))
    words = np.concatenate([text.encoded(said)[rows["suggested"]], text.decimal(rows["p"], 2), end], axis=1)
    words[~rows["flag"]] = 0
    return words


def _keys(keys: NpyRows, rows: np.ndarray) -> np.ndarray:
    """The keys of some rows, read where they stand."""
    mapped = np.memmap(keys.files[0], dtype=keys.dtype, mode="r", offset=keys.offset, shape=(keys.rows,))
    return np.ascontiguousarray(mapped[rows]).view(np.uint8).reshape(len(rows), -1)
