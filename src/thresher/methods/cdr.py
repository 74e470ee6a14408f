"""CDR: only the weights that matter for the current fit learn; the others merely decay.

Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR 2021. A weight is critical when
|gradient * weight| is large, for at a minimum of L(t * W) over t the inner product of gradient and weights is zero.
With a share tau of wrong labels, the (1 - tau) largest are critical; their gradient is scaled by (1 - tau).

`mode="official"` is the authors' code: weights of two or four dimensions only (biases and batch norm learn as usual),
one threshold over all of them together, every weight at or above it is kept, and weight decay is the optimiser's own
L2. Since the mask comes before the optimiser, momentum of earlier steps still moves a weight that is masked now.

Deviations from the authors' code: the ramp that it computes and then overwrites is left out, as is its second forward
pass before each step. The threshold is the exact k-th largest, found by selection instead of a sort.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from thresher.engine.method import field

if TYPE_CHECKING:
    from thresher.engine.run import Run

_buffers: "weakref.WeakKeyDictionary[nn.Module, Tensor]" = weakref.WeakKeyDictionary()
"""One flat buffer per network: allocating it anew costs as much as the selection itself."""


@dataclass(frozen=True)
class CDR:
    """Let only critical weights learn.

    Attributes:
        noise_rate: tau, the share of wrong labels; 1 - tau of the weights are critical.
        mode: official, the authors' code.

    Example:
        >>> net = nn.Linear(2, 2, bias=False)
        >>> net.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> net.weight.grad = torch.ones(2, 2)
        >>> CDR(noise_rate=0.5).gradient(None, net)
        >>> net.weight.grad.tolist()
        [[0.0, 0.0], [0.5, 0.5]]
    """

    noise_rate: float = field(0.2, letter="tau", search=(0.05, 0.9), bounds=(0.0, 0.9999))
    mode: str = field("official", choices=("official",))
    family = "regularisation"
    neutral = {"noise_rate": 0.0}

    @torch.no_grad()
    def gradient(self, run: "Run | None", net: nn.Module) -> None:
        """Mask and scale the gradients of a network, in place."""
        weights = [p for p in net.parameters() if p.grad is not None and p.dim() in (2, 4)]
        size = sum(p.numel() for p in weights)
        if not size:
            return
        buffer = _buffers.get(net)
        if buffer is None or len(buffer) != size or buffer.device != weights[0].device:
            buffer = _buffers[net] = torch.empty(size, dtype=weights[0].dtype, device=weights[0].device)
        threshold = critical_threshold(weights, 1 - self.noise_rate, buffer)
        for p in weights:
            if p.grad is not None:
                p.grad.mul_((p.grad * p).abs_() >= threshold).mul_(1 - self.noise_rate)


def critical_threshold(weights: Sequence[Tensor], share: float, buffer: Tensor) -> Tensor:
    """The smallest of the ``int(share * m)`` largest |gradient * weight| over all m entries together.

    Args:
        weights: parameters with gradients.
        share: of the entries to keep.
        buffer: flat scratch of m entries; it is overwritten.

    Returns:
        A scalar tensor on the device of `buffer`; infinity when nothing is kept.
    """
    for p, part in zip(weights, buffer.split([p.numel() for p in weights]), strict=True):
        torch.mul(p.grad.flatten(), p.flatten(), out=part)  # type: ignore[union-attr]
    buffer.abs_()
    kept = int(share * len(buffer))
    if kept == 0:
        return buffer.new_tensor(torch.inf)
    if buffer.device.type == "cpu":
        buffer.numpy().partition(len(buffer) - kept)  # several times faster than torch's own selection
        return buffer[len(buffer) - kept].clone()
    return torch.topk(buffer, kept, sorted=False).values.min()
