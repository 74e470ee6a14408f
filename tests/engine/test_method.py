"""What methods may declare besides slots: presets, conversions, a check of the run's settings, conditional slots."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from tests.engine.conftest import material
from torch import Tensor, nn

import thresher as th
from thresher import methods
from thresher.engine.combine import Combination
from thresher.engine.drop_in import LOSS_SLOTS, check_drop_in
from thresher.engine.method import field, filled_slots
from thresher.engine.options import Options, resolve
from thresher.engine.study import Study
from thresher.errors import UsageError


def pair(said: Any) -> tuple[float, ...]:
    return tuple(map(float, said.split(","))) if isinstance(said, str) else tuple(said)


@dataclass(frozen=True)
class Toy:
    """Estimates its shift by a first training, unless it is given."""

    shift: tuple[float, ...] = field((), convert=pair)
    strength: float = field(1.0, letter="lambda", bounds=(0.0, 10.0))
    family = "baseline"
    presets: ClassVar = {"strong": {"strength": 5.0}, "shifted": {"shift": (1.0, 0.0, 0.0), "strength": 2.0}}
    by_hand = ("between",)

    @property
    def fits(self) -> Callable[[Study], Any] | None:
        return None if self.shift else self._estimated

    def _estimated(self, study: Study) -> Any:
        run = study.fit("first")
        mean = study.posterior(run).double().mean(0)
        return study.fit(None, *study.swapped(self, replace(self, shift=tuple(mean.tolist()))))

    def between(self, run: Any) -> None:
        run.value("seen", torch.zeros(()))

    def loss(self, logits: Tensor, target: Tensor, step: Any = None) -> Tensor:
        moved = logits + self.strength * logits.new_tensor(self.shift or (0.0,) * logits.shape[1])
        return -(target * torch.log_softmax(moved, 1)).sum(1)

    def check(self, options: Options) -> None:
        if options.optimizer.weight_decay > 0.1:
            raise UsageError("toy regularises by itself: set optimizer.weight_decay to 0")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """`toy` as a method's name."""
    monkeypatch.setattr(methods, "load", lambda name: Toy)


@pytest.mark.usefixtures("toy")
def test_a_preset_stands_under_what_is_given() -> None:
    assert th.method("toy", preset="strong") == Toy(strength=5.0)
    assert th.method("toy", preset="shifted", **{"lambda": 7.0}) == Toy((1.0, 0.0, 0.0), 7.0)


@pytest.mark.usefixtures("toy")
def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="toy has no preset 'strnog': did you mean strong"):
        th.method("toy", preset="strnog")


def test_a_method_without_presets_says_so() -> None:
    with pytest.raises(UsageError, match="elr has no preset 'mnist': it has none"):
        th.method("elr", preset="mnist")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("said", ["1,0,0", [1, 0, 0], (1.0, 0.0, 0.0)])
def test_what_a_person_typed_is_converted(said: Any) -> None:
    assert th.method("toy", shift=said) == Toy((1.0, 0.0, 0.0))


def test_a_slot_can_depend_on_the_values() -> None:
    assert "fits" in filled_slots(Toy())
    assert "fits" not in filled_slots(Toy((1.0, 0.0, 0.0)))


def test_slots_that_a_foreign_loop_does_by_hand_are_not_refused() -> None:
    check_drop_in([Toy((1.0, 0.0, 0.0))], LOSS_SLOTS, "a loss")
    with pytest.raises(UsageError, match="toy cannot be a loss: it needs several trainings"):
        check_drop_in([Toy()], LOSS_SLOTS, "a loss")


def test_an_estimate_becomes_the_value_of_the_last_training() -> None:
    study = Study(Combination([Toy()]), resolve({"epochs": 2, "batch": 16}), material())
    run = study.run()
    (used,) = run.method.methods
    assert len(used.shift) == 3
    assert sum(used.shift) == pytest.approx(1.0)


def test_the_posterior_is_that_of_the_selected_epoch() -> None:
    study = Study(Combination([]), resolve({"epochs": 3, "batch": 16}), material())
    run = study.run()
    assert run.best_weights is not None
    run.best_weights = {name: torch.zeros_like(value) for name, value in run.best_weights.items()}
    assert torch.allclose(study.posterior(run), torch.full((60, 3), 1 / 3))


def test_settings_that_contradict_a_method_are_refused_before_anything_is_trained() -> None:
    study = Study(Combination([Toy()]), resolve({"optimizer": {"weight_decay": 0.5}}), material())
    with pytest.raises(UsageError, match="toy regularises by itself"):
        study.run()
    assert study.judges == {}


def test_a_run_knows_the_optimiser_of_each_module(make_run: Callable[..., Any]) -> None:
    run = make_run([th.method("co_teaching")])
    extra = run.module("extra", lambda: nn.Linear(2, 2), optimizer=None)
    assert [run.optimizer_of(net) for net in run.nets] == [run.optimizers["0"], run.optimizers["1"]]
    assert run.optimizer_of(extra) is run.optimizers["extra"]


def test_an_optimiser_stands_for_the_run() -> None:
    net, asked = nn.Linear(2, 2), []

    @dataclass(frozen=True)
    class Asks:
        family = "regularisation"

        def gradient(self, run: Any, module: nn.Module) -> None:
            asked.append((run.when, run.seed, run.optimizer_of(module)))

    sgd = torch.optim.SGD(net.parameters(), 0.1)
    wrapped = th.as_optimizer(Asks(), sgd, seed=3)
    wrapped.when = 2.0
    net(torch.ones(1, 2)).sum().backward()
    wrapped.step()
    assert asked == [(2.0, 3, sgd)]
