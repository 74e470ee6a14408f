"""A training that is decided: what was asked for, and everything that follows from it."""

import dataclasses
import importlib.metadata
import platform
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thresher.data import Data, Reading
from thresher.engine.combine import Combination
from thresher.engine.method import described
from thresher.engine.options import Options
from thresher.labelling import Labelling
from thresher.noise import Noise
from thresher.result import FORMAT


@dataclass(frozen=True)
class Request:
    """What was asked for, as `run.json` keeps it, to do it again from any folder.

    Attributes:
        kind: train (one model, which also says what it suspects) or find (cross-fitted folds).
        source: what `thresher.data.load` needs, or None for what was in memory.
        reading: how to read it.
        noise: wrong labels to put in.
        mapping: class pairs of asymmetric noise.
        trusted: which rows are known to be right.
        cross_fit: folds.
        device: as typed.
        model: what is trained on the folds of find: net, or a classifier in `thresher.findings.estimators`.
    """

    kind: str
    source: str | None
    reading: Reading
    noise: tuple[str, ...]
    mapping: str | None
    trusted: str | None
    cross_fit: int
    device: str
    model: str = "net"


@dataclass(frozen=True, eq=False)
class Job:
    """A training with everything decided and checked, and nothing written yet.

    Attributes:
        request: what was asked for.
        labelling: all given rows, and the labels to learn from.
        held: source rows of the noisy validation split.
        method: the combination.
        options: every setting, with the net's name resolved.
        folder: of the run.
        resume: the folder exists and goes on.
        weights: the SHA-256 of the file of weights to start from, or empty.
    """

    request: Request
    labelling: Labelling
    held: np.ndarray
    method: Combination
    options: Options
    folder: Path
    resume: bool = False
    weights: str = ""

    @property
    def data(self) -> Data:
        """All given rows, with the labels to learn from."""
        return self.labelling.data

    @property
    def noise(self) -> Noise | None:
        """What is known to be wrong, or None."""
        return self.labelling.noise

    @property
    def trusted(self) -> np.ndarray:
        """Source rows of trusted samples."""
        return self.labelling.trusted

    @property
    def rows(self) -> np.ndarray:
        """Source rows to train on, int64 ``[N]``."""
        left = np.ones(len(self.data.train), dtype=bool)
        left[self.held] = left[self.trusted] = False
        return np.flatnonzero(left)

    def described(self) -> dict[str, Any]:
        """What `run.json` says: enough to know what was done, and to do it again."""
        return {
            "format_version": FORMAT,
            "request": dataclasses.asdict(self.request),
            "data": {
                "name": self.data.name,
                "rows": len(self.data.train),
                "test": 0 if self.data.test is None else len(self.data.test),
                "shape": list(self.data.train.inputs.shape[1:]),
                "classes": list(self.data.classes),
                "fingerprint": self.data.fingerprint,
            },
            "method": [described(method) for method in self.method.methods],
            "split": zlib.crc32(np.concatenate([self.held, [-1], self.trusted]).astype("<i8").tobytes()),
            "options": dataclasses.asdict(self.options),
            "weights": self.weights,
            "threads": torch.get_num_threads(),
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    names = ("thresher", "torch", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
