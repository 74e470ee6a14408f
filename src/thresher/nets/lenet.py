"""LeNet-5, for grey images up to 32 pixels."""

from torch import nn

from thresher.nets.blocks import Halve, Net, image

SMALLEST = 12
"""Least height and width, in pixels: below it, nothing is left after the second pooling."""

_FEATURES = 84


def lenet(shape: tuple[int, ...], outputs: int) -> Net:
    """Convolutions of 5x5 (6 with padding 2, then 16), each with ReLU and max-pooling, then layers of 120 and 84.

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998; with ReLU and
    max-pooling in place of sigmoids and averages, as the papers on wrong labels have it.

    Args:
        shape: ``(C, H, W)`` of one image, both sides 12 or more.
        outputs: the number of logits.

    Raises:
        UsageError: features instead of images, or smaller images.

    Example:
        >>> lenet((1, 28, 28), 10).body[7]
        Linear(in_features=400, out_features=120, bias=True)
    """
    channels, height, width = image("lenet", shape, SMALLEST)
    flat = 16 * _pooled(height) * _pooled(width)
    body = nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(inplace=True),
        Halve(),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(inplace=True),
        Halve(),
        nn.Flatten(),
        nn.Linear(flat, 120),
        nn.ReLU(inplace=True),
        nn.Linear(120, _FEATURES),
        nn.ReLU(inplace=True),
    )
    return Net(body, _FEATURES, outputs)


def _pooled(side: int) -> int:
    """What is left of a side after both poolings, with an unpadded 5x5 convolution between them."""
    return (side // 2 - 4) // 2
