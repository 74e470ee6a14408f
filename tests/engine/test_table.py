import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.engine.table import Gate, Table, allocate, fill_rows, owned, shape_of
from thresher.errors import ThresherError


def table(size: int = 6, width: int | None = 2, **options: object) -> Table:
    return Table("t", torch.zeros(shape_of(size, width)), size=size, **options)  # type: ignore[arg-type]


def test_a_non_finite_row_is_refused_before_anything_is_written() -> None:
    t = table()
    rows = torch.tensor([[1.0, 1.0], [torch.nan, 1.0]])
    with pytest.raises(ThresherError, match="'t' at row 3"):
        t[torch.tensor([1, 3])] = rows
    assert not t.full().any()


def test_a_closed_gate_lets_nothing_in() -> None:
    gate = Gate(open=False)
    t = table(gate=gate, rate=1.0)
    t[torch.tensor([0])] = torch.ones(1, 2)
    t.trainable(torch.tensor([1])).sum().backward()
    assert not t.full().any()


def test_the_first_occurrence_of_a_repeated_row_writes() -> None:
    gate = Gate(first=torch.tensor([0, 1]), length=3)
    t = table(width=None, gate=gate)
    t[torch.tensor([4, 2, 4])] = torch.tensor([1.0, 2.0, 3.0])
    assert t.full().tolist() == [0, 0, 2, 0, 1, 0]
    with pytest.raises(ThresherError, match="balanced batch"):
        t[torch.tensor([4])] = torch.tensor([9.0])


def test_trainable_rows_descend_and_repeated_ones_add() -> None:
    t = table(width=None, rate=0.5)
    leaf = t.trainable(torch.tensor([1, 3, 1]))
    (leaf * torch.tensor([1.0, 2.0, 4.0])).sum().backward()
    assert t.full().tolist() == [0, -2.5, 0, -1.0, 0, 0]


def test_a_projection_holds_after_each_step() -> None:
    t = table(width=None, rate=10.0, project=lambda rows: rows.clamp(-1, 1))
    t.trainable(torch.tensor([2])).sum().backward()
    assert t.full()[2] == -1


@given(st.integers(1, 30), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_every_row_has_one_owner(size: int, world: int) -> None:
    parts = [owned(size, rank, world) for rank in range(world)]
    assert torch.cat(parts).sort().values.tolist() == list(range(size))
    for rank, rows in enumerate(parts):
        t = Table("t", torch.zeros(len(rows)), size=size, rank=rank, world=world)
        t[rows] = rows.float()
        assert t.rows.tolist() == rows.tolist()


def test_half_precision_stores_half_and_reads_full() -> None:
    t = Table("t", torch.zeros(4, 2, dtype=torch.float16), size=4)
    t[torch.tensor([0])] = torch.full((1, 2), 0.25)
    assert t[torch.tensor([0])].dtype == torch.float32
    assert t[torch.tensor([0])].tolist() == [[0.25, 0.25]]


def test_a_table_can_live_in_a_file(tmp_path: "pytest.TempPathFactory") -> None:
    room = allocate((5, 2), torch.float32, torch.device("cpu"), tmp_path / "tables" / "t")  # type: ignore[operator]
    t = Table("t", fill_rows(room, torch.arange(5), lambda rows: rows[:, None].float().expand(-1, 2)), size=5)
    t[torch.tensor([0])] = torch.ones(1, 2)
    assert t.full()[:, 0].tolist() == [1, 1, 2, 3, 4]
    assert (tmp_path / "tables" / "t").stat().st_size == 40  # type: ignore[operator]


def test_a_fill_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ThresherError, match="fill gave the shape"):
        fill_rows(torch.empty(3, 2), torch.arange(3), lambda rows: rows.float())


def test_assign_wants_every_row() -> None:
    with pytest.raises(ThresherError, match="6 rows, and was assigned 5"):
        table().assign(torch.zeros(5, 2))


@pytest.mark.slow
def test_an_update_does_not_depend_on_the_number_of_samples() -> None:
    def seconds(size: int) -> float:
        t, index, rows = table(size, 10), torch.arange(128), torch.ones(128, 10)
        times = []
        for _ in range(200):
            started = time.perf_counter()
            t[index] = t[index] + rows
            times.append(time.perf_counter() - started)
        return sorted(times)[100]

    assert seconds(1_000_000) < 3 * seconds(1_000)
