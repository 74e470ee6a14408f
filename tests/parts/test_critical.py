"""Selection equals sorting, by either way, and what it allocates is small."""

import tracemalloc
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from thresher.parts import critical
from thresher.parts.critical import (
    CRITERIA,
    Room,
    Weight,
    critical_masks,
    drop_ties,
    kth_by_bits,
    kth_by_bracket,
    kth_smallest,
)

KINDS = ["normal", "tiny", "ties", "zeros", "wide", "infinite"]


def values_of(kind: str, size: int, dtype: torch.dtype) -> Tensor:
    source = torch.Generator().manual_seed(size)
    values = torch.rand(size, generator=source, dtype=dtype)
    if kind == "tiny":
        return values * (1e-40 if dtype == torch.float32 else 1e-310)  # below the smallest normal number
    if kind == "ties":
        return (4 * values).floor()
    if kind == "zeros":
        return torch.where(values < 0.7, 0.0, values)
    if kind == "wide":
        return 10 ** (60 * values - 30)
    if kind == "infinite":
        return torch.where(values < 0.1, torch.inf, values)
    return values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_three_ways_of_selection_agree(
    kind: str, size: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(critical, "_CHUNK", 64)  # several chunks, the last one smaller
    values = values_of(kind, size, dtype)
    for k in {1, 2, size // 3, size // 2, size - 1, size} & set(range(1, size + 1)):
        expected = values.kthvalue(k).values
        before = values.clone()
        assert torch.equal(kth_by_bits(values, k), expected)
        assert torch.equal(kth_smallest(values, k), expected)
        assert torch.equal(values, before)
        assert kth_by_bits(values, k).dtype == dtype


def test_ties_are_dropped_from_the_end_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical, "_BLOCK", 4)
    for kind in ("ties", "zeros", "normal"):
        values = values_of(kind, 50, torch.float32)
        for count in range(1, 51):
            scores = values.clone()
            threshold = values.kthvalue(51 - count).values
            drop_ties(scores, threshold, int((values >= threshold).sum()) - count)
            expected = values.sort(descending=True, stable=True).indices[:count].sort().values
            assert torch.equal((scores >= threshold).nonzero()[:, 0], expected)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_scores(criterion: str, dtype: torch.dtype) -> None:
    weight, gradient = (torch.randn(3, 5, generator=torch.Generator().manual_seed(n)).to(dtype) for n in (0, 1))
    weight[0, 0], weight[0, 1], gradient[0, 2] = 0.0, -0.0, -0.0
    _, (view,) = Room().views([Weight(weight, gradient)])
    assert view.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    CRITERIA[criterion](weight, gradient, view)
    expected = (weight * gradient).abs() if criterion == "product" else weight.abs() + gradient.abs()
    torch.testing.assert_close(view.to(dtype), expected)
    assert not torch.signbit(view).any()


def test_masks_of_all_of_none_and_of_a_sample() -> None:
    weights = [Weight(torch.arange(1.0, 5.0).view(2, 2), torch.ones(2, 2)), Weight(torch.tensor([5.0]), torch.ones(1))]
    room = Room()

    def said(lowest: int, among: slice | None = None) -> list[float] | None:
        masks = critical_masks(weights, lowest, room, among=among)
        return None if masks is None else torch.cat([mask.flatten() for mask in masks]).tolist()

    assert said(0) is said(1) is None
    assert said(3) == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert said(6) == [0.0] * 5
    assert said(1, among=slice(2, 4)) == [0.0, 0.0, 1.0, 1.0, 1.0]  # below the smallest of a sample are others
    assert said(2, among=slice(3)) == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_a_room_is_used_again_and_a_draw_gives_way_to_the_next() -> None:
    room = Room()
    large, small = (Weight(torch.ones(size), torch.ones(size)) for size in (8, 3))
    first, (view,) = room.views([large])
    again, _ = room.views([small])
    assert (first.data_ptr(), view.shape, len(again)) == (again.data_ptr(), (8,), 3)
    made = []

    def make() -> Tensor:
        made.append(1)
        return torch.ones(1)

    for key in (0.1, 0.1, 0.2, 0.1):
        room.draw(1, 0, key, make)
    room.draw(1, 1, 0.1, make)
    assert (len(made), len(room._draws)) == (4, 2)


@pytest.mark.parametrize("kind", ["ties", "zeros", "normal"])
def test_an_exact_count_over_several_weights(kind: str) -> None:
    values = values_of(kind, 60, torch.float32)
    weights = [Weight(part, torch.ones_like(part)) for part in values.split([10, 25, 25])]
    for count in (1, 20, 41, 60):
        masks = critical_masks(weights, 61 - count, Room(), exact=True)
        mask = torch.ones(60) if masks is None else torch.cat(masks)
        expected = values.sort(descending=True, stable=True).indices[:count].sort().values
        assert torch.equal(mask.nonzero()[:, 0], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_bracket_of_many_values_is_exact(kind: str, ordered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical, "_SMALL", 1000)
    monkeypatch.setattr(critical, "_BLOCK", 999)
    values = values_of(kind, 20_000, torch.float32).numpy()
    right = np.sort(values)
    if ordered:
        values = right
    for k in (1, 2, 50, 5000, 13_999, 14_000, 14_001, 19_950, 19_999, 20_000):
        assert kth_by_bracket(values, k) == right[k - 1]


def test_a_sample_that_misleads_costs_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical, "_SMALL", 1000)
    values = np.random.default_rng(0).random(20_000)
    values[::97] += 5.0  # all of the sample, and nothing else, is large
    right = np.sort(values)
    assert [kth_by_bracket(values, k) for k in (300, 10_000, 19_000)] == [right[k - 1] for k in (300, 10_000, 19_000)]


def test_values_that_are_no_number_count_as_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical, "_SMALL", 1000)
    values = np.random.default_rng(0).random(20_000)
    values[5000:15_000] = np.nan
    right = np.sort(values)
    assert kth_by_bracket(values, 3000) == right[2999]
    assert np.isnan(kth_by_bracket(values, 15_000))


def allocated(step: Callable[[], object]) -> int:
    """Bytes at the peak of a step, from the events of torch's allocator."""
    profile: Any
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True, acc_events=True) as profile:
        step()
    events = profile.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return int(max(accumulate(change for _, change in changes)))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6, 0.605, 0.9])
def test_many_equal_values_take_little_memory(share: float) -> None:
    draws = np.random.default_rng(0)
    values = np.where(draws.random(2_000_000) < 0.6, 0, draws.random(2_000_000)).astype(np.float32)
    values[draws.random(len(values)) < 0.2] = 0.5
    k = int(share * len(values))
    tracemalloc.start()
    found = kth_by_bracket(values, k)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == np.sort(values)[k - 1]
    assert peak < 0.25 * values.nbytes


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_at_most_one_copy_of_the_gradient_is_allocated(criterion: str, exact: bool) -> None:
    weights = [Weight(torch.randn(400, 500), torch.randn(400, 500)) for _ in range(5)]
    size = sum(weight.gradient.nbytes for weight in weights)
    room = Room()
    assert allocated(lambda: critical_masks(weights, 200_000, room, criterion, exact)) <= size + 1000
    assert allocated(lambda: critical_masks(weights, 200_000, room, criterion, exact)) <= 1000  # it is used again
