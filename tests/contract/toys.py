"""Toy methods, one slot each, for slots that our own methods leave empty or fill only together with others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from thresher.engine.method import EPOCH_SLOTS
from thresher.engine.step import Batch, Outputs, Step

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.study import Study


def _guess(outputs: Outputs, batch: Batch) -> Tensor:
    return outputs.logits.argmax(1)


@dataclass(frozen=True)
class Prepare:
    """Before the first epoch: one pass of training, then some labels become what the network says."""

    def prepare(self, run: "Run") -> None:
        for batch in run.batches():
            run.update(run.forward(0, batch.view("weak")).logits.square().mean())
        labels = run.labels.full()
        labels[::7] = run.scan(_guess)[::7].clamp_max(run.classes - 1)
        run.labels.assign(labels)


@dataclass(frozen=True)
class Between:
    """Before each epoch: a scan into a table, and one of its rows in eleven becomes a label."""

    def between(self, run: "Run") -> None:
        run.scan(_guess, into=run.table("toy_guess", dtype=torch.int64))
        labels, guess = run.labels.full(), run.table("toy_guess").full()
        labels[run.epoch :: 11] = guess[run.epoch :: 11].clamp_max(run.classes - 1)
        run.labels.assign(labels)


@dataclass(frozen=True)
class Trust:
    """Some rows are not visited, others count half."""

    def trust(self, run: "Run") -> Tensor:
        rows = torch.arange(run.size)
        return torch.where(rows % 5 == run.epoch, 0.0, torch.where(rows % 2 == 0, 0.5, 1.0))


@dataclass(frozen=True)
class Inputs:
    """Noise on the inputs, drawn per batch, so that a row's noise depends on its batch."""

    couples_rows = True

    def inputs(self, step: Step) -> Step:
        return replace(step, inputs=tuple(x + 0.1 * torch.randn_like(x) for x in step.inputs))


@dataclass(frozen=True)
class Target:
    """Targets partly the network's own."""

    def target(self, step: Step) -> Tensor:
        own = torch.softmax(step.logits.detach(), 1)
        return 0.8 * step.target + 0.2 * own


@dataclass(frozen=True)
class Loss:
    """Squared error of the probabilities."""

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        return (torch.softmax(logits, 1) - target).square().sum(1)


@dataclass(frozen=True)
class Weight:
    """Weights by the running mean of the sample's losses."""

    def weight(self, step: Step) -> Tensor:
        table = step.table("toy_loss", fill=1.0)
        table[step.index] = (table[step.index] + step.losses.detach()) / 2
        return torch.exp(-table[step.index])


class Head(nn.Module):
    """A second head with batch norm, made on first use."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(features), nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, self.head(self.norm(x))


@dataclass(frozen=True)
class Penalty:
    """A joint head that learns beside the network, from the second epoch on, balanced by counted classes."""

    def penalty(self, step: Step) -> Tensor:
        counts = step.run.value(f"toy_counts.{step.net}", torch.ones(step.run.classes), reduce="sum")
        if step.run.runtime.rank == 0 or step.run.share > 0:
            counts += torch.bincount(step.label.clamp_max(step.run.classes - 1), minlength=step.run.classes)
        if step.run.epoch == 0:
            return step.logits.square().mean() * 1e-3
        width = step.features.shape[1]
        head = step.run.module("toy_head", lambda: Head(width, step.run.outputs), joint=True)
        return 0.1 * (step.run.forward(head, step.features).logits - step.logits).square().mean()


@dataclass(frozen=True)
class Gradient:
    """Halve the gradients."""

    def gradient(self, run: "Run", net: nn.Module) -> None:
        for parameter in net.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(0.5)


@dataclass(frozen=True)
class Observe:
    """Count visits and right predictions."""

    def observe(self, step: Step) -> None:
        table = step.table("toy_seen", width=2)
        right = (step.logits.argmax(1) == step.label).float()
        table[step.index] = table[step.index] + torch.stack([torch.ones_like(right), right], 1)


@dataclass(frozen=True)
class Epoch:
    """A pass over all rows, a draw and a scan, and a second, balanced pass over half of them beside the rest."""

    honours = EPOCH_SLOTS
    couples_rows = True  # balanced batches: how often a row repeats depends on the other rows of its process

    def epoch(self, run: "Run") -> None:
        trust = run.method.trust(run)
        for batch in run.batches(views=run.method.views):
            self._step(run, batch, trust)
        draw = torch.rand(run.size)
        guess = run.scan(_guess)
        half = draw + 0.1 * (guess == run.given) > 0.5
        for batch, beside in run.batches(half, ~half, views=run.method.views, size=(16, 8)):
            self._step(run, batch, trust, beside)
        for batch in run.batches(half, views=run.method.views, balanced=True):
            self._step(run, batch, trust)

    def _step(self, run: "Run", batch: Batch, trust: Tensor | None, beside: Batch | None = None) -> None:
        method = run.method
        step = method.inputs(Step(run, batch, target=one_hot(batch.label, run.outputs).float()))
        step = replace(step, outputs=run.forward(0, *step.inputs))
        step = replace(step, target=method.target(step))
        step = replace(step, losses=method.loss(step.logits, step.target, step))
        weight = method.weight(step) * (1 if trust is None else trust[batch.index])
        loss = (weight * step.losses).mean() + method.penalty(step)
        if beside is not None:
            loss = loss + 0.01 * run.forward(0, beside.view("weak")).logits.square().mean()
        method.observe(step)
        run.update(loss)


@dataclass(frozen=True)
class Predictors:
    """The first network predicts, named as a module."""

    def predictors(self, run: "Run") -> Sequence[int | nn.Module]:
        return [run.nets[0]]


@dataclass(frozen=True)
class Fits:
    """Half of the rows first; then all, from those weights, with a table and a value from before."""

    def fits(self, study: "Study") -> "Run":
        keep = torch.arange(len(study.material.rows)) % 2 == 0
        first = study.fit("toy-half", *study.rest, keep=keep, epochs=1)
        guess = first.scan(_guess).clamp_max(study.material.classes - 1)
        labels = torch.where(keep, study.material.labels, guess)
        tables, values = {"toy_first": guess.float()}, {"toy_level": torch.tensor(0.5)}
        return study.fit(None, *study.rest, start=first, labels=labels, tables=tables, values=values)


@dataclass(frozen=True)
class Suspicion:
    """Suspects what the network does not predict."""

    def suspicion(self, run: "Run") -> Tensor:
        return (run.table("monitor.predicted").full() != run.given).float() - 0.5


@dataclass(frozen=True)
class Suggestion:
    """Suggests what the network predicts."""

    def suggestion(self, run: "Run") -> Tensor:
        return one_hot(run.table("monitor.predicted").full(), run.classes).float()


@dataclass(frozen=True)
class SecondPrepare:
    """Remember the network's first guess."""

    def prepare(self, run: "Run") -> None:
        run.scan(_guess, into=run.table("toy_first_guess", dtype=torch.int64))


@dataclass(frozen=True)
class SecondTrust:
    """Trust rows that the network predicted as labelled more than the others."""

    def trust(self, run: "Run") -> Tensor:
        return torch.where(run.table("monitor.predicted", dtype=torch.int64, fill=-1).full() == run.given, 1.0, 0.7)


BY_SLOT: dict[str, Any] = {
    "prepare": Prepare(),
    "between": Between(),
    "trust": Trust(),
    "inputs": Inputs(),
    "target": Target(),
    "loss": Loss(),
    "weight": Weight(),
    "penalty": Penalty(),
    "gradient": Gradient(),
    "observe": Observe(),
    "epoch": Epoch(),
    "predictors": Predictors(),
    "fits": Fits(),
    "suspicion": Suspicion(),
    "suggestion": Suggestion(),
}
"""One toy per slot."""

SECOND: dict[str, tuple[Any, ...]] = {"prepare": (SecondPrepare(),), "trust": (SecondTrust(),)}
"""A second toy for slots that only a toy fills."""
