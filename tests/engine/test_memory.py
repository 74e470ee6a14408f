"""How much memory a table needs, and what its trainable rows refuse."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.jobs import toy_run
from torch import Tensor

from thresher.engine import checkpoint
from thresher.engine.table import Table, allocate, fill_rows
from thresher.errors import ThresherError
from thresher.randomness import normal

_WIDTH = 100


def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> int:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def start(rows: Tensor) -> Tensor:
    return 1e-8 * normal(0, rows[:, None] * _WIDTH + torch.arange(_WIDTH), 0)


def filled(size: int) -> Table:
    room = allocate((size, _WIDTH), torch.float32, torch.device("cpu"))
    return Table("t", fill_rows(room, torch.arange(size), start), size=size, rate=1.0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("size", [300_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_table_needs_its_own_size_and_little_more(size: int, tmp_path: Path) -> None:
    whole = size * _WIDTH * 4
    slack = max(0.1 * whole, 40 << 20)  # 40 MiB is a tenth of the million
    filled(10_000)
    before = forget_peak()
    table = filled(size)
    for k in range(20):
        index = torch.arange(k, size, size // 128)
        table[index] = table[index] + 1
        table.trainable(index).square().sum().backward()
    (tmp_path / "tables").mkdir()
    np.save(tmp_path / "tables" / "labels.npy", table.rows.numpy(), allow_pickle=False)
    assert peak() - before < whole + slack
    del table
    run = toy_run()
    before = forget_peak()
    checkpoint.load_tables(run, tmp_path)
    assert run.labels.rows.shape == (size, _WIDTH)
    # The file's pages count as well while it is mapped, though the system takes them back when it needs them.
    assert peak() - before < 2 * whole + slack


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    table = Table("t", torch.zeros(6), size=6, rate=1.0)
    with pytest.raises(ThresherError, match="'t' at row 3"):
        table.trainable(torch.tensor([2, 3])).add(torch.tensor([1.0, 0.0])).sqrt().sum().backward()
    assert not table.full().any()


def test_with_more_ranks_the_step_takes_the_factor_away_that_averaging_would() -> None:
    table = Table("t", torch.zeros(3), size=6, rank=0, world=2, rate=1.0)
    (2 * table.trainable(torch.tensor([0, 4]))).sum().backward()
    assert table.rows.tolist() == [-1, 0, -1]


def test_rows_outside_the_loss_stay() -> None:
    table = Table("t", torch.zeros(4), size=4, rate=1.0)
    table.trainable(torch.tensor([0, 1]))[:1].sum().backward()
    assert table.full().tolist() == [-1, 0, 0, 0]


def test_a_process_may_own_no_row() -> None:
    run = toy_run()
    assert len(run.table("empty", 2).full()) == 51
    none = Table("t", torch.zeros(0), size=1, rank=2, world=3)
    none.assign(torch.ones(1))
    assert none.rows.tolist() == []
