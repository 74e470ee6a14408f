"""What moves weights: optimisers, averages over ranks, and averages over time."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from thresher.engine.options import Optimizer
from thresher.engine.runtime import Runtime


def make_optimizer(module: nn.Module, options: Optimizer, share: float = 1.0) -> torch.optim.Optimizer:
    """The torch optimiser of a module; each group remembers its share of the run's learning rate."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    if options.name == "sgd":
        made: torch.optim.Optimizer = torch.optim.SGD(
            parameters, options.lr, options.momentum, weight_decay=options.weight_decay, nesterov=options.nesterov
        )
    else:
        kind = torch.optim.Adam if options.name == "adam" else torch.optim.AdamW
        made = kind(parameters, options.lr, weight_decay=options.weight_decay)
    for group in made.param_groups:
        group["share"] = share
    return made


@torch.no_grad()
def average_gradients(module: nn.Module, runtime: Runtime) -> None:
    """One flat all-reduce over the gradients of a module."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if runtime.world == 1 or not gradients:
        return
    flat = runtime.mean(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def average_buffers(held: Iterable[Tensor], runtime: Runtime) -> None:
    """Batch-norm statistics become their mean over ranks; counters are equal already."""
    buffers = [b for b in held if b.is_floating_point()]
    if not buffers:
        return
    flat = runtime.mean(torch.cat([b.flatten() for b in buffers]))
    for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
        buffer.copy_(part.view_as(buffer))


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Exponential moving average of parameters; buffers are copied, for averaged statistics fit no weights."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for mine, theirs in zip(average.buffers(), module.buffers(), strict=True):
        mine.copy_(theirs)
