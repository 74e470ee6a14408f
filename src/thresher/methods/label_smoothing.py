"""Label smoothing: part of each target is spread evenly over all classes.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7; studied under label
noise by Lukasik et al., "Does label smoothing mitigate label noise?", ICML 2020. The target becomes
(1 - smoothing) * q + smoothing / K over all K classes, the true one included.

A negative amount sharpens instead: -e / (1 - e) is backward correction of symmetric noise with T = (1 - e) I + e/K, as
Lukasik et al. point out, which makes a label wrong with probability e (K - 1) / K. It is unbiased under such noise, and
like every backward correction without a clip it has no lower bound: the loss falls without end as the probability of
another class than the label goes to 0. A positive amount is tolerant of no noise in that sense.

Deviations: none. (The baseline in the SCE authors' code leaves the target summing to 0.99 and assumes ten classes.)
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step


@dataclass(frozen=True)
class LabelSmoothing:
    """Soft targets instead of hard ones.

    Attributes:
        smoothing: mass spread evenly over all classes; below 0 it is taken from them, and the loss has no lower bound.
    """

    smoothing: float = field(0.1, letter="epsilon", search=(0.01, 0.5), bounds=(-math.inf, 1.0))
    family = "regularisation"
    neutral = {"smoothing": 0.0}

    def target(self, step: Step) -> Tensor:
        """Smoothed targets ``[B, C]``; an extra class takes no mass from samples that do not carry it."""
        classes = step.run.classes
        uniform = step.target.new_zeros(step.target.shape[1])
        uniform[:classes] = 1 / classes
        return (1 - self.smoothing) * step.target + self.smoothing * uniform
