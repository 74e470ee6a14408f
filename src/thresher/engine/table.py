"""Tables: one row per training sample, owned by the run, saved and restored without method code."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from thresher.errors import ThresherError

Fill = float | Callable[[Tensor], Tensor]
Project = Callable[[Tensor], Tensor]

_CHUNK = 1 << 19


class NonFinite(ThresherError):
    """A value that is not finite was kept out of a table."""


@dataclass
class Gate:
    """Which rows of the current batch may write: shared by all tables of a run, set by the pass.

    Attributes:
        open: False while a rank that has run out of rows repeats some only to keep step with the others.
        first: positions of the first occurrence of every row, where a batch may hold a row twice; None otherwise.
        length: rows in the current batch, to tell an index of the whole batch from another.
    """

    open: bool = True
    first: Tensor | None = None
    length: int = 0


class Table:
    """One row per sample: ``table[index]`` reads rows, ``table[index] = rows`` writes them.

    Row i lives on rank ``i % world``; `index` holds row numbers 0..N-1 of rows this rank owns. A non-finite row never
    enters: on the CPU it raises, on CUDA it is dropped and remembered in a flag that `check` reads once per epoch, so
    that no step waits for the device.

    Args:
        name: the table's name within its run.
        rows: this rank's rows, ``[ceil((N - rank) / world), ...]``, any dtype.
        size: N, the number of samples over all ranks.
        rank: this process.
        world: how many processes share the samples.
        rate: learning rate of `trainable` rows.
        project: applied to trained rows after each update, for instance a clamp.

    Example:
        >>> table = Table("seen", torch.zeros(4, 2), size=4)
        >>> table[torch.tensor([1, 3])] = torch.ones(2, 2)
        >>> table.full().sum(1).tolist()
        [0.0, 2.0, 0.0, 2.0]
    """

    def __init__(
        self,
        name: str,
        rows: Tensor,
        *,
        size: int,
        rank: int = 0,
        world: int = 1,
        rate: float = 0.0,
        project: Project | None = None,
        gate: Gate | None = None,
        gather: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.name, self.rows, self.size = name, rows, size
        self.rank, self.world = rank, world
        self.rate, self.project = rate, project
        self.gate = gate or Gate()
        self._gather = gather
        self._refused = torch.zeros((), dtype=torch.bool, device=rows.device)

    def __getitem__(self, index: Tensor) -> Tensor:
        rows = self.rows[self._local(index)]
        return rows.float() if rows.dtype == torch.float16 else rows  # half precision is for storage only

    def __setitem__(self, index: Tensor, rows: Tensor) -> None:
        if not self.gate.open:
            return
        rows = rows.detach().to(self.rows.dtype)
        if self.gate.first is not None:
            index, rows = self._first_of_each(index, rows)
        self._write(self._local(index), rows)

    def _local(self, index: Tensor) -> Tensor:
        return index if self.world == 1 else index.div(self.world, rounding_mode="floor")

    def _first_of_each(self, index: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        if len(index) != self.gate.length:
            raise ThresherError(
                f"table {self.name!r} was written with {len(index)} rows of a balanced batch of {self.gate.length}: "
                "a balanced batch may hold a row twice, so write all of step.index"
            )
        return index[self.gate.first], rows[self.gate.first]

    def _write(self, local: Tensor, rows: Tensor) -> None:
        self.rows[local] = self._finite(local, rows, self.rows[local]) if rows.is_floating_point() else rows

    def _finite(self, local: Tensor, rows: Tensor, instead: Tensor) -> Tensor:
        """The rows where they are finite; where not, an error on the CPU, and `instead` on CUDA."""
        finite = rows.isfinite().flatten(1).all(1) if rows.ndim > 1 else rows.isfinite()
        if rows.device.type == "cpu":
            if not finite.all():
                raise NonFinite(
                    f"a non-finite value was about to enter table {self.name!r} at row "
                    f"{int(local[~finite][0]) * self.world + self.rank}: lower the learning rate or check the inputs"
                )
            return rows
        self._refused |= ~finite.all()
        return torch.where(finite.view(-1, *[1] * (rows.ndim - 1)), rows, instead)

    def trainable(self, index: Tensor) -> Tensor:
        """The rows as a leaf for the loss; when its gradient arrives, the rows move by plain gradient descent.

        A row that stands twice in the batch receives the sum of its gradients.
        """
        local = self._local(index)
        leaf = self.rows[local].requires_grad_()
        leaf.register_post_accumulate_grad_hook(lambda tensor: self._descend(local, tensor))
        return leaf

    @torch.no_grad()
    def _descend(self, local: Tensor, leaf: Tensor) -> None:
        if not self.gate.open or leaf.grad is None:
            return
        gradient = self._finite(local, leaf.grad, torch.zeros_like(leaf.grad))
        # The loss carries the factor `world` that averaging over ranks takes away again; a row has only one owner.
        self.rows.index_add_(0, local, gradient, alpha=-self.rate / self.world)
        if self.project is not None:
            self.rows[local] = self.project(self.rows[local])
        leaf.grad = None

    def full(self) -> Tensor:
        """All rows ``[N, ...]`` in row order, gathered from every rank (a collective call); a copy."""
        if self.world == 1 or self._gather is None:
            return self.rows.clone()
        return self._gather(self.rows)

    def assign(self, rows: Tensor) -> None:
        """Replace all rows by ``[N, ...]``; every rank passes the same tensor and keeps its own part."""
        if len(rows) != self.size:
            raise ThresherError(f"table {self.name!r} has {self.size} rows, and was assigned {len(rows)}")
        self.rows.copy_(rows[self.rank :: self.world])

    def check(self) -> None:
        """Raise if a non-finite row was refused on CUDA since the last call (one synchronisation)."""
        if bool(self._refused):
            self._refused.zero_()
            raise NonFinite(
                f"non-finite values were kept out of table {self.name!r}: lower the learning rate or check the inputs"
            )


def owned(size: int, rank: int, world: int) -> Tensor:
    """The row numbers a rank owns, int64, in increasing order."""
    return torch.arange(min(rank, size), size, world)


def allocate(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, file: Path | None = None) -> Tensor:
    """Room for the rows of a table: in memory, or in a file that is mapped into it and may be larger than RAM.

    With float16 a table takes half the room; it reads as float32.
    """
    if file is None:
        return torch.empty(shape, dtype=dtype, device=device)
    file.parent.mkdir(parents=True, exist_ok=True)
    return torch.from_file(str(file), shared=True, size=math.prod(shape), dtype=dtype).view(shape)


def shape_of(rows: int, width: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of so many rows of a table.

    Example:
        >>> shape_of(5, None), shape_of(5, 3), shape_of(5, (2, 2))
        ((5,), (5, 3), (5, 2, 2))
    """
    return (rows, *([] if width is None else [width] if isinstance(width, int) else width))


def fill_rows(room: Tensor, rows: Tensor, fill: Fill) -> Tensor:
    """Give a table its first values, in place.

    Args:
        room: ``[n, ...]``, from `allocate`.
        rows: the row numbers that live there, int64 ``[n]``, on the same device.
        fill: the value, or a function from row numbers to ``[n, ...]``.

    Returns:
        `room`.
    """
    if not callable(fill):
        return room.fill_(fill)
    step = max(1, _CHUNK // max(1, math.prod(room.shape[1:])))  # a fill needs room too, several times that of its rows
    for part, numbers in zip(torch.split(room, step), torch.split(rows, step), strict=True):
        values = fill(numbers)
        if values.shape != part.shape:
            raise ThresherError(
                f"a table's fill gave the shape {tuple(values.shape)}, and {tuple(part.shape)} is needed"
            )
        part.copy_(values)
    return room
