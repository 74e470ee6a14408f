"""New files that commands write: never over one that exists, and whole or not at all."""

from pathlib import Path

from thresher.errors import UsageError


def refuse_existing(path: Path | None) -> None:
    """Refuse, before any work, a file that exists or whose folder does not; None is fine.

    Raises:
        UsageError: it could not be written without loss.

    Example:
        >>> refuse_existing(Path("no such folder/new.csv"))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no folder no such folder to write new.csv into: make it, or name another
    """
    if path is not None and path.exists():
        raise UsageError(f"{path} exists: name another file with --out, for nothing is overwritten")
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} into: make it, or name another")


def write(path: Path, content: str) -> None:
    """Write a text whole or not at all."""
    from thresher.disk import write_atomically

    write_atomically(path, content.encode())
