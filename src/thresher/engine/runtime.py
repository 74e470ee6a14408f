"""Processes, devices and precision: the only file that knows Lightning Fabric."""

import contextlib
import datetime
import logging
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from thresher.errors import ThresherError, UsageError


class PeerLost(ThresherError):
    """Another process of the run ended; this one cannot go on alone."""

    alone = True


def leave(code: int) -> NoReturn:
    """End a process whose peers are gone: taken down in the ordinary way, torch's threads now and then abort it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@dataclass(frozen=True)
class Runtime:
    """Where a run computes, and how its processes talk.

    Attributes:
        device: of this process.
        rank: number of this process.
        world: number of processes.
        precision: "32" or "bf16".
        fabric: Lightning's Fabric, or None for one process on the CPU or one GPU.
    """

    device: torch.device = torch.device("cpu")
    rank: int = 0
    world: int = 1
    precision: str = "32"
    fabric: Any = None

    @classmethod
    def start(cls, device: str = "auto", precision: str = "32") -> "Runtime":
        """Start the processes a device name asks for.

        Args:
            device: auto, cpu, cuda, CUDA numbers such as "0,2", or "cpu:N" for N processes on the CPU.
            precision: "32" or "bf16".

        Raises:
            UsageError: the name means nothing, or CUDA is asked for and absent.
        """
        accelerator, devices = parse_device(device)
        launched = "TORCHELASTIC_RUN_ID" in os.environ
        if accelerator == "cpu" and devices == 1 and not launched:
            return cls(precision=precision)
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its import asks for more, to greet
        world = int(os.environ["WORLD_SIZE"]) if launched else devices if isinstance(devices, int) else len(devices)
        strategy = DDPStrategy(timeout=datetime.timedelta(minutes=10)) if world > 1 else "auto"
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if launched else devices
        fabric = Fabric(
            accelerator=accelerator,
            devices=local,
            num_nodes=world // local if launched and isinstance(local, int) else 1,
            strategy=strategy,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
        )
        fabric.launch()
        _let_peers_end_themselves()
        return cls(fabric.device, fabric.global_rank, fabric.world_size, precision, fabric)

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """The context for forward passes."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """The mean over processes, elementwise; every process must call it."""
        if self.world == 1:
            return values
        values = values.clone()
        with self._talking():
            dist.all_reduce(values)
        return values / self.world

    def maximum(self, value: float) -> float:
        """The largest value over processes."""
        if self.world == 1:
            return value
        boxed = torch.tensor(value, dtype=torch.float64, device=self.device)
        with self._talking():
            dist.all_reduce(boxed, op=dist.ReduceOp.MAX)
        return float(boxed)

    def gather(self, rows: Tensor, size: int) -> Tensor:
        """All N rows ``[size, ...]`` in row order, where process r holds rows r, r + world, ... ."""
        if self.world == 1:
            return rows
        longest = -(-size // self.world)
        padded = torch.zeros(longest, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        with self._talking():
            dist.all_gather(parts, padded)
        return torch.stack(parts, 1).flatten(0, 1)[:size]

    def barrier(self) -> None:
        """Wait for every process."""
        if self.world > 1:
            with self._talking():
                dist.barrier()

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise PeerLost("another process of this run ended, so this one stops too") from error


def _let_peers_end_themselves() -> None:
    """Retire Fabric's observer, which answers the death of one process by `kill -9` on all.

    The others notice at their next exchange anyway (`PeerLost`), and can then say how to go on.
    """
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            thread._run = lambda: True  # type: ignore[attr-defined]


def is_main_process() -> bool:
    """Whether this is the one process, or the first of several: the one that prints."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def parse_device(device: str) -> tuple[str, int | list[int]]:
    """Fabric's accelerator and devices for our device names; refuses what is not there."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    name, _, count = device.partition(":")
    if name == "cpu" and (not count or (count.isdecimal() and int(count) > 0)):
        return "cpu", int(count or 1)
    numbers = [0] if device == "cuda" else [int(part) for part in device.split(",") if part.strip().isdecimal()]
    if not numbers or (device != "cuda" and len(numbers) != device.count(",") + 1):
        raise UsageError(
            f"device {device!r} means nothing here: use auto, cpu, cpu:N, cuda, or CUDA numbers such as 0,2"
        )
    if not torch.cuda.is_available():
        raise UsageError(f"device {device!r} was asked for, and no CUDA device is available here: use cpu")
    if max(numbers) >= torch.cuda.device_count():
        raise UsageError(
            f"device {device!r} was asked for, and this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return "cuda", numbers
