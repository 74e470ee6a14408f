"""Networks by name: each gives ``(features, logits)`` and has a `head`, the linear layer between the two."""

from collections.abc import Callable
from functools import partial

from thresher.errors import UsageError, nearest
from thresher.nets.backbone import PREFIX, TIMM, library_net
from thresher.nets.blocks import Net
from thresher.nets.cnn8 import cnn8
from thresher.nets.lenet import SMALLEST, lenet
from thresher.nets.linear import linear
from thresher.nets.mlp import mlp
from thresher.nets.preact_resnet import preact_resnet18, preact_resnet34
from thresher.nets.resnet import resnet18, resnet34, resnet50
from thresher.nets.small_cnn import small_cnn
from thresher.nets.weights import load_weights

__all__ = ["auto", "build", "load_weights", "names"]

_NETS: dict[str, Callable[[tuple[int, ...], int], Net]] = {
    "linear": linear,
    "mlp": mlp,
    "small_cnn": small_cnn,
    "lenet": lenet,
    "cnn8": cnn8,
    "preact_resnet18": preact_resnet18,
    "resnet18": resnet18,
    "preact_resnet34": preact_resnet34,
    "resnet34": resnet34,
    "resnet50": resnet50,
}

# The longer side, in pixels, up to which `auto` takes each kind of network.
_TINY = 16
_GREY = 32
_COLOUR = 64


def names() -> list[str]:
    """The names of our own networks, from the smallest to the largest; `build` also takes those of two libraries.

    Example:
        >>> names()[:6]
        ['linear', 'mlp', 'small_cnn', 'lenet', 'cnn8', 'preact_resnet18']
    """
    return list(_NETS)


def build(name: str, shape: tuple[int, ...], outputs: int, dropout: float = 0.0) -> Net:
    """A new network with random weights, from torch's default generator.

    Its `forward` maps float inputs ``[B, *shape]`` to features ``[B, F]`` and logits ``[B, outputs]``; its attribute
    `head` is the linear layer from the one to the other.

    Dropout stands at one place in every network, before the head, so that it changes no name of a weight, works on the
    features of a frozen network too, and asks nothing of a library's network; where that has dropout of its own, it
    stays beside this one. (Studies of dropout in residual networks often have it inside the blocks.)

    Args:
        name: one of `names()`, or ``torchvision:NAME`` or ``timm:NAME`` for a network of these libraries.
        shape: of one input, ``(C, H, W)`` for images or ``(D,)`` for features.
        outputs: the number of logits.
        dropout: chance that a feature is set to 0 before the head, in training mode (Srivastava et al., JMLR 2014);
            the others grow by ``1 / (1 - dropout)``.

    Raises:
        UsageError: an unknown name, inputs that the network cannot take, or a chance outside ``[0, 1)``.

    Example:
        >>> import torch
        >>> features, logits = build("small_cnn", (1, 8, 8), 10)(torch.zeros(2, 1, 8, 8))
        >>> features.shape, logits.shape
        (torch.Size([2, 128]), torch.Size([2, 10]))
        >>> build("small_cn", (1, 8, 8), 10)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no net 'small_cn': did you mean small_cnn?
    """
    if name not in _NETS and not name.startswith((PREFIX, TIMM)):
        raise UsageError(f"there is no net {name!r}: {nearest(name, [*_NETS, f'{PREFIX}NAME', f'{TIMM}NAME'])}")
    _check(shape, outputs)
    if not 0 <= dropout < 1:
        raise UsageError(f"dropout is {dropout}: it is a chance from 0 up to but not including 1")
    make = _NETS.get(name) or partial(library_net, name)
    net = make(shape, outputs)
    net.name, net.dropout.p = name, dropout
    return net


def auto(shape: tuple[int, ...], device_type: str) -> str:
    """The network for inputs that come without a wish.

    Features: mlp. Images up to 16 pixels, or less than 12 high or wide: small_cnn. Grey images up to 32: lenet. Colour
    images up to 64: preact_resnet18 on a GPU, cnn8 on a CPU. All others: torchvision:resnet18, or resnet18 where they
    have neither one channel nor three.

    Args:
        shape: of one input, ``(C, H, W)`` or ``(D,)``.
        device_type: of the torch device that trains, such as ``"cpu"`` or ``"cuda"``.

    Returns:
        A name for `build`.

    Raises:
        UsageError: inputs of another shape.

    Example:
        >>> auto((64,), "cpu"), auto((1, 28, 28), "cpu"), auto((3, 32, 32), "cuda"), auto((3, 128, 96), "cpu")
        ('mlp', 'lenet', 'preact_resnet18', 'torchvision:resnet18')
    """
    _check(shape)
    if len(shape) == 1:
        return "mlp"
    channels, *sides = shape
    if max(sides) <= _TINY or min(sides) < SMALLEST:
        return "small_cnn"
    if channels == 1 and max(sides) <= _GREY:
        return "lenet"
    if channels > 1 and max(sides) <= _COLOUR:
        return "cnn8" if device_type == "cpu" else "preact_resnet18"
    return f"{PREFIX}resnet18" if channels in (1, 3) else "resnet18"


def _check(shape: tuple[int, ...], outputs: int = 1) -> None:
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise UsageError(f"one input has shape {tuple(shape)}: give (C, H, W) for images or (D,) for features")
    if outputs < 1:
        raise UsageError(f"a net cannot have {outputs} outputs: give 1 or more, one per class")
