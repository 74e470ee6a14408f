"""Normalised focal loss: the label's share of the focal losses of all classes.

Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020 (arXiv 2006.13554): (1 -
p_y)^gamma log p_y / sum_k (1 - p_k)^gamma log p_k. At gamma = 0 it is normalised cross-entropy.

Noise-tolerant: sum_k L(f, k) = scale for every prediction f. Hence under symmetric noise R_noisy = (1 - rate*K/(K-1)) R
+ scale*rate/(K-1), and a network has the lowest risk on the noisy labels exactly if it has it on the right ones, as
long as rate < 1 - 1/K. For class-dependent noise (rate_yk < 1 - rate_y, and some network with risk 0 on the right
labels) the proof also needs L <= scale/(K-1), which this loss exceeds where a label is less plausible than the other
classes.

Deviations: none from the authors' code, which lets no gradient through the focal weights (1 - p)^gamma, above and
below, although the equation would have one; `detach` false follows the equation. The presets are the code's scales.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class NFL:
    """Normalised focal loss.

    Attributes:
        gamma: how much less a class counts that is well predicted; 0 is normalised cross-entropy.
        scale: factor of the loss, and its largest value for a sample.
        detach: let no gradient through the focal weights, as in the authors' code.

    Example:
        >>> import torch
        >>> NFL().loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        0.25
    """

    gamma: float = field(0.5, letter="gamma", search=(0.1, 5.0), bounds=(0.0, 10.0))
    scale: float = field(1.0, search=(0.5, 50.0), bounds=(1e-6, math.inf))
    detach: bool = field(True)
    family = "robust loss"
    presets = {
        "mnist": {"gamma": 0.5, "scale": 1.0},
        "cifar10": {"gamma": 0.5, "scale": 10.0},
        "cifar10_asymmetric": {"gamma": 0.5, "scale": 1.0},
        "cifar100": {"gamma": 0.5, "scale": 1.0},
    }

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return self.scale * losses.nfl(logits, target, self.gamma, self.detach)
