"""The laws of combination: several methods behave as one, or are refused when they are put together."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from thresher.engine.loop import plain_epoch
from thresher.engine.method import EPOCH_SLOTS, SLOTS, Method, check_values, filled_slots, name_of
from thresher.engine.step import Step
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.study import Study


def cross_entropy(logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
    """Per-sample cross-entropy with soft targets, the default of the loss slot.

    Args:
        logits: ``[B, C]``.
        target: ``[B, C]``, rows sum to 1.
        step: unused; the slot's signature has it.

    Returns:
        float ``[B]``.
    """
    return -(target * torch.log_softmax(logits, 1)).sum(1)


class Combination:
    """Methods in the order they were typed, behind one interface: a slot called here obeys its law.

    Args:
        methods: method objects; none is plain cross-entropy.

    Raises:
        UsageError: the combination is not legal, or a hyper-parameter has no meaning.

    Attributes:
        methods: as typed.
        called: the slots this object was asked for, for the contract to compare with `honours`.
    """

    def __init__(self, methods: Sequence[Method]) -> None:
        self.methods = tuple(methods)
        check_legal(self.methods)
        self._slots: dict[str, list[Any]] = {
            slot: [getattr(m, slot) for m in self.methods if slot in filled_slots(m)] for slot in SLOTS
        }
        self.called: set[str] = set()
        counts = [Counter(getattr(m, "views", ())) for m in self.methods]
        union: Counter[str] = Counter()
        for count in counts:
            union |= count
        self.views: tuple[str, ...] = tuple(union.elements()) or ("weak",)
        self.networks = max((getattr(m, "networks", 1) for m in self.methods), default=1)
        self.extra_classes = sum(getattr(m, "extra_classes", 0) for m in self.methods)
        self.needs_trusted = any(getattr(m, "needs_trusted", False) for m in self.methods)

    def __repr__(self) -> str:
        return f"Combination({', '.join(map(repr, self.methods))})"

    @property
    def name(self) -> str:
        """The names as typed, joined by commas."""
        return ",".join(map(name_of, self.methods)) or "cross_entropy"

    def fills(self, slot: str) -> bool:
        """Whether any method fills the slot."""
        return bool(self._slots[slot])

    def blind(self, slot: str) -> str | None:
        """The name of a method whose own epoch never asks for the slot, or None."""
        owners = [m for m in self.methods if "epoch" in filled_slots(m) and slot not in getattr(m, "honours", ())]
        return name_of(owners[0]) if owners else None

    def _of(self, slot: str) -> list[Callable[..., Any]]:
        self.called.add(slot)
        return self._slots[slot]

    # ---- all, in order

    def prepare(self, run: "Run") -> None:
        """Once, before the first epoch."""
        for prepare in self._of("prepare"):
            prepare(run)

    def between(self, run: "Run") -> None:
        """Before each epoch."""
        for between in self._of("between"):
            between(run)

    def observe(self, step: Step) -> None:
        """After the loss of each step."""
        for observe in self._of("observe"):
            observe(step)

    # ---- products, sums and chains

    def trust(self, run: "Run") -> Tensor | None:
        """Product of ``[N]`` weights, those that came with the labels among them; None when nobody says anything."""
        product = run.weights
        for trust in self._of("trust"):
            said = trust(run)
            product = said if product is None else product if said is None else product * said
        return product

    def inputs(self, step: Step) -> Step:
        """Chain over the step's views and targets, before the forward pass."""
        for inputs in self._of("inputs"):
            step = inputs(step)
        return step

    def target(self, step: Step) -> Tensor:
        """Chain over soft targets ``[B, outputs]``."""
        for target in self._of("target"):
            step = replace(step, target=target(step))
        return step.target

    def loss(self, logits: Tensor, target: Tensor, step: Step) -> Tensor:
        """The one loss, per sample ``[B]``; cross-entropy by default."""
        losses = self._of("loss")
        result: Tensor = losses[0](logits, target, step) if losses else cross_entropy(logits, target)
        return result

    def weight(self, step: Step) -> Tensor | float:
        """Product of weights ``[B]``, not renormalised; 1 when nobody weighs."""
        product: Tensor | float = 1.0
        for weight in self._of("weight"):
            product = product * weight(step)
        return product

    def penalty(self, step: Step) -> Tensor | float:
        """Sum of scalars."""
        return sum((penalty(step) for penalty in self._of("penalty")), 0.0)

    def gradient(self, run: "Run", net: nn.Module) -> None:
        """Chain over the gradients of a module, in place, between backward and the optimiser."""
        for gradient in self._of("gradient"):
            gradient(run, net)

    # ---- exactly one

    def epoch(self, run: "Run") -> None:
        """The one epoch; the default loop otherwise."""
        epochs = self._of("epoch")
        (epochs[0] if epochs else plain_epoch)(run)

    def predictors(self, run: "Run") -> Sequence[int | nn.Module]:
        """What predicts; the run's own choice by default."""
        chosen = self._of("predictors")
        result: Sequence[int | nn.Module] = chosen[0](run) if chosen else run.predictors()
        return result

    def fits(self, study: "Study") -> "Run":
        """The trainings a method needs, and the run that is the result; one training by default."""
        fits = self._of("fits")
        result: Run = fits[0](study) if fits else study.fit(None, *self.methods)
        return result

    # ---- what they know about labels

    def suspicion(self, run: "Run") -> dict[str, Tensor]:
        """Side by side: ``{name: [N]}``, higher = more likely wrong, above 0 = called wrong by the method."""
        return {name_of(m): m.suspicion(run) for m in self.methods if "suspicion" in filled_slots(m)}

    def suggestion(self, run: "Run") -> dict[str, Tensor]:
        """Class probabilities of the true label ``{name: [N, C]}``; the law takes the last one."""
        return {name_of(m): m.suggestion(run) for m in self.methods if "suggestion" in filled_slots(m)}


def check_legal(methods: Sequence[Method]) -> None:
    """Refuse what would mean nothing, or silently do nothing.

    Raises:
        UsageError: naming both methods.

    Example:
        >>> import thresher as th
        >>> check_legal([th.method("gce"), th.method("sce")])
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: gce and sce both fill the slot 'loss', which takes exactly one: choose between them
    """
    for method in methods:
        check_values(method)
        if unknown := [slot for slot in getattr(method, "honours", ()) if slot not in SLOTS]:
            raise UsageError(f"{name_of(method)} says it honours {unknown[0]!r}, which is not a slot")
    names = [name_of(m) for m in methods]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"{repeated[0]} is listed twice: name each method once")
    for slot in (slot for slot, law in SLOTS.items() if law == "one"):
        several = [name_of(m) for m in methods if slot in filled_slots(m)]
        if len(several) > 1:
            raise UsageError(
                f"{several[0]} and {several[1]} both fill the slot {slot!r}, which takes exactly one: "
                "choose between them"
            )
    _check_honours(methods)
    mixing = [name_of(m) for m in methods if getattr(m, "mixes", False)]
    single = [name_of(m) for m in methods if getattr(m, "own_rows", False) and not getattr(m, "mixes", False)]
    if mixing and single:
        raise UsageError(f"{mixing[0]} mixes samples, and {single[0]} needs each sample's own prediction: choose one")


def _check_honours(methods: Sequence[Method]) -> None:
    for owner in methods:
        if "epoch" not in filled_slots(owner):
            continue
        honours = getattr(owner, "honours", ())
        for other in methods:
            lost = [slot for slot in filled_slots(other) if slot in EPOCH_SLOTS and slot not in honours]
            if other is not owner and lost:
                raise UsageError(
                    f"{name_of(owner)} runs its own epoch, which never calls the slot {lost[0]!r} of {name_of(other)}: "
                    "that method would silently do nothing"
                )
            if other is not owner and getattr(other, "networks", 1) > getattr(owner, "networks", 1):
                raise UsageError(
                    f"{name_of(other)} needs {other.networks} networks, and the epoch of {name_of(owner)} trains "
                    f"{getattr(owner, 'networks', 1)}: choose between them"
                )
