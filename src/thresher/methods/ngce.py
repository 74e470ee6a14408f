"""Normalised generalised cross-entropy: the label's share of the generalised cross-entropies of all classes.

Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020 (arXiv 2006.13554), whose
normalisation their code also applies to `gce`: (1 - p_y^q) / sum_k (1 - p_k^q). It goes from normalised cross-entropy
(q -> 0) to normalised mean absolute error (q = 1).

Noise-tolerant: sum_k L(f, k) = scale for every prediction f. Hence under symmetric noise R_noisy = (1 - rate*K/(K-1)) R
+ scale*rate/(K-1), and a network has the lowest risk on the noisy labels exactly if it has it on the right ones, as
long as rate < 1 - 1/K. For class-dependent noise (rate_yk < 1 - rate_y, and some network with risk 0 on the right
labels) the proof also needs L <= scale/(K-1), which holds at q = 1 only.

Deviations: written with expm1 and log_softmax, with a finite gradient everywhere; the authors' code clamps p at 1e-7,
which stops the gradient below that. Defaults are its values for CIFAR-10, the presets those of other data.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class NGCE:
    """Normalised generalised cross-entropy.

    Attributes:
        q: 0 would be normalised cross-entropy, 1 is normalised mean absolute error.
        scale: factor of the loss, and its largest value for a sample.

    Example:
        >>> import torch
        >>> NGCE().loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        0.25
    """

    q: float = field(0.1, letter="q", search=(0.1, 1.0), bounds=(1e-3, 1.0))
    scale: float = field(1.0, search=(0.5, 50.0), bounds=(1e-6, math.inf))
    family = "robust loss"
    presets = {
        "mnist": {"q": 0.1, "scale": 10.0},
        "mnist_asymmetric": {"q": 0.1, "scale": 1.0},
        "cifar10": {"q": 0.1, "scale": 1.0},
        "cifar100": {"q": 0.7, "scale": 1.0},
    }

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return self.scale * losses.ngce(logits, target, self.q)
