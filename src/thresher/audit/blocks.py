"""Large matrices block by block, on all cores; what comes out does not depend on their number.

numpy gives up the interpreter's lock inside its loops, so threads are enough, and nothing is copied to processes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np

from thresher.errors import UsageError

_BLOCK = 1 << 17
_NARROW = 32
_LIMIT: ContextVar[int | None] = ContextVar("threads", default=None)

Item = TypeVar("Item")
Result = TypeVar("Result")


def blocks(matrix: np.ndarray, entries: int | None = None) -> Iterator[slice]:
    """Slices of rows of about a hundred thousand entries: temporary arrays stay in the cache, and small.

    Args:
        matrix: ``[N, K]``.
        entries: of a slice, where another size is better.

    Example:
        >>> list(blocks(np.zeros((3, 2))))
        [slice(0, 65536, None)]
    """
    step = max(1, (entries or _BLOCK) // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        yield slice(start, start + step)


def turned(block: np.ndarray) -> np.ndarray:
    """The transpose ``[K, B]`` of a block ``[B, K]``, laid out so that numpy is quick along its first axis.

    With few classes that takes a copy: numpy's loops over short rows are slow. float16 becomes float32.

    Args:
        block: some rows of a matrix, float ``[B, K]``.

    Returns:
        Float ``[K, B]``, to be read only.

    Example:
        >>> turned(np.array([[0.9, 0.1], [0.2, 0.8]])).max(axis=0)
        array([0.9, 0.8])
    """
    exact = precise(block)
    return np.ascontiguousarray(exact.T) if narrow(block) else exact.T


def precise(block: np.ndarray) -> np.ndarray:
    """The block itself; float16, which numpy computes in one number at a time, as float32, exactly.

    Example:
        >>> precise(np.zeros(2, dtype=np.float16)).dtype
        dtype('float32')
    """
    return block.astype(np.float32) if block.dtype == np.float16 else block


def row_max(block: np.ndarray) -> np.ndarray:
    """The largest value of every row: float ``[B]`` of ``[B, K]``.

    Example:
        >>> row_max(np.array([[0.9, 0.1], [0.2, 0.8]]))
        array([0.9, 0.8])
    """
    rows = precise(block)
    if not narrow(block):
        return np.asarray(rows[np.arange(len(rows)), rows.argmax(axis=1)])  # numpy finds it faster than its value
    most = rows[:, 0].copy()
    for column in rows.T[1:]:  # numpy's own loops over short rows are slow
        np.maximum(most, column, out=most)
    return most


def narrow(block: np.ndarray) -> bool:
    """Whether a matrix ``[B, K]`` has so few columns that going by column is quicker.

    Example:
        >>> narrow(np.zeros((1000, 10))), narrow(np.zeros((10, 1000)))
        (True, False)
    """
    return bool(block.shape[1] <= _NARROW)


def share(work: Callable[[Item], Result], items: Sequence[Item], each: int = _BLOCK) -> list[Result]:
    """Do the same to every item, on as many threads as there are cores.

    Args:
        work: does not depend on the other items.
        items: what to work on.
        each: entries of an item, about; with fewer than a block of `blocks` has, they are done one after the other, for
            threads would wait for the interpreter's lock longer than they work (1,000 classes took four times as long).

    Returns:
        The results, in the order of the items.

    Example:
        >>> share(len, ["a", "bc"])
        [1, 2]
    """
    count = min(threads(), len(items))
    if count <= 1 or each < _BLOCK:
        return [work(item) for item in items]
    results: list[Result | None] = [None] * len(items)
    queue = iter(range(len(items)))

    def some(_: int) -> None:
        for at in queue:
            results[at] = work(items[at])

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(some, range(count)))
    return results  # type: ignore[return-value]  # all are filled


def threads() -> int:
    """How many threads to use: what `at_most` or ``OMP_NUM_THREADS`` says, by default the cores of this process."""
    limit = _LIMIT.get()
    if limit is not None:
        return limit
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    return cores()


def cores() -> int:
    """The cores that this process may use.

    Example:
        >>> cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def at_most(count: int | None) -> Iterator[None]:
    """Use so many threads inside; None leaves the choice to `threads`.

    Args:
        count: one or more.

    Raises:
        UsageError: a count below one, or no whole number.

    Example:
        >>> with at_most(3):
        ...     threads()
        3
    """
    if count is not None and (count != int(count) or count < 1):
        raise UsageError(f"there are {count} threads: give a whole number, 1 or more")
    token = _LIMIT.set(count if count is not None else _LIMIT.get())
    try:
        yield
    finally:
        _LIMIT.reset(token)
