"""Choosing samples by their loss."""

import torch
from torch import Tensor


def kept_share(when: float, noise_rate: float, ramp: float) -> float:
    """Share of samples to keep at fractional epoch `when`: 1 at the start, 1 - noise_rate after `ramp` epochs.

    Co-teaching's R(t) with exponent 1; it changes from epoch to epoch, not inside one.

    Example:
        >>> kept_share(0, 0.4, 10), kept_share(5, 0.4, 10), kept_share(99, 0.4, 10)
        (1.0, 0.8, 0.6)
    """
    return 1 - noise_rate * (min(int(when) / ramp, 1.0) if ramp > 0 else 1.0)


def keep_smallest(losses: Tensor, share: float) -> Tensor:
    """Positions of the ``int(share * B)`` smallest losses (at least one), int64, for losses ``[B]``.

    Example:
        >>> keep_smallest(torch.tensor([3.0, 1.0, 2.0, 9.0]), 0.5).tolist()
        [1, 2]
    """
    count = max(1, int(share * len(losses)))
    return torch.topk(losses, count, largest=False, sorted=True).indices


def excess(losses: Tensor, noise_rate: float) -> Tensor:
    """Losses measured from the one that leaves `noise_rate` of them above it, ``[N]``.

    Example:
        >>> excess(torch.tensor([1.0, 2.0, 3.0, 10.0]), 0.25).tolist()
        [-2.0, -1.0, 0.0, 7.0]
    """
    count = min(len(losses), max(1, round((1 - noise_rate) * len(losses))))
    return losses - losses.kthvalue(count).values
