"""Focal loss: samples that are already well predicted count less than in cross-entropy.

Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017 (arXiv 1708.02002), equation 4: -(1 - p_y)^gamma log p_y.
Here it is a baseline: wrong labels are the implausible ones, and these keep their full weight.

Not noise-tolerant: sum_k L(f, k) depends on the prediction f and has no upper bound, as with cross-entropy. Divided by
that sum it becomes tolerant: `nfl`.

Deviations: no class weights, which the paper adds against the background class. The gradient goes through the weight (1
- p_y)^gamma as in the paper; the code of Ma et al. (ICML 2020) stops it there, which is `detach` (their focal loss is
the preset `apl`).
"""

from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class Focal:
    """Focal loss.

    Attributes:
        gamma: how much less a sample counts that is well predicted; 0 is cross-entropy.
        detach: let no gradient through the weight (1 - p_y)^gamma.

    Example:
        >>> import torch
        >>> Focal().loss(torch.zeros(1, 2), torch.eye(2)[:1]).item()  # log(2) / 4, doctest: +ELLIPSIS
        0.17328...
    """

    gamma: float = field(2.0, letter="gamma", search=(0.1, 5.0), bounds=(0.0, 10.0))
    detach: bool = field(False)
    family = "robust loss"
    neutral = {"gamma": 0.0}
    presets = {"apl": {"gamma": 0.5, "detach": True}}

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return losses.focal(logits, target, self.gamma, self.detach)
