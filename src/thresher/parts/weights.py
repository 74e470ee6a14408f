"""Which parameters of a network a penalty on weights is meant for."""

from typing import Any

from torch import nn

from thresher.errors import UsageError

SCOPES = ("weights", "all")
"""What a penalty may act on: weights alone, or every parameter."""

_NORMS = (nn.LayerNorm, nn.RMSNorm)
"""The normalisations whose scale may have more than one dimension; the others are told by its one."""


def penalised(net: nn.Module, scope: str) -> list[nn.Parameter]:
    """The parameters that have a gradient and fall under a scope, in the network's order.

    ``weights`` are those of two dimensions or more that belong to no normalisation; so biases and the scales and shifts
    of normalisations are left alone. What decides is the shape and the kind of the module, never a name.

    Args:
        net: a network, a module, or a list of parameters (of which only the shape is known).
        scope: one of `SCOPES`.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        >>> net(torch.randn(4, 3)).sum().backward()
        >>> [tuple(p.shape) for p in penalised(net, "weights")], len(penalised(net, "all"))
        ([(2, 3)], 4)
    """
    learning = [p for p in net.parameters() if p.grad is not None]
    if scope == "all":
        return learning
    scales = {id(p) for module in net.modules() if isinstance(module, _NORMS) for p in module.parameters()}
    return [p for p in learning if p.ndim > 1 and id(p) not in scales]


def refuse_maximising(name: str, optimizer: Any) -> None:
    """Refuse an optimiser that climbs, for a penalty that is added to its gradients would make weights grow.

    Args:
        name: of the method.
        optimizer: any of torch's.

    Raises:
        UsageError: a group has ``maximize=True``.

    Example:
        >>> import torch
        >>> refuse_maximising("l1", torch.optim.SGD([torch.ones(1, requires_grad=True)], maximize=True))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: l1 shrinks weights, and maximize=True would make them grow: minimise minus the loss
    """
    if any(group.get("maximize") for group in optimizer.param_groups):
        raise UsageError(f"{name} shrinks weights, and maximize=True would make them grow: minimise minus the loss")
