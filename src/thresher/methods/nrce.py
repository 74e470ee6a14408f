"""Normalised reverse cross-entropy: reverse cross-entropy over the sum of those of all classes.

Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020 (arXiv 2006.13554): for sum_k -A
(1 - p_k) = -A*(K-1) it is (1 - p_y) / (K - 1). The constant A cancels, so it is no setting here, and `nmae` is the same
function.

Noise-tolerant: sum_k L(f, k) = scale for every prediction f, and L lies in [0, scale/(K-1)]. Hence under symmetric
noise R_noisy = (1 - rate*K/(K-1)) R + scale*rate/(K-1), and a network has the lowest risk on the noisy labels exactly
if it has it on the right ones, as long as rate < 1 - 1/K. Under class-dependent noise that holds if no wrong label is
as frequent as the right one, rate_yk < 1 - rate_y, and if some network has risk 0 on the right labels.

Deviations: the authors' code writes ``1/4*(K - 1)``, which multiplies by (K - 1) / 4 where 1 / (4 (K - 1)) was meant,
and the 4 stands for an A of -4 while its loss has -9.21: for ten classes its values are 186.5 times these, and their
sum is not 1. None of its published settings uses it. Its training, if that is wanted, is `rce` with log_zero =
-9.21*(K-1)/4.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class NRCE:
    """Normalised reverse cross-entropy.

    Attributes:
        scale: factor of the loss; -A (K - 1) makes it reverse cross-entropy.

    Example:
        >>> import torch
        >>> NRCE().loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        0.25
    """

    scale: float = field(1.0, search=(0.5, 1000.0), bounds=(1e-6, math.inf))
    family = "robust loss"

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return self.scale * losses.nmae(logits, target)
