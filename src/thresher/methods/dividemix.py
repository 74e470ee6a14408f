"""DivideMix: split the samples by their loss, and treat the doubtful part as unlabelled.

Li, Socher and Hoi, "DivideMix: Learning with Noisy Labels as Semi-supervised Learning", ICLR 2020 (arXiv 2002.07394),
algorithm 1. After a warm-up, each network's losses are fitted by two normal distributions; the posterior of the smaller
one says how likely a label is right. Each network then learns with the split of the other: labels are refined by its
own prediction (co-refinement), the unlabelled part gets labels guessed by both (co-guessing), everything is sharpened
and mixed (MixMatch), and a prior on the mean prediction keeps classes from collapsing (equation 11).

Defaults are the authors' for CIFAR-10. The weight of the unlabelled loss was set by hand for every noise rate (their
table 7); `unsupervised=-1` takes the value of that table for the share of doubtful samples the split itself finds.

Deviations: labels are guessed in evaluation mode, without touching batch-norm statistics (the first author: also fine);
the mixture is fitted from the best split instead of a random start, with a guard for an empty side: fewer than two
samples per class on the labelled side and it is filled up with the smallest losses, an empty unlabelled side leaves its
term out. Predictions average softmax, not logits. A last batch of one sample joins the one before it. The fitted losses
may be averaged over the last epochs (`memory`, 5 in the authors' script at 90 %).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from thresher.engine.combine import cross_entropy
from thresher.engine.method import field
from thresher.engine.step import Batch, Outputs
from thresher.parts import mixture
from thresher.parts.mixup import mix, mixing_weight
from thresher.parts.targets import sharpen

if TYPE_CHECKING:
    from thresher.engine.run import Run

_VIEWS = ("weak", "weak")


@dataclass(frozen=True)
class DivideMix:
    """Split by loss, then semi-supervised learning by two networks.

    Attributes:
        warm_up: epochs of plain training at the start.
        threshold: posterior above which a label counts as right.
        unsupervised: weight of the unlabelled loss; -1 chooses by the doubtful share found.
        ramp: epochs over which that weight grows.
        temperature: of sharpening.
        alpha: of the Beta distribution that mixes.
        memory: epochs over which losses are averaged before the fit.
        confidence_penalty: subtract the predictions' entropy in the warm-up, for asymmetric noise.
    """

    warm_up: int = field(10, letter="warm_up", search=(1, 30), bounds=(0, math.inf))
    threshold: float = field(0.5, letter="tau", search=(0.3, 0.7), bounds=(0.0, 1.0))
    unsupervised: float = field(-1.0, letter="lambda_u", search=(0.0, 150.0), bounds=(-1.0, math.inf))
    ramp: float = field(16.0, search=(1.0, 32.0), bounds=(0.0, math.inf))
    temperature: float = field(0.5, letter="T", search=(0.2, 1.0), bounds=(0.01, 10.0))
    alpha: float = field(4.0, letter="alpha", search=(0.5, 8.0), bounds=(0.0, math.inf))
    memory: int = field(1, bounds=(1, 50))
    confidence_penalty: bool = field(False)
    family = "semi-supervised"
    networks = 2
    couples_rows = True
    views = _VIEWS

    def between(self, run: "Run") -> None:
        """Fit both networks' losses, and keep each one's posterior that a label is right."""
        recent = run.table("dividemix_losses", (2, self.memory))
        posterior = run.table("dividemix_right", 2, fill=1.0)
        if run.epoch < self.warm_up:
            return
        losses, guess = run.scan(_losses_and_guess(run), nets=(0, 1))
        run.table("dividemix_guess", run.classes).assign(guess)
        rows = recent.full()
        rows[:, :, run.epoch % self.memory] = unit_range(losses, run.kept)
        recent.assign(rows)
        seen = min(run.epoch - self.warm_up + 1, self.memory)
        filled = rows if seen == self.memory else rows[:, :, [(run.epoch - k) % self.memory for k in range(seen)]]
        posterior.assign(right_posterior(filled.mean(2), run.kept))

    def epoch(self, run: "Run") -> None:
        """Warm up, or train each network with the split of the other."""
        right = run.table("dividemix_right", 2, fill=1.0).full()
        for net in (0, 1):
            if run.epoch < self.warm_up:
                self._warm_up(run, net)
            else:
                self._learn(run, net, right[:, 1 - net])

    def _warm_up(self, run: "Run", net: int) -> None:
        for batch in run.batches(views=_VIEWS[:1]):
            logits = run.forward(net, batch.view("weak")).logits
            loss = cross_entropy(logits, one_hot(batch.label, run.outputs).float()).mean()
            if self.confidence_penalty:
                loss = loss - cross_entropy(logits, torch.softmax(logits, 1)).mean()
            run.update(loss, net)

    def _learn(self, run: "Run", net: int, right: Tensor) -> None:
        labelled = labelled_rows(right, run.given, self.threshold, run.kept)
        unlabelled = ~labelled if run.kept is None else ~labelled & run.kept.to(labelled.device)
        share = float(unlabelled.sum()) / max(1, int((labelled | unlabelled).sum()))
        weight = self.unsupervised if self.unsupervised >= 0 else unlabelled_weight(share, run.classes)
        half = max(1, run.options.batch // 2)
        splits = (labelled, unlabelled) if unlabelled.any() else (labelled,)
        for batches in run.batches(*splits, views=_VIEWS, size=(half,) * len(splits)):
            x, u = batches if len(splits) > 1 else (batches, None)
            ramp = min(max((run.when - self.warm_up) / self.ramp, 0.0), 1.0) if self.ramp else 1.0
            run.update(self._loss(run, net, x, u, right[x.index], weight * ramp), net)

    def _loss(self, run: "Run", net: int, x: Batch, u: Batch | None, right: Tensor, weight: float) -> Tensor:
        """Labelled, unlabelled and prior terms of one step."""
        targets = [self._refine(run, net, x, right)] * 2 + ([] if u is None else [self._guess(run, u)] * 2)
        inputs = [x.view("weak", 0), x.view("weak", 1)] + ([] if u is None else [u.view("weak", 0), u.view("weak", 1)])
        everything, target = torch.cat(inputs), torch.cat(targets)
        share = mixing_weight(self.alpha).item()
        share = max(share, 1 - share)
        partner = torch.randperm(len(everything)).to(everything.device)
        logits = run.forward(net, mix(everything, partner, share)).logits
        target = mix(target, partner, share)
        cut = 2 * len(x.index)
        loss = cross_entropy(logits[:cut], target[:cut]).mean()
        if u is not None and weight > 0:
            loss = loss + weight * (torch.softmax(logits[cut:], 1) - target[cut:]).square().mean()
        return loss + prior_penalty(logits)

    def _refine(self, run: "Run", net: int, x: Batch, right: Tensor) -> Tensor:
        """Co-refinement: the given label as far as it is trusted, the network's own prediction for the rest."""
        own = torch.softmax(run.predict(net, x.view("weak", 0), x.view("weak", 1)).logits, 1)
        mean = own.unflatten(0, (2, -1)).mean(0)
        trust = right[:, None]
        return sharpen(trust * one_hot(x.label, run.outputs) + (1 - trust) * mean, self.temperature)

    def _guess(self, run: "Run", u: Batch) -> Tensor:
        """Co-guessing: the mean prediction of both networks on both views."""
        views = (u.view("weak", 0), u.view("weak", 1))
        both = torch.cat([torch.softmax(run.predict(net, *views).logits, 1) for net in (0, 1)])
        return sharpen(both.unflatten(0, (4, -1)).mean(0), self.temperature)

    def suspicion(self, run: "Run") -> Tensor:
        """The threshold minus the mean posterior that a label is right, ``[N]``."""
        return self.threshold - run.table("dividemix_right", 2, fill=1.0).full().mean(1)

    def suggestion(self, run: "Run") -> Tensor:
        """The mean prediction of both networks at the last split, ``[N, C]``."""
        return run.table("dividemix_guess", run.classes, fill=1 / run.classes).full()


def _losses_and_guess(run: "Run"):  # type: ignore[no-untyped-def]
    """A scan function: both networks' cross-entropy on the labels ``[B, 2]``, and their mean prediction ``[B, C]``."""

    def measure(outputs: tuple[Outputs, Outputs], batch: Batch) -> tuple[Tensor, Tensor]:
        log_p = [torch.log_softmax(one.logits[:, : run.classes], 1) for one in outputs]
        losses = [-one.gather(1, batch.label[:, None]) for one in log_p]
        return torch.cat(losses, 1), torch.stack(log_p).exp().mean(0)

    return measure


def unit_range(losses: Tensor, kept: Tensor | None) -> Tensor:
    """Each column of ``[N, 2]`` brought to [0, 1] over the kept rows."""
    seen = losses if kept is None else losses[kept.to(losses.device)]
    low, high = seen.amin(0), seen.amax(0)
    return ((losses - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)


def right_posterior(losses: Tensor, kept: Tensor | None) -> Tensor:
    """Posterior of the component with the smaller losses, per column of ``[N, 2]``."""
    values = losses.double().cpu().numpy()
    seen = values if kept is None else values[kept.numpy()]
    columns = [mixture.fit(seen[:, k]).posterior(values[:, k]) for k in range(values.shape[1])]
    return torch.from_numpy(np.stack(columns, 1)).float().to(losses.device)


def labelled_rows(right: Tensor, labels: Tensor, threshold: float, kept: Tensor | None) -> Tensor:
    """Mask ``[N]`` of samples to learn from with their label: above the threshold, and at least two of each class."""
    allowed = torch.ones_like(right, dtype=torch.bool) if kept is None else kept.to(right.device)
    labelled = (right > threshold) & allowed
    for label in labels[allowed].unique():
        of_class = (labels == label) & allowed
        if int((labelled & of_class).sum()) < 2:
            best = torch.where(of_class, right, -1.0).topk(min(2, int(of_class.sum()))).indices
            labelled[best] = True
    return labelled


def unlabelled_weight(share: float, classes: int) -> float:
    """The authors' weight of the unlabelled loss (table 7) for a share of doubtful samples.

    Example:
        >>> unlabelled_weight(0.2, 10), unlabelled_weight(0.5, 10), unlabelled_weight(0.5, 100)
        (0.0, 25.0, 150.0)
    """
    # Their 80 % and 90 % redraw labels from all ten classes, so 72 % and 81 % are wrong; the border lies between.
    if classes < 50:
        return 0.0 if share < 0.3 else 25.0 if share < 0.77 else 50.0
    return 25.0 if share < 0.3 else 150.0


def prior_penalty(logits: Tensor) -> Tensor:
    """Divergence of the uniform distribution from the batch's mean prediction; a scalar, 0 when they are equal."""
    mean = torch.softmax(logits, 1).mean(0)
    uniform = 1 / len(mean)
    return (uniform * (math.log(uniform) - mean.clamp_min(1e-12).log())).sum()
