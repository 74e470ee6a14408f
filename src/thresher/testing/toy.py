"""A small set with wrong labels, a study on it, and a way to stop it anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from thresher.engine.checkpoint import Checkpoints
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Held
from thresher.engine.method import Method
from thresher.engine.options import Optimizer, Options
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.engine.study import Material, Study
from thresher.randomness import generator, mix, normal

CLASSES, WIDTH = 3, 8
_HELD = 9
TOY_OPTIONS = Options(epochs=2, batch=16, optimizer=Optimizer(lr=0.05), debug=True)
"""How the toy is trained."""


class ToyNet(nn.Module):
    """Eight features, a hidden layer of sixteen, with batch norm or without."""

    def __init__(self, outputs: int, batch_norm: bool = True) -> None:
        super().__init__()
        self.body = nn.Linear(WIDTH, 16)
        self.norm = nn.BatchNorm1d(16) if batch_norm else nn.Identity()
        self.head = nn.Linear(16, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[B, 16]`` and logits ``[B, outputs]``."""
        features = torch.relu(self.norm(self.body(x)))
        return features, self.head(features)


@dataclass(frozen=True)
class ToySource:
    """Features in memory; every view but `plain` adds noise that depends on the seed, the view and the row.

    Attributes:
        features: float32 ``[N, WIDTH]``.
    """

    features: Tensor

    def open(
        self, batches: Sequence[Tensor], views: Sequence[str], seed: int
    ) -> Iterator[dict[tuple[str, int], Tensor]]:
        """Show batches; any view name is accepted."""
        keys = [(name, views[:place].count(name)) for place, name in enumerate(views)]
        for rows in batches:
            yield {key: self._show(rows, key, seed) for key in keys}

    def _show(self, rows: Tensor, key: tuple[str, int], seed: int) -> Tensor:
        if key[0] == "plain":
            return self.features[rows]
        cells = rows[:, None] * WIDTH + torch.arange(WIDTH)
        return self.features[rows] + 0.1 * normal(mix(seed, *key[0].encode(), key[1]), cells, 0)


class Poisoned:
    """Stands where true labels would be; whoever looks breaks the contract."""

    def _refuse(self) -> NoReturn:
        raise AssertionError("a method read the true labels, which no training may see")

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    def __getitem__(self, index: object) -> NoReturn:
        self._refuse()

    @classmethod
    def __torch_function__(cls, *parts: object) -> NoReturn:
        cls()._refuse()


def toy(size: int = 51, batch_norm: bool = True) -> Material:
    """Toy data: three Gaussian classes, about a third of the labels wrong, nine held-out and nine trusted rows.

    Args:
        size: of the training set; 51 rows make two processes pad, 48 are equal batches everywhere.
        batch_norm: whether the network couples the rows of a batch.
    """
    source = generator(7)
    total = size + 2 * _HELD
    clean = torch.arange(total) % CLASSES
    centres = 2 * torch.randn(CLASSES, WIDTH, generator=source)
    features = centres[clean] + torch.randn(total, WIDTH, generator=source)
    wrong = torch.rand(total, generator=source) < 0.35
    given = torch.where(wrong, (clean + torch.randint(1, CLASSES, (total,), generator=source)) % CLASSES, clean)
    held, trusted = torch.arange(size, size + _HELD), torch.arange(size + _HELD, total)
    inputs = ToySource(features)
    return Material(
        source=inputs,
        rows=torch.arange(size),
        labels=given[:size],
        classes=CLASSES,
        factory=lambda outputs: ToyNet(outputs, batch_norm),
        valid=Held(inputs, held, given[held]),
        trusted=(trusted, clean[trusted]),
    )


class Stopped(Exception):
    """The toy training was stopped, right after a checkpoint."""


class StoppingCheckpoints(Checkpoints):
    """Take a checkpoint after every batch and every epoch, and stop after so many of them."""

    def __init__(self, folder: Path, left: list[int]) -> None:
        super().__init__(folder)
        self.left = left

    def due(self, run: Run) -> bool:
        """Always."""
        return True

    def save(self, run: Run, extra: dict[str, Any], selected: bool = False) -> Path:
        """Save, and perhaps stop."""
        path = super().save(run, extra, selected)
        self.left[0] -= 1
        if self.left[0] == 0:
            raise Stopped(str(path))
        return path


@dataclass
class ToyStudy(Study):
    """A study that keeps its runs for comparison, and can be stopped after so many checkpoints.

    Attributes:
        stop_after: number of checkpoints, over all fits; 0 for never.
        runs: of every fit, by name.
    """

    stop_after: int = 0
    runs: dict[str | None, Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = [self.stop_after]

    def fit(self, name: str | None, *methods: Method, **rest: Any) -> Run:
        """One training; see `Study.fit`."""
        self.runs[name] = super().fit(name, *methods, **rest)
        return self.runs[name]

    def _checkpoints(self, name: str | None, settings: Options) -> Checkpoints | None:
        if self.folder is None:
            return None
        return StoppingCheckpoints(self.folder if name is None else self.folder / "fits" / name, self.left)


def toy_study(
    *methods: Method,
    material: Material | None = None,
    options: Options = TOY_OPTIONS,
    runtime: Runtime | None = None,
    folder: Path | None = None,
    stop_after: int = 0,
) -> ToyStudy:
    """A study of methods on toy data; call its `run`."""
    fresh = [replace(method) for method in methods]  # so that what a method hides in itself does not survive a stop
    return ToyStudy(
        Combination(fresh),
        options,
        material or toy(),
        runtime=runtime or Runtime(),
        folder=folder,
        stop_after=stop_after,
    )
