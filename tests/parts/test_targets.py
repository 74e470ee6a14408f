"""Soft targets: normalising, sharpening, and margins against a label."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thresher.parts.targets import margin_against, normalise, sharpen


@given(st.lists(st.floats(0, 1e6, width=32), min_size=2, max_size=8))
def test_normalised_rows_sum_to_one(values: list[float]) -> None:
    row = normalise(torch.tensor(values))
    assert row.sum().item() == pytest.approx(1, rel=1e-4)
    assert (row >= 0).all()


def test_tiny_sums_and_zeros() -> None:
    rows = normalise(torch.tensor([[1e-30, 3e-30], [0.0, 0.0], [0.0, 1e-45]]))
    assert rows.tolist() == [pytest.approx([0.25, 0.75]), [0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_non_finite_row_stays_one(bad: float) -> None:
    assert not normalise(torch.tensor([[bad, 1.0]])).isfinite().all()


def test_gradient_of_normalise() -> None:
    rows = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalise, (rows,))


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.floats(0.1, 3))
def test_sharpen_equals_a_loop(values: list[float], temperature: float) -> None:
    powers = [v ** (1 / temperature) for v in values]
    expected = [p / sum(powers) for p in powers]
    assert sharpen(torch.tensor(values, dtype=torch.float64), temperature).tolist() == pytest.approx(expected)


def test_sharpen_keeps_certainty() -> None:
    assert sharpen(torch.tensor([1.0, 0.0]), 0.5).tolist() == [1.0, 0.0]


@given(st.integers(0, 1000))
def test_margin_equals_a_loop(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    values, labels = torch.randn(6, 4, generator=source), torch.randint(4, (6,), generator=source)
    margins = margin_against(values, labels)
    for row, label, margin in zip(values.tolist(), labels.tolist(), margins.tolist(), strict=True):
        assert margin == pytest.approx(max(v for k, v in enumerate(row) if k != label) - row[label], abs=1e-6)
    assert torch.equal(margins > 0, values.argmax(1) != labels)
