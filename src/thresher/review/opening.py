"""A review, opened: the table of issues, what the run knew, the data to look at, and the file of decisions."""

import shlex
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from thresher.audit.planning import Plan, plan
from thresher.correct import Suspects, read
from thresher.data import Reading
from thresher.decisions import NAME, Log
from thresher.errors import ThresherError, UsageError
from thresher.findings.stored import Stored
from thresher.findings.stored import read as read_stored
from thresher.result import read_run
from thresher.review import content
from thresher.review.cards import Cards
from thresher.review.content import Content
from thresher.review.deck import Deck
from thresher.review.queue import Queue, build
from thresher.review.session import Session

PER_MINUTE = 20
"""Decisions that a person makes in a minute, for a budget in minutes."""

_LONGEST = 100  # characters of an annotator's name


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        source: a run folder, or a table of issues.
        annotator: who reviews.
        data: the samples of these issues, where the run does not say, or they have moved; or None.
        reading: the columns of a table.
        root: the folder of official data files.
        decisions: the file of decisions; default in the run folder, or beside the table.
        top: rows to review; default all suspects.
        minutes: likewise, as a time.
        blind: rows to mix in, see `thresher.review.queue.build`.
        hide: do not show suggestions.
    """

    source: str
    annotator: str
    data: str | None = None
    reading: Reading = field(default_factory=Reading)
    root: Path | None = None
    decisions: Path | None = None
    top: int | None = None
    minutes: float | None = None
    blind: float | None = None
    hide: bool = False


@dataclass(frozen=True, eq=False)
class Review:
    """An open review; close its log at the end.

    Attributes:
        deck: its rows.
        log: its file of decisions.
        command: what to type when it is done.
    """

    deck: Deck
    log: Log
    command: str

    @property
    def session(self) -> Session:
        """What has been decided."""
        return self.deck.session

    def expected(self) -> Plan | None:
        """What reviewing all of the queue is expected to find; None where no probabilities are known."""
        queue = self.session.queue
        chances = queue.cards.p_wrong[queue.order[~queue.audit]]
        return None if np.isnan(chances).all() else plan(chances)


def opened(wish: Wish) -> Review:
    """Open a review.

    Args:
        wish: what is asked for.

    Raises:
        UsageError: anything about the request that cannot work, or another review has the file of decisions.
        ThresherError: files that are damaged.

    Warns:
        UserWarning: the data cannot be shown, suggestions are hidden after all, and the like.
    """
    _check(wish)
    suspects = read(wish.source)
    log = Log(_place(wish, suspects))  # first, for a second review is refused before it reads all of the data
    try:
        cards = Cards.of(suspects.issues, suspects.classes)
        stored = None if suspects.run is None else _stored(suspects.run, len(cards.classes))
        queue = _queue(wish, cards, stored)
        session = Session(queue, log, wish.annotator)
        name = Path(wish.source).resolve().name if suspects.run is None else suspects.run.resolve().name
        deck = Deck(session, _content(wish, suspects, cards), stored, name)
    except BaseException:
        log.close()
        raise
    words = ["thresher", "correct", wish.source, "--policy", "review", "--out", "corrected.csv"]
    words += [] if log.path == _usual(wish, suspects) and suspects.run else ["--decisions", str(log.path)]
    return Review(deck, log, shlex.join(words))


def _check(wish: Wish) -> None:
    name = wish.annotator
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST:
        raise UsageError(f"annotator is {name[:_LONGEST]!r}: give a name of 1 to {_LONGEST} printable characters")
    if wish.top is not None and wish.minutes is not None:
        raise UsageError("both --top and --budget are given: say how much to review in one of them")
    if wish.minutes is not None and not 0 < wish.minutes < 1e6:
        raise UsageError(f"budget is {wish.minutes:g}: give the minutes that the review may take")


def _place(wish: Wish, suspects: Suspects) -> Path:
    """The file of decisions."""
    path = wish.decisions or _usual(wish, suspects)
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the decisions: make it, or name another file")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file for the decisions")
    return path


def _usual(wish: Wish, suspects: Suspects) -> Path:
    """Where decisions are kept if nothing else is said: in the run folder, or beside the table."""
    return Path(wish.source).with_suffix(f".{NAME}") if suspects.run is None else suspects.run / NAME


def _stored(run: Path, classes: int) -> Stored | None:
    try:
        return read_stored(run, classes)
    except ThresherError as error:
        warnings.warn(f"the page goes without probabilities and neighbours: {error}", stacklevel=2)
        return None


def _queue(wish: Wish, cards: Cards, stored: Stored | None) -> Queue:
    top = wish.top if wish.minutes is None else max(1, int(wish.minutes * PER_MINUTE))
    known = stored is not None and stored.probabilities is not None and cards.sourced

    def belief(places: np.ndarray) -> np.ndarray:
        assert stored is not None  # noqa: S101 - `known` says so
        return np.asarray(stored.belief(cards.rows[places]))

    queue = build(cards, top=top, blind=wish.blind, hide=wish.hide, belief=belief if known else None)
    if queue.hidden and not wish.hide:
        warnings.warn("suggestions are hidden, for the audit rows have none: that would tell them apart", stacklevel=2)
    return queue


def _content(wish: Wish, suspects: Suspects, cards: Cards) -> Content:
    """What there is to see; the data of a run is known to it."""
    if wish.data is not None:
        given = np.asarray(cards.classes, dtype=object)[cards.given]
        return content.of_data(wish.data, wish.reading, wish.root, cards.keys, given)
    if suspects.run is not None:
        return content.of_run(suspects.run, read_run(suspects.run), wish.root, cards.keys)
    warnings.warn("the page shows keys and labels only: name the data with --data", stacklevel=2)
    return Content()
