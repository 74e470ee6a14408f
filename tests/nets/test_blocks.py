"""Pooling by pairwise maxima equals torch's own."""

import pytest
import torch
from torch.nn.functional import max_pool2d

from thresher.nets.blocks import Halve


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("side", [(4, 6), (5, 4), (7, 7), (1, 2)])
@pytest.mark.parametrize("learning", [False, True])
def test_halving_equals_max_pooling(side: tuple[int, int], ceil: bool, learning: bool) -> None:
    if side[0] == 1 and not ceil:
        pytest.skip("nothing would be left")
    x = torch.randn(3, 5, *side, generator=torch.Generator().manual_seed(0))
    x[0, 0, 0, 0] = torch.nan
    expected = max_pool2d(x, 2, ceil_mode=ceil)
    with torch.set_grad_enabled(learning):
        for layout in (torch.contiguous_format, torch.channels_last):
            assert torch.equal(Halve(ceil)(x.to(memory_format=layout)).nan_to_num(9.0), expected.nan_to_num(9.0))
