"""Label smoothing: part of each target is spread evenly over all classes.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7; studied under label
noise by Lukasik et al., "Does label smoothing mitigate label noise?", ICML 2020. The target becomes
(1 - smoothing) * q + smoothing / K over all K classes, the true one included.

Deviations: none. (The baseline in the SCE authors' code leaves the target summing to 0.99 and assumes ten classes.)
"""

from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step


@dataclass(frozen=True)
class LabelSmoothing:
    """Soft targets instead of hard ones.

    Attributes:
        smoothing: mass spread evenly over all classes.
    """

    smoothing: float = field(0.1, letter="epsilon", search=(0.01, 0.5), bounds=(0.0, 1.0))
    family = "regularisation"
    neutral = {"smoothing": 0.0}

    def target(self, step: Step) -> Tensor:
        """Smoothed targets ``[B, C]``; an extra class takes no mass from samples that do not carry it."""
        classes = step.run.classes
        uniform = step.target.new_zeros(step.target.shape[1])
        uniform[:classes] = 1 / classes
        return (1 - self.smoothing) * step.target + self.smoothing * uniform
