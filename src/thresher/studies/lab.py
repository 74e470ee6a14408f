"""The lab: what a study trains with, and what it reads off a training.

A study asks for data and for trainings by name. Every training lies in its own folder below the study's, so that the
same command, typed again, loads what is finished and goes on with what is not.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import interpolate

from thresher import data as sources
from thresher.data import Data
from thresher.data.samples import Samples
from thresher.engine.method import Method
from thresher.errors import UsageError
from thresher.result import records
from thresher.studies._training import Probe, Report, Trained, Training, perform

__all__ = ["Lab", "Probe", "Report", "Trained", "Training", "enlarged", "some"]

T = TypeVar("T")


@dataclass
class Lab:
    """Where a study is done.

    Attributes:
        folder: of the study; its trainings lie in ``runs/NAME`` below.
        full: as the sources did it; otherwise the quick form.
        seed: of everything random.
        epochs: trains so many instead of what the study says, or None.
        root: the folder of official data files; None for the environment variable THRESHER_DATA.
        report: told of every epoch.
        jobs: trainings at a time, each in a process of its own when there are several.
        device: auto, cpu, or CUDA numbers.
        notes: sentences for the page about what was done otherwise than the study says.
    """

    folder: Path
    full: bool = False
    seed: int = 0
    epochs: int | None = None
    root: str | None = None
    report: Report = lambda name, record: None
    jobs: int = 1
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)

    def choose(self, quick: T, full: T) -> T:
        """The value of the form that is done.

        Example:
            >>> Lab(Path("no-such-folder"), full=True).choose(quick=2, full=100)
            100
        """
        return full if self.full else quick

    def length(self, quick: int, full: int) -> int:
        """How many epochs to train: the form's, or what `--epochs` says, which the page then tells.

        Example:
            >>> lab = Lab(Path("no-such-folder"), epochs=3)
            >>> lab.length(quick=20, full=100), lab.notes
            (3, ['3 epochs in place of 20.'])
        """
        usual = self.choose(quick, full)
        if self.epochs is None or self.epochs == usual:
            return usual
        note = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''} in place of {usual}."
        if note not in self.notes:
            self.notes.append(note)
        return self.epochs

    def data(self, quick: str | Sequence[str] = "digits", full: str = "mnist", *, rows: int = 0, side: int = 0) -> Data:
        """The data of the form that is done.

        Args:
            quick: a name of `thresher.data.NAMES`, or several: the first whose files are there.
            full: of the full form.
            rows: the quick form takes at most so many training rows and as many test rows, the same from every class.
            side: the quick form enlarges images to so many pixels, so that the full form's network takes them.

        Raises:
            UsageError: the files are not there; it says which are expected where.
        """
        if self.full:
            return sources.load(full, root=self.root)
        data = self._first([quick] if isinstance(quick, str) else quick)
        if rows:
            data = some(data, rows, self.seed)
        return enlarged(data, side) if side else data

    def _first(self, wanted: Sequence[str]) -> Data:
        for name in wanted[:-1]:
            with contextlib.suppress(UsageError):
                return sources.load(name, root=self.root)
        return sources.load(wanted[-1], root=self.root)

    def train(
        self,
        name: str,
        method: str | Method | Sequence[str | Method],
        *,
        data: Data,
        noise: str | None = None,
        probes: tuple[Probe, ...] = (),
        **settings: Any,
    ) -> Trained:
        """Do one training, go on with it, or load it when it is finished.

        Args:
            name: of its folder.
            method: a name, a method object, or a list of either.
            data: from `data`.
            noise: ``NAME:RATE[:SEED]``, or None.
            probes: see `Probe`.
            settings: of `Options`, nested as in TOML: ``epochs=3, optimizer={"lr": 0.01}``.

        Raises:
            UsageError: settings that cannot work, or a folder with another training in it.
            Interrupted: a signal asked to stop; a checkpoint was taken.
        """
        return self.train_all([Training(name, method, data, noise, probes, settings)])[name]

    def train_all(self, trainings: Sequence[Training]) -> dict[str, Trained]:
        """Do several trainings that do not need each other, `jobs` at a time.

        Returns:
            The trainings by name, in the order given.

        Raises:
            UsageError: as `train`, or two of one name.
        """
        self._check(trainings)
        jobs = min(self.jobs, len(trainings))
        if jobs > 1:
            from thresher.studies._pool import spread

            spread(trainings, self.folder_of, jobs, seed=self.seed, device=self.device, report=self.report)
        return {training.name: self._trained(training, done=jobs > 1) for training in trainings}

    def folder_of(self, name: str) -> Path:
        """Where the training of that name lies."""
        return self.folder / "runs" / name

    def _check(self, trainings: Sequence[Training]) -> None:
        names = [training.name for training in trainings]
        for name in names:
            if not name or Path(name).name != name or name.startswith("."):
                raise UsageError(f"a training is called {name!r}: give it the name of a folder")
            if names.count(name) > 1:
                raise UsageError(f"two trainings are called {name!r}: name each differently")

    def _trained(self, training: Training, done: bool) -> Trained:
        folder = self.folder_of(training.name)
        if not done:
            perform(training, folder, seed=self.seed, device=self.device, report=self.report)
        return Trained(training, folder, pd.DataFrame(records(folder / "metrics.jsonl")), self.device, self.seed)


def some(data: Data, rows: int, seed: int = 0) -> Data:
    """At most so many training rows and as many test rows, the same number from every class, in their order.

    Example:
        >>> part = some(sources.load("digits"), 100)
        >>> len(part.train), len(part.test), part.train.labels.bincount().tolist()
        (100, 100, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
    """
    kept = data.keep(_balanced(data.train.labels.numpy(), rows, seed))
    if data.test is None:
        return kept
    return dataclasses.replace(kept, test=data.test.take(_balanced(data.test.labels.numpy(), rows, seed)))


def _balanced(labels: np.ndarray, rows: int, seed: int) -> np.ndarray:
    draws = np.random.Generator(np.random.PCG64(seed))
    each = max(1, rows // len(np.unique(labels)))
    chosen = [draws.permutation(np.flatnonzero(labels == label))[:each] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def enlarged(data: Data, side: int) -> Data:
    """Images of ``side`` x ``side`` pixels by bilinear interpolation.

    Example:
        >>> enlarged(sources.load("digits"), 28).train.inputs.shape
        torch.Size([1437, 1, 28, 28])
    """
    test = None if data.test is None else _larger(data.test, side)
    return dataclasses.replace(
        data, name=f"{data.name}-{side}px", train=_larger(data.train, side), test=test, reader=None
    )


def _larger(samples: Samples, side: int) -> Samples:
    images = interpolate(samples.dense().float(), (side, side), mode="bilinear", align_corners=False)
    return dataclasses.replace(samples, inputs=images.round().to(torch.uint8))
