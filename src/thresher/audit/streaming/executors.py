"""Who computes the stretches of a pass: threads, processes, or the workers of a Ray cluster. Results come in order."""

import importlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from thresher.audit.blocks import cores
from thresher.errors import ThresherError, UsageError

PLACES = ("threads", "processes", "ray")
_AHEAD = 2  # stretches that each worker may be ahead of the one whose result is awaited

Item = TypeVar("Item")
Result = TypeVar("Result")
Spread = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]


@contextmanager
def workers(on: str, count: int | None) -> Iterator[tuple[Spread, int]]:
    """Start workers, and end them.

    Args:
        on: one of `PLACES`. Ray's cluster is the one that is connected, or that RAY_ADDRESS names, or this machine.
        count: how many; None = the cores of this process, or of the cluster.

    Yields:
        A function that calls a function for every item and gives the results in the order of the items, and the number
        of workers. With processes and Ray, function and items are pickled.

    Raises:
        UsageError: an unknown place, a count below one, or Ray is not installed.
        ThresherError: no cluster answers, or a process is killed.

    Example:
        >>> with workers("threads", 2) as (spread, count):
        ...     list(spread(len, ["a", "bc"])), count
        ([1, 2], 2)
    """
    if on not in PLACES:
        raise UsageError(f"there is no place {on!r} to compute on: choose {', '.join(PLACES)}")
    if count is not None and count < 1:
        raise UsageError(f"there are {count} workers: give 1 or more")
    if on == "ray":
        with _ray(count) as found:
            yield found
        return
    number = count or cores()
    pool: Executor = (
        ThreadPoolExecutor(number) if on == "threads" else ProcessPoolExecutor(number, get_context("spawn"))
    )
    try:
        yield lambda work, items: _in_order(lambda item: pool.submit(work, item), _result, items, number), number
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    start: Callable[[Any], Any], result: Callable[[Any], Any], items: Sequence[Any], number: int
) -> Iterator[Any]:
    """Start a few items ahead, and give the results in order; not all at once, for results take memory."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(start(item))
        if len(waiting) > _AHEAD * number:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())


def _result(future: Any) -> Any:
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool as error:
        raise ThresherError(
            "a worker process was killed, perhaps for want of memory: give fewer --workers, and go on with the same "
            "command"
        ) from error


@contextmanager
def _ray(count: int | None) -> Iterator[tuple[Spread, int]]:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise UsageError("Ray is not installed: pip install 'thresher[ray]', or choose threads or processes") from error
    own = not ray.is_initialized()
    if own:
        try:
            options: dict[str, Any] = (
                {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": count, "include_dashboard": False}
            )
            ray.init(log_to_driver=False, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ThresherError(f"no Ray cluster answers ({reason}): check RAY_ADDRESS") from error
    try:
        number = count or int(ray.cluster_resources().get("CPU", 1))
        yield lambda work, items: _on_ray(ray, work, items, number), number
    finally:
        if own:
            ray.shutdown()


def _on_ray(ray: Any, work: Callable[[Any], Any], items: Sequence[Any], number: int) -> Iterator[Any]:
    shared = ray.put(work)
    call = ray.remote(_call)

    def result(reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ThresherError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise ThresherError(
                f"a worker of the Ray cluster was lost ({type(error).__name__}): go on with the same command"
            ) from error

    return _in_order(lambda item: call.remote(shared, item), result, items, number)


def _call(work: Callable[[Item], Result], item: Item) -> Result:
    return work(item)
