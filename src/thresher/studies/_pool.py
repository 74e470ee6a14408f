"""Several trainings at a time, each in a process of its own."""

import multiprocessing
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from thresher.errors import ThresherError
from thresher.studies._training import Report, Training, perform

_EPOCH, _WARNING, _DONE, _FAILED = "epoch", "warning", "done", "failed"


def spread(
    trainings: Sequence[Training],
    folder_of: Callable[[str], Path],
    jobs: int,
    *,
    seed: int,
    device: str,
    report: Report,
) -> None:
    """Do trainings, `jobs` at a time, the threads of this process shared out among them.

    A process that is told to stop, or whose parent is gone, leaves a checkpoint behind.

    Raises:
        ThresherError: what the first training that failed raised; the others have been told to stop.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // jobs)
    waiting, workers = list(trainings), dict[Connection, BaseProcess]()
    try:
        for _ in range(jobs):
            mine, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(theirs, threads, seed, device))
            process.start()
            theirs.close()
            workers[mine] = process
        busy = {connection: _give(connection, waiting, folder_of) for connection in workers}
        while busy:
            for connection in wait(list(busy)):
                if isinstance(connection, Connection) and _heard(connection, busy[connection], report):
                    busy.pop(connection)
                    if waiting:
                        busy[connection] = _give(connection, waiting, folder_of)
    finally:
        for connection, worker in workers.items():
            worker.terminate()
            connection.close()
        for worker in workers.values():
            worker.join()


def _give(connection: Connection, waiting: list[Training], folder_of: Callable[[str], Path]) -> str:
    """Send the next training; plain bytes, for tensors sent as such would lie in shared memory, which may be small."""
    training = waiting.pop(0)
    connection.send_bytes(pickle.dumps((training, folder_of(training.name))))
    return training.name


def _heard(connection: Connection, name: str, report: Report) -> bool:
    """Take one message; True when the training is done."""
    try:
        kind, what = connection.recv()
    except EOFError:
        raise ThresherError(
            f"the process that trained {name} has ended, perhaps for want of memory: type the same again with --jobs 1"
        ) from None
    if kind == _EPOCH:
        report(*what)
    elif kind == _WARNING:
        warnings.warn(what, stacklevel=2)
    elif kind == _FAILED:
        raise what
    return bool(kind == _DONE)


def _serve(connection: Connection, threads: int, seed: int, device: str) -> None:
    """What a process does: trainings, until its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the parent tells
    torch.set_num_threads(threads)
    warnings.showwarning = lambda message, *rest: connection.send((_WARNING, str(message)))
    report: Report = lambda name, record: connection.send((_EPOCH, (name, dict(record))))  # noqa: E731
    try:
        while True:
            connection.send(_outcome(connection.recv_bytes(), seed, device, report))
    except (EOFError, OSError):
        return


def _outcome(task: bytes, seed: int, device: str, report: Report) -> tuple[str, Any]:
    try:
        training, folder = pickle.loads(task)  # noqa: S301 - from our parent
        perform(training, folder, seed=seed, device=device, report=report)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except ThresherError as error:
        return _FAILED, error
    except Exception as error:
        return _FAILED, ThresherError(f"a training failed: {error!r}\n{traceback.format_exc()}")
    return _DONE, None
