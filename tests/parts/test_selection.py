"""Choosing samples by their loss."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thresher.parts.small_loss import excess, keep_smallest, kept_share


def test_the_share_kept_falls_epoch_by_epoch() -> None:
    shares = [kept_share(epoch, 0.4, 4) for epoch in range(7)]
    assert shares == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.6, 0.6])
    assert kept_share(2.99, 0.4, 4) == kept_share(2, 0.4, 4)
    assert kept_share(0, 0.4, 0) == pytest.approx(0.6)


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), st.floats(0, 1))
def test_keeps_the_smallest(losses: list[float], share: float) -> None:
    kept = keep_smallest(torch.tensor(losses), share).tolist()
    count = max(1, int(share * len(losses)))
    assert len(set(kept)) == count
    assert sorted(losses[k] for k in kept) == sorted(losses)[:count]


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40, unique=True), st.floats(0, 1))
def test_excess_leaves_the_rate_above_zero(losses: list[int], rate: float) -> None:
    values = torch.tensor(losses, dtype=torch.float32)
    over = excess(values, rate)
    kept = min(len(losses), max(1, round((1 - rate) * len(losses))))
    assert int((over > 0).sum()) == len(losses) - kept
    assert torch.equal(over.argsort(), values.argsort())


def test_excess_by_hand() -> None:
    assert excess(torch.tensor([5.0, 1.0, 3.0]), 0.0).tolist() == [0.0, -4.0, -2.0]
    assert excess(torch.tensor([5.0, 1.0, 3.0]), 1.0).tolist() == [4.0, 0.0, 2.0]
