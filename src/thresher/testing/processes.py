"""Two processes that stay open and run what they are given, for checks over ranks."""

import atexit
import contextlib
import datetime
import multiprocessing
import os
import pickle
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.distributed as dist

from thresher.engine.method import Method
from thresher.engine.options import Optimizer
from thresher.engine.runtime import Runtime
from thresher.testing.compare import live, shared
from thresher.testing.toy import TOY_OPTIONS, toy, toy_study

_PATIENCE = 120.0


class Ranks:
    """Two processes joined by gloo on this machine, started on first use and kept for every later check."""

    def __init__(self, world: int = 2) -> None:
        self.world = world
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        self._folder: str | None = None
        atexit.register(self.close)

    def run(self, job: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call ``job(runtime, *arguments)`` in every process, and return what each one returned.

        Both `job` and the classes of its arguments must be importable.

        Raises:
            AssertionError: a process raised, or did not answer.
        """
        if not self._pipes:
            self._start()
        message = pickle.dumps((sys.path, pickle.dumps((job, arguments))))
        for pipe in self._pipes:
            pipe.send_bytes(message)
        answers = [self._answer(pipe) for pipe in self._pipes]
        failed = [text for fine, text in answers if not fine]
        if failed:
            if None in failed:  # one never answered, so it may still wait inside a message: start anew next time
                self.close()
            raise AssertionError("\n".join(text or "a process ended or did not answer" for text in failed))
        return [result for _, result in answers]

    def _answer(self, pipe: Connection) -> tuple[bool, Any]:
        try:
            if not pipe.poll(_PATIENCE):
                return False, None
            answer: tuple[bool, Any] = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own process
            return answer
        except (EOFError, OSError):
            return False, None

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="thresher-ranks-")
        context = multiprocessing.get_context("spawn")
        for rank in range(self.world):
            ours, theirs = context.Pipe()
            arguments = (rank, self.world, f"{self._folder}/store", theirs)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()
        self._pipes, self._processes = [], []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def join(rank: int, world: int, store: str) -> Runtime:
    """Join the processes that name the same file as one group, over this machine's own network address."""
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    patience = datetime.timedelta(seconds=_PATIENCE / 2)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=patience)
    return Runtime(rank=rank, world=world)


def _serve(rank: int, world: int, store: str, pipe: Connection) -> None:
    """One process of `Ranks`: do jobs until the other side hangs up."""
    runtime = join(rank, world, store)
    with contextlib.suppress(EOFError, OSError):
        while True:
            path, payload = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
            sys.path[:] = path
            pipe.send_bytes(pickle.dumps(_attempt(runtime, payload)))


def _attempt(runtime: Runtime, payload: bytes) -> tuple[bool, Any]:
    try:
        job, arguments = pickle.loads(payload)  # noqa: S301 - from our own parent
        return True, job(runtime, *arguments)
    except Exception:
        return False, traceback.format_exc()


ranks = Ranks()
"""The two processes that serve every check of this one."""


def on_this_rank(runtime: Runtime, methods: Sequence[Method], size: int, batch_norm: bool, lr: float) -> Any:
    """A toy training on one rank: the live state of every fit."""
    options = replace(TOY_OPTIONS, optimizer=Optimizer(lr=lr))
    study = toy_study(*methods, material=toy(size, batch_norm), options=options, runtime=runtime)
    study.run()
    return {str(name): shared(live(run, study.judges[name])) for name, run in study.runs.items()}
