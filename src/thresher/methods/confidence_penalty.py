"""Confidence penalty: predictions of low entropy cost, so that a network is never quite sure of any label.

Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output Distributions", ICLR 2017 (workshop; arXiv
1701.06548): the loss gets -beta * H(p), the mean entropy H(p) = -sum_k p_k log p_k of the batch's predictions. Label
smoothing is the same idea with the divergence from uniform taken the other way round. With a threshold Gamma it is
beta * max(0, Gamma - H(p)): predictions that are uncertain enough cost nothing, so the penalty does not hold back the
start of training.

The penalty lies between -beta * log K and 0 for K classes (with a threshold, between 0 and beta * Gamma), so losses
below 0 are normal. Entropy is in nats.

Deviations: the strengths of the paper could not be checked, so the default is ours. The threshold stays the same over
the training. H(p) is computed from log-softmax, finite with a finite gradient for any finite logits, without the small
constant that some implementations add inside the logarithm. An extra class of another method takes no part.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step


@dataclass(frozen=True)
class ConfidencePenalty:
    """Penalise predictions of low entropy.

    Attributes:
        strength: weight of the entropy.
        threshold: entropy in nats from which a prediction costs nothing; 0 for no threshold.

    Example:
        >>> import thresher as th
        >>> criterion = th.as_loss(ConfidencePenalty(strength=0.5), num_samples=4, num_classes=3)
        >>> loss = criterion(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, 3]))
        >>> round(loss.item(), 4)  # log 3 - 0.5 log 3
        0.5493
    """

    strength: float = field(0.1, letter="beta", search=(0.01, 2.0), bounds=(0.0, math.inf))
    threshold: float = field(0.0, letter="Gamma", search=(0.0, 2.0), bounds=(0.0, math.inf))
    family = "regularisation"
    neutral = {"strength": 0.0}

    def penalty(self, step: Step) -> Tensor:
        """-strength * H(p), or strength * max(0, threshold - H(p)), the mean over the batch, a scalar."""
        log_p = torch.log_softmax(step.logits[:, : step.run.classes], 1)
        entropy = -(log_p.exp() * log_p).sum(1)
        cost = (self.threshold - entropy).clamp_min(0) if self.threshold else -entropy
        return self.strength * cost.mean()
