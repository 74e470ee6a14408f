"""Normalised mean absolute error: mean absolute error over the sum of those of all classes.

Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020 (arXiv 2006.13554): for sum_k (1 -
p_k) = K - 1 it is (1 - p_y) / (K - 1), so normalisation only scales a loss that is robust already, down to a gradient
with which it learns little. `nrce` is the same function.

Noise-tolerant: sum_k L(f, k) = scale for every prediction f, and L lies in [0, scale/(K-1)]. Hence under symmetric
noise R_noisy = (1 - rate*K/(K-1)) R + scale*rate/(K-1), and a network has the lowest risk on the noisy labels exactly
if it has it on the right ones, as long as rate < 1 - 1/K. Under class-dependent noise that holds if no wrong label is
as frequent as the right one, rate_yk < 1 - rate_y, and if some network has risk 0 on the right labels.

Deviations: the authors' code divides 1 - p_y by 2 (K - 1), the sum for the distance 2 (1 - p_y), and so has half the
right value: its losses sum to 1/2. `scale` 0.5 is that.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class NMAE:
    """Normalised mean absolute error.

    Attributes:
        scale: factor of the loss; K - 1 makes it mean absolute error.

    Example:
        >>> import torch
        >>> NMAE().loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        0.25
    """

    scale: float = field(1.0, search=(0.5, 100.0), bounds=(1e-6, math.inf))
    family = "robust loss"

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return self.scale * losses.nmae(logits, target)
