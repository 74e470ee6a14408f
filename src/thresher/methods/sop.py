"""SOP: model each sample's label noise by its own sparse variables, learned beside the network.

Liu et al., "Robust Training under Label Noise by Over-parameterization", ICML 2022 (arXiv 2202.14026), algorithm 1.
With one-hot label y, U = u^2 y and V = v^2 (1 - y) explain the label: pi = softmax(z) + U - V, and the loss is
cross-entropy of pi plus |onehot(argmax z) + U - V - y|^2. Gradient descent on u and v, started near 0, favours sparse U
and V, so only wrong labels are explained away.

As in the authors' last code: cross-entropy does not train v, both terms train u, pi is clamped at 1e-4 and normalised.

Defaults: CIFAR-10, symmetric noise, batch 128, 120 epochs: rates 10 and 10 (asymmetric 10 and 100; CIFAR-100 1 and 10).
The dynamics are multiplicative: v wakes after about 18.4 / ln(1 + 4 rate_v / B) visits. A rate that fits one batch size
and length is dead or explosive at another, so `activation` states that number of epochs instead and derives rate_v.

Deviations: u and v are projected to [-1, 1] after each step, as the paper's algorithm 1 says and the code forgets (it
freezes what overshoots); rows are updated sparsely, which is exact here, for their optimiser has neither momentum nor
decay. The balance penalty trains the network only; in the code it moves u a little, too. The consistency term of SOP+
needs a strong view and follows with it.
"""

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.engine.table import Table
from thresher.parts.targets import margin_against, normalise
from thresher.randomness import normal

if TYPE_CHECKING:
    from thresher.engine.run import Run

_FLOOR = 1e-4
_START = 1e-8
_U, _V = 51, 52


@dataclass(frozen=True)
class SOP:
    """Sparse over-parameterisation.

    Attributes:
        rate_u: learning rate of u, the doubt about the given label.
        rate_v: learning rate of v, the other classes.
        activation: epochs until v wakes on a sample the network contradicts; 0 takes `rate_v` as it is.
        balance: weight of the class-balance penalty (0.1 in SOP+).
    """

    rate_u: float = field(10.0, letter="lr_u", search=(0.1, 100.0), bounds=(0.0, math.inf))
    rate_v: float = field(10.0, letter="lr_v", search=(1.0, 100.0), bounds=(0.0, math.inf))
    activation: float = field(0.0, search=(5.0, 60.0), bounds=(0.0, math.inf))
    balance: float = field(0.0, letter="lambda_B", search=(0.0, 1.0), bounds=(0.0, math.inf))
    family = "robust loss"
    own_rows = True

    def loss(self, logits: Tensor, target: Tensor, step: Step) -> Tensor:
        """Per sample ``[B]``, for logits and one-hot targets ``[B, C]``."""
        doubt, other = self._noise(step, target)
        pi = explained(logits, doubt - other.detach())
        guess = one_hot(logits.argmax(1), logits.shape[1])
        return -(target * pi.log()).sum(1) + (guess + doubt - other - target).square().sum(1)

    def penalty(self, step: Step) -> Tensor:
        """Balance: cross-entropy of the batch's mean pi from the uniform distribution."""
        if self.balance == 0:
            return step.losses.new_zeros(())
        with torch.no_grad():
            doubt, other = self._noise(step, step.target)
        mean = explained(step.logits, doubt - other)[:, : step.run.classes].mean(0)
        return -self.balance * mean.clamp_min(_FLOOR).log().mean()

    def _noise(self, step: Step, target: Tensor) -> tuple[Tensor, Tensor]:
        """U and V of the batch, ``[B, outputs]``; an extra class has no part in V."""
        u, v = self._tables(step)
        extra = target.shape[1] - step.run.classes
        doubt = (u.trainable(step.index)[:, None].square() * target).clamp(0, 1)
        other = (pad(v.trainable(step.index), (0, extra)).square() * (1 - target)).clamp(0, 1)
        return doubt, other

    def _tables(self, step: Step) -> tuple[Table, Table]:
        rate = activation_rate(self.activation, step.rows_per_update) if self.activation else self.rate_v
        return _tables_of(step.run, step.net, self.rate_u, rate)

    def suspicion(self, run: "Run") -> Tensor:
        """How far the best other class exceeds the given one in `suggestion`, ``[N]``."""
        awake = _tables_of(run)[1].rows.square().max()
        if awake < 0.01:
            warnings.warn(
                "sop's variables never woke, so it suspects nothing: set sop.activation to the epochs it may take",
                stacklevel=2,
            )
        return margin_against(self.suggestion(run), run.given)

    def suggestion(self, run: "Run") -> Tensor:
        """onehot(y) - U + V, clamped and normalised, ``[N, C]``."""
        given = one_hot(run.given, run.classes).float()
        u, v = _tables_of(run)
        doubt = u.full().square()[:, None] * given
        other = v.full().square() * (1 - given)
        return normalise((given - doubt + other).clamp_min(0))


def _tables_of(run: "Run", net: int = 0, rate_u: float = 0.0, rate_v: float = 0.0) -> tuple[Table, Table]:
    """The variables u and v of a network; whoever asks first fills them, for from exactly 0 they could never move."""
    seed, classes = run.seed, run.classes

    def start_u(rows: Tensor) -> Tensor:
        return _START * normal(seed, rows, _U)

    def start_v(rows: Tensor) -> Tensor:
        return _START * normal(seed, rows[:, None] * classes + torch.arange(classes, device=rows.device), _V)

    u = run.table(f"sop_u.{net}", fill=start_u, rate=rate_u, project=_project)
    v = run.table(f"sop_v.{net}", classes, fill=start_v, rate=rate_v, project=_project)
    return u, v


def explained(logits: Tensor, noise: Tensor) -> Tensor:
    """pi: softmax plus noise, kept positive and normalised, ``[B, C]``."""
    pi = (torch.softmax(logits, 1) + noise).clamp_min(_FLOOR)
    return (pi / pi.sum(1, keepdim=True)).clamp(_FLOOR, 1)


def activation_rate(visits: float, batch: float) -> float:
    """The rate with which v grows from 1e-8 to 1 in so many visits: B / 4 (e^(18.4 / k) - 1).

    Example:
        >>> round(activation_rate(66, 128), 1)  # the table of the reference: rate 10 takes 66 visits at B = 128
        10.3
    """
    return batch / 4 * math.expm1(-math.log(_START) / visits)


def _project(rows: Tensor) -> Tensor:
    return rows.clamp(-1, 1)
