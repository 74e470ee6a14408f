"""Mixing samples with partners."""

import torch
from torch import Tensor


def mixing_weight(alpha: float) -> Tensor:
    """One draw from Beta(alpha, alpha), a scalar float32 tensor on the CPU; 1 for alpha = 0."""
    if alpha <= 0:
        return torch.ones(())
    return torch.distributions.Beta(alpha, alpha, validate_args=False).sample()


def mix(x: Tensor, partner: Tensor, weight: Tensor | float) -> Tensor:
    """``weight * x + (1 - weight) * x[partner]`` for rows ``[B, ...]`` and partners int64 ``[B]``.

    Example:
        >>> mix(torch.tensor([0.0, 4.0]), torch.tensor([1, 0]), 0.75).tolist()
        [1.0, 3.0]
    """
    return weight * x + (1 - weight) * x[partner]
