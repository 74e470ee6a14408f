"""Generalised cross-entropy: between cross-entropy (q -> 0) and mean absolute error (q = 1).

Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", NeurIPS 2018
(arXiv 1805.07836), equation 6: L_q = (1 - p_y^q) / q. Its gradient is cross-entropy's, weighted by p_y^q, so samples
that the network finds implausible count less.

Noise-tolerant at q = 1 (see `mae`), and nearly so below: sum_k L_q(f, k) is no constant, but lies between (K - K^(1-q))
/ q, for an even prediction, and (K - 1) / q, for a certain one. Under symmetric noise with rate < 1 - 1/K the risk on
noisy labels is therefore (1 - rate*K/(K-1)) R plus a term that differs between two networks by at most rate (K^(1-q) -
1) / (q (K - 1)). Cross-entropy has no such bound.

Deviations: written as -expm1(q log p_y) / q, which is equal and has a finite gradient where p_y underflows; the plain
form gives NaN there.
"""

from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class GCE:
    """Generalised cross-entropy.

    Attributes:
        q: 0 would be cross-entropy, 1 is mean absolute error.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> GCE().loss(logits, torch.tensor([[1.0, 0.0, 0.0]])).item()  # doctest: +ELLIPSIS
        0.36167...
    """

    q: float = field(0.7, letter="q", search=(0.1, 1.0), bounds=(1e-3, 1.0))
    family = "robust loss"

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``: sum_k target_k L_q(k)."""
        return losses.gce(logits, target, self.q)
