"""Truncated generalised cross-entropy: samples that the network finds too implausible are pruned for a while.

Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", NeurIPS 2018
(arXiv 1805.07836): the loss is L_q(p_y) = (1 - p_y^q) / q where p_y > k, and the constant
L_q(k) elsewhere. Which samples those are is decided in turn with the training: every few epochs, by the predictions of
the best network so far on the training samples. Sums over all labels of the truncated loss lie between (K - 1) L_q(k)
and K L_q(k) for k >= 1/2, closer together than those of L_q unless q is near 1, and a loss whose sum is constant is
tolerant of symmetric noise below 1 - 1/K.

Defaults are those of an implementation that is not the authors', for CIFAR-10: pruning before epochs 40, 50, ... of
120; CIFAR-100 begins at epoch 80 of 150 (preset cifar100).

Deviations from that implementation: the best epoch is selected by held-out rows with given labels, as in the paper, not
by the test set; it predicts from un-augmented samples, without gradient; and its weights live in a copy, while there
the network under training is replaced by it for one epoch and the optimiser goes on with another. p_y^q is -expm1, as
in `gce`.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from thresher.engine.method import field
from thresher.engine.options import Options
from thresher.engine.state import modules_of
from thresher.engine.step import Batch, Outputs, Step
from thresher.errors import ThresherError, UsageError

if TYPE_CHECKING:
    from thresher.engine.run import Run

_TABLE = "truncated_gce_log_p"


@dataclass(frozen=True)
class TruncatedGCE:
    """Generalised cross-entropy without the samples whose labels the best network so far finds implausible.

    Attributes:
        q: 0 would be cross-entropy, 1 is mean absolute error.
        k: a label with a probability of at most this is pruned.
        start: the epoch before which pruning begins, counted from 1.
        every: epochs from one pruning to the next.

    In a loop of one's own the pruning is one's own too: write log p_y of the given labels into the table
    ``truncated_gce_log_p``, by the best network so far, for all samples and every `every` epochs.

    Example:
        >>> import thresher as th
        >>> criterion = th.as_loss(th.method("truncated_gce"), num_samples=4, num_classes=3)
        >>> logits, labels, rows = torch.tensor([[2.0, 1.0, 0.1], [0.5, -1.0, 3.0]]), torch.tensor([0, 1]), [0, 3]
        >>> index = torch.tensor(rows)
        >>> round(criterion(logits, labels, index).item(), 4)  # the mean of 0.3617 and 1.3473: nothing is pruned yet
        0.8545
        >>> log_p = torch.log_softmax(logits, 1)[[0, 1], labels]  # from the best network so far
        >>> criterion.update_table("truncated_gce_log_p", index, log_p)
        >>> round(criterion(logits, labels, index).item(), 4)  # the second has p_y = 0.017 and counts L_q(k) = 0.5492
        0.4554
    """

    q: float = field(0.7, letter="q", search=(0.1, 1.0), bounds=(1e-3, 1.0))
    k: float = field(0.5, letter="k", search=(0.1, 0.9), bounds=(0.0, 0.999))
    start: int = field(40, search=(5, 80), bounds=(1, math.inf))
    every: int = field(10, search=(2, 20), bounds=(1, math.inf))
    family = "robust loss"
    own_rows = True
    by_hand = ("between",)
    presets = {"cifar10": {"start": 40}, "cifar100": {"start": 80}}

    def check(self, options: Options) -> None:
        """Refuse a run that ends before anything is pruned."""
        if self.start > options.epochs:
            raise UsageError(
                f"truncated_gce.start is {self.start}, and the run has {options.epochs} epochs, so that nothing would "
                "ever be pruned: lower truncated_gce.start, or use gce"
            )

    def between(self, run: "Run") -> None:
        """At the epochs of pruning, note log p_y of every label in force, by the selected epoch's weights."""
        past = run.epoch + 1 - self.start
        if past < 0 or past % self.every:
            return
        table = run.table(_TABLE)
        run.scan(_log_p_of_labels(run.classes), nets=_selected(run), into=table)
        if not (table.full() > self._log_k).any():
            raise ThresherError(
                f"truncated_gce prunes every sample before epoch {run.epoch + 1}, so nothing is left to learn from: "
                "raise truncated_gce.start, or lower truncated_gce.k"
            )

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``: sum_k target_k L_q(k), constant where pruned.

        Without a step nobody has pruned anything, and p itself decides: the plain truncated formula.
        """
        losses = -torch.expm1(self.q * torch.log_softmax(logits, 1)) / self.q
        limit = (1 - self.k**self.q) / self.q
        if step is None:
            return (target * losses.clamp_max(limit)).sum(1)
        kept = step.run.table(_TABLE)[step.index] > self._log_k
        return torch.where(kept, (target * losses).sum(1), limit)

    def suspicion(self, run: "Run") -> Tensor:
        """The threshold k minus p_y at the last pruning, ``[N]``: 0 or more where the label is pruned."""
        return self.k - run.table(_TABLE).full().exp()

    @property
    def _log_k(self) -> float:
        return math.log(self.k) if self.k else -math.inf


def _log_p_of_labels(classes: int) -> Callable[[tuple[Outputs, ...], Batch], Tensor]:
    """A scan function: log p of the labels in force, ``[B]``, for the mean of the networks' softmax."""

    def measure(outputs: tuple[Outputs, ...], batch: Batch) -> Tensor:
        each = torch.stack([torch.log_softmax(one.logits[:, :classes], 1) for one in outputs])
        log_p = each.logsumexp(0) - math.log(len(outputs))
        return log_p.gather(1, batch.label[:, None]).squeeze(1)

    return measure


def _selected(run: "Run") -> tuple[nn.Module, ...]:
    """Copies of what predicts, with the weights of the selected epoch; before there is one, with those of now."""
    names = {id(module): name for name, module in modules_of(run).items()}
    copies = []
    for predictor in run.method.predictors(run):
        module = run.network(predictor)
        copies.append(copy.deepcopy(module))
        prefix = f"{names[id(module)]}/"
        if run.best_weights is not None:
            stored = run.best_weights.items()
            copies[-1].load_state_dict({k.removeprefix(prefix): v for k, v in stored if k.startswith(prefix)})
    return tuple(copies)
