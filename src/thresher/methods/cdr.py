"""CDR: only the weights that matter for the current fit learn; the others merely decay.

Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR 2021. With a share tau of wrong
labels, a share 1 - tau of the weights is critical: those with the largest g_i = |dL/dw_i * w_i|. Their gradient is
scaled by 1 - tau.

Why this score. Shrink or stretch the whole network by one factor t and watch the loss: G(t) = L(tW). The chain rule
gives G'(t) = sum_i w_i dL/dw_i(tW), so G'(1) = <grad L, W>. At an optimum no direction changes the loss to first order,
this one included, and G'(1) = 0; each term w_i dL/dw_i is what weight i adds to that sum, its derivative by a relative
change of w_i. So g_i says how far weight i still is from the balance. A weight with a small g_i is settled, or it is
nearly zero and of no use: what moves it now is mostly single samples, and learning those by heart is what is to stop.

The modes differ in what is ranked, how many stay, and who decays the weights (lambda is `strength`, eta the rate):

* `paper`: all parameters in one ranking, exactly round((1 - tau) m) are critical, of equal scores the first. Critical:
  w <- w - eta ((1 - tau) g + lambda sgn w); the others: w <- w - eta lambda sgn w and nothing else. The decay is taken
  from the weights before the optimiser's step and its running means of gradients are masked like the gradient, so SGD,
  Adam and all that work entry by entry move no other weight. An optimiser with weight decay is refused.
* `official`: the authors' code. Weights of two or four dimensions in one ranking (biases and batch norm learn as
  usual), all at or above the int((1 - tau) m)-th largest score stay, weight decay is the optimiser's own L2. The mask
  comes before the optimiser, so momentum of earlier steps still moves a weight that is masked now.
* `per_tensor`: every tensor is ranked by itself; with k = int(m tau) > 0, scores strictly below the k-th smallest lose
  their gradient, and every gradient is scaled. L2 where the optimiser has weight decay, otherwise L1 added to the
  gradient; then the optimiser with its momentum. A group of its parameters may have a "tau" and an "l1" of its own.
* `sampled`: the same for tensors of more than 1,000 entries, unscaled; beyond 10,000 entries the threshold is the
  int(10000 (1 - 100 / sqrt(m) (1 - tau)))-th smallest, at most the 9,990-th, of the first 10,000 scores. So it keeps
  100 / sqrt(m) (1 - tau) of a large tensor, not 1 - tau.

Deviations: the authors' code computes a ramp from 1 to 1 - tau and then overwrites it; here `ramp` works, and is off by
default. Its second forward pass before each step, which doubles the cost and updates batch norm twice, is left out. The
threshold is found by selection instead of a sort. Of the paper we know the rule at second hand only.
"""

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from thresher.audit.confident import confident_joint
from thresher.engine.method import check_values, field
from thresher.errors import UsageError
from thresher.parts.critical import Room, Weight, critical_masks, random_mask
from thresher.randomness import generator

if TYPE_CHECKING:
    from thresher.engine.options import Options
    from thresher.engine.run import Run
    from thresher.engine.study import Study

_MASK, _SAMPLE = 61, 62
_LAMBDA, _FIRST = 1e-3, 10_000
_MOMENTS = ("momentum_buffer", "exp_avg")
"""What torch's optimisers call a running mean of gradients."""
_STILL = {
    *("exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg", "sum", "acc_delta", "exp_inf", "prev", "step_size"),
    *("variance", "row_var", "col_var"),
}
"""What torch's optimisers keep of every weight besides: it moves none whose gradient and running mean are zero."""
_RESTLESS = {"LBFGS", "Muon", "ASGD"}
"""Optimisers that move a weight whose gradient and running mean are zero: they mix entries, or decay by themselves."""

_rooms: "weakref.WeakKeyDictionary[torch.optim.Optimizer, Room]" = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class CDR:
    """Let only critical weights learn.

    Attributes:
        noise_rate: share of wrong labels, which tau is unless it is given.
        tau: share of the weights that is not critical; -1 takes the noise rate.
        estimate: find the noise rate by a plain training first, as the off-diagonal share of the confident joint.
        mode: paper, official, per_tensor or sampled, as above.
        scale: multiply gradients by 1 - tau: on, off, or own: as the mode does (all but sampled).
        criterion: product |g w|, sum |g| + |w|, or random: a fixed random mask of each tensor.
        regulariser: own: as the mode does; l1 or l2: CDR adds it, and the optimiser must have no weight decay.
        strength: of that regulariser, and of the L1 of the modes that have one.
        ramp: epochs over which the critical share falls from 1 to 1 - tau, epoch by epoch; 0: it is 1 - tau at once.
        sample: entries of a ranking from which its threshold is estimated, approximately; 0: all of them, exactly.

    Example:
        >>> import thresher as th
        >>> net = nn.Linear(2, 2, bias=False)
        >>> net.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> net.weight.grad = torch.ones(2, 2)
        >>> th.as_optimizer(CDR(noise_rate=0.5), torch.optim.SGD(net.parameters(), lr=0.2)).step()
        >>> net.weight.tolist()
        [[1.0, 2.0], [2.9000000953674316, 3.9000000953674316]]
    """

    noise_rate: float = field(0.2, search=(0.05, 0.9), bounds=(0.0, 1.0))
    tau: float = field(-1.0, letter="tau", search=(0.05, 0.9), bounds=(-1.0, 1.0))
    estimate: bool = field(False)
    mode: str = field("official", choices=("official", "paper", "per_tensor", "sampled"))
    scale: str = field("own", choices=("own", "on", "off"))
    criterion: str = field("product", choices=("product", "sum", "random"))
    regulariser: str = field("own", choices=("own", "l1", "l2"))
    strength: float = field(_LAMBDA, search=(1e-5, 1e-2), bounds=(0.0, math.inf))
    ramp: float = field(0.0, search=(1.0, 30.0), bounds=(0.0, math.inf))
    sample: int = field(0, bounds=(0, math.inf))
    family = "regularisation"
    neutral = {
        "noise_rate": 0.0,
        "tau": -1.0,
        "estimate": False,
        "mode": "official",
        "regulariser": "own",
        "strength": 1e-3,
    }

    # ---- what contradicts itself

    def __post_init__(self) -> None:
        check_values(self)
        for problem, sentence in self._problems():
            if problem:
                raise UsageError(f"cdr.{sentence}")

    def _problems(self) -> list[tuple[bool, str]]:
        drawn, unused = self.criterion == "random", self.mode == "official" and self.regulariser == "own"
        return [
            (
                -1 < self.tau < 0 or self.tau == 1,
                f"tau is {self.tau:g}: it must be from 0 to below 1, or -1 for the noise rate",
            ),
            (self.noise_rate == 1, "noise_rate is 1: it must be below 1"),
            (self.estimate and self.tau >= 0, "tau is given, so nothing is to be estimated: leave out one of the two"),
            (drawn and self.mode == "sampled", "mode=sampled is about a threshold, and a random mask has none"),
            (drawn and self.sample > 0, "sample estimates a threshold, and a random mask has none: leave out sample"),
            (drawn and self.ramp > 0, "criterion=random is one mask for the whole training: leave out ramp"),
            (self.mode == "sampled" and self.sample > 0, "mode=sampled has a sample of its own: leave out sample"),
            (
                unused and self.strength != _LAMBDA,
                "strength does nothing in the mode official, whose regulariser is the optimiser's weight decay: "
                "set cdr.regulariser to l1 or l2, or leave it out",
            ),
        ]

    def check(self, options: "Options") -> None:
        """Refuse settings of a run that contradict the mode.

        Raises:
            UsageError: weight decay where CDR decays the weights, or a strength that nothing would use.
        """
        self._check_group({"weight_decay": options.optimizer.weight_decay}, "optimizer.weight_decay")

    def check_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse an optimiser that contradicts the mode.

        Raises:
            UsageError: as for `check`; also a group's "tau" or "l1" that is out of range or would do nothing.
        """
        if self.mode == "paper" and (moving := _RESTLESS & _kinds(optimizer)):
            raise UsageError(f"cdr.mode=paper keeps weights still, and {min(moving)} moves them all: use SGD or Adam")
        for number, group in enumerate(optimizer.param_groups):
            self._check_group(group, f"weight_decay in parameter group {number}")

    def _check_group(self, group: Mapping[str, Any], name: str) -> None:
        decay = group.get("weight_decay", 0)
        if decay and (self.mode == "paper" or self.regulariser != "own"):
            why = "mode=paper" if self.mode == "paper" else f"regulariser={self.regulariser}"
            raise UsageError(f"cdr.{why} decays the weights itself, and {name} is {decay:g}: set it to 0")
        if decay and self.mode != "official" and (self.strength != _LAMBDA or group.get("l1")):
            raise UsageError(f"cdr.mode={self.mode} has L1 or L2, not both, and {name} is {decay:g}: set it or L1 to 0")
        l1, tau = group.get("l1", 0), group.get("tau", 0)
        if not 0 <= l1 < math.inf or ("l1" in group and self._penalty({})[0] != "l1"):
            raise UsageError(f"a parameter group has l1={l1}: it takes a number from 0, and a mode that has L1")
        if not 0 <= tau < 1 or ("tau" in group and self._together):
            raise UsageError(
                f"a parameter group has tau={tau}: it takes a number from 0 to below 1, and a mode that ranks every "
                "tensor by itself, such as cdr.mode=per_tensor"
            )

    @property
    def _together(self) -> bool:
        """Whether one ranking runs over all tensors."""
        return self.mode in ("official", "paper") and self.criterion != "random"

    # ---- trainings

    @property
    def fits(self) -> "Callable[[Study], Run] | None":
        """A plain training first, where the noise rate is to be estimated."""
        return self._estimated if self.estimate else None

    def _estimated(self, study: "Study") -> "Run":
        posterior = study.posterior(study.fit("cdr-noise-rate"))
        joint = confident_joint(study.material.labels.cpu().numpy(), posterior.numpy())
        rate = min(1 - float(joint.trace() / joint.sum()), 0.9999)
        return study.fit(None, *study.swapped(self, replace(self, noise_rate=rate, estimate=False)))

    # ---- steps

    @torch.no_grad()
    def gradient(self, run: "Run", net: nn.Module) -> None:
        """Mask, scale and regularise the gradients of what the network's optimiser holds, in place."""
        optimizer = run.optimizer_of(net)
        self.check_optimizer(optimizer)
        room = _rooms.setdefault(optimizer, Room())
        held = [(p, group) for group in optimizer.param_groups for p in group["params"]]
        weights = [(Weight(p, p.grad, k), group) for k, (p, group) in enumerate(held) if p.grad is not None]
        if any(weight.gradient.is_sparse for weight, _ in weights):
            raise UsageError("cdr ranks the entries of dense gradients: build the embedding with sparse=False")
        ranked = [(weight, group) for weight, group in weights if self._is_ranked(weight.tensor)]
        for pool in [ranked] if self._together and ranked else [[one] for one in ranked]:
            self._learn(run, room, [weight for weight, _ in pool], self._tau(run, pool[0][1]), optimizer.state)
        for weight, group in weights:
            self._regularise(weight, group, room)

    def _is_ranked(self, weight: Tensor) -> bool:
        if self.mode == "official":
            return weight.dim() in (2, 4)
        return self.mode != "sampled" or weight.numel() > 1000

    def _tau(self, run: "Run", group: Mapping[str, Any]) -> float:
        tau = float(group.get("tau", self.tau if self.tau >= 0 else self.noise_rate))
        return tau * min(int(run.when) / self.ramp, 1.0) if self.ramp > 0 else tau

    def _learn(self, run: "Run", room: Room, pool: list[Weight], tau: float, state: Mapping[Tensor, Any]) -> None:
        """Mask and scale the weights of one ranking; in the mode paper, the optimiser's running means, too."""
        masks = self._masks(run.seed, room, pool, tau)
        scaled = self.scale == "on" or (self.scale == "own" and self.mode != "sampled")
        for number, weight in enumerate(pool):
            if masks is not None:
                mask = masks[number]
                weight.gradient.mul_(mask)
                for mean in _running_means(state.get(weight.tensor, {})) if self.mode == "paper" else ():
                    mean.mul_(mask)
            if scaled and tau > 0:
                weight.gradient.mul_(1 - tau)

    def _masks(self, seed: int, room: Room, pool: list[Weight], tau: float) -> Sequence[Tensor] | None:
        """Per weight of one ranking what its gradient is multiplied with, or None for 1."""
        first, size = pool[0], sum(weight.tensor.numel() for weight in pool)
        shape, device = first.tensor.shape, first.tensor.device
        if self.criterion == "random":
            make = lambda: random_mask(size, tau, seed, _MASK, first.place).view(shape).to(device)  # noqa: E731
            return [room.draw(_MASK, first.place, (seed, tau), make)]
        lowest = rank(self.mode, size, tau)
        if self.mode == "sampled" and size > _FIRST:
            return critical_masks(pool, lowest, room, self.criterion, among=slice(_FIRST))
        if 0 < self.sample < size and 1 < lowest <= size:
            seeds, count = (seed, _SAMPLE, first.place), self.sample
            make = lambda: torch.randint(size, (count,), generator=generator(*seeds)).to(device)  # noqa: E731
            among = room.draw(_SAMPLE, first.place, (seed, size, count), make)
            return critical_masks(pool, max(1, round(lowest / size * count)), room, self.criterion, among=among)
        return critical_masks(pool, lowest, room, self.criterion, exact=self.mode == "paper")

    # ---- decay

    def _penalty(self, group: Mapping[str, Any]) -> tuple[str, float]:
        """What CDR adds for the weights of a group: l1, l2 or nothing, and its strength."""
        if self.regulariser == "l2":
            return "l2", self.strength
        decayed = self.mode == "official" or (self.mode != "paper" and bool(group.get("weight_decay")))
        if self.regulariser == "own" and decayed:
            return "", 0.0
        return "l1", float(group.get("l1", self.strength))

    def _regularise(self, weight: Weight, group: Mapping[str, Any], room: Room) -> None:
        """In the mode paper a step of its own on the weights, before the optimiser's; else a part of the gradient."""
        kind, strength = self._penalty(group)
        if strength == 0:
            return
        if self.mode == "paper":
            onto, factor = weight.tensor, -strength * float(group["lr"])
        else:
            onto, factor = weight.gradient, -strength if group.get("maximize") else strength
        if kind == "l2":
            onto.add_(weight.tensor, alpha=factor)
        else:
            (view,) = room.views([weight])[1]
            onto.add_(view.copy_(weight.tensor).sign_(), alpha=factor)


def _kinds(optimizer: Any) -> set[str]:
    """The names of an optimiser's classes, and of those of an optimiser inside it."""
    inner = getattr(optimizer, "optimizer", None)
    return {one.__name__ for one in type(optimizer).__mro__} | (set() if inner is None else _kinds(inner))


def _running_means(known: Mapping[str, Any]) -> list[Tensor]:
    """The states of a weight that go on moving it; one that nobody knows might."""
    kept = {name for name, value in known.items() if isinstance(value, Tensor) and value.dim() > 0}  # no counts
    strange = sorted(kept - _STILL - set(_MOMENTS))
    if strange:
        raise UsageError(
            f"cdr.mode=paper stops the running means that it knows, {' and '.join(_MOMENTS)}, and this optimiser keeps "
            f"{strange[0]}, which might move weights: use SGD or Adam"
        )
    return [known[name] for name in _MOMENTS if known.get(name) is not None]


def rank(mode: str, size: int, tau: float) -> int:
    """Scores strictly below the so-and-so-many-th smallest are not critical: none for 0 and 1, all for ``size + 1``.

    Args:
        mode: of CDR.
        size: entries in one ranking; of a large tensor in the mode sampled, the rank is among its first 10,000.
        tau: share that is not critical.

    Example:
        >>> [rank(mode, 1000, 0.2) for mode in ("official", "paper", "per_tensor")], rank("sampled", 250_000, 0.5)
        ([201, 201, 200], 9000)
    """
    if mode == "official":
        return size + 1 - int((1 - tau) * size)
    if mode == "paper":
        return size + 1 - round((1 - tau) * size)
    if mode == "sampled" and size > _FIRST:
        return min(int(_FIRST * (1 - 100 / math.sqrt(size) * (1 - tau))), 9_990)
    return int(size * tau)
