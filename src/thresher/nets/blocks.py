"""What several networks are made of."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from thresher.errors import UsageError


class Net(nn.Module):
    """A network that gives its features beside its logits.

    Args:
        body: from inputs ``[B, *shape]`` to features ``[B, width]``.
        width: the number of features.
        outputs: the number of logits.

    Attributes:
        body: the module given.
        dropout: between the features and the head, in training mode; switched off until its `p` is set.
        head: the linear layer from features to logits.
        name: as `thresher.nets.build` has it, for messages.

    Example:
        >>> import torch
        >>> features, logits = Net(nn.Flatten(), 4, 3)(torch.zeros(2, 1, 2, 2))
        >>> features.shape, logits.shape
        (torch.Size([2, 4]), torch.Size([2, 3]))
    """

    name = "without a name"

    def __init__(self, body: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[B, width]``, without dropout, and logits ``[B, outputs]`` of inputs ``[B, *shape]``."""
        features = self.body(x)
        return features, self.head(self.dropout(features))


class Halve(nn.Module):
    """2x2 max pooling with stride 2; where torch's own is slow, by pairwise maxima, with the same result.

    On a CPU, predicting only and with even sides, torch's pooling of images stored row by row is the slower one.

    Args:
        ceil: keep the last row and column of an odd side.

    Example:
        >>> import torch
        >>> Halve()(torch.arange(16.0).view(1, 1, 4, 4)).tolist()
        [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    def __init__(self, ceil: bool = False) -> None:
        super().__init__()
        self.ceil = ceil

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C, H / 2, W / 2]``."""
        odd = x.shape[2] % 2 or x.shape[3] % 2
        if odd or x.device.type != "cpu" or torch.is_grad_enabled() or not x.is_contiguous():
            return max_pool2d(x, 2, ceil_mode=self.ceil)
        rows = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """A 3x3 convolution that keeps height and width (at stride 1), batch normalisation and ReLU.

    Example:
        >>> [type(layer).__name__ for layer in conv_bn_relu(3, 8)]
        ['Conv2d', 'BatchNorm2d', 'ReLU']
    """
    # Batch normalisation takes the mean away, and any bias of the convolution with it.
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


def image(net: str, shape: tuple[int, ...], smallest: int = 1) -> tuple[int, int, int]:
    """The shape ``(C, H, W)`` of images, for a network that takes nothing else.

    Args:
        net: the network's name, for the message.
        shape: of one input.
        smallest: least height and width.

    Raises:
        UsageError: features, or images with a shorter side.

    Example:
        >>> image("cnn8", (64,))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: net cnn8 takes images, and these inputs are 64 features: choose net mlp
    """
    if len(shape) != 3:
        raise UsageError(f"net {net} takes images, and these inputs are {shape[0]} features: choose net mlp")
    channels, height, width = shape
    if min(height, width) < smallest:
        raise UsageError(
            f"net {net} takes images from {smallest} x {smallest} pixels, and these are {height} x {width}: "
            "choose net small_cnn or larger images"
        )
    return channels, height, width
