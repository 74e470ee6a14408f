from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thresher.engine.passes import Lane, cut, first_occurrences, shares, shuffled, trusted_rows
from thresher.errors import ThresherError


@given(st.integers(0, 200), st.integers(1, 50))
def test_cuts_cover_all_rows_and_leave_no_single_one(rows: int, size: int) -> None:
    cuts = cut(rows, size)
    assert [n for start, stop in cuts for n in range(start, stop)] == list(range(rows))
    if rows > 1 and size > 1:
        assert all(stop - start > 1 for start, stop in cuts)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_first_occurrences(values: list[int]) -> None:
    found = first_occurrences(torch.tensor(values)).tolist()
    assert found == sorted({value: values.index(value) for value in values}.values())


def test_balanced_order_gives_every_class_its_turn() -> None:
    labels = torch.tensor([0] * 20 + [1] * 4)
    order = shuffled(torch.arange(24), labels, 0)
    counts = Counter(labels[order].tolist())
    assert counts == {0: 12, 1: 12}


def test_one_step_is_the_mean_over_all_rows_of_ranks_and_micro_batches() -> None:
    lane = Lane(torch.arange(0), [], real=[[4, 4, 3], [4, 2, 0]], steps=3)
    weights = [shares(lane, rank, 2, 2) for rank in range(2)]
    # a rank's mean loss over n rows, averaged over two ranks, must weigh n over the group's rows
    assert weights[0] == pytest.approx([2 * 4 / 14, 2 * 4 / 14, 2 * 3 / 3])
    assert weights[1] == pytest.approx([2 * 4 / 14, 2 * 2 / 14, 0.0])


def test_a_pass_visits_every_row_once_and_the_second_split_cycles(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    few = torch.tensor([3, 5, 7, 9])
    first, second = [], []
    for a, b in run.batches(None, few, size=(16, 2)):
        first += a.index.tolist()
        second += b.index.tolist()
    assert sorted(first) == list(range(60))
    assert set(second) == {3, 5, 7, 9}
    assert len(second) == 2 * 4


def test_rows_that_were_left_out_are_not_visited(make_run) -> None:  # type: ignore[no-untyped-def]
    kept = torch.arange(60) % 2 == 0
    run = make_run(kept=kept)
    seen = [row for batch in run.batches() for row in batch.index.tolist()]
    assert sorted(seen) == list(range(0, 60, 2))


def test_order_is_a_function_of_seed_epoch_and_pass(make_run) -> None:  # type: ignore[no-untyped-def]
    def order(**settings: int) -> list[int]:
        run = make_run(**settings)
        return [row for batch in run.batches() for row in batch.index.tolist()]

    assert order() == order()
    assert order() != order(seed=1)
    run = make_run()
    one, two = ([row for batch in run.batches() for row in batch.index.tolist()] for _ in range(2))
    assert one != two


def test_a_pass_inside_a_pass_is_refused(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    batches = run.batches()
    next(batches)
    with pytest.raises(ThresherError, match="inside a pass"):
        run.scan(lambda outputs, batch: outputs.logits)


def test_a_split_without_rows_is_refused(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    with pytest.raises(ThresherError, match="without rows"):
        next(iter(run.batches(None, torch.zeros(60, dtype=torch.bool))))


def test_a_mask_of_another_length_is_refused(make_run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ThresherError, match="mask of 5 rows"):
        next(iter(make_run().batches(torch.ones(5, dtype=torch.bool))))


def test_scans_see_every_row_in_order(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run(kept=torch.arange(60) < 30)
    rows, twice = run.scan(lambda outputs, batch: (batch.index, 2 * batch.index))
    assert rows.tolist() == list(range(60))
    assert torch.equal(twice, 2 * rows)


def test_trusted_rows_cycle_through_all_of_them() -> None:
    seen = [row for step in range(5) for row in trusted_rows(10, 4, (0, 1), step).tolist()]
    assert Counter(seen) == dict.fromkeys(range(10), 2)
