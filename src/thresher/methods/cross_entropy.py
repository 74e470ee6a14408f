"""Plain training: the baseline that every method is measured against.

The loss is -sum_k q_k log p_k with p = softmax(logits), which is -log p_y for a hard label y. It learns wrong labels by
heart once the network is large enough (Zhang et al., "Understanding deep learning requires rethinking generalization",
ICLR 2017).

Deviations: none.
"""

from dataclasses import dataclass

from torch import Tensor

from thresher.engine import combine
from thresher.engine.step import Step


@dataclass(frozen=True)
class CrossEntropy:
    """Plain cross-entropy.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> round(CrossEntropy().loss(logits, torch.tensor([[1.0, 0.0, 0.0]])).item(), 4)
        0.417
    """

    family = "baseline"

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return combine.cross_entropy(logits, target)
