"""Co-teaching: two networks, each learns from the samples that the other one finds easy.

Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", NeurIPS 2018 (arXiv
1804.06872), algorithm 1: in every batch each network keeps its R(t) share of smallest losses, and is updated on the
other's choice. R(t) falls from 1 to 1 - noise_rate over the first `ramp` epochs.

Deviations: the loss is the mean over the kept samples; the authors divide that mean by their number once more, harmless
under Adam, a hundredfold smaller step under SGD. R(t) follows the paper, t = 0 in the first epoch; their code is at its
end one epoch sooner. There is no cap on the number of steps per epoch.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Batch, Step
from thresher.parts.small_loss import excess, keep_smallest, kept_share

if TYPE_CHECKING:
    from thresher.engine.run import Run


@dataclass(frozen=True)
class CoTeaching:
    """Two networks teach each other with small losses.

    Attributes:
        noise_rate: share of wrong labels.
        ramp: epochs over which the share left out grows.
    """

    noise_rate: float = field(0.2, letter="tau", search=(0.05, 0.8), bounds=(0.0, 0.99))
    ramp: float = field(10.0, letter="T_k", search=(1.0, 30.0), bounds=(0.0, math.inf))
    family = "sample selection"
    own_rows = True
    networks = 2
    couples_rows = True
    honours = ("inputs", "target", "loss", "penalty", "observe")

    def epoch(self, run: "Run") -> None:
        """Both networks see each batch; each one is updated on the other's small losses."""
        for batch in run.batches(views=run.method.views):
            steps = [self._forward(run, batch, net) for net in (0, 1)]
            share = kept_share(run.when, self.noise_rate, self.ramp)
            chosen = [keep_smallest(step.losses.detach(), share) for step in steps]
            losses = [step.losses[pick].mean() for step, pick in zip(steps, reversed(chosen), strict=True)]
            for step, loss in zip(steps, losses, strict=True):
                total = loss + run.method.penalty(step)
                run.method.observe(step)
                run.update(total, step.net)

    def _forward(self, run: "Run", batch: Batch, net: int) -> Step:
        method = run.method
        step = method.inputs(Step(run, batch, target=run.target(batch), net=net))
        step = replace(step, outputs=run.forward(net, *step.inputs))
        step = replace(step, target=method.target(step))
        return replace(step, losses=method.loss(step.logits, step.target, step))

    def observe(self, step: Step) -> None:
        """Remember the latest loss of each sample, per network."""
        step.table("co_teaching")[step.index] = step.losses

    def suspicion(self, run: "Run") -> Tensor:
        """The mean of both networks' latest losses, from the one that separates the largest `noise_rate`, ``[N]``."""
        losses = (run.table("co_teaching.0").full() + run.table("co_teaching.1").full()) / 2
        return excess(losses, self.noise_rate)
