"""A perceptron with two hidden layers, for features and very small images."""

import math

from torch import nn

from thresher.nets.blocks import Net

_HIDDEN = 256


def mlp(shape: tuple[int, ...], outputs: int) -> Net:
    """Two hidden layers of 256 with ReLU; images are flattened. The features are the 256 of the second layer.

    Args:
        shape: ``(D,)`` or ``(C, H, W)`` of one input.
        outputs: the number of logits.

    Example:
        >>> mlp((64,), 10).head
        Linear(in_features=256, out_features=10, bias=True)
    """
    first = nn.Linear(math.prod(shape), _HIDDEN)
    second = nn.Linear(_HIDDEN, _HIDDEN)
    body = nn.Sequential(nn.Flatten(), first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
    return Net(body, _HIDDEN, outputs)
