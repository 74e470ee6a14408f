"""`th.as_loss` and `th.as_optimizer` in a plain PyTorch loop give the engine's weights and tables, bit for bit."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.run import Run
from thresher.engine.step import Step
from thresher.errors import UsageError

EPOCHS = 3
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
LOSSES: dict[str, dict[str, Any]] = {
    "gce": {},
    "sce": {"alpha": 0.5},
    "elr": {"strength": 2.0},
    "sop": {"rate_u": 1.0, "rate_v": 60.0, "balance": 0.1},
}


@dataclass(frozen=True)
class Record:
    """Writes down the rows of every batch; not a hyper-parameter, so not a field."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "seen", [])

    def observe(self, step: Step) -> None:
        """Keep the row numbers."""
        rows_of(self).append(step.index.clone())


def rows_of(record: Record) -> list[Tensor]:
    """What a record wrote down."""
    rows: list[Tensor] = record.__dict__["seen"]
    return rows


@pytest.fixture
def trained(make_run: Callable[..., Run]) -> Callable[..., tuple[Run, list[Tensor]]]:
    """The engine's run after three epochs, and the order in which it saw the rows."""

    def do(method: Any) -> tuple[Run, list[Tensor]]:
        record = Record()
        run = make_run([method, record], epochs=EPOCHS, optimizer=SGD, batch=50, seed=4)
        train(run, Judge(monitor=False))
        assert len(rows_of(record)) == EPOCHS * 5
        return run, rows_of(record)

    return do


class Loop:
    """A plain PyTorch loop: network, optimiser, criterion, and nothing of ours but the one line."""

    def __init__(self, run: Run, criterion: Any, wrap: Callable[[torch.optim.Optimizer], Any] = lambda sgd: sgd):
        self.net = run.make_net(0)
        self.criterion = criterion
        self.optimizer = wrap(torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3))
        self.x = next(run.source.open([run.rows], ("plain",), 0))["plain", 0]
        self.y = run.given

    def learn(self, batches: list[Tensor]) -> None:
        for index in batches:
            logits = self.net(self.x[index])[1]
            needs_rows = not isinstance(self.criterion, nn.CrossEntropyLoss)
            loss = self.criterion(logits, self.y[index], *([index] if needs_rows else []))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def save(self) -> bytes:
        file = io.BytesIO()
        parts = {"net": self.net, "optimizer": self.optimizer, "criterion": self.criterion}
        torch.save({name: part.state_dict() for name, part in parts.items()}, file)
        return file.getvalue()

    def load(self, saved: bytes) -> None:
        stored = torch.load(io.BytesIO(saved), weights_only=True)
        self.net.load_state_dict(stored["net"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.criterion.load_state_dict(stored["criterion"])


def check_equal(loop: Loop, run: Run) -> None:
    for (name, mine), theirs in zip(loop.net.state_dict().items(), run.nets[0].state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
    momenta = [
        [s["momentum_buffer"] for s in o.state_dict()["state"].values()] for o in (loop.optimizer, optimizer(run))
    ]
    assert all(torch.equal(a, b) for a, b in zip(*momenta, strict=True))
    stored = loop.criterion.state_dict()
    tables = {name: table.full() for name, table in run.tables.items() if name != "labels"}
    assert {f"table_{name.replace('.', '_')}" for name in tables} == {key for key in stored if key.startswith("table_")}
    for name, rows in tables.items():
        assert torch.equal(stored[f"table_{name.replace('.', '_')}"], rows), name


def optimizer(run: Run) -> torch.optim.Optimizer:
    return run.optimizers["0"]


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("stop", [None, 7])
def test_as_loss(trained: Callable[..., tuple[Run, list[Tensor]]], name: str, stop: int | None) -> None:
    method = th.method(name, **LOSSES[name])
    run, batches = trained(method)

    def fresh() -> Loop:
        return Loop(run, th.as_loss(method, run.size, run.classes, seed=run.seed))

    loop = fresh()
    loop.learn(batches[:stop])
    if stop is not None:  # saved in the middle of the second epoch, and loaded into new objects
        saved, loop = loop.save(), fresh()
        loop.load(saved)
        loop.learn(batches[stop:])
    check_equal(loop, run)


@pytest.mark.parametrize("stop", [None, 7])
def test_as_optimizer(trained: Callable[..., tuple[Run, list[Tensor]]], stop: int | None) -> None:
    method = th.method("cdr", noise_rate=0.4)
    run, batches = trained(method)

    def fresh() -> Loop:
        criterion = th.as_loss(th.method("cross_entropy"), run.size, run.classes)
        return Loop(run, criterion, lambda sgd: th.as_optimizer(method, sgd))

    loop = fresh()
    loop.learn(batches[:stop])
    if stop is not None:
        saved, loop = loop.save(), fresh()
        loop.load(saved)
        loop.learn(batches[stop:])
    check_equal(loop, run)


def test_as_optimizer_with_torchs_own_loss_is_close(trained: Callable[..., tuple[Run, list[Tensor]]]) -> None:
    method = th.method("cdr", noise_rate=0.4)
    run, batches = trained(method)
    loop = Loop(run, nn.CrossEntropyLoss(), lambda sgd: th.as_optimizer(method, sgd))
    loop.learn(batches)
    for mine, theirs in zip(loop.net.parameters(), run.nets[0].parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-3)


def test_losses_combine(trained: Callable[..., tuple[Run, list[Tensor]]], make_run: Callable[..., Run]) -> None:
    methods = (th.method("gce"), th.method("elr"))
    record = Record()
    run = make_run([*methods, record], epochs=EPOCHS, optimizer=SGD, batch=50)
    train(run, Judge(monitor=False))
    loop = Loop(run, th.as_loss(methods, run.size, run.classes, seed=run.seed))
    loop.learn(rows_of(record))
    check_equal(loop, run)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cdr", "works on gradients: use th.as_optimizer"),
        ("l2rw", "learns from trusted samples"),
        ("aum", "needs its own networks"),
        ("co_teaching", "needs its own networks"),
        ("dividemix", "needs its own networks"),
    ],
)
def test_what_cannot_be_a_loss_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} cannot be a loss: it {reason}"):
        th.as_loss(th.method(name), 10, 3)


@pytest.mark.parametrize(
    ("name", "reason"), [("gce", "works on the loss: use th.as_loss"), ("mixup", "changes what goes into the network")]
)
def test_what_cannot_be_an_optimizer_is_refused(name: str, reason: str) -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(UsageError, match=f"^{name} cannot be an optimiser: it {reason}"):
        th.as_optimizer(th.method(name), torch.optim.SGD(net.parameters(), lr=0.1))
