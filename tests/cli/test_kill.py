"""Commands that are ended from outside: by `kill -9` at any moment, by SIGTERM, by Ctrl-C; `--resume` finishes them."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thresher.engine import checkpoint

METHODS = ("elr,cdr", "dividemix", "aum", "sop", "co_teaching", "l2rw")
SETTINGS = ("--bs", "16", "--epochs", "3", "--noise", "symmetric:0.3", "--trusted", "per-class:4", "--quiet")
OFTEN = ("--set", "checkpoint_minutes=0")
"""A checkpoint after every batch."""


class Launcher:
    """Real processes of the command line; see `launcher.py`."""

    def __init__(self) -> None:
        words = [sys.executable, str(Path(__file__).with_name("launcher.py"))]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, folder: Path, *words: str) -> int:
        """Start a command that logs beside its run folder, and return its process number."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"words": words, "log": f"{folder}.log"}) + "\n")
        self.process.stdin.flush()
        return self._number()

    def wait(self) -> int:
        """The exit code of the command started last; minus the signal that ended it."""
        return self._number()

    def run(self, folder: Path, *words: str) -> int:
        """Start a command and wait for it."""
        self.start(folder, *words)
        return self.wait()

    def _number(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Started once."""
    started = Launcher()
    started.run(tmp_path_factory.mktemp("launcher") / "warm", "--version")  # waits until everything is imported
    yield started
    assert started.process.stdin is not None
    assert started.process.stdout is not None
    started.process.stdin.close()
    started.process.wait()
    started.process.stdout.close()


@pytest.fixture
def train(make_arrays: Callable[..., Any], tmp_path: Path) -> Callable[[str], list[str]]:
    """The words of a training with some method; they lack the folder."""
    np.savez(tmp_path / "points.npz", allow_pickle=False, **make_arrays(rows=90, test=30))
    return lambda method: ["train", str(tmp_path / "points.npz"), "--method", method, *SETTINGS, *OFTEN]


def outcome(folder: Path) -> dict[str, Any]:
    """What must not depend on interruptions: weights, tables, metrics without seconds, the suspects."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "metrics.jsonl":
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            found[name] = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
        elif path.suffix == ".npy" or path.name in ("weights.safetensors", "issues.csv"):
            found[name] = path.read_bytes()
        elif path.is_symlink():
            found[name] = os.readlink(path)
    return found


def all_whole(folder: Path) -> None:
    """No checkpoint with its final name is half-written."""
    for place in [folder, *folder.glob("fits/*")]:
        for path in checkpoint.Checkpoints(place).all():
            checkpoint.read_json(path)


def kill_and_resume(launcher: Launcher, words: list[str], folder: Path, delay: float) -> bool:
    """Kill a training after a while, finish it by `--resume`; False where it had ended before."""
    number = launcher.start(folder, *words, "--out", str(folder))
    timer = threading.Timer(delay, os.kill, (number, signal.SIGKILL))
    timer.start()
    code = launcher.wait()
    timer.cancel()
    assert code in (0, -signal.SIGKILL), Path(f"{folder}.log").read_text(encoding="utf-8")
    all_whole(folder)
    last = ["train", "--resume", str(folder), "--quiet"]
    if not (folder / "run.json").exists():  # killed before anything was written
        last = [*words, "--out", str(folder)]
    assert launcher.run(folder, *last) == 0, Path(f"{folder}.log").read_text(encoding="utf-8")
    return code != 0


def kill_often(launcher: Launcher, train: Callable[[str], list[str]], tmp_path: Path, kills: int, seed: int) -> None:
    """Kill trainings at random moments, and compare each with the one that was left alone."""
    draws, wholes, hits = random.Random(seed), {}, 0
    for k in range(kills):
        method = METHODS[k % len(METHODS)]
        if method not in wholes:
            whole, started = tmp_path / f"whole-{k}", time.monotonic()
            assert launcher.run(whole, *train(method), "--out", str(whole)) == 0
            wholes[method] = whole, time.monotonic() - started
        whole, length = wholes[method]
        cut = tmp_path / f"cut-{k}"
        hits += kill_and_resume(launcher, train(method), cut, draws.uniform(0, 0.8 * length))
        expected, found = outcome(whole), outcome(cut)
        assert {name for name in expected if expected[name] != found.get(name)} == set(), f"kill {k} of {method}"
    assert hits >= kills // 2


def test_kill(launcher: Launcher, train: Callable[[str], list[str]], tmp_path: Path) -> None:
    kill_often(launcher, train, tmp_path, kills=3, seed=0)


@pytest.mark.slow
def test_kill_twenty_times(launcher: Launcher, train: Callable[[str], list[str]], tmp_path: Path) -> None:
    kill_often(launcher, train, tmp_path, kills=20, seed=1)


def stop_and_resume(launcher: Launcher, words: list[str], folder: Path, number: signal.Signals) -> None:
    """Ask a training to stop after its first epoch, and finish it by the command that it names."""
    process = launcher.start(folder, *words, "--out", str(folder))
    until = time.monotonic() + 60
    while not (folder / "best").exists() and time.monotonic() < until:
        time.sleep(0.002)
    os.kill(process, number)
    assert launcher.wait() == 1
    log = Path(f"{folder}.log").read_text(encoding="utf-8")
    assert log.startswith(f"thresher: stopped by {number.name} ")
    assert log.endswith(f"; go on with: thresher train --resume {folder}\n")
    assert log.count("\n") == 1
    assert launcher.run(folder, *log.strip().split("thresher ")[-1].split(), "--quiet") == 0


def test_asked_to_stop(launcher: Launcher, train: Callable[[str], list[str]], tmp_path: Path) -> None:
    words = [*(word for word in train("elr") if word not in OFTEN), "--epochs", "20"]
    whole = tmp_path / "whole"
    assert launcher.run(whole, *words, "--out", str(whole)) == 0
    for number in (signal.SIGTERM, signal.SIGINT):
        folder = tmp_path / number.name
        stop_and_resume(launcher, words, folder, number)
        assert outcome(folder) == outcome(whole)
