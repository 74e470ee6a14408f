"""Generalised cross-entropy: between cross-entropy (q -> 0) and mean absolute error (q = 1).

Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", NeurIPS 2018
(arXiv 1805.07836), equation 6: L_q = (1 - p_y^q) / q. Its gradient is cross-entropy's, weighted by p_y^q, so samples
that the network finds implausible count less.

Deviations: written as -expm1(q log p_y) / q, which is equal and has a finite gradient where p_y underflows; the plain
form gives NaN there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step


@dataclass(frozen=True)
class GCE:
    """Generalised cross-entropy.

    Attributes:
        q: 0 would be cross-entropy, 1 is mean absolute error.

    Example:
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> GCE().loss(logits, torch.tensor([[1.0, 0.0, 0.0]])).item()  # doctest: +ELLIPSIS
        0.36167...
    """

    q: float = field(0.7, letter="q", search=(0.1, 1.0), bounds=(1e-3, 1.0))
    family = "robust loss"

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``: sum_k target_k L_q(k)."""
        return -(target * torch.expm1(self.q * torch.log_softmax(logits, 1))).sum(1) / self.q
