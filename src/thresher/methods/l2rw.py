"""L2RW: weigh each sample by how much learning from it helps on a few trusted samples.

Ren et al., "Learning to Reweight Examples for Robust Deep Learning", ICML 2018 (arXiv 1803.09050), algorithm 1. With
weights eps on the losses l_i of a batch, a virtual SGD step at eps = 0 changes the trusted loss G by dG/d eps_i = -lr *
<grad G, grad l_i>; the weights are the positive parts of its negative, normalised to sum 1.

That inner product is one forward-mode product, J_l(theta) grad G: exact, no second derivative occurs, and other
samples' influence through batch norm is included, as in the virtual step. `score="finite_difference"` takes the
difference of the losses along grad G instead: cheaper, about 2 % off, and it works where an operation has no forward
mode; "auto" turns to it in that case. Both use each batch's own statistics and leave the running ones alone, as well as
the random generator. A batch whose weights are all zero adds no gradient; momentum and weight decay still act, as in
the authors' code.

Deviations: the clean gradient has no weight-decay term (the authors' code adds their regularisation collection). The
virtual step's rate is 1, for it cancels in the normalised weights. Clean rows leave the noisy training set, as in
theirs.
"""

import contextlib
import functools
import importlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import one_hot
from torch.nn.modules.dropout import _DropoutNd

from thresher.engine.combine import cross_entropy
from thresher.engine.method import field
from thresher.engine.step import Step

if TYPE_CHECKING:
    from thresher.engine.run import Run

_REACH = 3e-3


@dataclass(frozen=True)
class L2RW:
    """Learn to reweight, from trusted samples.

    Attributes:
        clean_batch: trusted samples per step; 0 for as many as the batch has.
        score: exact (forward mode), finite_difference, or auto (exact where the network allows it).
        normalise: weights sum to 1 in each batch; without it the step size changes with training.
    """

    clean_batch: int = field(0, letter="m", bounds=(0, math.inf))
    score: str = field("auto", choices=("auto", "exact", "finite_difference"))
    normalise: bool = field(True)
    family = "meta-learning"
    own_rows = True
    needs_trusted = True
    couples_rows = True

    def weight(self, step: Step) -> Tensor:
        """B times weights that sum to 1 over the batch (over all ranks), ``[B]``; all zero skips the batch."""
        direction = self._clean_gradient(step)
        scores = self._scores(step, direction)
        self._remember(step, scores)
        positive = scores.clamp_min(0)
        if not self.normalise:
            return positive
        total = step.run.mean(positive.sum())
        return positive * len(positive) / torch.where(total > 0, total, 1.0)

    def _clean_gradient(self, step: Step) -> dict[str, Tensor]:
        """Gradient of the mean cross-entropy of trusted samples, by parameter name, averaged over ranks."""
        run = step.run
        batch = run.trusted(self.clean_batch or len(step.index))
        params = {name: p for name, p in run.nets[step.net].named_parameters() if p.requires_grad}
        logits = run.logits_at(step.net, params, next(iter(batch.views.values())))
        loss = cross_entropy(logits, one_hot(batch.label, run.outputs).float()).mean()
        gradients = torch.autograd.grad(loss, list(params.values()))
        return {name: run.mean(g) for name, g in zip(params, gradients, strict=True)}

    def _scores(self, step: Step, direction: Mapping[str, Tensor]) -> Tensor:
        params = dict(step.run.nets[step.net].named_parameters())
        if self.score != "finite_difference":
            try:
                return exact_scores(step, params, direction)
            except NotImplementedError:
                if self.score == "exact":
                    raise
        return difference_scores(step, params, direction)

    def _remember(self, step: Step, scores: Tensor) -> None:
        """Sum of the scores in units of their batch's spread, and how many: what `suspicion` reads."""
        table = step.table("l2rw_score", width=2)
        unit = scores / scores.abs().mean().clamp_min(torch.finfo(scores.dtype).tiny)
        table[step.index] = table[step.index] + torch.stack([unit, torch.ones_like(unit)], 1)

    def suspicion(self, run: "Run") -> Tensor:
        """Minus the mean score, ``[N]``: above 0 when learning from the label has hurt on the trusted samples."""
        sums = run.table("l2rw_score.0", 2).full()
        return -sums[:, 0] / sums[:, 1].clamp_min(1)


def _losses_at(step: Step, params: Mapping[str, Tensor]) -> Tensor:
    """Losses ``[B]`` at other parameters; every call draws the same dropout masks and restores the generator."""
    with torch.random.fork_rng([] if step.index.device.type == "cpu" else [step.index.device]):
        logits = step.logits_at(params)
    return step.run.method.loss(logits, step.target, step)


@functools.cache
def _load_forward_mode() -> None:
    """Load torch's forward-mode rules without the deprecation warnings they raise about themselves."""
    with warnings.catch_warnings(), contextlib.suppress(ImportError):
        warnings.simplefilter("ignore")
        importlib.import_module("torch._decomp.decompositions_for_jvp")


@torch.no_grad()
def exact_scores(step: Step, params: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> Tensor:
    """Inner products of every sample's loss gradient with `direction`, ``[B]``, by one forward-mode product."""
    _load_forward_mode()
    with forward_ad.dual_level():
        duals = {n: forward_ad.make_dual(p, direction[n]) if n in direction else p for n, p in params.items()}
        tangent = forward_ad.unpack_dual(_losses_at(step, duals)).tangent
        return torch.zeros_like(step.losses) if tangent is None else tangent.clone()


@torch.no_grad()
def difference_scores(step: Step, params: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> Tensor:
    """The same inner products from the losses a small way along `direction`, ``[B]``.

    The training forward pass serves as the other end, unless it ran in lower precision or with other dropout masks.
    """
    network = step.run.nets[step.net]
    same = step.run.runtime.precision == "32" and not any(isinstance(m, _DropoutNd) for m in network.modules())
    norm = torch.stack([g.square().sum() for g in direction.values()]).sum().sqrt().clamp_min(1e-12)
    reach = _REACH / norm
    moved = {n: p + reach * direction[n] if n in direction else p for n, p in params.items()}
    here = step.losses.detach() if same else _losses_at(step, params)
    return (_losses_at(step, moved) - here) / reach
