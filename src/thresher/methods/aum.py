"""AUM: the area under the margin tells wrong labels from right ones, with threshold samples as the measure.

Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS 2020 (arXiv 2001.10528):
the margin of a sample is its label's logit minus the largest other one, and AUM its mean over training. Some samples
get an extra class that means nothing; the 99th percentile of their AUM is the threshold below which a label is called
wrong. A second training with other threshold samples judges those of the first, and a label is called wrong only when
every training that could judge it says so. Then a network is trained on what is left.

Both AUM trainings keep the learning rate constant and end at half the epochs, before a schedule would lower it, as the
authors do: what is learned by heart after that tells nothing.

Deviations: every epoch counts (the authors' replication skips the first) and logits are not rounded to half precision.
There are N // (K + 1) threshold samples, the paper's size; the authors' code takes N // K. The two sets are slices of
one permutation that depends on the seed alone, so they are disjoint (the authors rely on a generator's state for that).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.errors import ThresherError
from thresher.parts.targets import margin_against
from thresher.randomness import generator

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.study import Study

_PERMUTATION = 41


@dataclass(frozen=True)
class AUM:
    """Area under the margin, and a training without the labels it calls wrong.

    Attributes:
        percentile: of the threshold samples' AUM, in percent.
    """

    percentile: float = field(99.0, letter="percentile", search=(90.0, 99.9), bounds=(0.0, 100.0))
    family = "detection"
    own_rows = True
    extra_classes = 1

    def observe(self, step: Step) -> None:
        """Add the batch's margins on raw logits to the samples' sums and counts."""
        table = step.table("aum_margin", width=2)
        margin = -margin_against(step.logits.detach(), step.label)
        table[step.index] = table[step.index] + torch.stack([margin, torch.ones_like(margin)], 1)

    def fits(self, study: "Study") -> "Run":
        """Two trainings with disjoint threshold samples, then the result on the labels that hold."""
        size, classes = len(study.material.rows), study.material.classes
        order = torch.randperm(size, generator=generator(study.options.seed, _PERMUTATION))
        count = max(1, size // (classes + 1))
        judged = []
        for name, chosen in (("aum-first", order[:count]), ("aum-second", order[count : 2 * count])):
            labels = study.material.labels.clone()
            labels[chosen] = classes
            run = study.fit(
                name, self, labels=labels, epochs=max(1, study.options.epochs // 2), schedule={"name": "constant"}
            )
            judged.append(self.judge(run.table("aum_margin.0").full().cpu(), chosen))
        suspicion = torch.stack(judged).amin(0)
        keep = suspicion <= 0
        if not keep.any():
            raise ThresherError(
                "aum calls every label wrong, so nothing is left to train on: train longer, or lower aum.percentile"
            )
        return study.fit(None, *study.rest, keep=keep, tables={"aum_suspicion": suspicion})

    def judge(self, sums: Tensor, chosen: Tensor) -> Tensor:
        """Threshold minus AUM, ``[N]``; infinity for the threshold samples, which this training cannot judge.

        Args:
            sums: of margins, and how many, ``[N, 2]``.
            chosen: row numbers of the threshold samples, int64.
        """
        area = sums[:, 0] / sums[:, 1].clamp_min(1)
        suspicion = torch.quantile(area[chosen], self.percentile / 100) - area
        suspicion[chosen] = torch.inf
        return suspicion

    def suspicion(self, run: "Run") -> Tensor:
        """The smaller of both trainings' threshold minus AUM, ``[N]``."""
        return run.table("aum_suspicion").full()
