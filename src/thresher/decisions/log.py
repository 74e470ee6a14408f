"""The file of decisions, ``decisions.jsonl``: one JSON object per line, only ever appended to.

A decision is on the disk when `Log.append` returns. A kill, at any moment, loses at most what was being written.
"""

import contextlib
import fcntl
import heapq
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from thresher.decisions.decision import Decision, parse
from thresher.decisions.folding import State, fold
from thresher.disk import plain_disk_errors, sync
from thresher.errors import ThresherError, UsageError

_EITHER = "read or written"

NAME = "decisions.jsonl"
"""The file's name in a run folder."""


def read(path: str | Path) -> list[Decision]:
    """Every record of a file of decisions, in order; a last line that was cut off, by a kill or a full disk, is not.

    Args:
        path: of the file; it may be in use.

    Raises:
        UsageError: there is no such file, or a line of it is damaged or from a newer version; the line is named.

    Example:
        >>> read("absent.jsonl")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.jsonl: check the path
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    with plain_disk_errors(path, _EITHER):
        data = path.read_bytes()
    return _parsed(data, path)[0]


def merge(paths: Sequence[str | Path]) -> State:
    """The decisions of several files together: by time, but in each file's own order; equal ids count once.

    Args:
        paths: of files of decisions, in any order.

    Raises:
        UsageError: as for `read`.

    Example:
        >>> merge([]).version
        0
    """
    return fold(heapq.merge(*map(read, paths), key=lambda one: one.time))


def waiting(run: Path) -> Path | None:
    """The file of decisions in a run folder; None where there is none, it is damaged, or no decision stands in it.

    Example:
        >>> waiting(Path("absent")) is None
        True
    """
    path = run / NAME
    with contextlib.suppress(ThresherError):
        return path if path.is_file() and merge([path]).decided() else None
    return None


class Log:
    """A file of decisions that is open for more, by one process at a time; closed by ``with`` or `close`.

    Attributes:
        path: of the file.
        state: what its records amount to, up to date after every call.

    Raises:
        UsageError: another process has it open, or a line of it is damaged.
        ThresherError: it cannot be written.

    Example:
        >>> import tempfile
        >>> from thresher.decisions import decide
        >>> with tempfile.TemporaryDirectory() as folder, Log(folder + "/decisions.jsonl") as log:
        ...     log.append(decide("a.png", "keep", given="cat", annotator="ann"))
        ...     [one.key for one in log.undo("ann")], log.state.current("a.png"), log.state.version
        (['a.png'], None, 2)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        with plain_disk_errors(self.path, _EITHER):
            self._mine = not self.path.exists()
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._take()
            with plain_disk_errors(self.path, _EITHER):
                records, whole, tail = _parsed(self.path.read_bytes(), self.path)
                self._seal(whole, tail)
        except BaseException:
            os.close(self._file)
            raise
        self.state = fold(records)

    def _take(self) -> None:
        """Hold the file for this process; the system lets go of it when the process ends, however it ends."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{self.path} is open in another review: end that one, or choose another file of decisions"
            ) from error
        except OSError:
            return  # a file system without locks

    def _seal(self, whole: int, tail: bytes) -> None:
        """Remove a line that was cut off; give the last one its end where only that is missing."""
        os.ftruncate(self._file, whole)
        if tail:
            _write(self._file, tail)
        os.fsync(self._file)
        self._size = whole + len(tail)
        sync(self.path.parent)

    def append(self, *decisions: Decision) -> None:
        """Put decisions on the disk, in one write, and into the state; those that are there already are passed over.

        Raises:
            ThresherError: the disk is full, or the file was moved or changed by something else; nothing was added.
        """
        with self._lock:
            fresh = {one.id: one for one in decisions if one.id not in self.state}
            if not fresh:
                return
            data = b"".join(one.line() for one in fresh.values())
            self._check_place()
            try:
                with plain_disk_errors(self.path, _EITHER):
                    _write(self._file, data)
                    os.fsync(self._file)
            except ThresherError:
                with contextlib.suppress(OSError):  # half a line must not stay
                    os.ftruncate(self._file, self._size)
                raise
            self._size += len(data)
            for one in fresh.values():
                self.state.add(one)

    def undo(self, annotator: str, count: int = 1) -> list[Decision]:
        """Take back the person's latest decisions that stand, however old, also of an earlier process.

        Args:
            annotator: whose.
            count: how many at most, for instance all of a bulk action.

        Returns:
            The decisions that were taken back, the latest first; empty where there was nothing left.
        """
        with self._lock:
            found = self.state.to_undo(annotator, count)
            self.append(*(one.undone_by(annotator) for one in found))
            return found

    def redo(self, annotator: str, count: int = 1) -> list[Decision]:
        """Take back the person's latest undos, as long as nothing was decided after them.

        Returns:
            The decisions that stand again, in the order in which they came back.
        """
        with self._lock:
            found = self.state.to_redo(annotator, count)
            self.append(*(one.undone_by(annotator) for one in found))
            return self.state.to_undo(annotator, len(found))[::-1]

    def close(self) -> None:
        """Let go of the file; one that was made for nothing is removed."""
        with self._lock:
            if self._file >= 0:
                if self._mine and not self._size:
                    with contextlib.suppress(OSError, ThresherError):
                        self._check_place()
                        self.path.unlink()
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_place(self) -> None:
        """Nothing is written into a file that was deleted, replaced or written by something else."""
        if self._file < 0:
            raise ThresherError(f"{self.path} was closed: open it again")
        try:
            there, mine = self.path.stat(), os.fstat(self._file)
        except OSError as error:
            raise ThresherError(f"{self.path} is gone: put it back, or start the review again") from error
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino) or mine.st_size != self._size:
            raise ThresherError(f"{self.path} was changed by something else: start the review again to read it anew")


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _parsed(data: bytes, path: Path) -> tuple[list[Decision], int, bytes]:
    """The records, the length of the part that stays, and what is to be put behind it.

    A whole record whose end of line is missing counts, for a person may have edited the file; anything else behind the
    last end of line was cut off, and cannot be JSON: no part of an object is one.
    """
    whole = data.rfind(b"\n") + 1
    lines, rest = data[:whole].split(b"\n")[:-1], data[whole:]
    tail = rest + b"\n" if _is_json(rest) else b""
    records = []
    for number, line in enumerate([*lines, tail], 1):
        if not line.strip():
            continue
        try:
            records.append(parse(line))
        except UsageError as error:
            raise UsageError(
                f"line {number} of {path} cannot be used: {error}; correct or remove that line in a copy of the file"
            ) from error
    return records, whole, tail


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
