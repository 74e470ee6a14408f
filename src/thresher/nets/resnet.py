"""ResNets with post-activation blocks, for images of any size; torchvision's, so that its weights fit."""

from thresher.nets.backbone import small_stem
from thresher.nets.blocks import Net


def resnet18(shape: tuple[int, ...], outputs: int) -> Net:
    """Four stages of two blocks of two 3x3 convolutions (64, 128, 256, 512), then the mean over pixels.

    Images with a shorter side below 64 pixels get a 3x3 stem without pooling, others the 7x7 stem with max-pooling.
    Source: He et al., "Deep residual learning for image recognition", CVPR 2016.

    Args:
        shape: ``(C, H, W)`` of one image, of any size.
        outputs: the number of logits.

    Raises:
        UsageError: features instead of images.

    Example:
        >>> net = resnet18((3, 32, 32), 10)
        >>> sum(p.numel() for p in net.parameters())
        11173962
    """
    return small_stem("resnet18", shape, outputs)


def resnet34(shape: tuple[int, ...], outputs: int) -> Net:
    """As `resnet18`, with 3, 4, 6 and 3 blocks.

    Example:
        >>> net = resnet34((3, 32, 32), 10)
        >>> sum(p.numel() for p in net.parameters())
        21282122
    """
    return small_stem("resnet34", shape, outputs)


def resnet50(shape: tuple[int, ...], outputs: int) -> Net:
    """As `resnet34`, with blocks of 1x1, 3x3 and 1x1 convolutions, the last four times as wide: 2,048 features.

    Example:
        >>> net = resnet50((3, 32, 32), 10)
        >>> sum(p.numel() for p in net.parameters())
        23520842
    """
    return small_stem("resnet50", shape, outputs)
