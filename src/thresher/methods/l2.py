"""L2 penalty: every weight is pulled towards 0 in proportion to its size.

Krogh and Hertz, "A Simple Weight Decay Can Improve Generalization", NeurIPS 1991. The loss gets lambda / 2 * sum w^2
over the weights, and so each gradient lambda * w. With the factor 1/2, `strength` is what torch's SGD calls
`weight_decay`: with `scope=all` the two give the same weights, bit for bit.

The gradient is what is added here, between the backward pass and the optimiser: it is exact, it costs no graph, and it
works around any optimiser of a foreign loop. The losses that are shown do not contain the penalty. Under Adam it is L2,
which Adam then scales per weight, and not the decoupled decay of AdamW.

Order matters beside other methods that change gradients: ``l2,cdr`` lets CDR rank and mask gradients that hold the
penalty, ``cdr,l2`` also makes the weights decay that CDR masks. The optimiser's own `optimizer.weight_decay` (0.001
unless set) comes on top: set it to 0 to have this penalty alone.

Deviations: the paper's decay takes in every parameter; here biases and normalisations are left alone by default, as is
usual now, and `scope=all` takes them in. An optimiser of a foreign loop knows shapes only: a normalisation's scale of
two dimensions or more is a weight there. The default strength is ours.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from thresher.engine.method import field
from thresher.parts.weights import SCOPES, penalised, refuse_maximising

if TYPE_CHECKING:
    from thresher.engine.run import Run


@dataclass(frozen=True)
class L2:
    """Pull every weight towards 0 in proportion to its size.

    Attributes:
        strength: of the penalty; what SGD calls weight_decay.
        scope: weights, without biases and normalisations; or all parameters.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> net.weight.data = torch.tensor([[4.0, -0.5]])
        >>> net.weight.grad, net.bias.grad = torch.zeros(1, 2), torch.zeros(1)
        >>> L2(strength=0.25).gradient(None, net)
        >>> net.weight.grad.tolist(), net.bias.grad.tolist()
        ([[1.0, -0.125]], [0.0])
    """

    strength: float = field(1e-3, letter="lambda", search=(1e-5, 1e-2), bounds=(0.0, math.inf))
    scope: str = field("weights", choices=SCOPES)
    family = "regularisation"
    neutral = {"strength": 0.0}

    def check_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse an optimiser that climbs.

        Raises:
            UsageError: a group has ``maximize=True``.
        """
        refuse_maximising("l2", optimizer)

    @torch.no_grad()
    def gradient(self, run: "Run | None", net: nn.Module) -> None:
        """Add strength * w to the gradients of a network, in place."""
        for p in penalised(net, self.scope):
            if p.grad is not None:
                p.grad.add_(p, alpha=self.strength)
