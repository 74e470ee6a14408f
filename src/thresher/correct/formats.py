"""What a correction can be written as, and where: the kind, the files beside it, and what it cannot hold."""

import os
from collections.abc import Mapping
from pathlib import Path

from thresher.correct.correction import Correction
from thresher.correct.draft import clear
from thresher.errors import UsageError, nearest

FORMATS = ("csv", "jsonl", "npz", "folder", "hf")
"""A table as CSV or as lines of JSON; arrays; a copy of a folder of images made of links; a Hugging Face data set."""


_LONGEST = 255 - len(".changes.csv")  # bytes of a name, so that those beside it can be made too


def kind_of(out: str | Path, kind: str | None = None) -> str:
    """The kind that was asked for, or that the ending tells.

    Args:
        out: as it was typed; a folder of links ends in ``/``.
        kind: one of `FORMATS`, or None.

    Raises:
        UsageError: there is no such kind, the ending tells none, or both contradict one another.

    Example:
        >>> kind_of("new.csv"), kind_of("clean/"), kind_of("clean", "hf")
        ('csv', 'folder', 'hf')
    """
    if kind is not None and kind not in FORMATS:
        raise UsageError(f"there is no format {kind!r}: {nearest(kind, FORMATS)}")
    ending = Path(out).suffix.lower().removeprefix(".")
    told = "folder" if str(out).endswith("/") else ending if ending in ("csv", "jsonl", "npz") else None
    if kind is None and told is None:
        raise UsageError(
            f"{out} does not end in .csv, .jsonl or .npz, or in / for a folder of links: give it such a name, or a "
            "--format"
        )
    if kind in ("csv", "jsonl", "npz") and told != kind:
        raise UsageError(f"{out} does not end in .{kind}, which is its format: give it that ending")
    return kind or str(told)


def beside(out: Path) -> dict[str, Path]:
    """The paths of what counts, of its diff and of its manifest.

    Example:
        >>> [str(path) for path in beside(Path("new.csv")).values()]
        ['new.csv', 'new.changes.csv', 'new.json']
        >>> [str(path) for path in beside(Path("clean.v2")).values()]
        ['clean.v2', 'clean.v2.changes.csv', 'clean.v2.json']
    """
    if out.suffix.lower() == ".csv":
        return {"out": out, "changes": out.with_suffix(".changes.csv"), "manifest": out.with_suffix(".json")}
    names = {"changes": f"{out.name}.changes.csv", "manifest": f"{out.name}.json"}
    return {"out": out, **{what: out.with_name(name) for what, name in names.items()}}


def places(out: str | Path, kind: str | None = None) -> dict[str, Path]:
    """Where labels, their diff and their manifest go, once it is sure that nothing is in their way.

    What a process that was ended half-way left there is cleared away.

    Returns:
        The paths by `out`, `changes` and `manifest`.

    Raises:
        UsageError: one of the files exists, the kind is not clear, there is no such folder, or another process is
            writing there.

    Example:
        >>> places("absent/labels.csv")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no folder absent: make it first, or write elsewhere
    """
    kind_of(out, kind)
    path = Path(out)
    if not path.name:
        raise UsageError(f"{out} is a folder that exists: name a new one in it")
    if len(os.fsencode(path.name)) > _LONGEST:
        raise UsageError(f"{path.name[:20]}... has a name of more than {_LONGEST} bytes: give --out a shorter one")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}: make it first, or write elsewhere")
    clear(path)
    paths = beside(path)
    for one in paths.values():
        if one.exists() or one.is_symlink():
            raise UsageError(f"{one} exists, and nothing is overwritten: choose another --out, or move it away")
    return paths


def refuse_unfit(correction: Correction, kind: str, complete: bool) -> None:
    """Refuse what a kind of file cannot hold.

    Args:
        correction: what is to be written.
        kind: one of `FORMATS`.
        complete: whether the file holds the inputs too, as training reads them, and no more.

    Raises:
        UsageError: a list for a person in anything but a table; weights or soft labels where only labels fit.
    """
    if correction.listing and kind not in ("csv", "jsonl"):
        raise UsageError(f"review lists rows for a person to edit, which {_NAMES[kind]} cannot be: write a .csv")
    if correction.soft and (kind == "folder" or complete):
        raise UsageError(
            f"{_NAMES[kind]} holds no weights and no soft labels: write a .csv, or choose relabel or drop, and drop "
            "for ambiguous labels"
        )


_NAMES: Mapping[str, str] = {
    "folder": "a folder of links",
    "npz": "an .npz file of inputs and labels",
    "hf": "a Hugging Face data set",
}
