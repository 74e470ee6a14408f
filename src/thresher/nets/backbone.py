"""The classification networks of torchvision and timm, by name, and ResNets with a smaller stem for small images."""

from typing import Any

import torch
from torch import Tensor, nn

from thresher.errors import UsageError, nearest
from thresher.nets.blocks import Net, image

PREFIX = "torchvision:"
"""What the names of torchvision's networks begin with."""

TIMM = "timm:"
"""What the names of timm's networks begin with."""

_OTHERS = f"{PREFIX}resnet18 or {PREFIX}efficientnet_b0"
_COLOURS = 3
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SMALL = 64  # pixels; a stem for 224 would leave 2 x 2 of 64


class Backbone(nn.Module):
    """A network of torchvision or timm without its last linear layer.

    Args:
        model: gives features ``[B, F]``.
        last: the name of the layer taken out, as the library's weight files have it, such as ``fc``.

    Example:
        >>> Backbone(nn.Flatten(), "fc")(torch.zeros(2, 3, 4, 4)).shape
        torch.Size([2, 48])
    """

    def __init__(self, model: nn.Module, last: str) -> None:
        super().__init__()
        self.model = model
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """Features ``[B, F]`` of inputs ``[B, C, H, W]``."""
        features: Tensor = self.model(x)
        return features


class Grey(Backbone):
    """The same for grey images, which are repeated to three channels.

    Example:
        >>> Grey(nn.Flatten(), "fc")(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2, 48])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Features ``[B, F]`` of inputs ``[B, 1, H, W]``."""
        return super().forward(x.expand(-1, _COLOURS, -1, -1))


def library_net(full: str, shape: tuple[int, ...], outputs: int) -> Net:
    """A classification network of torchvision or timm, whose last linear layer becomes our `head`.

    Args:
        full: ``torchvision:NAME``, as its `get_model` has it, or ``timm:NAME``, as its `create_model` has it.
        shape: ``(C, H, W)`` of one image; grey images are repeated to three channels inside.
        outputs: the number of logits.

    Raises:
        UsageError: an unknown name, a network that does not end in a linear layer or has further outputs, features,
            two channels or more than three, images of a size that the network does not take, or timm is not installed.

    Example:
        >>> library_net("torchvision:resnet18", (1, 64, 64), 10).head
        Linear(in_features=512, out_features=10, bias=True)
    """
    channels, height, width = image(full, shape)
    if channels not in (1, _COLOURS):
        raise UsageError(f"net {full} takes images of 1 or 3 channels, and these have {channels}: choose net resnet18")
    model, last = _of_timm(full) if full.startswith(TIMM) else _of_torchvision(full)
    last, features = _without_last(full, model, last)
    body = (Grey if channels == 1 else Backbone)(model, last)
    _try(full, body, features, (channels, height, width))
    return Net(body, features, outputs)


def moments(name: str) -> tuple[Tensor, Tensor] | None:
    """Mean and deviation, per channel of 0..255, that the published weights of a network expect; None for ours.

    Args:
        name: of a network that `thresher.nets.build` makes.

    Returns:
        Two float64 tensors ``[3]``.

    Example:
        >>> moments("torchvision:resnet18")[0].round().tolist(), moments("lenet")
        ([124.0, 116.0, 104.0], None)
    """
    if name.startswith(TIMM):
        expected = _timm().get_pretrained_cfg(name.removeprefix(TIMM))
        mean, std = (expected.mean, expected.std) if expected else _IMAGENET
    elif name.startswith(PREFIX):
        mean, std = _IMAGENET
    else:
        return None
    return torch.tensor(mean, dtype=torch.float64) * 255, torch.tensor(std, dtype=torch.float64) * 255


def small_stem(name: str, shape: tuple[int, ...], outputs: int) -> Net:
    """A ResNet of torchvision that takes any number of channels, and small images at their full resolution.

    Below 64 pixels of the shorter side, the first convolution is 3x3 at stride 1 without pooling, as for CIFAR-10 in
    He et al. 2016; from 64, it is 7x7 at stride 2 with max-pooling, as for ImageNet.

    Args:
        name: of a ResNet in torchvision.
        shape: ``(C, H, W)`` of one image.
        outputs: the number of logits.

    Raises:
        UsageError: features instead of images.

    Example:
        >>> small_stem("resnet18", (3, 32, 32), 10).body.model.conv1
        Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """
    channels, height, width = image(name, shape)
    model: Any = _model(name)
    if min(height, width) < _SMALL:
        model.conv1, model.maxpool = nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.Identity()
    elif channels != _COLOURS:
        model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's other layers
    last, features = _without_last(name, model)
    return Net(Backbone(model, last), features, outputs)


def _model(name: str) -> nn.Module:
    from torchvision import models  # takes a second to import, which only those pay who use it

    # These two warn of their slow first weights; they are refused for their outputs.
    slow = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model: nn.Module = models.get_model(name, weights=None, **slow)
    return model


def _of_torchvision(full: str) -> tuple[nn.Module, str | None]:
    """A network with random weights; the name of its last layer is to be found."""
    from torchvision import models

    name = full.removeprefix(PREFIX)
    known = models.list_models(module=models)  # without detection, segmentation and quantised networks
    if name not in known:
        raise UsageError(f"torchvision has no classification net {name!r}: {nearest(name, known)}")
    return _model(name), None


def _of_timm(full: str) -> tuple[nn.Module, str | None]:
    """A network with random weights, and the name of its last layer."""
    timm, name = _timm(), full.removeprefix(TIMM)
    if not timm.is_model(name):
        raise UsageError(f"timm has no net {name!r}: {nearest(name, timm.list_models())}")
    model: Any = timm.create_model(name, pretrained=False)
    last = model.pretrained_cfg.get("classifier")
    if not isinstance(last, str):
        raise UsageError(f"net {full} has outputs beside its logits, which no method here knows: choose {TIMM}resnet18")
    return model, last


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise UsageError("networks of timm need timm: pip install 'thresher[timm]'") from error
    return timm


def _without_last(full: str, model: nn.Module, last: str | None = None) -> tuple[str, int]:
    """Take the last linear layer out of a model: its name, and its number of inputs.

    Raises:
        UsageError: the model ends in something else.
    """
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    name = last or next(reversed(linear), "")
    if name not in linear:
        raise UsageError(f"net {full} has no linear layer at its end to tell features from logits: choose {_OTHERS}")
    model.set_submodule(name, nn.Identity())
    return name, linear[name].in_features


def _try(full: str, body: Backbone, features: int, shape: tuple[int, int, int]) -> None:
    """Refuse a network that does not take such images, or that gives something else than features."""
    further = f"net {full} has outputs beside its logits, which no method here knows: choose {_OTHERS}"
    if getattr(body.model, "aux_logits", False):
        raise UsageError(further)
    # On the device "meta" there are shapes and no arithmetic.
    state = {name: value.to("meta") for name, value in (*body.named_parameters(), *body.named_buffers())}
    try:
        given = torch.func.functional_call(body, state, torch.zeros(2, *shape, device="meta"))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise UsageError(
            f"net {full} does not take images of {shape[1]} x {shape[2]} pixels ({reason}): choose another net, or "
            "another --size"
        ) from error
    if not isinstance(given, Tensor) or given.shape != (2, features):
        raise UsageError(further)
