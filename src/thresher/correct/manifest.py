"""Where corrected labels came from, and how often labels were corrected by models before."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thresher.correct.draft import digest
from thresher.correct.formats import beside

FORMAT = "thresher corrected labels"
VERSION = 1

_BY_MODEL = ("relabel", "soften", "drop", "weight")


def origin(path: str | Path) -> dict[str, Any] | None:
    """Where corrected labels came from.

    Args:
        path: of what was written as ``--out``.

    Returns:
        The manifest: `run` (the path of a folder as text, or None), `data`, `fingerprint`, `policy`, `min_confidence`,
        `rows`, `suspects`, `changed`, `sha256`, `thresher`, and `edited`: whether the file was changed since. None
        where there is no manifest or it cannot be read, for a file of labels can come from anywhere.

    Example:
        >>> origin("absent.csv") is None
        True
    """
    path = Path(path)
    try:
        found = json.loads(beside(path)["manifest"].read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping) or (found.get("format"), found.get("format_version")) != (FORMAT, VERSION):
        return None
    run = found.get("run")
    if not isinstance(found.get("policy"), str) or not isinstance(run, str | None):
        return None
    try:
        edited = digest(path) != found.get("sha256")
    except OSError:
        return None
    return {**found, "run": None if run is None else str(path.parent / run), "edited": edited}


def generations(path: str | Path) -> int:
    """How often models have corrected the labels that a run, or a file of corrected labels, stands on.

    Cleaning and training in turns with models of one kind fits the data to the model: from the second time on, a
    model's own mistakes come back to it as labels. Corrections by people alone do not count, nor those that changed
    nothing, nor files that can no longer be found.

    Args:
        path: of a run folder, or of what `thresher.correct.write` wrote.

    Example:
        >>> generations("absent")
        0
    """
    count, seen = 0, set()
    todo = [Path(path)]
    while todo:
        one = todo.pop()
        if one.resolve() in seen:
            continue
        seen.add(one.resolve())
        if (one / "run.json").is_file():
            todo += _labels_of(one)
        elif (told := origin(one)) is not None:
            count += _by_model(told)
            todo += [Path(told["run"])] if told["run"] else []
    return count


def _by_model(told: Mapping[str, Any]) -> bool:
    """Whether a model's opinion is in the labels."""
    policy = told.get("then") or told["policy"]
    return policy in _BY_MODEL and told.get("changed") != 0


def _labels_of(run: Path) -> list[Path]:
    """The files that the labels of a run came from."""
    try:
        asked = json.loads((run / "run.json").read_text(encoding="utf-8"))["request"]
        found = [asked["reading"].get("labels"), asked.get("source")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return [Path(one) for one in found if isinstance(one, str)]
