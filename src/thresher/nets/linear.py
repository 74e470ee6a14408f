"""One linear layer, for features of a network that stays as it is."""

import math

from torch import nn

from thresher.nets.blocks import Net


def linear(shape: tuple[int, ...], outputs: int) -> Net:
    """A linear classifier: the features are the inputs themselves, images flattened.

    Args:
        shape: ``(D,)`` or ``(C, H, W)`` of one input.
        outputs: the number of logits.

    Example:
        >>> linear((512,), 10).head
        Linear(in_features=512, out_features=10, bias=True)
    """
    return Net(nn.Flatten(), math.prod(shape), outputs)
