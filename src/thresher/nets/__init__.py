"""Networks by name: each gives ``(features, logits)`` and has a `head`, the linear layer between the two."""

from collections.abc import Callable

from torch import nn

from thresher.engine.options import nearest
from thresher.errors import UsageError
from thresher.nets import lenet as _lenet
from thresher.nets.cnn8 import cnn8
from thresher.nets.lenet import lenet
from thresher.nets.mlp import mlp
from thresher.nets.preact_resnet import preact_resnet18
from thresher.nets.small_cnn import small_cnn

__all__ = ["auto", "build", "names"]

_NETS: dict[str, Callable[[tuple[int, ...], int], nn.Module]] = {
    "mlp": mlp,
    "small_cnn": small_cnn,
    "lenet": lenet,
    "cnn8": cnn8,
    "preact_resnet18": preact_resnet18,
}

_SMALL = 16  # pixels, up to which small_cnn is chosen
