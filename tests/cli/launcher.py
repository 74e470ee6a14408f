"""Starts real processes of the command line without waiting for torch each time.

Imports everything once and then forks: a line of JSON on standard input, ``{"words": [...], "log": path}``, is answered
by the child's process number, and by its exit status when it has ended.
"""

import importlib
import json
import os
import sys

import torch

from thresher.cli import main

LATE = (
    "thresher.training",
    "thresher.report.page",
    "thresher.cli.progress",
    "thresher.cli.settings",
    "sklearn.metrics",
    "torch._dynamo",
)
"""What a command imports only when it needs it."""


def run(words: list[str], log: str) -> None:
    """Be the command's process."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    try:
        main(words)
    except SystemExit as ended:
        sys.stderr.flush()
        os._exit(int(ended.code or 0))
    os._exit(99)


def serve() -> None:
    """Answer until standard input ends."""
    torch.set_num_threads(1)
    for name in LATE:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
