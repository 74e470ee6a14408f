"""Work done ahead by threads, and handed over in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = min(8, os.cpu_count() or 1)
"""Threads that read, unless the caller says how many."""


def in_order(
    work: Callable[[T], R], items: Iterable[T], workers: int = WORKERS, ahead: int = 0
) -> Generator[R, None, None]:
    """Do the work for every item in threads, and give the results in the order of the items.

    Nothing starts before the first result is asked for. When the iterator is closed, runs out or fails, what waits is
    cancelled, what runs is waited for, and the threads end.

    Args:
        work: safe to call from several threads.
        items: taken one by one, as there is room for them.
        workers: threads.
        ahead: items under way or done and not yet handed over, at most; default four per thread.

    Yields:
        What `work` returns.

    Raises:
        Exception: what `work` raises, when its item is due.

    Example:
        >>> list(in_order(len, ["a", "", "bcd"]))
        [1, 0, 3]
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="thresher-read")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= (ahead or 4 * workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:  # shutdown would do it with a module that may be gone when the interpreter ends
            future.cancel()
        pool.shutdown()
