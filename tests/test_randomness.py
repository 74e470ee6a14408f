"""Draws: pure, exact, and as good as a generator's."""

import numpy as np
import pytest
import torch
from torch import Tensor

from thresher.randomness import mix, normal, uniform

ROWS = torch.arange(100_000)


def naive(seed: int, row: int, stream: int) -> float:
    """The same in Python's whole numbers, with splitmix64 written out."""
    word = (row * 0x9E3779B97F4A7C15 + mix(seed, stream)) % 2**64
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
    word ^= word >> 31
    return (word >> 40) / 2**24


def test_equals_splitmix64_in_plain_python() -> None:
    rows = [0, 1, 2, 77, 10**6, 2**40, 2**62]
    assert uniform(5, torch.tensor(rows), 3).tolist() == [naive(5, row, 3) for row in rows]


def test_does_not_depend_on_the_batch() -> None:
    every = uniform(1, ROWS, 0)
    some = torch.tensor([9, 99_999, 4, 4])
    assert torch.equal(uniform(1, some, 0), every[some])
    assert torch.equal(uniform(1, some.reshape(2, 2), 0).flatten(), every[some])


def test_leaves_the_rows_and_the_generator_alone() -> None:
    rows, state = torch.arange(5), torch.get_rng_state()
    uniform(0, rows, 0)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(torch.get_rng_state(), state)


def draws(seed: int, stream: int = 0) -> Tensor:
    return uniform(seed, ROWS, stream).double()


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_mean_and_variance(seed: int) -> None:
    sample = draws(seed)
    assert sample.min() >= 0
    assert sample.max() < 1
    assert sample.mean().item() == pytest.approx(1 / 2, abs=4 * (1 / 12 / len(ROWS)) ** 0.5)
    assert sample.var().item() == pytest.approx(1 / 12, abs=4 * (1 / 180 / len(ROWS)) ** 0.5)


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_chi_square_of_a_hundred_cells(seed: int) -> None:
    counts = torch.bincount((draws(seed) * 100).long(), minlength=100)
    expected = len(ROWS) / 100
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert 57 < statistic < 155  # 99 degrees of freedom, one in a thousand on either side


@pytest.mark.parametrize("lag", [1, 2, 64, 128])
def test_neighbouring_rows_are_uncorrelated(lag: int) -> None:
    sample = draws(3) - 0.5
    assert abs((sample[lag:] * sample[:-lag]).mean().item() * 12) < 4 / len(ROWS) ** 0.5


def test_streams_and_seeds_are_uncorrelated() -> None:
    sets = torch.stack([draws(0, 0), draws(0, 1), draws(0, 2), draws(1, 0), draws(2, 0)]).numpy()
    off_diagonal = np.corrcoef(sets)[~np.eye(len(sets), dtype=bool)]
    assert np.abs(off_diagonal).max() < 4 / len(ROWS) ** 0.5


@pytest.mark.parametrize("seed", [0, 7])
def test_normal_has_the_moments_of_a_standard_normal(seed: int) -> None:
    sample = normal(seed, ROWS, 4).double()
    for power, expected, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert (sample**power).mean().item() == pytest.approx(expected, abs=4 * (spread / len(ROWS)) ** 0.5)
    assert (sample.abs() < 1.96).double().mean().item() == pytest.approx(0.95, abs=0.003)


def test_normal_by_box_and_muller() -> None:
    rows = torch.tensor([3, 8, 3])
    first, second = uniform(1, rows, 10).double(), uniform(1, rows, 11).double()
    expected = (-2 * (1 - first).log()).sqrt() * (2 * torch.pi * second).cos()
    assert torch.allclose(normal(1, rows, 5).double(), expected, atol=1e-5)
    assert normal(1, rows, 5)[0] == normal(1, rows, 5)[2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_equals_the_cpu() -> None:
    assert torch.equal(uniform(1, ROWS.cuda(), 2).cpu(), uniform(1, ROWS, 2))
