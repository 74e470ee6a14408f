"""L1 penalty: every weight is pulled towards 0 by the same amount, however small it is.

Ng, "Feature selection, L1 vs. L2 regularization, and rotational invariance", ICML 2004; under wrong labels Xia et al.,
"Robust early-learning: Hindering the memorization of noisy labels", ICLR 2021, regularise with it. The loss gets lambda
* sum |w| over the weights, and so each gradient lambda * sign(w).

That (sub)gradient is what is added here, between the backward pass and the optimiser: it is exact, it costs no graph,
and it works around any optimiser of a foreign loop. The losses that are shown do not contain the penalty. At w = 0 it
is 0, and a weight overshoots 0 by up to a step, so weights end near 0 and hardly ever on it.

Order matters beside other methods that change gradients: ``l1,cdr`` lets CDR rank and mask gradients that hold the
penalty, ``cdr,l1`` also makes the weights decay that CDR masks, as its paper wants. The optimiser's own
`optimizer.weight_decay` (0.001 unless set) comes on top: set it to 0 to have L1 alone.

Deviations: the paper compares L1 with L2 for linear models and names no strength for networks; the default is ours.
Biases and normalisations are left alone by default; `scope=all` takes them in, as the optimiser's weight decay does. An
optimiser of a foreign loop knows shapes only: a normalisation's scale of two dimensions or more is a weight there.
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
class L1:
    """Pull every weight towards 0 by the same amount.

    Attributes:
        strength: of the penalty, per weight.
        scope: weights, without biases and normalisations; or all parameters.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> net.weight.data = torch.tensor([[4.0, -0.5]])
        >>> net.weight.grad, net.bias.grad = torch.zeros(1, 2), torch.zeros(1)
        >>> L1(strength=0.25).gradient(None, net)
        >>> net.weight.grad.tolist(), net.bias.grad.tolist()
        ([[0.25, -0.25]], [0.0])
    """

    strength: float = field(1e-4, letter="lambda", search=(1e-5, 1e-2), bounds=(0.0, math.inf))
    scope: str = field("weights", choices=SCOPES)
    family = "regularisation"
    neutral = {"strength": 0.0}

    def check_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse an optimiser that climbs.

        Raises:
            UsageError: a group has ``maximize=True``.
        """
        refuse_maximising("l1", optimizer)

    @torch.no_grad()
    def gradient(self, run: "Run | None", net: nn.Module) -> None:
        """Add strength * sign(w) to the gradients of a network, in place."""
        for p in penalised(net, self.scope):
            if p.grad is not None:
                p.grad.add_(p.sign(), alpha=self.strength)
