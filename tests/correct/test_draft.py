"""Corrections that fail, are killed anywhere, meet one another, and are taken back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from thresher.correct import Suspects, correct, draft, origin, undo, write
from thresher.correct.formats import places
from thresher.errors import ThresherError, UsageError

PETS = ("bird", "cat", "dog")

KILLED = '''
import os, signal, sys, warnings
from pathlib import Path
import pandas as pd
from thresher.correct import Suspects, correct, origin, undo, write
from thresher.data.reading import Reading

def traced(work, limit):
    """Run it in a process that is killed before its line number `limit`; the number of lines where it was not."""
    read, into = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0
        def local(frame, event, arg):
            nonlocal count
            count += event == "line"
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return local
        sys.settrace(lambda frame, event, arg: local if "/correct/" in frame.f_code.co_filename else None)
        work()
        sys.settrace(None)
        os.write(into, str(count).encode())
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(into)
    assert status in (0, -signal.SIGKILL), status
    lines = os.read(read, 99)
    os.close(read)
    return int(lines) if status == 0 else None

Path("photos/cat").mkdir(parents=True)
for name in "abcd":
    Path(f"photos/cat/{name}.png").write_bytes(name.encode())
columns = ["key", "given", "suggested", "p_suggested", "is_label_issue"]
rows = [[f"cat/{name}.png", "cat", "dog", 1.0, name < "c"] for name in "abcd"]
suspects = Suspects(pd.DataFrame(rows, columns=columns), ("cat", "dog"), None, "photos", read_as=Reading())
done = correct(suspects.issues, "relabel", suspects.classes)

def check(kind):
    out = Path("new.csv" if kind == "csv" else "clean")
    def start():
        write(done, out, suspects, kind=kind)
    def back():
        undo(out)
    before = sorted(os.listdir())
    names = sorted([*before, out.name, "new.changes.csv" if kind == "csv" else "clean.changes.csv", f"{out.stem}.json"])
    lines = {}
    for what, work in (("write", start), ("undo", back)):
        lines[what] = traced(work, 10**9)
    assert sorted(os.listdir()) == before
    met = set()
    last = lines["write"]  # files are moved to their places at the end
    for k, limit in enumerate([*range(1, last, last // 6), *range(last - 90, last, 6)]):
        assert traced(start, limit) is None
        left = {name for name in os.listdir() if name not in before}
        met.add(tuple(sorted(left)))
        if out.exists():
            assert set(names) <= {*before, *left} and origin(out)["edited"] is False
        else:
            start()  # the same command is not refused
        if k % 2:
            undo(out)
        else:
            assert traced(back, lines["undo"] - 3 * k) is None
            if out.exists():
                assert origin(out)["edited"] is False
                undo(out)
            elif k % 4:
                undo(out) if any(name not in before for name in os.listdir()) else None
            else:
                start()  # instead of finishing the undo
                undo(out)
        assert sorted(os.listdir()) == before, os.listdir()
    assert len(met) >= 4  # nothing, a draft, a draft with one file placed or two, everything

for kind in ("csv", "folder"):
    check(kind)
assert [path.read_bytes() for path in sorted(Path("photos/cat").iterdir())] == [b"a", b"b", b"c", b"d"]
'''


def test_killed_anywhere(tmp_path: Path) -> None:
    (tmp_path / "victim.py").write_text(KILLED, encoding="utf-8")
    words = [sys.executable, "victim.py"]
    ended = subprocess.run(
        words, cwd=tmp_path, check=False, env=os.environ, timeout=300, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_leaves_nothing(
    tmp_path: Path, issues: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    genuine, places_left = Path.rename, iter(range(99))

    def broken(path: Path, target: Path) -> Path:
        if path.name in ("out", "changes", "manifest") and next(places_left) == failing:
            raise OSError(28, "No space left on device")
        return genuine(path, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(ThresherError, match="no space is left"):
        write(correct(issues, "keep", PETS), tmp_path / "new.csv", Suspects(issues, PETS))
    assert list(tmp_path.iterdir()) == []


def test_what_comes_between_is_not_overwritten(
    tmp_path: Path, issues: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = draft._note

    def slow(folder: Path, files: dict[Path, str]) -> None:
        genuine(folder, files)
        (tmp_path / "new.csv").write_text("mine", encoding="utf-8")

    monkeypatch.setattr(draft, "_note", slow)
    with pytest.raises(UsageError, match="exists, and nothing is overwritten"):
        write(correct(issues, "keep", PETS), tmp_path / "new.csv", Suspects(issues, PETS))
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]
    assert (tmp_path / "new.csv").read_text(encoding="utf-8") == "mine"


def test_two_at_once(tmp_path: Path, issues: pd.DataFrame) -> None:
    out = tmp_path / "new.csv"
    with draft.draft(out):
        with pytest.raises(UsageError, match="is being written by another process"):
            places(out)
        with pytest.raises(UsageError, match="is being written by another process"):
            undo(out)
    assert places(out)["out"] == out
    assert list(tmp_path.iterdir()) == []


def test_only_what_was_left_behind_is_cleared(tmp_path: Path, issues: pd.DataFrame) -> None:
    """A journal names files; one of them that is another by now stays, and nothing outside of the folder is touched."""
    folder, out = tmp_path / ".new.csv.draft", tmp_path / "new.csv"
    folder.mkdir()
    (tmp_path.parent / "outside.txt").write_text("x", encoding="utf-8")
    (tmp_path / "new.json").write_text("mine", encoding="utf-8")
    (tmp_path / "new.changes.csv").write_text("left", encoding="utf-8")
    told = {
        "new.json": "0" * 64,
        "new.changes.csv": draft.digest(tmp_path / "new.changes.csv"),
        "../outside.txt": draft.digest(tmp_path.parent / "outside.txt"),
    }
    (folder / "journal.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(UsageError, match=r"new\.json exists"):
        places(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.json"]
    assert (tmp_path.parent / "outside.txt").exists()
    for content in ("", "{", "[]", '{"a": 1}'):
        folder.mkdir()
        (folder / "journal.json").write_text(content, encoding="utf-8")
        assert draft.clear(out)
    assert not draft.clear(out)


@pytest.mark.parametrize("name", ["new.csv", "new.jsonl", "new.npz"])
def test_undo(tmp_path: Path, issues: pd.DataFrame, name: str) -> None:
    out = tmp_path / name
    paths = write(correct(issues, "relabel", PETS), out, Suspects(issues, PETS))
    assert sorted(tmp_path.iterdir()) == sorted(paths.values())
    assert undo(out) == paths
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="is no correction that Thresher wrote"):
        undo(out)


def test_undo_refuses_what_was_changed(tmp_path: Path, issues: pd.DataFrame) -> None:
    out = tmp_path / "new.csv"
    paths = write(correct(issues, "relabel", PETS), out, Suspects(issues, PETS))
    for which in ("out", "changes"):
        before = paths[which].read_bytes()
        paths[which].write_bytes(before + b"x")
        with pytest.raises(UsageError, match="was changed since it was written"):
            undo(out)
        paths[which].write_bytes(before)
    paths["manifest"].rename(tmp_path / "kept.json")
    with pytest.raises(UsageError, match=r"its manifest .* is gone"):
        undo(out)
    (tmp_path / "kept.json").rename(paths["manifest"])
    assert origin(out) is not None
    assert len(list(tmp_path.iterdir())) == 3
    undo(out)
    assert list(tmp_path.iterdir()) == []
