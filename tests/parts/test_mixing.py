"""Mixing rows with partners."""

import pytest
import torch

from thresher.parts.mixup import mix, mixing_weight


def test_mix_equals_a_loop() -> None:
    torch.manual_seed(0)
    x, partner = torch.randn(6, 2, 3), torch.randperm(6)
    mixed = mix(x, partner, 0.3)
    for i in range(6):
        assert torch.allclose(mixed[i], 0.3 * x[i] + 0.7 * x[partner[i]])


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_weights_have_the_mean_and_variance_of_beta(alpha: float) -> None:
    torch.manual_seed(0)
    draws = torch.stack([mixing_weight(alpha) for _ in range(4000)])
    assert draws.min() >= 0
    assert draws.max() <= 1
    assert draws.mean().item() == pytest.approx(0.5, abs=0.02)
    assert draws.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_no_mixing_without_alpha(alpha: float) -> None:
    assert mixing_weight(alpha).item() == 1.0


def test_weights_follow_the_default_generator() -> None:
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(mixing_weight(2.0).item())
    assert draws[0] == draws[1]
