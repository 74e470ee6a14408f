"""Early-learning regularisation: pull predictions towards their own running mean.

Liu et al., "Early-Learning Regularization Prevents Memorization of Noisy Labels", NeurIPS 2020 (arXiv 2007.00151),
equation 7 and section 4.3. Early in training a network is right about wrongly labelled samples; a running mean of its
predictions t remembers that, and the penalty lambda * mean log(1 - <t, p>) keeps the prediction p near it. As in the
authors' code: p is clamped to [1e-4, 1 - 1e-4] and not renormalised, t is updated first, from the normalised clamped p,
starts at 0 and has no bias correction, so the penalty warms itself up. Negative losses are normal.

Defaults: lambda 3, beta 0.7 (CIFAR-10, symmetric noise); asymmetric noise 1 and 0.9; CIFAR-100 7 and 0.9.

Deviations: none in the mathematics. t is a saved table (the authors lose it), lives in float32, and a non-finite
prediction is refused before it enters (theirs poisons the row for ever). The suspects of the paper's README, argmax t
!= y, are what `suspicion` reports above 0. With thousands of classes the clamp alone caps the penalty, as in theirs.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts.targets import margin_against, normalise

if TYPE_CHECKING:
    from thresher.engine.run import Run


@dataclass(frozen=True)
class ELR:
    """Early-learning regularisation.

    Attributes:
        strength: weight of the penalty.
        momentum: of the running mean of predictions.

    Example:
        >>> import torch
        >>> import thresher as th
        >>> criterion = th.as_loss(ELR(), num_samples=4, num_classes=3)
        >>> logits, labels, index = torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([0, 3])
        >>> round(criterion(logits, labels, index).item(), 4)  # log 3 + 3 log(1 - 0.3 / 3)
        0.7825
    """

    strength: float = field(3.0, letter="lambda", search=(1.0, 10.0), bounds=(0.0, math.inf))
    momentum: float = field(0.7, letter="beta", search=(0.5, 0.99), bounds=(0.0, 1.0))
    family = "regularisation"
    own_rows = True
    neutral = {"strength": 0.0}

    def penalty(self, step: Step) -> Tensor:
        """Update the running means of the batch, then lambda * mean log(1 - <t, p>)."""
        p = step.probabilities.clamp(1e-4, 1 - 1e-4)
        table = step.table("elr_target", width=p.shape[1])
        target = self.momentum * table[step.index] + (1 - self.momentum) * normalise(p.detach())
        table[step.index] = target
        return self.strength * (1 - (target * p).sum(1)).log().mean()

    def suspicion(self, run: "Run") -> Tensor:
        """How far the running mean of another class exceeds that of the given label, ``[N]``."""
        return margin_against(self.suggestion(run), run.given)

    def suggestion(self, run: "Run") -> Tensor:
        """The running means, normalised, ``[N, C]``."""
        return normalise(run.table("elr_target.0", run.classes).full())
