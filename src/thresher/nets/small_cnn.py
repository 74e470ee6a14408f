"""Three convolutions: quick on a CPU, for images up to 16 pixels."""

from torch import nn

from thresher.nets.blocks import Halve, Net, conv_bn_relu, image

_FEATURES = 128


def small_cnn(shape: tuple[int, ...], outputs: int) -> Net:
    """Three 3x3 convolutions (32, 64, 128) with batch normalisation and ReLU, two poolings, then the mean over pixels.

    Args:
        shape: ``(C, H, W)`` of one image, of any size.
        outputs: the number of logits.

    Raises:
        UsageError: features instead of images.

    Example:
        >>> small_cnn((1, 8, 8), 10).head
        Linear(in_features=128, out_features=10, bias=True)
    """
    channels, _, _ = image("small_cnn", shape)
    body = nn.Sequential(
        *conv_bn_relu(channels, 32),
        Halve(ceil=True),  # a side of one pixel stays one pixel
        *conv_bn_relu(32, 64),
        Halve(ceil=True),
        *conv_bn_relu(64, _FEATURES),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return Net(body, _FEATURES, outputs)
