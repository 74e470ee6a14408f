"""A small run for tests of the engine: features, three classes, no file is written unless a test asks for it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from thresher.data.resident import Resident
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Held
from thresher.engine.method import Method
from thresher.engine.options import resolve
from thresher.engine.run import Run
from thresher.engine.study import Material
from thresher.nets import build

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:  # so that `tests.engine.jobs` has one name here and in the two-rank processes
    sys.path.append(ROOT)

MakeRun = Callable[..., Run]


def material(rows: int = 60, classes: int = 3) -> Material:
    """Noisy clusters in four dimensions; the last rows are held out and trusted."""
    source = torch.Generator().manual_seed(1)
    clean = torch.arange(rows + 24) % classes
    x = torch.randn(len(clean), 4, generator=source) + 2.0 * torch.nn.functional.one_hot(clean, 4)
    labels = torch.where(torch.arange(len(clean)) % 5 == 4, (clean + 1) % classes, clean)
    data = Resident(x, device=torch.device("cpu"))
    numbers = torch.arange(len(clean))
    held = numbers[rows : rows + 12]
    return Material(
        source=data,
        rows=numbers[:rows],
        labels=labels[:rows],
        classes=classes,
        factory=lambda outputs: build("mlp", (4,), outputs),
        valid=Held(data, held, labels[held]),
        test=Held(data, numbers, clean),
        clean=clean[:rows],
        trusted=(numbers[rows + 12 :], clean[rows + 12 :]),
    )


@pytest.fixture
def make_run() -> MakeRun:
    """Makes a run of some methods, with settings."""

    def make(methods: Sequence[Method] = (), rows: int = 60, kept: torch.Tensor | None = None, **settings: Any) -> Run:
        shared = material(rows)
        return Run(
            Combination(methods),
            resolve({"net": "mlp", "batch": 16, "epochs": 3, **settings}),
            source=shared.source,
            rows=shared.rows,
            labels=shared.labels,
            classes=shared.classes,
            factory=shared.factory,
            kept=kept,
            trusted=shared.trusted,
        )

    return make
