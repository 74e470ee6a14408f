"""Checkpoints: the whole live state of a run on disk, complete or not there at all, and nothing in them can run code.

A checkpoint is a folder: `weights.safetensors` (networks, modules, averages), `state.safetensors` (optimisers, values,
scans), one `.npy` per table (written without a copy in memory), `state.json` (everything that is not a tensor, and the
checksum of every file), and `rank<r>.safetensors` for what the ranks of a run hold apart.
"""

import contextlib
import json
import os
import shutil
import signal
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from thresher.disk import plain_disk_errors, sync, write_atomically
from thresher.engine.state import apart, flatten, load_apart, load_state, load_weights, state, unflatten, weights
from thresher.errors import ThresherError

if TYPE_CHECKING:
    from thresher.engine.run import Run

FORMAT = 1
_ROWS = 65_536


class Interrupted(ThresherError):
    """The run was asked to stop, and saved where it stands."""


def write(run: "Run", folder: Path, extra: dict[str, Any]) -> None:
    """Write the checkpoint `folder`; every rank calls it, rank 0 gathers and renames it into place."""
    runtime = run.runtime
    temporary = folder.with_name(f".{folder.name}.tmp")
    with plain_disk_errors(folder):
        if runtime.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            (temporary / "tables").mkdir(parents=True)
        runtime.barrier()
        if run.position.open:  # at an epoch's end the ranks agree
            safetensors.torch.save_file(apart(run), temporary / f"rank{runtime.rank}.safetensors")
        for name, table in run.tables.items():
            rows = table.full() if runtime.world > 1 else table.rows
            if runtime.rank == 0:
                np.save(temporary / "tables" / f"{quote(name, safe='')}.npy", rows.cpu().numpy(), allow_pickle=False)
        runtime.barrier()
        if runtime.rank == 0:
            _write_shared(run, temporary, extra)
            if folder.exists():  # the same place was reached again after a resume from an older checkpoint
                remove(folder)
            temporary.replace(folder)
            sync(folder.parent)
    runtime.barrier()


def remove(folder: Path) -> None:
    """Delete a checkpoint so that a kill half-way leaves no half of one: it loses its name first."""
    doomed = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.replace(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _write_shared(run: "Run", folder: Path, extra: dict[str, Any]) -> None:
    safetensors.torch.save_file(weights(run), folder / "weights.safetensors")
    tensors: dict[str, Tensor] = {}
    tree = flatten(state(run), tensors)
    safetensors.torch.save_file({key: value.clone() for key, value in tensors.items()}, folder / "state.safetensors")
    sums = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        sums[str(path.relative_to(folder))] = _checksum(path)
    write_atomically(
        folder / "state.json", json.dumps({"format": FORMAT, "state": tree, "extra": extra, "files": sums}).encode()
    )


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def read_json(folder: Path) -> dict[str, Any]:
    """The `state.json` of a checkpoint whose files are all there and whole.

    Raises:
        ThresherError: it is damaged.
    """
    try:
        found: dict[str, Any] = json.loads((folder / "state.json").read_text())
        damaged = [name for name, total in found["files"].items() if _checksum(folder / name) != total]
    except (OSError, ValueError, KeyError) as error:
        raise ThresherError(f"the checkpoint {folder} is damaged ({error}): delete it to use the one before") from error
    if damaged:
        raise ThresherError(f"the checkpoint {folder} is damaged ({damaged[0]}): delete it to use the one before")
    if found["format"] != FORMAT:
        raise ThresherError(f"the checkpoint {folder} has format {found['format']}: this version reads {FORMAT}")
    return found


def read(run: "Run", folder: Path) -> dict[str, Any]:
    """Restore a run from a checkpoint and return the extra record that was stored with it."""
    found = read_json(folder)
    load_tables(run, folder)
    later = load_weights(run, read_weights(folder))
    tree = unflatten(found["state"], safetensors.torch.load_file(folder / "state.safetensors"))
    load_state(run, tree)
    run.restored = {name: {"weights": part, "optimizer": tree["optimizers"][name]} for name, part in later.items()}
    mine = folder / f"rank{run.runtime.rank}.safetensors"
    if mine.exists() and tree["world"] == run.runtime.world:
        load_apart(run, safetensors.torch.load_file(mine))
    extra: dict[str, Any] = found["extra"]
    return extra


def load_tables(run: "Run", folder: Path) -> None:
    """Give a run the tables of a checkpoint; each takes shape and dtype from its file."""
    for path in sorted((folder / "tables").glob("*.npy")):
        name = unquote(path.stem)
        stored = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: only this rank's rows enter memory
        mine = stored[run.runtime.rank :: run.runtime.world]
        room = run.room_for(name, mine.shape, torch.from_numpy(mine[:0].copy()).dtype)
        for part, rows in zip(torch.split(room, _ROWS), np.split(mine, range(_ROWS, len(mine), _ROWS)), strict=True):
            part.copy_(torch.from_numpy(rows.copy()))
        run.tables[name] = run.wrap(name, room)
    run.labels = run.tables["labels"]


class Checkpoints:
    """The checkpoints of one run folder: when to take one, which to keep, which to resume from.

    Args:
        folder: of the run; checkpoints go into its folder `checkpoints`.
        keep: how many of the newest to keep beside the selected one.
        minutes: time between checkpoints inside an epoch.
    """

    def __init__(self, folder: Path, keep: int = 2, minutes: float = 5.0) -> None:
        self.folder = folder / "checkpoints"
        self.best = folder / "best"
        self.keep, self.seconds = keep, minutes * 60
        self.stop_signal: str | None = None
        self._last = time.monotonic()

    def due(self, run: "Run") -> bool:
        """Whether a checkpoint should be taken here, inside an epoch; all ranks agree."""
        if run.runtime.world > 1 and run.position.done % 16:  # agreeing costs messages, so only every 16 batches
            return False
        return self.stopping(run) or run.runtime.maximum(time.monotonic() - self._last) > self.seconds

    def stopping(self, run: "Run") -> bool:
        """Whether a signal asked any process of the run to stop; all ranks agree, and so they stop together."""
        if run.runtime.maximum(float(self.stop_signal is not None)) > 0 and self.stop_signal is None:
            self.stop_signal = "a signal to another process"
        return self.stop_signal is not None

    def save(self, run: "Run", extra: dict[str, Any], selected: bool = False) -> Path:
        """Take a checkpoint: named by the epochs done, or ``epoch.verb.batch`` inside one."""
        inside = run.position.open
        name = f"{run.epoch}.{run.position.verb - 1}.{run.position.done}" if inside else str(run.epoch)
        path = self.folder / name
        if run.runtime.rank == 0:
            with plain_disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
        write(run, path, extra)
        if run.runtime.rank == 0:
            if selected:
                self.point_best_at(path)
            self._prune(path)
        self._last = time.monotonic()
        return path

    def point_best_at(self, path: Path) -> None:
        """Make `best` the link to a checkpoint."""
        link = self.best.with_name(".best.tmp")
        link.unlink(missing_ok=True)
        link.symlink_to(path.relative_to(self.best.parent), target_is_directory=True)
        link.replace(self.best)

    def all(self) -> list[Path]:
        """Every complete checkpoint folder, newest last."""
        found = [p for p in self.folder.glob("*") if p.is_dir() and not p.name.startswith(".")]
        return sorted(found, key=_place)

    def _prune(self, saved: Path) -> None:
        selected = self.best.resolve() if self.best.exists() else None
        places = self.all()
        now = places.index(saved) + 1  # what lies beyond is damaged, or the run would have resumed there
        for path in [*places[: max(0, now - self.keep)], *places[now:]]:
            if path.resolve() != selected:
                remove(path)

    def selected(self) -> Path:
        """The checkpoint of the selected epoch, or the newest whole one.

        Raises:
            ThresherError: there is none.
        """
        newest = self.best.resolve() if self.best.exists() else self.newest()[0]
        if newest is None:
            raise ThresherError(f"{self.folder.parent} holds no whole checkpoint: train it first")
        return newest

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest whole checkpoint, and a sentence for each damaged one that was passed over."""
        passed = []
        for path in reversed(self.all()):
            try:
                read_json(path)
            except ThresherError as error:
                passed.append(f"{error}; falling back")
            else:
                return path, passed
        return None, passed

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While open, SIGTERM and Ctrl-C ask for a checkpoint at the next batch instead of ending the process."""
        before = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError):  # only the main thread may
                before[number] = signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: object) -> None:
        if self.stop_signal is not None:  # asked twice: stop at once
            raise KeyboardInterrupt
        self.stop_signal = signal.Signals(number).name


def _place(path: Path) -> tuple[int, ...]:
    """Order of checkpoints in time: ``12`` (12 epochs done) comes before ``12.0.5`` (inside the next epoch)."""
    return tuple(int(part) for part in path.name.split(".") if part.isdecimal())


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint, by module and name."""
    return safetensors.torch.load_file(folder / "weights.safetensors")
