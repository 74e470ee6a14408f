"""Normalised cross-entropy: the label's share of the cross-entropies of all classes.

Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020 (arXiv 2006.13554): log p_y /
sum_k log p_k. Normalised, every loss tolerates symmetric noise, but this one learns too little by itself; hence the
second loss of `apl`.

Noise-tolerant: sum_k L(f, k) = scale for every prediction f. Hence under symmetric noise R_noisy = (1 - rate*K/(K-1)) R
+ scale*rate/(K-1), and a network has the lowest risk on the noisy labels exactly if it has it on the right ones, as
long as rate < 1 - 1/K. For class-dependent noise (rate_yk < 1 - rate_y, and some network with risk 0 on the right
labels) the proof also needs L <= scale/(K-1), which this loss exceeds where a label is less plausible than the other
classes; `mae` and `rce` keep it.

Deviations: none. Numerator and denominator both carry the gradient, and nothing is clamped, as in the authors' code.
The presets are its scales; with another loss beside it, see `apl`.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class NCE:
    """Normalised cross-entropy.

    Attributes:
        scale: factor of the loss, and its largest value for a sample.

    Example:
        >>> import torch
        >>> NCE().loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        0.25
    """

    scale: float = field(1.0, search=(0.5, 50.0), bounds=(1e-6, math.inf))
    family = "robust loss"
    presets = {"mnist": {"scale": 10.0}, "cifar10": {"scale": 1.0}, "cifar100": {"scale": 1.0}}

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return self.scale * losses.nce(logits, target)
