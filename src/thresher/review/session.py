"""One person's review as it stands: the queue, the file of decisions, and what has been decided of which row."""

import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from thresher.audit.planning.blind import Missed
from thresher.decisions import Log
from thresher.decisions.decision import ACTIONS, Decision, decide
from thresher.errors import UsageError
from thresher.review.progress import Pace, audited, progress
from thresher.review.queue import Queue

MOST = 10_000
"""Decisions that one request may hold."""

_NAMES = (*ACTIONS, None)  # the last is found at -1
_REQUEST = 24  # hexadecimal digits of an id that all decisions of one request share, so that they are undone together


class Conflict(Exception):
    """Rows that were decided elsewhere since the page saw them.

    Attributes:
        states: theirs, as `Session.state` gives them, with the annotator.
    """

    def __init__(self, states: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(states)} rows were decided elsewhere")
        self.states = states


@dataclass(frozen=True)
class Asked:
    """A decision that the page asks for.

    Attributes:
        row: row number.
        action: one of `thresher.decisions.decision.ACTIONS`.
        seen: the version of the row that the page has seen.
        label: class number, or None.
        labels: class numbers that fit, for ``ambiguous``.
    """

    row: int
    action: str
    seen: int
    label: int | None = None
    labels: tuple[int, ...] = ()


class Session:
    """Decides, undoes and tells; safe to call from several threads.

    Args:
        queue: what is reviewed.
        log: the file of decisions, open.
        annotator: who reviews.
    """

    def __init__(self, queue: Queue, log: Log, annotator: str) -> None:
        self.queue, self.log, self.annotator = queue, log, annotator
        self.pace = Pace()
        self._lock = threading.Lock()
        self._number: dict[str | None, int] = {name: k for k, name in enumerate(queue.cards.classes)}
        keys = self._keys = queue.cards.keys[queue.order].tolist()
        self._position = {key: position for position, key in enumerate(keys)}
        self._actions = np.full(len(keys), -1, dtype=np.int8)
        self._labels = np.full(len(keys), -1, dtype=np.int32)
        self._seen = np.zeros(len(keys), dtype=np.int64)
        if log.state.version:
            self._renew(range(len(keys)))

    @property
    def version(self) -> int:
        """The number of records in the file."""
        return self.log.state.version

    def decide(self, asked: Sequence[Asked]) -> list[dict[str, Any]]:
        """Decide all of the rows, or none.

        Returns:
            Their new states.

        Raises:
            UsageError: a row, an action or a label that cannot be; nothing was decided.
            Conflict: rows were decided elsewhere; nothing was decided.
            ThresherError: the file cannot be written; nothing was decided.
        """
        if not 0 < len(asked) <= MOST:
            raise UsageError(f"there are {len(asked)} decisions in the request: send 1 to {MOST:,}")
        positions = [self.queue.position(one.row) for one in asked]
        if len(set(positions)) < len(positions):
            raise UsageError("a row is there twice in one request: send each once")
        request = uuid.uuid4().hex[:_REQUEST]
        with self._lock:
            made = [
                self._made(one, position, f"{request}{number:08x}")
                for number, (one, position) in enumerate(zip(asked, positions, strict=True))
            ]
            self._refuse_outdated(asked, positions)
            self.log.append(*made)
            self.pace.count(len(made))
            return self._renewed(positions)

    def undo(self) -> list[dict[str, Any]]:
        """Take back the newest request that stands, all of its decisions, however old it is.

        Returns:
            The new states of its rows that are in the queue; empty where there is nothing to take back.
        """
        with self._lock:
            count = _of_one_request([one.id for one in self.log.state.to_undo(self.annotator, MOST)])
            return self._told(self.log.undo(self.annotator, count)[::-1])

    def redo(self) -> list[dict[str, Any]]:
        """Let the request stand again that was taken back last, unless something was decided since.

        Returns:
            As `undo`.
        """
        with self._lock:
            count = _of_one_request([str(one.undoes) for one in self.log.state.to_redo(self.annotator, MOST)])
            return self._told(self.log.redo(self.annotator, count))

    def _told(self, changed: Sequence[Decision]) -> list[dict[str, Any]]:
        return self._renewed([self._position[one.key] for one in changed if one.key in self._position])

    def since(self, version: int) -> list[dict[str, Any]]:
        """The states of the rows that records since a version are about."""
        with self._lock:
            keys = dict.fromkeys(one.key for one in self.log.state.records[version:])
            return [self.state(self._position[key]) for key in keys if key in self._position]

    def state(self, position: int) -> dict[str, Any]:
        """What was decided of a place in the queue: ``row, state, label, seen``; nothing is None and -1."""
        return {
            "row": int(self.queue.cards.rows[self.queue.order[position]]),
            "state": _NAMES[self._actions[position]],
            "label": int(self._labels[position]),
            "seen": int(self._seen[position]),
        }

    def columns(self) -> dict[str, list[Any]]:
        """`state`, `label` and `seen` of the whole queue."""
        with self._lock:
            states = [_NAMES[action] for action in self._actions.tolist()]
            return {"state": states, "label": self._labels.tolist(), "seen": self._seen.tolist()}

    def history(self, key: str) -> list[Decision]:
        """What this person decided of a key, undos too, oldest first."""
        with self._lock:
            return [one for one in self.log.state.history(key) if one.annotator == self.annotator]

    def progress(self) -> dict[str, Any]:
        """How far the review is; see `thresher.review.progress.progress`."""
        with self._lock:
            return progress(self.queue, self._actions, self.pace.per_minute())

    def audited(self) -> Missed | None:
        """What the audit rows say; see `thresher.review.progress.audited`."""
        with self._lock:
            return audited(self.queue, self._actions)

    def _renew(self, positions: Iterable[int]) -> None:
        """Take over what the file says of places in the queue."""
        for position in positions:
            key = self._keys[position]
            now = self.log.state.of(key).get(self.annotator)
            self._actions[position] = -1 if now is None else ACTIONS.index(now.action)
            # A name that is no class any more, as in another table of issues, has no number.
            self._labels[position] = -1 if now is None else self._number.get(now.label, -1)
            self._seen[position] = self.log.state.key_version(key)

    def _renewed(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        self._renew(positions)
        return [self.state(position) for position in positions]

    def _refuse_outdated(self, asked: Sequence[Asked], positions: Sequence[int]) -> None:
        states = [(one, self.state(position)) for one, position in zip(asked, positions, strict=True)]
        moved = [state for one, state in states if one.seen != state["seen"]]
        if moved:
            raise Conflict([{**state, "annotator": self.annotator} for state in moved])

    def _made(self, asked: Asked, position: int, identity: str) -> Decision:
        """The record of a decision, with everything about it checked."""
        if position < 0:
            raise UsageError(f"row {asked.row} is not in the queue: load the page again")
        if asked.action not in ACTIONS:
            raise UsageError(f"there is no action {asked.action[:40]!r}: choose one of {', '.join(ACTIONS)}")
        cards, place = self.queue.cards, int(self.queue.order[position])
        given, suggested = int(cards.given[place]), int(self.queue.suggested[position])
        label = _checked_label(asked, given, -1 if self.queue.hidden else suggested, len(cards.classes))
        name = cards.classes
        return decide(
            str(cards.keys[place]),
            "keep" if asked.action == "relabel" and label == given else asked.action,
            given=name[given],
            annotator=self.annotator,
            suggested=None if suggested < 0 else name[suggested],
            label=None if label is None else name[label],
            labels=[name[k] for k in asked.labels],
            p_wrong=float(cards.p_wrong[place]),
            row=int(cards.rows[place]) if cards.sourced else None,
            audit=bool(self.queue.audit[position]),
            id=identity,
        )


def _checked_label(asked: Asked, given: int, suggested: int, classes: int) -> int | None:
    """The class number that a decision stands for, or None.

    Raises:
        UsageError: a class that is none, or that does not go with the action.
    """
    for one in (asked.label, *asked.labels):
        if one is not None and not 0 <= one < classes:
            raise UsageError(f"row {asked.row} has the class {one}: classes go from 0 to {classes - 1}")
    if asked.labels and (asked.action != "ambiguous" or len(set(asked.labels)) < max(2, len(asked.labels))):
        raise UsageError(f"row {asked.row} has labels {list(asked.labels)}: ambiguous takes two or more, each once")
    if asked.action == "accept" and suggested < 0:
        raise UsageError(f"row {asked.row} has no suggestion that is shown: choose a class instead")
    meant = {"accept": suggested, "keep": given, "relabel": asked.label}.get(asked.action)
    if asked.action == "relabel" and meant is None:
        raise UsageError(f"row {asked.row} is to be relabelled without a label: choose a class")
    if asked.label not in (None, meant):
        raise UsageError(f"row {asked.row} has the label {asked.label}, which does not go with {asked.action}")
    return meant


def _of_one_request(ids: Sequence[str]) -> int:
    """How many of the first ids share what the decisions of one request share."""
    return sum(1 for _ in takewhile(lambda one: one[:_REQUEST] == ids[0][:_REQUEST], ids))
