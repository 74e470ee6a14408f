"""Samples made ready for exact search: float32, centred and scaled, of length 1 for the cosine."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thresher.errors import UsageError

ENTRIES = 1 << 22
"""How many numbers a temporary array may hold."""


@dataclass(frozen=True, eq=False)
class Space:
    """Samples brought to float32, centred and scaled, so that squared distances are exact enough.

    Attributes:
        points: the samples, float32 ``[N, D]``.
        squares: their squared lengths, float32 ``[N]``.
        scale: what a distance between points is multiplied by.
        cosine: whether the points are of length 1 (before centring), and distances are 1 - cosine.
    """

    points: Tensor
    squares: Tensor
    scale: float
    cosine: bool

    def distance(self, squared: Tensor) -> Tensor:
        """Squared distances between points as distances between samples: 1 - cosine is half of a square."""
        return squared / 2 if self.cosine else squared.sqrt() * self.scale


def prepare(features: Tensor, outside: Tensor | None, *, cosine: bool, device: str) -> tuple[Space, Tensor | None]:
    """Bring samples, and queries from outside, into one space.

    Centring leaves distances as they are and takes away the common part in which float32 would lose the differences;
    shift and scale are such that distances of whole numbers stay exact, and so their ties.
    Under the cosine, a row of zeros has a direction of its own: distance 0 to other rows of zeros, 1 to all else.

    Args:
        features: ``[N, D]``, any real dtype, N and D of one or more.
        outside: ``[M, D]``, or None.
        cosine: compare directions only.
        device: where the search shall run.

    Returns:
        The space, and the queries as points of it.

    Raises:
        UsageError: a row with a value that is not finite in float32.
    """
    both = [features] if outside is None else [features, outside]
    peak, zeros = 0.0, False
    for what, one in zip(("features", "queries"), both, strict=False):
        for start, block in _blocks(one):
            _check_finite(block, start, what)
            peak, zeros = max(peak, float(block.abs().max())), zeros or not bool(block.any(1).all())
    centre = _centre(features, cosine)
    width = len(centre) - int(cosine and not zeros)  # the column for rows of zeros only where there are some
    scale = 1.0 if cosine else _power_of_two(torch.tensor(peak or 1.0)).item() * 2
    made = [_filled(one, centre[:width], scale, cosine).to(device) for one in both]
    squares = torch.cat([block.square().sum(1) for block in made[0].split(max(1, ENTRIES // width))])
    return Space(made[0], squares, scale, cosine), (made[1] if len(made) > 1 else None)


def _blocks(features: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Some rows at a time as float64, with the number of the first."""
    start = 0
    for block in features.split(max(1, ENTRIES // features.shape[1])):
        if len(block):
            yield start, block.cpu().double()
        start += len(block)


def _check_finite(block: Tensor, start: int, what: str) -> None:
    bad = torch.nonzero(~block.float().isfinite().all(1))
    if len(bad):
        raise UsageError(
            f"row {start + int(bad[0])} of the {what} holds NaN, an infinite value or one beyond float32:"
            " compute it again, or leave the row out"
        )


def _placed(block: Tensor, cosine: bool) -> Tensor:
    """Rows as they are, or of length 1, with one more column that is 1 for a row of zeros."""
    if not cosine:
        return block
    block = block / block.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    length = block.square().sum(1, keepdim=True).sqrt()
    return torch.cat([block / length.clamp(min=1), (length == 0).double()], 1)


def _centre(features: Tensor, cosine: bool) -> Tensor:
    """About the mean, float64 ``[D]``: so near to it, in steps of powers of two, that whole numbers stay exact."""
    low = torch.full((features.shape[1] + int(cosine),), torch.inf, dtype=torch.float64)
    high, total = -low, torch.zeros_like(low)
    for _, block in _blocks(features):
        placed = _placed(block, cosine)
        low, high, total = low.minimum(placed.amin(0)), high.maximum(placed.amax(0)), total + placed.sum(0)
    step = _power_of_two(high - low) / 64
    return torch.where(step > 0, (total / len(features) / step).round() * step, low)


def _power_of_two(values: Tensor) -> Tensor:
    """The largest power of two that is not above, 0 for 0."""
    mantissa, exponent = torch.frexp(values.double())
    return torch.where(mantissa > 0, torch.ldexp(torch.ones_like(mantissa), exponent - 1), 0.0)


def _filled(features: Tensor, centre: Tensor, scale: float, cosine: bool) -> Tensor:
    points = torch.empty(len(features), len(centre))
    for start, block in _blocks(features):
        points[start : start + len(block)] = ((_placed(block, cosine)[:, : len(centre)] - centre) / scale).float()
    return points
