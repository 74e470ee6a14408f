"""A toy set, runs on it, and the golden values that every test of a method shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.data.resident import Resident
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Held, Judge
from thresher.engine.loop import train
from thresher.engine.options import Options, resolve
from thresher.engine.run import Run
from thresher.engine.study import Material
from thresher.methods import parse
from thresher.nets.mlp import mlp

CPU = torch.device("cpu")
torch.set_num_threads(1)  # networks this small only wait for a second thread


@dataclass(frozen=True)
class Toy:
    """Groups of points around class centres, `wrong` of their labels moved to another class.

    The last `trusted` and `test` rows keep their right labels and are not trained on.
    """

    x: Tensor
    clean: Tensor
    given: Tensor
    classes: int
    size: int
    trusted: int = 30
    test: int = 150

    @property
    def wrong(self) -> Tensor:
        """Which training labels are wrong, bool ``[size]``."""
        return (self.given != self.clean)[: self.size]

    def rows(self, start: int, count: int) -> Tensor:
        """Row numbers."""
        return torch.arange(start, start + count)


def make_toy(size: int = 240, classes: int = 3, rate: float = 0.3, seed: int = 0, spread: float = 1.0) -> Toy:
    """A toy set of 12 features."""
    source = torch.Generator().manual_seed(seed)
    total = size + 30 + 150
    clean = torch.arange(total) % classes
    centres = 2 * torch.randn(classes, 12, generator=source)
    x = centres[clean] + spread * torch.randn(total, 12, generator=source)
    given = clean.clone()
    chosen = torch.randperm(size, generator=source)[: int(rate * size)]
    shift = torch.randint(1, classes, (len(chosen),), generator=source)
    given[chosen] = (clean[chosen] + shift) % classes
    return Toy(x, clean, given, classes, size)


@pytest.fixture
def toy() -> Toy:
    """240 points of three classes, 30 % of the labels wrong."""
    return make_toy()


@pytest.fixture
def toys() -> Callable[..., Toy]:
    """Toy sets of other sizes."""
    return make_toy


MakeRun = Callable[..., Run]


def options_of(settings: dict[str, Any]) -> Options:
    """Options for seconds: small batches, a constant rate."""
    return resolve(settings, resolve({"epochs": 3, "batch": 32, "schedule": {"name": "constant"}, "valid": 0.0}))


@pytest.fixture
def make_run(toy: Toy) -> MakeRun:
    """Build a run: ``make_run("elr", kept=None, net=None, data=toy, epochs=3, ...)``."""

    def make(
        methods: Any,
        kept: Tensor | None = None,
        net: Callable[[int], nn.Module] | None = None,
        data: Toy = toy,
        **settings: Any,
    ) -> Run:
        return Run(
            Combination(parse(methods)),
            options_of(settings),
            source=Resident(data.x, device=CPU),
            rows=torch.arange(data.size),
            labels=data.given[: data.size],
            classes=data.classes,
            factory=net or (lambda outputs: mlp((data.x.shape[1],), outputs)),
            kept=kept,
            trusted=(data.rows(data.size, data.trusted), data.clean[data.size : data.size + data.trusted]),
        )

    return make


@pytest.fixture
def make_material() -> Callable[[Toy], Material]:
    """What the trainings of a study share, for a toy set."""

    def make(data: Toy) -> Material:
        source = Resident(data.x, device=CPU)
        start = data.size + data.trusted
        return Material(
            source,
            torch.arange(data.size),
            data.given[: data.size],
            data.classes,
            lambda outputs: mlp((data.x.shape[1],), outputs),
            test=Held(source, data.rows(start, data.test), data.clean[start:]),
        )

    return make


@pytest.fixture
def fit(toy: Toy) -> Callable[..., float]:
    """Train a run to its end and return its accuracy on clean test rows."""

    def do(run: Run, data: Toy = toy) -> float:
        start = data.size + data.trusted
        test = Held(run.source, data.rows(start, data.test), data.clean[start:])
        judge = Judge(test=test, monitor=False)
        train(run, judge)
        return float(judge.history[-1]["test"])

    return do


@pytest.fixture
def golden() -> tuple[Tensor, Tensor]:
    """Two rows of logits and their one-hot labels, float64, for which reference values are known to six digits."""
    logits = torch.tensor([[2.0, 1.0, 0.1], [0.5, -1.0, 3.0]], dtype=torch.float64)
    return logits, nn.functional.one_hot(torch.tensor([0, 1]), 3).double()


@pytest.fixture
def random_batch() -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``[16, 5]`` float64 with large and small values, hard labels, and soft targets."""
    source = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(16, 5, generator=source, dtype=torch.float64)
    labels = torch.randint(5, (16,), generator=source)
    return logits, labels, torch.rand(16, 5, generator=source, dtype=torch.float64).softmax(1)


@pytest.fixture
def criterion() -> Callable[..., Any]:
    """A method as a loss on ten samples of three classes."""

    def make(name: str, size: int = 10, classes: int = 3, **fields: Any) -> Any:
        return th.as_loss(th.method(name, **fields), size, classes)

    return make
