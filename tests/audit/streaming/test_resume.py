"""A search that is killed goes on where it was, and finds what it would have found."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thresher as th
from thresher.audit.streaming import find_label_issues_in_files, search

Call = Callable[..., Any]

_SLOW = """
import sys, time
from thresher.audit.streaming import find_label_issues_in_files, search
search._SAVED = 0
def progress(step, done, of):
    print(step, done, flush=True)
    time.sleep(0.02)
how = {"out": "mask.npy", "issues": "issues.csv", "chunk_rows": 40, "workers": 1}
find_label_issues_in_files("y.npy", "p.npy", progress=progress, **how)
"""


class Stopped(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("filter_by", ["both", "low_self_confidence"])
def test_stopped_anywhere(filter_by: str, make: Call, saved: Call, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(search, "_SAVED", -1.0)
    labels, p = make(400, 3)
    paths, out = saved(labels, p), tmp_path / "mask.npy"
    seen: list[tuple[str, int]] = []
    how: dict[str, Any] = {"out": out, "chunk_rows": 20, "workers": 1, "filter_by": filter_by}
    for after in (0, 3, 7, 1, 12, 4, 9):
        left = [after]

        def progress(step: str, done: int, of: int, left: list[int] = left) -> None:
            seen.append((step, done))
            left[0] -= 1
            if left[0] < 0:
                raise Stopped

        try:
            find_label_issues_in_files(*paths, progress=progress, **how)
        except Stopped:
            assert (tmp_path / "mask.npy.state").is_dir()
            assert not out.exists()
    if not out.exists():
        find_label_issues_in_files(*paths, **how)
    np.testing.assert_array_equal(np.load(out), th.find_label_issues(labels, p, filter_by=filter_by))
    assert not (tmp_path / "mask.npy.state").exists()
    assert ("joint", 0) in seen
    assert any(step == "thresholds" and done > 100 for step, done in seen)


def test_kill_9(make: Call, saved: Call, tmp_path: Path) -> None:
    labels, p = make(1000, 3)
    paths = saved(labels, p)
    for place in ("thresholds 400", "joint 600", "flags 600", "list 200"):
        process = subprocess.Popen([sys.executable, "-c", _SLOW], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline().split()
        if place != "thresholds 400":
            assert first != ["thresholds", "0"]  # it went on
        for line in process.stdout:
            if line.split()[0] == place.split()[0] and int(line.split()[1]) >= int(place.split()[1]):
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert not (tmp_path / "mask.npy").exists()
        time.sleep(0.01)
    done = subprocess.run([sys.executable, "-c", _SLOW], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert "thresholds" not in done.stdout
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), th.find_label_issues(labels, p))
    find_label_issues_in_files(*paths, issues=tmp_path / "whole.csv")
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "issues.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["issues.csv", "mask.npy", "p.npy", "whole.csv", "y.npy"]


def test_what_another_search_left_is_not_taken(make: Call, saved: Call, tmp_path: Path) -> None:
    def stop(step: str, done: int, of: int) -> None:
        if step == "joint":
            raise Stopped

    labels, p = make(200, 3)
    paths, out = saved(labels, p), tmp_path / "mask.npy"
    with pytest.raises(Stopped):
        find_label_issues_in_files(*paths, out=out, progress=stop)
    with pytest.raises(th.UsageError, match=r"mask.npy.state is what a search with other files or settings left"):
        find_label_issues_in_files(*paths, out=out, filter_by="both")
    np.save(tmp_path / "p.npy", p[:, ::-1])
    with pytest.raises(th.UsageError, match=r"repeat that one to go on with it, or remove the folder to begin anew"):
        find_label_issues_in_files(*paths, out=out)
    (tmp_path / "other.npy.state").mkdir()
    (tmp_path / "other.npy.state" / "mine.txt").write_text("mine")
    with pytest.raises(th.UsageError, match=r"other.npy.state is in the way, and no search left it"):
        find_label_issues_in_files(*paths, out=tmp_path / "other.npy")
    assert (tmp_path / "other.npy.state" / "mine.txt").exists()


def test_stopped_between_two_outputs(make: Call, saved: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thresher.audit.streaming import files

    def stop(*_: object) -> None:
        raise Stopped

    labels, p = make(200, 3)
    how: dict[str, Any] = {"out": tmp_path / "mask.npy", "issues": tmp_path / "issues.csv"}
    paths = saved(labels, p)
    monkeypatch.setattr(files, "write_npy", stop)
    with pytest.raises(Stopped):
        find_label_issues_in_files(*paths, **how)
    monkeypatch.undo()
    assert (tmp_path / "issues.csv").exists()
    find_label_issues_in_files(tmp_path / "y.npy", tmp_path / "p.npy", **how)
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), th.find_label_issues(labels, p))
    with pytest.raises(th.UsageError, match=r"exists: name another file"):
        find_label_issues_in_files(tmp_path / "y.npy", tmp_path / "p.npy", **how)


def test_a_refused_search_leaves_nothing(make: Call, saved: Call, tmp_path: Path) -> None:
    labels, p = make(200, 3)
    p[7] = 2
    with pytest.raises(th.UsageError, match=r"row 7 goes from 2 to 2"):
        find_label_issues_in_files(*saved(labels, p), out=tmp_path / "mask.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.npy", "y.npy"]
