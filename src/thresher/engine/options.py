"""How a run trains: every setting with its default, checked once, and written to `run.json` as resolved."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thresher.errors import UsageError, nearest

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "multistep", "cosine", "restarts", "onecycle")
STOPS = ("never", "patience", "changes")
PRECISIONS = ("32", "bf16")


@dataclass(frozen=True)
class Optimizer:
    """The optimiser of every network.

    Attributes:
        name: sgd, adam or adamw.
        lr: learning rate at the start.
        momentum: of SGD.
        weight_decay: L2 for sgd and adam, decoupled for adamw.
        nesterov: Nesterov momentum, for SGD.
    """

    name: str = "sgd"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-3
    nesterov: bool = False


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the run, a pure function of the fractional epoch.

    Attributes:
        name: constant, multistep, cosine, restarts or onecycle.
        milestones: epochs at which multistep multiplies the rate by gamma.
        gamma: factor of multistep.
        period: length in epochs of one cosine of `restarts`.
        floor: lowest rate as a fraction of the first (cosine, restarts).
        warmup: share of the run in which onecycle rises.
    """

    name: str = "cosine"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    period: int = 10
    floor: float = 0.0
    warmup: float = 0.3

    def factor(self, when: float, epochs: int) -> float:
        """The learning rate at fractional epoch `when`, as a multiple of the optimiser's.

        Example:
            >>> Schedule("cosine").factor(30, epochs=60), Schedule("multistep", (40, 50)).factor(45, epochs=60)
            (0.5, 0.1)
        """
        if self.name == "multistep":
            return self.gamma ** sum(when >= milestone for milestone in self.milestones)
        if self.name == "cosine":
            return self._cosine(when / epochs)
        if self.name == "restarts":
            return self._cosine(when % self.period / self.period)
        if self.name == "onecycle":
            share = when / epochs
            return (
                share / self.warmup if share < self.warmup else self._cosine((share - self.warmup) / (1 - self.warmup))
            )
        return 1.0

    def _cosine(self, share: float) -> float:
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


@dataclass(frozen=True)
class Options:
    """Every setting of a run that is not data, noise or method.

    Attributes:
        net: a name of `thresher.nets`, or auto.
        dropout: chance that a feature is left out before the network's last layer, in training; 0 switches it off.
        weights: a file of trained weights to start from; empty starts from random ones.
        frozen: keep those weights as they are, and train a linear layer on their features.
        augment: shift and mirror photographs in weak views.
        epochs: length of the run.
        batch: samples per optimiser step, over all processes and micro-batches.
        seed: of the split, the noise, the initial weights and every draw of the training.
        valid: share of the given rows held out, with their given labels, to select the epoch.
        optimizer: of every network.
        schedule: of the learning rate.
        accumulate: micro-batches per optimiser step.
        average: decay of an exponential moving average of the weights that then predicts, smaller in the first steps
            so that it forgets where training began; 0 switches it off.
        stop: never, patience (no better noisy-validation accuracy for `patience` epochs), or changes (the first
            minimum of changed training predictions, no lower for `patience` epochs).
        patience: epochs, for `stop`.
        precision: 32 or bf16 (autocast; losses and tables stay float32).
        compile: run the networks' forward pass through `torch.compile`.
        monitor: predict every training row after each epoch, for margins and memorisation; None: up to 20,000 rows.
        keep_checkpoints: how many to keep beside the selected one.
        table_memory: gigabytes above which a table lives in a mapped file of the run folder; 0 keeps all in memory.
        checkpoint_minutes: time between checkpoints inside a long epoch.
        workers: threads that read images which do not fit into memory; 0 chooses.
        debug: record which slots an epoch calls and compare with what it honours.
    """

    net: str = "auto"
    dropout: float = 0.0
    weights: str = ""
    frozen: bool = False
    augment: bool = True
    epochs: int = 60
    batch: int = 128
    seed: int = 0
    valid: float = 0.1
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    accumulate: int = 1
    average: float = 0.0
    stop: str = "never"
    patience: int = 10
    precision: str = "32"
    compile: bool = False
    monitor: bool | None = None
    keep_checkpoints: int = 2
    table_memory: float = 0.0
    checkpoint_minutes: float = 5.0
    workers: int = 0
    debug: bool = False

    def __post_init__(self) -> None:
        for problem, message in self._problems():
            if problem:
                raise UsageError(message)

    def _problems(self) -> list[tuple[bool, str]]:
        rate, plan = self.optimizer, self.schedule
        return [
            (self.epochs < 1, f"epochs is {self.epochs}: it must be 1 or more"),
            (self.batch < 1, f"batch is {self.batch}: it must be 1 or more"),
            (self.accumulate < 1, f"accumulate is {self.accumulate}: it must be 1 or more"),
            (self.workers < 0, f"workers is {self.workers}: give a number of threads, or 0 to have one chosen"),
            (self.seed < 0, f"seed is {self.seed}: it must be 0 or more"),
            (not 0 <= self.valid < 1, f"valid is {self.valid}: it is a fraction, from 0 up to but not including 1"),
            (not 0 <= self.average < 1, f"average is {self.average}: it is a decay from 0 up to but not including 1"),
            (not 0 <= self.dropout < 1, f"dropout is {self.dropout}: it is a chance from 0 up to but not including 1"),
            (self.patience < 1, f"patience is {self.patience}: it must be 1 or more"),
            (self.keep_checkpoints < 1, f"keep_checkpoints is {self.keep_checkpoints}: at least 1 is kept"),
            (not 0 < rate.lr < math.inf, f"optimizer.lr is {rate.lr}: it must be a number above 0"),
            (
                not all(isinstance(m, int) and m >= 0 for m in plan.milestones),
                f"schedule.milestones is {list(plan.milestones)}: it must be a list of epochs",
            ),
            (not 0 <= rate.momentum < 1, f"optimizer.momentum is {rate.momentum}: it must be in [0, 1)"),
            (
                rate.nesterov and rate.momentum == 0,
                "optimizer.nesterov needs momentum: set optimizer.momentum above 0",
            ),
            (
                self.stop == "patience" and self.valid == 0,
                "stop is patience and valid is 0: without held-out rows there is nothing to wait for",
            ),
            (rate.weight_decay < 0, f"optimizer.weight_decay is {rate.weight_decay}: it must be 0 or more"),
            (plan.period < 1, f"schedule.period is {plan.period}: it must be 1 epoch or more"),
            (not 0 < plan.warmup < 1, f"schedule.warmup is {plan.warmup}: it is a share between 0 and 1"),
            (
                self.precision == "fp16",
                "precision fp16 is not offered, for its loss scaler changes what methods compute: use bf16 or 32",
            ),
            *_not_among("optimizer.name", rate.name, OPTIMIZERS),
            *_not_among("schedule.name", plan.name, SCHEDULES),
            *_not_among("stop", self.stop, STOPS),
            *_not_among("precision", self.precision, PRECISIONS),
        ]

    def rate(self, when: float) -> float:
        """The learning rate at fractional epoch `when`."""
        return self.optimizer.lr * self.schedule.factor(when, self.epochs)


def _not_among(what: str, value: str, choices: tuple[str, ...]) -> list[tuple[bool, str]]:
    return [(value not in choices, f"{what} is {value!r}: choose one of {', '.join(choices)}")]


def resolve(settings: Mapping[str, Any], base: Options | None = None) -> Options:
    """Options from a nested mapping, as TOML or the command line gives it, over `base` (default: the defaults).

    Raises:
        UsageError: an unknown name, a value of the wrong type or without meaning.

    Example:
        >>> resolve({"epochs": 5, "optimizer": {"lr": 0.1}}).optimizer
        Optimizer(name='sgd', lr=0.1, momentum=0.9, weight_decay=0.001, nesterov=False)
    """
    options: Options = _replace(base or Options(), settings, "")
    return options


def _replace(base: Any, settings: Mapping[str, Any], prefix: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(base)}
    changes = {}
    for name, value in settings.items():
        if name not in fields:
            raise UsageError(f"there is no setting {prefix}{name}: {nearest(name, fields)}")
        old = getattr(base, name)
        if dataclasses.is_dataclass(old) and isinstance(value, Mapping):
            changes[name] = _replace(old, value, f"{name}.")
        else:
            changes[name] = _convert(prefix + name, value, old)
    return dataclasses.replace(base, **changes)


def _convert(name: str, value: Any, old: Any) -> Any:
    """The value in the type of the default it replaces; TOML has integers where we have floats."""
    if dataclasses.is_dataclass(old):
        if isinstance(value, type(old)):
            return value
        raise UsageError(f"{name} is a group of settings: write {name}.<setting>, not {value!r}")
    wanted = bool if old is None else type(old)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if (value is not None and not isinstance(value, wanted)) or (wanted is int and isinstance(value, bool)):
        raise UsageError(f"{name} is {value!r}: it must be of type {wanted.__name__}")
    return value
