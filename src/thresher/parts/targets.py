"""Soft targets and what they say about a given label."""

import torch
from torch import Tensor


def normalise(rows: Tensor) -> Tensor:
    """Rows ``[..., C]`` of non-negative numbers, scaled to sum 1; rows of zeros, or of next to nothing, become uniform.

    Example:
        >>> normalise(torch.tensor([[1.0, 3.0], [0.0, 0.0]])).tolist()
        [[0.25, 0.75], [0.5, 0.5]]
    """
    tiny = torch.finfo(rows.dtype).tiny
    total = rows.sum(-1, keepdim=True)
    # Below the smallest normal number a quotient is no share any more. A NaN stays one, so that tables can refuse it.
    return torch.where(total < tiny, 1 / rows.shape[-1], rows / total.clamp_min(tiny))


def sharpen(rows: Tensor, temperature: float) -> Tensor:
    """``p^(1/T)``, normalised (MixMatch, equation 7), for probabilities ``[..., C]``.

    Example:
        >>> sharpen(torch.tensor([0.25, 0.75]), 0.5).tolist()
        [0.10000000149011612, 0.8999999761581421]
    """
    return normalise(rows ** (1 / temperature))


def margin_against(values: Tensor, labels: Tensor) -> Tensor:
    """Largest value of another class minus the label's own, ``[N]``, for values ``[N, C]`` and labels int64 ``[N]``.

    Above 0 exactly where the label is not the argmax.

    Example:
        >>> margin_against(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([2])).item()
        0.25
    """
    own = labels[:, None]
    return values.scatter(1, own, -torch.inf).amax(1) - values.gather(1, own).squeeze(1)
