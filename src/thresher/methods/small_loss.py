"""Small loss: in every batch, learn only from the samples with the smallest losses.

The selection that many methods share, here with one network; Han et al., "Co-teaching", NeurIPS 2018 (arXiv
1804.06872), algorithm 1, lines 4 to 8, without the peer. The share kept falls from 1 to 1 - noise_rate over the first
`ramp` epochs. Weights are B/k on the k kept samples and 0 on the others, so the loss is the mean over those kept.

Deviations: one network selects for itself, so its own errors can confirm themselves; `co_teaching` is the remedy.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts.small_loss import excess, keep_smallest, kept_share

if TYPE_CHECKING:
    from thresher.engine.run import Run


@dataclass(frozen=True)
class SmallLoss:
    """Keep the small losses of each batch.

    Attributes:
        noise_rate: share of wrong labels, and so of the losses left out in the end.
        ramp: epochs over which the share left out grows.
    """

    noise_rate: float = field(0.2, letter="tau", search=(0.05, 0.8), bounds=(0.0, 0.99))
    ramp: float = field(10.0, letter="T_k", search=(1.0, 30.0), bounds=(0.0, math.inf))
    family = "sample selection"
    own_rows = True
    neutral = {"noise_rate": 0.0}

    def weight(self, step: Step) -> Tensor:
        """B/k on the k smallest losses of the batch, 0 on the others, ``[B]``."""
        losses = step.losses.detach()
        kept = keep_smallest(losses, kept_share(step.run.when, self.noise_rate, self.ramp))
        weight = torch.zeros_like(losses)
        weight[kept] = len(losses) / len(kept)
        return weight

    def observe(self, step: Step) -> None:
        """Remember the latest loss of each sample."""
        step.table("small_loss")[step.index] = step.losses

    def suspicion(self, run: "Run") -> Tensor:
        """The latest loss, measured from the loss that separates the largest `noise_rate` of all, ``[N]``."""
        return excess(run.table("small_loss.0").full(), self.noise_rate)
