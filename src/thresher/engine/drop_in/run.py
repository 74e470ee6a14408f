"""What stands for a run where there is none."""

from typing import cast

import torch
from torch import Tensor, nn

from thresher.engine.combine import Combination
from thresher.engine.runtime import Runtime
from thresher.engine.table import Fill, Project, Table, allocate, fill_rows, shape_of


class ForeignRun:
    """What stands for the run in a foreign loop: its tables are the buffers of the loss module.

    Attributes:
        size: N.
        classes: number of classes; `outputs` is the same.
        seed: of first table values.
        seen: samples trained on so far; `when` is that in passes over the data.
    """

    def __init__(self, module: nn.Module, size: int, classes: int, seed: int, method: Combination) -> None:
        self.module, self.size, self.classes, self.outputs, self.seed = module, size, classes, classes, seed
        self.method, self.runtime, self.share = method, Runtime(), 1.0
        self.seen, self.given = 0, torch.zeros(size, dtype=torch.int64)
        self._tables: dict[str, Table] = {}

    @property
    def when(self) -> float:
        """Passes over the data so far."""
        return self.seen / self.size

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks; a foreign loop has one."""
        return values

    def table(
        self,
        name: str,
        width: int | tuple[int, ...] | None = None,
        fill: Fill = 0.0,
        dtype: torch.dtype = torch.float32,
        rate: float = 0.0,
        project: Project | None = None,
    ) -> Table:
        """The table of that name around its buffer; see `Run.table`."""
        key = buffer_name(name)
        if key not in self.module._buffers:
            device = next(iter(self.module.buffers())).device
            room = allocate(shape_of(self.size, width), dtype, device)
            self.module.register_buffer(key, fill_rows(room, torch.arange(self.size, device=device), fill))
        rows = cast(Tensor, self.module._buffers[key])
        table = self._tables.get(name)
        if table is None or table.rows.device != rows.device:
            table = self._tables[name] = Table(name, rows, size=self.size)
        table.rows, table.rate, table.project = rows, rate or table.rate, project or table.project
        return table


def buffer_name(table: str) -> str:
    """The key of a table in the module's `state_dict`, which may hold no dots.

    Example:
        >>> buffer_name("elr_target.0")
        'table_elr_target_0'
    """
    return "table_" + table.replace(".", "_")
