"""One decision of a person about one label: a line of ``decisions.jsonl``."""

import importlib.metadata
import json
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

from thresher.errors import UsageError, nearest

VERSION = 1
"""Of the records."""

ACTIONS = ("accept", "relabel", "keep", "skip", "ambiguous", "none_of_these", "bad")
"""What a person can decide: the suggested label, another one, the given one, nothing yet, two or more fit, none fits,
the sample is no good."""

_LABELLED = ("accept", "relabel", "keep")


@dataclass(frozen=True, slots=True)
class Decision:
    """One record; `decide` makes one for a new decision.

    Attributes:
        id: hexadecimal, its own.
        key: of the sample.
        action: one of `ACTIONS`, or ``undo``.
        given: the class name it had.
        annotator: who decided.
        time: ISO 8601, UTC.
        label: the class name it should have, for ``accept``, ``relabel`` and ``keep``; None for the others.
        labels: the class names that fit, for ``ambiguous``; may be empty.
        suggested: the class name that was suggested, or None.
        p_wrong: probability that the given label is wrong, as it was shown, or None.
        row: of the source, or None.
        audit: whether the sample was shown as part of a blind audit.
        undoes: for ``undo``, the id of the record that it takes back: a decision, or another undo (a redo).
        tool: what wrote it.
        v: the version of the record.
    """

    id: str
    key: str
    action: str
    given: str
    annotator: str
    time: str
    label: str | None = None
    labels: tuple[str, ...] = ()
    suggested: str | None = None
    p_wrong: float | None = None
    row: int | None = None
    audit: bool = False
    undoes: str | None = None
    tool: str = ""
    v: int = VERSION

    def __post_init__(self) -> None:
        for name in ("id", "key", "annotator", "time"):
            value = getattr(self, name)
            if not value or not _is_text(value):
                raise UsageError(f"{name} of a decision is {getattr(self, name)!r}: it must be text, and not empty")
        if self.action == "undo":
            if not _is_text(self.undoes) or not self.undoes:
                raise UsageError(f"the undo {self.id} does not say which record it undoes: give its id in undoes")
        elif self.action not in ACTIONS:
            raise UsageError(f"there is no action {self.action!r}: {nearest(str(self.action), ACTIONS)}")
        _check_labels(self)
        _check_rest(self)

    @property
    def outcome(self) -> tuple[str, str]:
        """What it says of the label, to compare: ``("label", NAME)``, or the action and an empty text."""
        return (self.action, "") if self.label is None else ("label", self.label)

    def undone_by(self, annotator: str) -> "Decision":
        """A record that takes this one back."""
        return Decision(
            *(uuid.uuid4().hex, self.key, "undo", self.given, annotator, _now()),
            suggested=self.suggested,
            row=self.row,
            audit=self.audit,
            undoes=self.id,
            tool=_tool(),
        )

    def line(self) -> bytes:
        """One line of JSON, with its end."""
        known = {name: getattr(self, name) for name in _ORDER}
        if self.labels:
            known["labels"] = list(self.labels)
        return json.dumps(known, ensure_ascii=False, allow_nan=False).encode() + b"\n"


_FIELDS = tuple(field.name for field in fields(Decision))
_KNOWN, _NEEDED = frozenset(_FIELDS), frozenset(_FIELDS[:6])
_ORDER = (
    *("v", "id", "key", "row", "action", "label", "given", "suggested", "p_wrong", "audit", "annotator", "time"),
    *("undoes", "tool"),
)


def decide(
    key: str,
    action: str,
    *,
    given: str,
    annotator: str,
    suggested: str | None = None,
    label: str | None = None,
    labels: Sequence[str] = (),
    p_wrong: float | None = None,
    row: int | None = None,
    audit: bool = False,
    id: str | None = None,
) -> Decision:
    """A new decision, made now.

    Args:
        key: of the sample.
        action: one of `ACTIONS`.
        given: the class name it has.
        annotator: who decides.
        suggested: the class name that is suggested; ``accept`` needs it.
        label: the chosen class name, for ``relabel``; the others find it themselves.
        labels: the class names that fit, for ``ambiguous``.
        p_wrong: probability that the given label is wrong; NaN is unknown.
        row: of the source.
        audit: whether the sample is part of a blind audit.
        id: hexadecimal; default a random one. A page that may send twice gives its own, and the second is ignored.

    Raises:
        UsageError: an unknown action, or labels that do not go with it.

    Example:
        >>> done = decide("a.png", "accept", given="cat", suggested="dog", annotator="ann")
        >>> done.label, done.undoes
        ('dog', None)
        >>> decide("a.png", "relabel", given="cat", annotator="ann")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: relabel of 'a.png' has no label: name the class
    """
    if action == "undo":
        raise UsageError("undo is no decision about a sample: it takes a record back")
    own = {"accept": suggested, "keep": given}.get(action, label)
    unknown = p_wrong is None or math.isnan(p_wrong)
    return Decision(
        *(id or uuid.uuid4().hex, key, action, given, annotator, _now(), own, tuple(labels), suggested),
        *(None if unknown else p_wrong, row, audit, None, _tool()),
    )


def parse(line: bytes) -> Decision:
    """The decision on one line of JSON.

    Raises:
        UsageError: it is none, or from a newer version.

    Example:
        >>> done = decide("a.png", "bad", given="cat", annotator="ann")
        >>> parse(done.line()) == done
        True
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise UsageError("it is not a JSON object")
    if found.get("v") != VERSION:
        raise UsageError(f"its version is {found.get('v')!r}, and this version of Thresher reads {VERSION}")
    known: dict[str, Any] = {name: value for name, value in found.items() if name in _KNOWN}
    if not known.keys() >= _NEEDED:
        raise UsageError(f"it has no {next(name for name in _FIELDS if name not in known)}")
    labels = known.get("labels") or []
    if not isinstance(labels, list):
        raise UsageError(f"its labels are {labels!r}, which is no list")
    known["labels"] = tuple(labels)
    return Decision(**known)


def _check_labels(one: Decision) -> None:
    """The label that goes with the action, and names that are text."""
    for name in (one.label, one.suggested, *one.labels):
        if name is not None and not _is_text(name):
            raise UsageError(f"a label of {one.key!r} is {name!r}: it must be the text of a class name")
    if one.action in _LABELLED and not one.label:
        hint = "there is no suggestion to accept" if one.action == "accept" else "name the class"
        raise UsageError(f"{one.action} of {one.key!r} has no label: {hint}")
    if one.action not in _LABELLED and one.label is not None:
        raise UsageError(f"{one.action} of {one.key!r} has the label {one.label!r}: only accept, relabel and keep do")
    expected = {"accept": one.suggested, "keep": one.given}.get(one.action, one.label)
    if one.label != expected:
        raise UsageError(f"{one.action} of {one.key!r} has the label {one.label!r} and not {expected!r}")
    if one.labels and (one.action != "ambiguous" or len(set(one.labels)) < 2):
        raise UsageError(f"{one.action} of {one.key!r} has {len(one.labels)} labels: ambiguous takes two or more")


def _check_rest(one: Decision) -> None:
    if not _is_text(one.given):
        raise UsageError(f"given of {one.key!r} is {one.given!r}: it must be the text of a class name")
    number = isinstance(one.p_wrong, int | float) and not isinstance(one.p_wrong, bool)
    if one.p_wrong is not None and not (number and 0 <= one.p_wrong <= 1):
        raise UsageError(f"p_wrong of {one.key!r} is {one.p_wrong!r}: it is a probability from 0 to 1, or null")
    if one.row is not None and (not isinstance(one.row, int) or isinstance(one.row, bool) or one.row < 0):
        raise UsageError(f"row of {one.key!r} is {one.row!r}: it is a row number, or null")
    if not isinstance(one.audit, bool):
        raise UsageError(f"audit of {one.key!r} is {one.audit!r}: it is true or false")


def _is_text(value: object) -> bool:
    """Text that a file can hold: no half of a surrogate pair, as a damaged file name may have."""
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def _tool() -> str:
    return f"thresher {importlib.metadata.version('thresher')}"
