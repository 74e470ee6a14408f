"""Reverse cross-entropy: the prediction judges the label, where cross-entropy lets the label judge the prediction.

Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019 (arXiv 1908.06112), section 3:
RCE = -sum_k p_k log e_k for the one-hot label e, where log 0 is replaced by a constant A < 0. That is -A (1 - p_y):
mean absolute error with another scale, and at A = -2 the distance of `mae` exactly. It is the robust half of `sce`.

Noise-tolerant: sum_k RCE(f, k) = -A*(K-1) for every prediction f, and it lies in [0, -A]. Hence under symmetric noise
R_noisy = (1 - rate*K/(K-1)) R - A*rate, and a network has the lowest risk on the noisy labels exactly if it has it on
the right ones, as long as rate < 1 - 1/K. Under class-dependent noise that holds if no wrong label is as frequent as
the right one, rate_yk < 1 - rate_y, and if some network has risk 0 on the right labels.

Deviations: A is the authors' code's ln(1e-4) = -9.21 (preset `code`); `analysis` is the -6 of their study, `benchmark`
the -4 probably behind their tables. It is written in its closed form, linear in a soft target, without the code's clamp
of p at 1e-7, which changes nothing measurable.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class RCE:
    """Reverse cross-entropy.

    Attributes:
        log_zero: the constant A that stands for log 0; -A is the largest loss of a sample.

    Example:
        >>> import torch
        >>> RCE(log_zero=-4.0).loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        3.0
    """

    log_zero: float = field(math.log(1e-4), letter="A", search=(-10.0, -1.0), bounds=(-math.inf, -1e-6))
    family = "robust loss"
    presets = losses.LOG_ZERO

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return losses.rce(logits, target, self.log_zero)
