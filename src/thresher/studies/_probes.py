"""Measurements after every epoch that several studies take; see `thresher.studies.lab`."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thresher.engine.evaluate import Judge, predict_rows
from thresher.engine.run import Run

ALIVE = 1e-3
"""A weight counts as effective when its absolute value is above this."""


def effective_share(net: nn.Module, alive: float = ALIVE) -> float:
    """Share of a network's parameters whose absolute value is above `alive`.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> net.weight.data = torch.tensor([[0.5, 0.0001]])
        >>> effective_share(net)
        0.5
    """
    kept = sum(int((p.detach().abs() > alive).sum()) for p in net.parameters())
    return kept / sum(p.numel() for p in net.parameters())


def effective(run: Run, judge: Judge) -> dict[str, float]:
    """Share of effective parameters: ``effective`` of the network, ``effective NAME`` of each tensor of weights."""
    shares = {
        f"effective {name}": float((p.detach().abs() > ALIVE).float().mean())
        for name, p in run.nets[0].named_parameters()
        if p.dim() > 1
    }
    return {"effective": effective_share(run.nets[0]), **shares}


def per_class(run: Run, judge: Judge) -> dict[str, list[float]]:
    """``per_class``: test accuracy of every class, in the order of the classes; empty without a test set."""
    if judge.test is None:
        return {"per_class": []}
    held = judge.test
    right = predict_rows(run, held.source, held.rows).argmax(1) == held.labels
    return {"per_class": [float(right[held.labels == k].float().mean()) for k in range(run.classes)]}


@dataclass(frozen=True)
class Balance:
    """How far the weights are from the balance <grad L, W> = 0, on a fixed set of training rows.

    Attributes:
        rows: the first so many training rows, with their given labels.
    """

    rows: int = 2048

    def __call__(self, run: Run, judge: Judge) -> dict[str, float]:
        """``gw``: <grad L, W>; ``gw_abs``: the sum of abs(grad_i w_i); ``w2``: <W, W>; over all parameters."""
        net = run.nets[0]
        weights = list(net.parameters())
        before = net.training
        net.eval()
        gradients = torch.autograd.grad(self._loss(run), weights)
        net.train(before)
        products = [(g * w.detach()).double() for g, w in zip(gradients, weights, strict=True)]
        return {
            "gw": float(sum(p.sum() for p in products)),
            "gw_abs": float(sum(p.abs().sum() for p in products)),
            "w2": float(sum(w.detach().double().square().sum() for w in weights)),
        }

    def _loss(self, run: Run) -> Tensor:
        index = torch.arange(min(self.rows, run.size))
        shown: Any = next(iter(run.source.open([run.rows[index]], ("plain",), 0)))
        outputs = run.forward(0, *shown.values())
        return nn.functional.cross_entropy(outputs.logits[:, : run.classes], run.given[index.to(run.device)])
