"""Tests of the tests: an engine or a method that breaks one rule does not pass."""

import functools
import random
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from tests.contract.toys import BY_SLOT, Head
from tests.contract.vetted import vetted
from torch import Tensor, nn
from torch.nn.functional import one_hot

import thresher as th
from thresher.engine import checkpoint
from thresher.engine.combine import cross_entropy
from thresher.engine.learning import average_gradients
from thresher.engine.method import Method
from thresher.engine.run import Run
from thresher.engine.state import state as live_state
from thresher.engine.step import Step
from thresher.engine.study import Study
from thresher.testing.contract import CHECKS, check_method

# ---- an engine that forgets


def test_a_checkpoint_without_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "state", lambda run: {**live_state(run), "position": None})
    with pytest.raises(AssertionError, match="stopped anywhere"):
        check_method(th.method("gce"), ranks=False)


def test_a_checkpoint_without_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "load_tables", lambda run, folder: None)
    with pytest.raises(AssertionError, match="stopped anywhere"):
        check_method(th.method("elr"), ranks=False)


@pytest.mark.parametrize(
    ("lost", "methods"),
    [
        ({"optimizers": {}}, "gce"),
        ({"values": {}}, "penalty"),
        ({"scans": {}}, "epoch"),
        ({"updates": 0}, "gce"),
        ({"when": 0.0}, "gce"),
    ],
)
def test_a_checkpoint_that_lacks_a_part(monkeypatch: pytest.MonkeyPatch, lost: dict[str, Any], methods: str) -> None:
    monkeypatch.setattr(checkpoint, "state", lambda run: {**live_state(run), **lost})
    with pytest.raises(AssertionError, match="stopped anywhere"):
        CHECKS["resume"](BY_SLOT.get(methods) or th.method(methods))


def test_a_checkpoint_without_summed_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "load_apart", lambda run, stored: None)
    with pytest.raises(AssertionError, match="stopped anywhere"):
        CHECKS["resume"](BY_SLOT["penalty"])


# ---- methods that break a rule


@dataclass(frozen=True)
class RunningMean:
    """Keeps a running mean in a local variable of its epoch."""

    def epoch(self, run: Run) -> None:
        mean = torch.ones(())
        for batch in run.batches():
            losses = cross_entropy(run.forward(0, batch.view("weak")).logits, one_hot(batch.label, run.outputs).float())
            mean = 0.5 * mean + 0.5 * losses.detach().mean()
            run.update(losses.mean() / mean)


@dataclass(frozen=True)
class PassInPass:
    """Starts a second pass inside the first."""

    def epoch(self, run: Run) -> None:
        for batch in run.batches():
            for other in run.batches():
                run.update(run.forward(0, batch.view("weak"), other.view("weak")).logits.square().mean())


@dataclass(frozen=True)
class ScanInPass:
    """Starts a scan inside a pass."""

    def observe(self, step: Step) -> None:
        step.run.scan(lambda outputs, batch: outputs.logits)


@dataclass(frozen=True)
class ForgetfulTrust:
    """Trusts by a table that the pass it steers overwrites."""

    def trust(self, run: Run) -> Tensor:
        return torch.full((run.size,), 1.0) / (1 + run.table("forgetful").full().mean())

    def observe(self, step: Step) -> None:
        step.run.table("forgetful")[step.index] = step.losses


@dataclass(frozen=True)
class OwnDraws:
    """Draws from a generator that nobody saves."""

    def penalty(self, step: Step) -> Tensor:
        return random.random() * step.logits.square().mean()


def unordered_update(run: Run, loss: Tensor, *targets: int | str) -> None:
    """`Run.update` as it would be with a set of joint modules that has no order: here it differs between processes."""
    loss.backward()
    for name in ["0", *sorted(run.joint, reverse=run.runtime.rank > 0)]:
        average_gradients(run.nets[0] if name == "0" else run.modules[name], run.runtime)
        run.optimizers[name].step()
        run.optimizers[name].zero_grad()


@dataclass(frozen=True)
class TwoHeads:
    """Two joint heads of one shape, which an engine without order would average with each other."""

    def prepare(self, run: Run) -> None:
        run.update = functools.partial(unordered_update, run)  # type: ignore[method-assign]

    def penalty(self, step: Step) -> Tensor:
        total = torch.zeros(())
        for k, name in enumerate(("left", "right")):
            head = step.run.module(name, lambda: Head(step.features.shape[1], step.run.outputs), joint=True)
            total = total + (step.run.forward(head, step.features).logits - k).square().mean()
        return total


@dataclass(frozen=True)
class OrderedHeads:
    """The same heads with the engine's own update."""

    penalty = TwoHeads.penalty


@dataclass(frozen=True)
class LonelyValue:
    """Writes a shared value that every process sees differently."""

    def penalty(self, step: Step) -> Tensor:
        step.run.value("lonely", torch.zeros(())).copy_(step.losses.detach().mean())
        return torch.zeros(())


@dataclass(frozen=True)
class RankTable:
    """Fills a table with something that depends on how many processes there are."""

    def observe(self, step: Step) -> None:
        step.table("of_rank")[step.index] = torch.full_like(step.losses, len(step.index))


@dataclass(frozen=True)
class Peeks:
    """Looks at the true labels."""

    def fits(self, study: Study) -> Run:
        assert study.material.clean is not None
        return study.fit(None, keep=study.material.clean == study.material.labels)


@dataclass
class Thawed:
    """Is not frozen."""

    strength: float = 1.0


@dataclass(frozen=True)
class Unhashable:
    """Has a list among its values."""

    widths: Any = ()


@dataclass(frozen=True)
class NotNeutral:
    """Claims to be plain cross-entropy at a value where it is not."""

    strength: float = 0.5
    neutral: ClassVar = {"strength": 1e-3}

    def penalty(self, step: Step) -> Tensor:
        return self.strength * step.logits.square().mean()


@dataclass(frozen=True)
class Dishonest:
    """Honours a slot that its epoch never calls."""

    honours = ("penalty",)

    def epoch(self, run: Run) -> None:
        for batch in run.batches():
            run.update(run.forward(0, batch.view("weak")).logits.square().mean())


@dataclass(frozen=True)
class DeadSlot:
    """Fills a slot that its own epoch never calls."""

    def epoch(self, run: Run) -> None:
        Dishonest().epoch(run)

    def penalty(self, step: Step) -> Tensor:
        return torch.zeros(())


@dataclass(frozen=True)
class Overwrites:
    """Writes into the inputs of the source."""

    views = ("plain",)

    def prepare(self, run: Run) -> None:
        source: Any = run.source
        source.features.mul_(1.01)


@dataclass(frozen=True)
class WrongShape:
    """Suspects classes instead of samples."""

    def suspicion(self, run: Run) -> Tensor:
        return torch.zeros(run.classes)


@dataclass(frozen=True)
class HiddenNetwork:
    """Trains a network that only itself knows."""

    def prepare(self, run: Run) -> None:
        object.__setattr__(self, "_net", nn.Linear(3, 3))

    def penalty(self, step: Step) -> Tensor:
        net: nn.Linear | None = getattr(self, "_net", None)
        if net is None:
            return torch.zeros(())
        with torch.no_grad():
            net.weight.mul_(0.9)
        return torch.as_tensor(net(step.logits).square().mean())


@pytest.mark.parametrize(
    ("method", "check", "words"),
    [
        (RunningMean(), "resume", "differs after"),
        (PassInPass(), "trains", "inside a pass"),
        (ScanInPass(), "trains", "inside a pass"),
        (ForgetfulTrust(), "resume", "differs after"),
        (OwnDraws(), "resume", "differs after"),
        (HiddenNetwork(), "resume", "differs after"),
        (TwoHeads(), "ranks", "no longer hold the same"),
        (LonelyValue(), "ranks", "no longer hold the same"),
        (RankTable(), "tables", "of_rank"),
        (Peeks(), "clean", "true labels"),
        (Thawed(), "frozen", "not frozen"),
        (Unhashable(widths=[1]), "frozen", "unhashable"),
        (NotNeutral(), "neutral", "differs after two epochs"),
        (Dishonest(), "trains", "honours"),
        (DeadSlot(), "trains", "never called"),
        (Overwrites(), "trains", "overwritten"),
        (WrongShape(), "trains", "shape"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_a_method_that_breaks_a_rule(method: Method, check: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        CHECKS[check](method)


def test_the_whole_check_finds_them_too() -> None:
    with pytest.raises(AssertionError, match="differs after"):
        check_method(RunningMean(), ranks=False)


def test_joint_modules_in_order_agree() -> None:
    CHECKS["ranks"](OrderedHeads())


def test_neutral_is_checked_at_the_neutral_values() -> None:
    with pytest.raises(AssertionError, match="plain cross-entropy"):
        CHECKS["neutral"](replace(NotNeutral(), strength=0.0))


def test_a_vetted_method_passes_all_of_it() -> None:
    check_method(vetted("elr"))
