"""How a pass is laid out, for any size, batch and number of processes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.engine.jobs import toy_run, visits
from torch import Tensor

from thresher.engine import passes
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.testing.processes import ranks


def lanes(size: int, world: int, batch: int, split: Tensor | None = None, cycles: int = 1) -> list[passes.Lane]:
    """The lane of every rank; a namespace stands for the run, of which laying out asks little."""
    runs = [
        cast(Run, SimpleNamespace(runtime=Runtime(rank=rank, world=world), size=size, kept=None))
        for rank in range(world)
    ]
    return [passes.lane(run, split, batch, False, cycles, 1, 2, 3) for run in runs]


@given(st.integers(1, 120), st.integers(1, 4), st.integers(2, 20))
def test_every_row_is_visited_once_by_its_owner_in_equally_many_steps(size: int, world: int, batch: int) -> None:
    assume(size >= world)
    found = lanes(size, world, batch)
    assert len({len(lane.cuts) for lane in found}) == 1
    seen = []
    for rank, lane in enumerate(found):
        for step, cut in enumerate(lane.cuts):
            rows = lane.order[slice(*cut)].tolist()
            assert rows
            assert all(row % world == rank for row in rows)
            assert len(rows) == len(set(rows))
            assert lane.real[rank][step] in (0, len(rows))
            seen += rows if lane.real[rank][step] else []
    assert sorted(seen) == list(range(size))


@given(st.integers(1, 120), st.integers(1, 4), st.integers(1, 20), st.integers(1, 3))
def test_an_optimiser_step_is_the_mean_over_all_its_rows(size: int, world: int, batch: int, accumulate: int) -> None:
    assume(size >= world)
    found = lanes(size, world, batch)
    weights = [passes.shares(lane, rank, world, accumulate) for rank, lane in enumerate(found)]
    steps = len(found[0].cuts)
    for start in range(0, steps, accumulate):
        group = range(start, min(start + accumulate, steps))
        total = sum(found[0].real[rank][k] for rank in range(world) for k in group)
        for rank in range(world):
            for k in group:  # the mean over ranks of share * local mean gives every real row the same weight
                assert weights[rank][k] == pytest.approx(world * found[0].real[rank][k] / total)


@given(st.integers(2, 60), st.integers(1, 3), st.integers(1, 9), st.integers(2, 5), st.data())
def test_a_split_that_cycles_shows_each_row_once_per_cycle(
    size: int, world: int, batch: int, cycles: int, data: Any
) -> None:
    split = torch.tensor(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    assume(bool(split.any()) and size >= world)
    for rank, lane in enumerate(lanes(size, world, batch, split, cycles)):
        mine = [row for row in split.nonzero().flatten().tolist() if row % world == rank]
        assert len(lane.cuts) == cycles * lane.steps
        for cycle in range(cycles):
            steps = range(cycle * lane.steps, (cycle + 1) * lane.steps)
            seen = [r for k in steps if lane.real[rank][k] for r in lane.order[slice(*lane.cuts[k])].tolist()]
            assert sorted(seen) == mine
        for cut in lane.cuts:
            rows = lane.order[slice(*cut)].tolist()
            assert rows
            assert len(rows) == len(set(rows))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_balanced_order_takes_turns_among_classes(labels: list[int]) -> None:
    of = torch.tensor(labels)
    order = passes.shuffled(torch.arange(len(labels)), of, 1, 2)
    kinds = len(set(labels))
    assert len(order) == len(labels)
    for start in range(0, len(order) - kinds + 1, kinds):
        assert len(set(of[order[start : start + kinds]].tolist())) == kinds


@given(st.integers(1, 20), st.integers(1, 30), st.integers(1, 30))
def test_trusted_samples_take_turns(count: int, size: int, steps: int) -> None:
    counts = torch.cat([passes.trusted_rows(count, size, (1, 2), step) for step in range(steps)]).bincount()
    assert counts.max() - (counts.min() if len(counts) == count else 0) <= 1


def test_a_row_that_comes_round_again_gets_another_view() -> None:
    run = toy_run()
    seen: dict[int, list[Tensor]] = {}
    first = torch.arange(51) < 48
    for _, beside in run.batches(first, ~first, size=(8, 3)):
        for row, x in zip(beside.index.tolist(), beside.view("weak"), strict=True):
            seen.setdefault(row, []).append(x)
    assert {len(views) for views in seen.values()} == {6}
    assert all(not torch.equal(views[0], views[1]) for views in seen.values())


def test_labels_are_read_when_the_batch_comes() -> None:
    run = toy_run()
    for k, batch in enumerate(run.batches()):
        assert k == 0 or bool((batch.label == 2).all())
        run.labels.assign(torch.full((51,), 2))


def test_a_pass_that_is_left_early_is_closed() -> None:
    run = toy_run()
    for _ in run.batches():
        break
    assert not run.position.open
    assert len(list(run.batches())) == 4


def test_draws_between_passes_depend_on_the_place_alone() -> None:
    run, resumed = toy_run(), toy_run()
    list(run.batches())
    after = torch.rand(3)
    resumed.position.resume_verb = 1
    torch.rand(5)
    assert list(resumed.batches()) == []
    assert torch.equal(torch.rand(3), after)


@pytest.mark.parametrize(("size", "batch"), [(51, 16), (50, 16), (51, 100), (9, 4)])
def test_two_ranks_write_each_row_once_and_padding_never(size: int, batch: int) -> None:
    for counted in ranks.run(visits, size, batch, None):
        assert torch.equal(counted[:, 0], torch.ones(size))


def test_a_rank_without_any_row_of_a_split_keeps_step() -> None:
    split = torch.arange(20) % 2 == 0  # all of them belong to the first rank
    for counted in ranks.run(visits, 20, 8, split):
        assert torch.equal(counted[:, 0], split.float())
