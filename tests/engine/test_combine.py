"""The laws: what several methods in one slot mean together, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tests.contract.toys import BY_SLOT
from tests.engine.jobs import toy_run
from torch import Tensor, nn

import thresher as th
from thresher.engine.combine import Combination, check_legal
from thresher.engine.method import EPOCH_SLOTS, SLOTS, Method, filled_slots
from thresher.engine.run import Run
from thresher.engine.step import Step
from thresher.errors import UsageError
from thresher.methods import names


@dataclass(frozen=True)
class Half:
    """Halves everything that can be halved, and leaves a note."""

    views = ("weak", "strong")
    networks = 2
    extra_classes = 1

    def trust(self, run: Run) -> Tensor:
        return torch.full((run.size,), 0.5)

    def inputs(self, step: Step) -> Step:
        return replace(step, inputs=tuple(x / 2 for x in step.inputs))

    def target(self, step: Step) -> Tensor:
        return step.target / 2

    def weight(self, step: Step) -> Tensor:
        return torch.full((len(step.index),), 0.5)

    def penalty(self, step: Step) -> Tensor:
        return torch.tensor(0.5)

    def gradient(self, run: Run, net: nn.Module) -> None:
        for p in net.parameters():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad / 2

    def suspicion(self, run: Run) -> Tensor:
        return torch.full((run.size,), 0.5)

    def suggestion(self, run: Run) -> Tensor:
        return torch.full((run.size, run.classes), 0.5)


@dataclass(frozen=True)
class Plus:
    """Adds one everywhere."""

    views = ("weak", "weak")
    extra_classes = 2
    needs_trusted = True

    def trust(self, run: Run) -> None:
        return None

    def inputs(self, step: Step) -> Step:
        return replace(step, inputs=tuple(x + 1 for x in step.inputs))

    def target(self, step: Step) -> Tensor:
        return step.target + 1

    def weight(self, step: Step) -> Tensor:
        return torch.full((len(step.index),), 3.0)

    def penalty(self, step: Step) -> Tensor:
        return torch.tensor(1.0)

    def suspicion(self, run: Run) -> Tensor:
        return torch.ones(run.size)

    def suggestion(self, run: Run) -> Tensor:
        return torch.ones(run.size, run.classes)


@pytest.fixture
def step() -> Step:
    run = toy_run()
    batch = next(iter(run.batches()))
    return Step(run, batch, target=torch.ones(len(batch.index), 3))


def test_chains_go_from_left_to_right(step: Step) -> None:
    one, other = Combination([Half(), Plus()]), Combination([Plus(), Half()])
    assert (one.target(step) == 1.5).all()
    assert (other.target(step) == 1.0).all()
    assert torch.equal(one.inputs(step).inputs[0], step.inputs[0] / 2 + 1)
    assert torch.equal(other.inputs(step).inputs[0], (step.inputs[0] + 1) / 2)


def test_products_and_sums(step: Step) -> None:
    both = Combination([Half(), Plus()])
    assert torch.as_tensor(both.weight(step)).tolist() == [1.5] * len(step.index)
    assert float(both.penalty(step)) == 1.5
    trust = both.trust(step.run)
    assert trust is not None
    assert (trust == 0.5).all()
    assert Combination([]).trust(step.run) is None
    assert Combination([Plus()]).trust(step.run) is None
    assert (Combination([]).weight(step), Combination([]).penalty(step)) == (1.0, 0.0)


def test_attributes_are_united() -> None:
    both = Combination([Half(), Plus()])
    assert sorted(both.views) == ["strong", "weak", "weak"]
    assert (both.networks, both.extra_classes, both.needs_trusted) == (2, 3, True)
    assert (Combination([]).views, Combination([]).networks, Combination([]).needs_trusted) == (("weak",), 1, False)
    assert (both.name, Combination([]).name) == ("half,plus", "cross_entropy")


def test_knowledge_is_reported_side_by_side_in_order(step: Step) -> None:
    both = Combination([Half(), Plus()])
    assert list(both.suspicion(step.run)) == ["half", "plus"]
    assert list(both.suggestion(step.run)) == ["half", "plus"]


def test_without_a_filled_slot_the_default_works(step: Step) -> None:
    plain = Combination([])
    logits = torch.randn(4, 3)
    target = torch.softmax(torch.randn(4, 3), 1)
    expected = nn.functional.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(plain.loss(logits, target, step), expected)
    assert list(plain.predictors(step.run)) == [0]


@pytest.mark.parametrize("slot", [slot for slot, law in SLOTS.items() if law == "one"])
def test_two_in_a_slot_of_one_are_refused_by_a_message_that_names_both(slot: str) -> None:
    @dataclass(frozen=True)
    class Second:
        pass

    setattr(Second, slot, lambda self, *words: None)
    first = BY_SLOT[slot]
    words = f"{type(first).__name__.lower()} and second both fill the slot '{slot}'"
    with pytest.raises(UsageError, match=words):
        check_legal([first, Second()])


def test_the_same_method_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="gce is listed twice"):
        check_legal([th.method("gce"), th.method("gce", q=0.5)])


@pytest.mark.parametrize("slot", EPOCH_SLOTS)
def test_an_epoch_that_does_not_honour_a_slot_refuses_those_who_fill_it(slot: str) -> None:
    other = BY_SLOT[slot]
    with pytest.raises(UsageError, match=f"dividemix runs its own epoch, which never calls the slot '{slot}' of"):
        check_legal([other, th.method("dividemix")])
    check_legal([other, BY_SLOT["epoch"]])


def test_more_networks_than_the_epoch_trains_are_refused() -> None:
    @dataclass(frozen=True)
    class Two:
        networks = 2

    with pytest.raises(UsageError, match="two needs 2 networks, and the epoch of epoch trains 1"):
        check_legal([Two(), BY_SLOT["epoch"]])


def test_mixing_and_own_rows_are_refused_together() -> None:
    with pytest.raises(UsageError, match="mixup mixes samples, and elr needs each sample's own prediction"):
        check_legal([th.method("elr"), th.method("mixup")])


def test_a_slot_that_does_not_exist_cannot_be_honoured() -> None:
    @dataclass(frozen=True)
    class Odd:
        honours = ("losses",)

    with pytest.raises(UsageError, match="odd says it honours 'losses', which is not a slot"):
        check_legal([Odd()])


@pytest.mark.parametrize(
    ("name", "values"),
    [("gce", {"q": 2.0}), ("gce", {"q": "much"}), ("gce", {"q": float("nan")}), ("cdr", {"mode": "page"})],
)
def test_values_without_meaning_are_refused(name: str, values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{name}."):
        Combination([th.method(name, **values)])


@pytest.mark.parametrize("name", names())
def test_legality_does_not_depend_on_the_order(name: str) -> None:
    def refused(methods: Sequence[Method]) -> bool:
        try:
            check_legal(methods)
        except UsageError:
            return True
        return False

    for other in names():
        if other != name:
            two = [th.method(name), th.method(other)]
            assert refused(two) == refused(two[::-1])


def test_every_slot_has_a_method_or_a_toy() -> None:
    assert set(BY_SLOT) == set(SLOTS)
    assert all(filled_slots(toy) == (slot,) for slot, toy in BY_SLOT.items())
