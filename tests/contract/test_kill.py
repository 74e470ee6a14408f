"""Real `kill -9`, while training and while writing: what is resumed ends bit for bit where it would have ended."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.contract.conftest import ROOT
from tests.contract.victim import OPTIONS, study

from thresher.engine.checkpoint import Checkpoints, read_json
from thresher.testing.compare import difference, live


def killed(name: str, folder: Path, checkpoints: int, delay: float) -> None:
    """Start a training, and kill it a moment after it has begun its so-and-so-many-th checkpoint."""
    command = [sys.executable, "-m", "tests.contract.victim", name, str(folder)]
    path = os.pathsep.join(filter(None, [f"{ROOT}/src", os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})
    seen: set[str] = set()
    while len(seen) < checkpoints and process.poll() is None:
        time.sleep(0.001)
        seen |= {found.name for found in (folder / "checkpoints").glob("*")}
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"


@pytest.mark.parametrize(("name", "checkpoints"), [("elr", 5), ("sop", 12), ("dividemix", 19)])
def test_kill(name: str, checkpoints: int, tmp_path: Path) -> None:
    killed(name, tmp_path, checkpoints, random.Random(name).uniform(0, 0.01))
    for path in Checkpoints(tmp_path).all():
        read_json(path)  # whatever has its final name is whole
    straight, resumed = study(name, None), study(name, tmp_path)
    ends = [live(one.run(), one.judges[None]) for one in (straight, resumed)]
    assert difference(ends[0], ends[1]) is None
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, OPTIONS.epochs + 1))
    assert (tmp_path / "best").resolve().name == str(straight.judges[None].best_epoch)
