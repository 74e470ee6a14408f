"""The folder beside an output that holds what is known so far, so that a killed search goes on where it was."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thresher.disk import plain_disk_errors, replacing
from thresher.errors import UsageError

FORMAT = 1
_ENDS = 1 << 16


def fingerprint(files: Iterable[Path]) -> str:
    """What files hold, as far as name, size, time of change, first and last bytes can tell.

    Example:
        >>> fingerprint([]) == fingerprint([])
        True
    """
    digest = hashlib.sha256()
    for path in files:
        facts = path.stat()
        digest.update(f"{path.absolute()}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(0, facts.st_size - _ENDS))
            digest.update(file.read(_ENDS))
    return digest.hexdigest()


class Workspace:
    """Finished results by name, in a folder that belongs to one search.

    Args:
        folder: made if it is not there.
        about: what the search is, plain values for JSON; a folder of another search is refused. None where nobody can
            come back to the folder: results are then held in memory.

    Raises:
        UsageError: the folder belongs to another search, or is none of ours.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any] | None) -> None:
        self.folder = folder
        self._held: dict[str, dict[str, np.ndarray]] | None = {} if about is None else None
        if about is None:
            return
        told = json.dumps({"format": FORMAT, **about}, sort_keys=True)
        note = folder / "about.json"
        if folder.exists() and not note.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is in the way, and no search left it: move it, or name another output")
        if note.exists() and note.read_text(encoding="utf-8") != told:
            raise UsageError(
                f"{folder} is what a search with other files or settings left: repeat that one to go on with it, or "
                "remove the folder to begin anew"
            )
        with plain_disk_errors(folder):
            folder.mkdir(exist_ok=True)
        if not note.exists():
            with replacing(note) as file:
                file.write(told.encode())

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays under a name; what was there is replaced."""
        if self._held is not None:
            self._held[name] = dict(arrays)
            return
        with replacing(self.folder / f"{name}.npz") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """What was kept under a name, or None."""
        if self._held is not None:
            held = self._held.get(name)
            return None if held is None else dict(held)
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as kept:
            return {key: kept[key] for key in kept.files}

    def forget(self, name: str) -> None:
        """Remove what was kept under a name."""
        if self._held is not None:
            self._held.pop(name, None)
            return
        (self.folder / f"{name}.npz").unlink(missing_ok=True)

    def remove(self) -> None:
        """The search is over."""
        shutil.rmtree(self.folder, ignore_errors=True)
