"""The 8-layer network of symmetric cross-entropy, for colour images up to 64 pixels on a CPU."""

from torch import nn

from thresher.nets.blocks import Halve, Net, conv_bn_relu, image

SMALLEST = 8
"""Least height and width, in pixels: three poolings leave one."""

_FEATURES = 256
_WIDTHS = (64, 128, 196)


def cnn8(shape: tuple[int, ...], outputs: int) -> Net:
    """Six 3x3 convolutions (64, 64, 128, 128, 196, 196) with a max-pooling after every second, then a layer of 256.

    Every one of these layers has batch normalisation and ReLU. Source: Wang et al., "Symmetric cross entropy for robust
    learning with noisy labels", ICCV 2019 (CIFAR-10); biases that batch normalisation undoes are left out.

    Args:
        shape: ``(C, H, W)`` of one image, both sides 8 or more.
        outputs: the number of logits.

    Raises:
        UsageError: features instead of images, or smaller images.

    Example:
        >>> net = cnn8((3, 32, 32), 10)
        >>> sum(p.numel() for p in net.parameters())
        1638762
    """
    channels, height, width = image("cnn8", shape, SMALLEST)
    layers: list[nn.Module] = []
    for inputs, wide in zip((channels, *_WIDTHS), _WIDTHS, strict=False):
        layers += [*conv_bn_relu(inputs, wide), *conv_bn_relu(wide, wide), Halve()]
    flat = _WIDTHS[-1] * (height // 8) * (width // 8)
    dense = (nn.Linear(flat, _FEATURES, bias=False), nn.BatchNorm1d(_FEATURES), nn.ReLU(inplace=True))
    return Net(nn.Sequential(*layers, nn.Flatten(), *dense), _FEATURES, outputs)
