"""mixup: train on convex combinations of two samples and of their labels.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018 (arXiv 1710.09412): one weight lambda ~ Beta(alpha,
alpha) per batch and one random permutation; x = lambda x_i + (1 - lambda) x_j, and the same for one-hot labels. For
wrong labels the paper takes a large alpha, under which most samples are mixed about half and half: 8 at 20 % wrong
labels, 32 at 50 % and at 80 %. These are presets, as is the 1 for clean labels.

Deviations: the loss is taken on the mixed target, which equals the authors' weighted sum of two losses for every loss
that is linear in its target. As in theirs, alpha = 0 means lambda = 1, plain training, and lambda may be below 1/2.
"""

import math
from dataclasses import dataclass, replace

import torch

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts.mixup import mix, mixing_weight


@dataclass(frozen=True)
class Mixup:
    """mixup.

    Attributes:
        alpha: of the Beta distribution; 1 for clean labels, 8 to 32 for wrong ones; 0 mixes nothing.
    """

    alpha: float = field(8.0, letter="alpha", search=(0.2, 32.0), bounds=(0.0, math.inf))
    family = "regularisation"
    mixes = True
    neutral = {"alpha": 0.0}
    presets = {"clean": {"alpha": 1.0}, "sym20": {"alpha": 8.0}, "sym50": {"alpha": 32.0}, "sym80": {"alpha": 32.0}}

    def inputs(self, step: Step) -> Step:
        """Mix every view and the target ``[B, C]`` with the same partners and the same weight."""
        weight = mixing_weight(self.alpha).item()
        partner = torch.randperm(len(step.index)).to(step.target.device)
        inputs = tuple(mix(x, partner, weight) for x in step.inputs)
        return replace(step, inputs=inputs, target=mix(step.target, partner, weight))
