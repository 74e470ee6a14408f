"""Results come in order from wherever they are computed, and a worker that dies is spoken of."""

import os
import time

import pytest

import thresher as th
from thresher.audit.streaming.executors import workers


def _slept(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.mark.parametrize("on", ["threads", "processes"])
def test_in_order(on: str) -> None:
    with workers(on, 2) as (spread, count):
        assert list(spread(abs, range(-20, 0))) == list(range(20, 0, -1))
        assert list(spread(abs, [])) == []
        assert count == 2


def test_late_results_wait_for_earlier_ones() -> None:
    with workers("threads", 2) as (spread, _):
        seconds = [0.05, 0.0, 0.0, 0.01]
        assert list(spread(_slept, seconds)) == seconds


def test_not_all_at_once() -> None:
    begun: list[int] = []
    with workers("threads", 1) as (spread, _):
        results = spread(begun.append, range(50))
        next(results)
        time.sleep(0.05)
        assert len(begun) <= 5
        list(results)
    assert begun == list(range(50))


def test_a_process_that_is_killed() -> None:
    with (
        pytest.raises(th.ThresherError, match=r"^a worker process was killed, perhaps for want of memory") as caught,
        workers("processes", 1) as (spread, _),
    ):
        list(spread(os._exit, [1]))  # as if it were killed
    assert not isinstance(caught.value, th.UsageError)
