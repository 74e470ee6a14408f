"""ResNets with pre-activation blocks, for images of about 32 pixels."""

from torch import Tensor, nn

from thresher.nets.blocks import Net, conv_bn_relu, image

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
_DEPTHS = {"preact_resnet18": (2, 2, 2, 2), "preact_resnet34": (3, 4, 6, 3)}
_FEATURES = 512


class PreActBlock(nn.Module):
    """Batch normalisation and ReLU before each of two 3x3 convolutions, and a shortcut around them.

    The shortcut starts behind the first ReLU, also where it is the identity: so does the network of DivideMix.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: of the first convolution and the shortcut.

    Example:
        >>> import torch
        >>> PreActBlock(4, 8, stride=2)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.middle = nn.Sequential(*conv_bn_relu(inputs, outputs, stride))
        self.last = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From ``[B, inputs, H, W]`` to ``[B, outputs, H / stride, W / stride]``, rounded up."""
        active = self.first(x)
        result: Tensor = self.last(self.middle(active)) + self.shortcut(active)
        return result


def preact_resnet18(shape: tuple[int, ...], outputs: int) -> Net:
    """A 3x3 stem, four stages of two pre-activation blocks (64, 128, 256, 512), then the mean over pixels.

    Source: He et al., "Identity mappings in deep residual networks", ECCV 2016, as Li, Socher and Hoi, "DivideMix",
    ICLR 2020, use it: no batch normalisation after the last block, one with ReLU in the stem.

    Args:
        shape: ``(C, H, W)`` of one image, of any size.
        outputs: the number of logits.

    Raises:
        UsageError: features instead of images.

    Example:
        >>> net = preact_resnet18((3, 32, 32), 10)
        >>> sum(p.numel() for p in net.parameters())
        11171274
    """
    return _preact_resnet("preact_resnet18", shape, outputs)


def preact_resnet34(shape: tuple[int, ...], outputs: int) -> Net:
    """As `preact_resnet18`, with 3, 4, 6 and 3 blocks.

    Example:
        >>> net = preact_resnet34((3, 32, 32), 10)
        >>> sum(p.numel() for p in net.parameters())
        21279434
    """
    return _preact_resnet("preact_resnet34", shape, outputs)


def _preact_resnet(name: str, shape: tuple[int, ...], outputs: int) -> Net:
    channels, _, _ = image(name, shape)
    layers = [*conv_bn_relu(channels, 64)]
    inputs = 64
    for (wide, stride), depth in zip(_STAGES, _DEPTHS[name], strict=True):
        layers += [PreActBlock(inputs, wide, stride), *(PreActBlock(wide, wide, 1) for _ in range(depth - 1))]
        inputs = wide
    return Net(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), _FEATURES, outputs)
