"""Which weights are critical: scores of millions of them, and exact selection without a second copy.

Scores are never negative, so their bits, read as whole numbers, are in the same order as they are.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from thresher.randomness import generator

_CHUNK = 1 << 22
"""Entries compared at a time on CUDA: what a comparison allocates stays at four megabytes."""
_BLOCK = 1 << 18
"""Entries compared at a time on the CPU: they stay in its cache."""
_SMALL, _STRIDE = 100_000, 97
"""Fewer values are partitioned at once; of more, one in so many is a sample (odd, and not in step with 3x3 kernels)."""


class Weight(NamedTuple):
    """A parameter, its gradient, and where it stands in its optimiser."""

    tensor: Tensor
    gradient: Tensor
    place: int = 0


class Room:
    """What selecting uses again in every step: a flat buffer of scores, whose allocation is slow, and fixed draws."""

    def __init__(self) -> None:
        self._scores = torch.empty(0)
        self._draws: dict[tuple[Hashable, ...], Tensor] = {}

    def views(self, weights: Sequence[Weight]) -> tuple[Tensor, list[Tensor]]:
        """A flat buffer for all entries of some weights, float64 for those and else float32, and each one's part."""
        size, like = sum(weight.tensor.numel() for weight in weights), weights[0].tensor
        dtype = torch.promote_types(like.dtype, torch.float32)
        if len(self._scores) < size or (self._scores.dtype, self._scores.device) != (dtype, like.device):
            self._scores = torch.empty(size, dtype=dtype, device=like.device)
        flat = self._scores[:size]
        parts = flat.split([weight.tensor.numel() for weight in weights])
        return flat, [part.view(weight.tensor.shape) for part, weight in zip(parts, weights, strict=True)]

    def draw(self, what: int, place: int, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What was drawn for the key, made on first use; another key takes the place."""
        if (what, place, key) not in self._draws:
            self._draws = {known: drawn for known, drawn in self._draws.items() if known[:2] != (what, place)}
            self._draws[what, place, key] = make()
        return self._draws[what, place, key]


def product(weight: Tensor, gradient: Tensor, out: Tensor) -> None:
    """|gradient * weight| into `out`; all three of one shape.

    Example:
        >>> out = torch.empty(2)
        >>> product(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0]), out)
        >>> out.tolist()
        [3.0, 8.0]
    """
    torch.mul(gradient, weight, out=out).abs_()


def total(weight: Tensor, gradient: Tensor, out: Tensor) -> None:
    """|gradient| + |weight| into `out`; all three of one shape.

    Example:
        >>> out = torch.empty(2)
        >>> total(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0]), out)
        >>> out.tolist()
        [4.0, 6.0]
    """
    out.copy_(gradient).copysign_(weight).add_(weight).abs_()  # with the weight's sign first, nothing is allocated


CRITERIA: dict[str, Callable[[Tensor, Tensor, Tensor], None]] = {"product": product, "sum": total}
"""The scores that rank weights, by the name people type."""


def random_mask(size: int, share: float, *seed: int) -> Tensor:
    """A fixed mask that is False for ``int(share * size)`` random entries, bool ``[size]`` on the CPU.

    Args:
        size: entries.
        share: of the entries that are masked.
        seed: whole numbers on which alone the draw depends.

    Example:
        >>> mask = random_mask(10, 0.4, 0, 1)
        >>> int(mask.sum()), bool((mask == random_mask(10, 0.4, 0, 1)).all())
        (6, True)
    """
    mask = torch.ones(size, dtype=torch.bool)
    mask[torch.randperm(size, generator=generator(*seed))[: int(share * size)]] = False
    return mask


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The k-th smallest value, exactly; `values` stays as it is.

    On CUDA `torch.kthvalue` gives a whole vector to one block of the device, and `topk` takes three times the memory of
    what it returns; so few values are sorted, and for many the answer's bits are found one by one by counting.

    Args:
        values: float32 or float64 ``[n]``, none negative.
        k: from 1 to n.

    Returns:
        A scalar tensor on the device of `values`.

    Example:
        >>> kth_smallest(torch.tensor([3.0, 1.0, 2.0, 2.0]), 3).item()
        2.0
    """
    if values.device.type == "cpu":
        return values.new_tensor(kth_by_bracket(values.numpy(), k))
    if len(values) <= _CHUNK:
        return values.sort().values[k - 1]
    return kth_by_bits(values, k)


def kth_by_bracket(values: np.ndarray, k: int) -> float:
    """`kth_smallest` among the few values between two that a sample says enclose it.

    Counting what lies below them tells whether they do; if not, all values are partitioned. On 23.5 million scores it
    takes half the time of a partition, which a histogram over the bits does not beat, and 2 % of the memory.

    Args:
        values: floating ``[n]``, none negative.
        k: from 1 to n.

    Example:
        >>> kth_by_bracket(np.arange(1_000_000.0), 10)
        9.0
    """
    if len(values) <= _SMALL:
        return float(np.partition(values, k - 1)[k - 1])
    low, high = _bracket(values, k)
    below, reached, inside = 0, 0, []
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        below += int(np.count_nonzero(block < low))
        reached += int(np.count_nonzero(block <= low))
        inside.append(block[(block > low) & (block < high)])  # without the ends, of which there may be many
    place = k - reached
    if below < k and place <= 0:
        return low
    left = np.concatenate(inside)
    if not 0 < place <= len(left):
        return _kth_from_end(values, k, high) if place > 0 else float(np.partition(values, k - 1)[k - 1])
    left.partition(place - 1)
    return float(left[place - 1])


def _kth_from_end(values: np.ndarray, k: int, high: float) -> float:
    """The k-th smallest that is not below `high`: `high` itself, nearly always."""
    blocks = (values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK))
    if k <= sum(int(np.count_nonzero(block <= high)) for block in blocks):
        return high
    return float(np.partition(values, k - 1)[k - 1])


def _bracket(values: np.ndarray, k: int) -> tuple[float, float]:
    """Two values that enclose the k-th smallest in all but one of some ten thousand samples."""
    sample = np.sort(values[::_STRIDE])
    near, margin = k * len(sample) // len(values), int(2 * math.sqrt(len(sample)))
    low = float(sample[near - margin]) if near > margin else 0.0
    return low, float(sample[near + margin]) if near + margin < len(sample) else math.inf


def kth_by_bits(values: Tensor, k: int) -> Tensor:
    """`kth_smallest` by counting, from the highest bit down; nothing is moved, and the device is never waited for.

    Args:
        values: float32 or float64 ``[n]``, none negative.
        k: from 1 to n.

    Returns:
        A scalar tensor on the device of `values`.

    Example:
        >>> kth_by_bits(torch.tensor([3.0, 1.0, 2.0, 2.0]), 3).item()
        2.0
    """
    bits = values.view(torch.int32 if values.dtype == torch.float32 else torch.int64)
    answer = bits.new_zeros(())
    for bit in reversed(range(8 * bits.itemsize - 1)):
        higher = answer + (1 << bit)
        below = torch.stack([(part < higher).sum() for part in bits.split(_CHUNK)]).sum()
        answer = torch.where(below < k, higher, answer)
    return answer.view(values.dtype)


def drop_ties(scores: Tensor, threshold: Tensor, surplus: int) -> None:
    """Of the scores equal to the threshold, make the last few smaller than any.

    Args:
        scores: ``[n]``, changed in place.
        threshold: a scalar.
        surplus: how many; there are as many.

    Example:
        >>> scores = torch.tensor([2.0, 1.0, 2.0, 3.0])
        >>> drop_ties(scores, torch.tensor(2.0), 1)
        >>> scores.tolist()
        [2.0, 1.0, -1.0, 3.0]
    """
    for part in reversed(scores.split(_BLOCK)):
        if surplus <= 0:
            return
        ties = (part == threshold).nonzero()[-surplus:, 0]
        part[ties] = -1.0
        surplus -= len(ties)


def critical_masks(
    weights: Sequence[Weight],
    lowest: int,
    room: Room,
    criterion: str = "product",
    exact: bool = False,
    among: slice | Tensor | None = None,
) -> list[Tensor] | None:
    """One ranking over all entries of some weights.

    Args:
        weights: on one device.
        lowest: scores strictly below the so-and-so-many-th smallest are not critical: none for 0, all for one more than
            there are.
        room: whose buffer is overwritten; it is as large as the weights, and little else is allocated.
        criterion: of `CRITERIA`.
        exact: of scores equal to the lowest critical one only the first stay, so that the number is exact.
        among: entries from which the threshold is taken, whose `lowest` it then is; None: all of them.

    Returns:
        For each weight 1 where it is critical and 0 elsewhere, in its shape; they live in the room until its next use.
        None when all are critical.

    Example:
        >>> weight = Weight(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2, 2))
        >>> critical_masks([weight], 3, Room())
        [tensor([[0., 0.],
                [1., 1.]])]
    """
    if lowest <= (among is None):  # below the smallest of all there is nothing; below that of a sample there may be
        return None
    scores, views = room.views(weights)
    if lowest > len(scores):
        scores.zero_()
        return views
    _score(weights, views, criterion)
    threshold = kth_smallest(scores if among is None else scores[among], lowest)
    scores.ge_(threshold)
    if exact:
        surplus = sum(int(part.count_nonzero()) for part in scores.split(_CHUNK)) - (len(scores) + 1 - lowest)
        if surplus > 0:  # rarely: the scores are needed once more
            _score(weights, views, criterion)
            drop_ties(scores, threshold, surplus)
            scores.ge_(threshold)
    return views


def _score(weights: Sequence[Weight], views: Sequence[Tensor], criterion: str) -> None:
    for weight, view in zip(weights, views, strict=True):
        CRITERIA[criterion](weight.tensor, weight.gradient, view)
