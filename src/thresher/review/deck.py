"""What the page is told: the queue as columns, and everything about one row, without what is to stay hidden."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from thresher.findings.stored import Stored
from thresher.review.cards import KINDS
from thresher.review.content import Content
from thresher.review.session import Session

_BEST = 9  # classes with their probabilities
_NEIGHBOURS = 10
_EXEMPLARS = 6
_TOLD = ("id", "action", "label", "labels", "annotator", "time", "undoes")


class Deck:
    """The rows of a review, as plain values for JSON.

    Args:
        session: the review.
        content: what there is to see.
        stored: what the run knew, or None.
        name: of the run or the table.
    """

    def __init__(self, session: Session, content: Content, stored: Stored | None, name: str) -> None:
        self.session, self.content, self.name = session, content, name
        self.queue, self.cards = session.queue, session.queue.cards
        self.stored = stored if self.cards.sourced else None

    def facts(self) -> dict[str, Any]:
        """What the page needs to know before anything else."""
        return {
            "name": self.name,
            "kind": self.content.kind,
            "annotator": self.session.annotator,
            "blind": self.queue.blind,
            "hide_suggestion": self.queue.hidden,
        }

    def table(self) -> dict[str, Any]:
        """The queue as columns, best first, with what has been decided."""
        version = self.session.version  # before the states: what comes between is told twice, not left out
        return {
            "version": version,
            **self.facts(),
            "classes": list(self.cards.classes),
            "reasons": list(self.cards.doubters),
            "kinds": list(KINDS),
            "columns": {**self._columns, **self.session.columns()},
            "progress": self.session.progress(),
        }

    @cached_property
    def _columns(self) -> dict[str, list[Any] | None]:
        """The columns that do not change."""
        cards, order, blind = self.cards, self.queue.order, self.queue.blind
        keys, rows = cards.keys[order].tolist(), cards.rows[order].tolist()
        nothing = [0] * len(order)
        return {
            "row": rows,
            "key": None if keys == list(map(str, rows)) else keys,
            "given": cards.given[order].tolist(),
            "suggested": [-1] * len(order) if self.queue.hidden else self.queue.suggested.tolist(),
            "p_wrong": [None] * len(order) if blind else [_number(p) for p in cards.p_wrong[order].tolist()],
            "kind": nothing if blind else cards.kinds[order].tolist(),
            "reason": nothing if blind else cards.witnesses[order].tolist(),
            "audit": nothing if blind else self.queue.audit.astype(int).tolist(),
        }

    def place(self, row: int) -> int:
        """The place of a row number in the table of issues, or -1."""
        return int(self.cards.places(np.array([row]))[0])

    def key(self, row: int) -> str:
        """The key of a row number that is in the table."""
        return str(self.cards.keys[self.place(row)])

    def card(self, row: int) -> dict[str, Any]:
        """Everything about a row number that is in the table."""
        place, position, cards = self.place(row), self.queue.position(row), self.cards
        suggested = int(self.queue.suggested[position] if position >= 0 else cards.suggested[place])
        shown = -1 if self.queue.hidden else suggested
        near = self._neighbours(row)
        known: dict[str, Any] = {} if self.queue.blind else self._judgement(place, shown)
        like = {"given": self._exemplars(int(cards.given[place]), row), "suggested": self._exemplars(shown, row)}
        beside = [one["row"] for one in near] + like["given"] + like["suggested"]
        return {
            "row": row,
            "key": cards.keys[place],
            "kind": self.content.kind,
            "given": int(cards.given[place]),
            "suggested": shown,
            **{"p_suggested": None, "p_wrong": None, "reasons": [], "probabilities": [], "duplicate_of": None, **known},
            "text": self.content.words(cards.keys[place]),
            "fields": self.content.cells(cards.keys[place]),
            "neighbours": near,
            "exemplars": like,
            "excerpts": self.excerpts(beside),
            "history": [_told(asdict(one)) for one in self.session.history(cards.keys[place])],
        }

    def excerpts(self, rows: list[int]) -> dict[str, str]:
        """One line for each row number that is in the table, of texts and table rows."""
        if self.content.kind not in ("text", "table"):
            return {}
        places = self.cards.places(np.array(rows, dtype=np.int64))
        known = zip(rows, places.tolist(), strict=True)
        return {str(row): self.content.excerpt(self.cards.keys[place]) for row, place in known if place >= 0}

    def _judgement(self, place: int, shown: int) -> dict[str, Any]:
        """What speaks against the label; of classes, nothing where suggestions are hidden."""
        cards, twin = self.cards, int(self.cards.duplicates[place])
        known = {
            "p_wrong": _number(cards.p_wrong[place]),
            "duplicate_of": None if twin < 0 else {"row": int(cards.rows[twin]), "given": int(cards.given[twin])},
        }
        if self.queue.hidden:
            return known
        belief = self._belief(int(cards.rows[place]))
        best = [] if belief is None else np.argsort(-belief, kind="stable")[:_BEST].tolist()
        p_suggested = cards.p_suggested[place] if shown == cards.suggested[place] else np.nan
        return {
            **known,
            "p_suggested": _number(p_suggested),
            "reasons": [one.strip() for one in cards.reasons[place].split("; ") if one.strip()],
            "probabilities": [] if belief is None else [[k, _number(belief[k])] for k in best],
        }

    def _belief(self, row: int) -> np.ndarray | None:
        known = None if self.stored is None else self.stored.belief(np.array([row]))
        return None if known is None or not np.isfinite(known).all() else known[0]

    def _neighbours(self, row: int) -> list[dict[str, Any]]:
        found = [] if self.stored is None else self.stored.neighbours(row)[:_NEIGHBOURS]
        places = self.cards.places(np.array([near for near, _ in found], dtype=np.int64)).tolist()
        return [
            {"row": near, "given": int(self.cards.given[place]), "distance": _number(far)}
            for (near, far), place in zip(found, places, strict=True)
            if place >= 0
        ]

    @cached_property
    def _typical(self) -> Callable[[int], np.ndarray]:
        """By class, places of rows whose label nobody doubts, those of the best quality first."""
        cards = self.cards
        quality = np.nan_to_num(cards.quality, nan=-1.0)
        trusted = np.flatnonzero(~cards.flagged)
        order = trusted[np.lexsort((-quality[trusted], cards.given[trusted]))]
        starts = np.searchsorted(cards.given[order], np.arange(len(cards.classes) + 1))
        return lambda k: order[starts[k] : starts[k + 1]]

    def _exemplars(self, k: int, row: int) -> list[int]:
        """Row numbers of typical samples of a class, without this one."""
        if k < 0:
            return []
        found = self.cards.rows[self._typical(k)[: _EXEMPLARS + 1]].tolist()
        return [one for one in found if one != row][:_EXEMPLARS]


def _number(value: float) -> float | None:
    """A number for JSON, in four digits; None where it is not known."""
    return round(float(value), 4) if np.isfinite(value) else None


def _told(decision: dict[str, Any]) -> dict[str, Any]:
    return {name: decision[name] for name in _TOLD}
