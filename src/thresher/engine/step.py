"""One training step as methods see it: a frozen record that slots read, and replace copies of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from thresher.errors import ThresherError

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.table import Fill, Project, Table


NOT_YET = torch.empty(0)


class Outputs(NamedTuple):
    """What a network says of a batch, float32: `logits` ``[B, outputs]`` and `features` ``[B, F]``."""

    logits: Tensor
    features: Tensor


@dataclass(frozen=True)
class Batch:
    """Some training samples.

    Attributes:
        index: row numbers, int64 ``[B]``.
        label: the labels in force (`run.labels`), int64 ``[B]``.
        views: the inputs by (view name, count), each ``[B, ...]``, in the order the method asked for them.
    """

    index: Tensor
    label: Tensor
    views: Mapping[tuple[str, int], Tensor]

    def view(self, name: str, k: int = 0) -> Tensor:
        """The k-th view of that name, ``[B, ...]``.

        Raises:
            ThresherError: the pass was not asked for it.
        """
        if (name, k) not in self.views:
            raise ThresherError(f"this batch has no view {name!r} number {k}: ask for it in the pass's `views`")
        return self.views[name, k]


@dataclass(frozen=True)
class Step:
    """A batch on its way through the slots.

    Attributes:
        run: the run, or what stands for it in a foreign loop.
        batch: the samples.
        target: soft targets ``[B, outputs]``, one-hot labels at first.
        inputs: what goes into the network, one ``[B, ...]`` per view.
        net: number of the network this step trains.
        outputs: of all inputs, one after the other, ``[views * B, ...]``; None before the forward pass.
        losses: per sample ``[B]``; empty before the loss slot.
    """

    run: "Run"
    batch: Batch
    target: Tensor
    inputs: tuple[Tensor, ...] = ()
    net: int = 0
    outputs: Outputs | None = None
    losses: Tensor = NOT_YET

    def __post_init__(self) -> None:
        if not self.inputs:
            object.__setattr__(self, "inputs", tuple(self.batch.views.values()))

    @property
    def index(self) -> Tensor:
        """Row numbers, int64 ``[B]``."""
        return self.batch.index

    @property
    def label(self) -> Tensor:
        """Labels in force, int64 ``[B]``."""
        return self.batch.label

    @property
    def logits(self) -> Tensor:
        """Of the first view, float32 ``[B, outputs]``."""
        return self._outputs.logits[: len(self.index)]

    @property
    def features(self) -> Tensor:
        """Of the first view, float32 ``[B, F]``."""
        return self._outputs.features[: len(self.index)]

    @cached_property
    def probabilities(self) -> Tensor:
        """Softmax over the real classes (without extra ones), float32 ``[B, classes]``."""
        return torch.softmax(self.logits[:, : self.run.classes], 1)

    @property
    def rows_per_update(self) -> float:
        """Samples whose mean one optimiser step follows: over ranks and micro-batches."""
        return len(self.index) * self.run.runtime.world / self.run.share if self.run.share else float(len(self.index))

    def output(self, view: str, k: int = 0) -> Outputs:
        """Logits and features of one view."""
        position = list(self.batch.views).index((view, k))
        part = slice(position * len(self.index), (position + 1) * len(self.index))
        return Outputs(self._outputs.logits[part], self._outputs.features[part])

    def table(
        self,
        name: str,
        width: int | tuple[int, ...] | None = None,
        fill: "Fill" = 0.0,
        dtype: torch.dtype = torch.float32,
        rate: float = 0.0,
        project: "Project | None" = None,
    ) -> "Table":
        """The table of that name that belongs to this step's network."""
        return self.run.table(f"{name}.{self.net}", width, fill, dtype, rate, project)

    def logits_at(self, params: Mapping[str, Tensor]) -> Tensor:
        """Logits of the first input at other parameters ``{name: tensor}``, float32 ``[B, outputs]``.

        The raw module without autocast; its buffers (running statistics) stay as they are.
        """
        return self.run.logits_at(self.net, params, self.inputs[0])

    @property
    def _outputs(self) -> Outputs:
        if self.outputs is None:
            raise ThresherError("this step has no outputs yet: only slots after the forward pass may read them")
        return self.outputs
