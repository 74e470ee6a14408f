"""One training of a study: asked for, done in its folder with a study's own measurements, and read again."""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from thresher.data import Data
from thresher.disk import plain_disk_errors, write_atomically
from thresher.engine import passes
from thresher.engine.evaluate import Held, Judge
from thresher.engine.method import Method
from thresher.engine.options import Options
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.engine.study import Study
from thresher.errors import ThresherError
from thresher.inputs import open_inputs
from thresher.jobs import Job, prepare
from thresher.noise import hopeless
from thresher.randomness import seed_default
from thresher.result import records
from thresher.training import material

Probe = Callable[[Run, Judge], Mapping[str, float | list[Any]]]
"""A measurement after every epoch: the run as it stands, and the judge with the held-out sets and the true labels.

It returns named numbers or lists of numbers, for `Trained.history`. A probe leaves the run as it found it, and is a
function of a module or a frozen dataclass with ``__call__``, for it is sent to other processes.
"""

Report = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a training and the record of each of its epochs."""


@dataclass(frozen=True, eq=False)
class Training:
    """One training to be done.

    Attributes:
        name: of its folder, and its key in what `Lab.train_all` returns.
        method: a name, a method object, or a list of either.
        data: from `Lab.data`.
        noise: ``NAME:RATE[:SEED]``, or None.
        probes: measured after every epoch.
        settings: of `thresher.engine.options.Options`, nested as in TOML; the seed is the lab's unless it is here.
    """

    name: str
    method: str | Method | Sequence[str | Method]
    data: Data
    noise: str | None = None
    probes: tuple[Probe, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training.

    Attributes:
        training: what was asked for.
        folder: where it lies.
        history: one row per epoch: ``epoch, loss, lr, valid, test, seconds``; unless `monitor` is off ``train``
            (accuracy on the given labels) and ``changes``; where noise was put in ``clean_right, clean_wrong,
            wrong_right, wrong_memorised, wrong_other``; and what the probes measured. Fractions are 0..1.
        device: on which `run` lies.
        seed: of the lab.
    """

    training: Training
    folder: Path
    history: pd.DataFrame
    device: str = "cpu"
    seed: int = 0

    @cached_property
    def _scores(self) -> dict[str, Any]:
        return Judge(history=records(self.folder / "metrics.jsonl")).scores()

    @property
    def last(self) -> float:
        """Test accuracy after the last epoch."""
        return float(self._scores["last"])

    @property
    def last10(self) -> float:
        """Mean test accuracy of the last ten epochs."""
        return float(self._scores["last10"])

    @property
    def best(self) -> float:
        """The best test accuracy of any epoch; it leaks the test set."""
        return float(self._scores["oracle"])

    @property
    def best_epoch(self) -> int:
        """The epoch (from 1) where test accuracy is best."""
        return int(self.history["epoch"].iloc[int(self.history["test"].to_numpy().argmax())])

    @property
    def early_stopped(self) -> float:
        """Test accuracy at the epoch that the noisy validation split chooses; the last epoch's without such a split."""
        return float(self._scores["selected"])

    @property
    def early_epoch(self) -> int:
        """The epoch (from 1) that the noisy validation split chooses."""
        return int(self._scores["best_epoch"])

    @cached_property
    def _opened(self) -> tuple["Watching", Run]:
        return perform(self.training, self.folder, seed=self.seed, device=self.device)

    @property
    def run(self) -> Run:
        """The run as it stood after the last epoch, restored from its checkpoint."""
        return self._opened[1]

    @property
    def net(self) -> nn.Module:
        """Network 0 after the last epoch."""
        return self.run.nets[0]

    @property
    def test(self) -> Held:
        """The test set as the run sees it, for `thresher.engine.evaluate.accuracy(run, held)` and `predict_rows`."""
        held = self._opened[0].material.test
        if held is None:
            raise ThresherError(f"{self.training.data.name} has no test set: name data that have one")
        return held


@dataclass
class Watcher(Judge):
    """A judge that also takes a study's own measurements; they lie in its records, and so in every checkpoint."""

    probes: tuple[Probe, ...] = ()

    def measure(self, run: Run) -> dict[str, Any]:
        """The record of the epoch that just ended, with what the probes measure."""
        record = super().measure(run)
        for probe in self.probes:
            run.position.enter(passes.AFTER)
            seed_default(run.device, run.seed, run.epoch, passes.AFTER)
            found = probe(run, self)
            if twice := sorted(record.keys() & found.keys()):
                raise ThresherError(f"a probe measures {twice[0]!r}, which the record has already: name it otherwise")
            record |= found
        return record


@dataclass
class Watching(Study):
    """The trainings of a method with a study's measurements."""

    probes: tuple[Probe, ...] = ()

    def _judge(self, settings: Options, valid: Held | None) -> Judge:
        return Watcher(**vars(super()._judge(settings, valid)), probes=self.probes)


def perform(
    training: Training, folder: Path, *, seed: int, device: str, report: Report = lambda name, record: None
) -> tuple[Watching, Run]:
    """Do a training in its folder; a finished one is only loaded.

    Returns:
        The trainings of its method, and the run as it stands after the last epoch.
    """
    job = _job(training, folder, seed, device)
    runtime = Runtime.start(device, job.options.precision)
    shared = material(job, runtime, open_inputs(job, runtime.device))
    if not job.resume:
        with plain_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "run.json", json.dumps(job.described(), indent=1).encode())
    told = lambda name, record: report(training.name if name is None else f"{training.name} {name}", record)  # noqa: E731
    warn = lambda sentence: warnings.warn(sentence, stacklevel=2)  # noqa: E731
    study = Watching(job.method, job.options, shared, runtime, folder, told, warn, probes=training.probes)
    return study, study.run()


def _job(training: Training, folder: Path, seed: int, device: str) -> Job:
    with _on_purpose() as heard:
        job = prepare(
            training.data,
            training.method,
            noise=training.noise,
            out=folder,
            device=device,
            resume=(folder / "run.json").exists(),
            settings={"seed": seed, **training.settings},
        )
    for sentence in heard:
        if job.noise is None or sentence != hopeless(job.noise):
            warnings.warn(sentence, stacklevel=2)
    return job


@contextlib.contextmanager
def _on_purpose() -> Iterator[list[str]]:
    """Collects warnings, for a study may put in more noise than anything can be learned under, and knows."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield heard
    heard += [str(warning.message) for warning in caught]
