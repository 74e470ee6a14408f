"""Which rows are reviewed, and in which order: the suspects by probability, and perhaps others among them, blind."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thresher.audit.planning.blind import audit_rows
from thresher.errors import UsageError
from thresher.review.cards import Cards

_SEED = 0  # the same table gives the same audit, also after a restart


@dataclass(frozen=True, eq=False)
class Queue:
    """Q rows of a table of issues, in the order in which they are shown.

    Attributes:
        cards: the table.
        order: places in it, int64 ``[Q]``.
        audit: which of them are there by chance, to be judged blind, bool ``[Q]``.
        suggested: the class that is suggested for each, int32 ``[Q]``, or -1.
        blind: whether what would tell an audit row from a suspect is not shown.
        hidden: whether suggestions are not shown either.
    """

    cards: Cards
    order: np.ndarray
    audit: np.ndarray
    suggested: np.ndarray
    blind: bool = False
    hidden: bool = False

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def _at(self) -> np.ndarray:
        """By place in the table, the place in the queue, int64 ``[M]``; -1 for rows that are not in it."""
        at = np.full(len(self.cards), -1)
        at[self.order] = np.arange(len(self.order))
        return at

    def position(self, row: int) -> int:
        """Where a row number stands in the queue, or -1."""
        place = int(self.cards.places(np.array([row]))[0])
        return -1 if place < 0 else int(self._at[place])


def build(
    cards: Cards,
    *,
    top: int | None = None,
    blind: float | None = None,
    hide: bool = False,
    belief: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Queue:
    """Rank the suspects, and mix rows in that nothing speaks against.

    Suspects come by falling `p_wrong`; where that is not known, as in the table, after those where it is. Audit rows
    are a uniform sample of the rows outside of the queue, at random places in it: whoever stops early has still seen a
    uniform sample. They are suggested the most probable class but the given one, as suspects are.

    Args:
        cards: the table.
        top: so many rows from the head of the ranking, suspects first and then the others; default all suspects.
        blind: rows to mix in: a share of the queue below 1, or a number of rows from 1 on; None is none.
        hide: do not show suggestions.
        belief: gives class probabilities, float ``[n, K]``, NaN where unknown, for places in the table (int64 ``[n]``);
            without them a blind queue hides its suggestions, which would tell audit rows from suspects.

    Raises:
        UsageError: nothing to review, or numbers out of range.

    Example:
        >>> import pandas as pd
        >>> columns = ["key", "given", "suggested", "p_suggested", "p_wrong", "is_label_issue"]
        >>> table = [["a", "x", "y", 0.6, 0.7, True], ["b", "x", "y", 0.8, 0.9, True], ["c", "y", "y", 0.9, 0.1, False]]
        >>> build(Cards.of(pd.DataFrame(table, columns=columns), ("x", "y"))).order.tolist()
        [1, 0]
    """
    ranked, suspects = _ranked(cards), int(cards.flagged.sum())
    if top is not None and top < 1:
        raise UsageError(f"top is {top}: give the number of rows to review, 1 or more")
    if not suspects and top is None:
        raise UsageError("no label is called wrong, so there is nothing to review: --top N shows the N least certain")
    order = ranked[: suspects if top is None else top]
    mixed = np.zeros(0, dtype=np.int64) if blind is None else _sample(cards, order, _count(blind, order))
    audit = np.zeros(len(order) + len(mixed), dtype=bool)
    audit[np.random.default_rng(_SEED).choice(len(audit), len(mixed), replace=False)] = True
    places = np.empty(len(audit), dtype=np.int64)
    places[audit], places[~audit] = np.random.default_rng(_SEED).permutation(mixed), order
    suggested = np.where(cards.suggested == cards.given, -1, cards.suggested)[places].astype(np.int32)
    if blind is not None and belief is not None:
        suggested = _filled(suggested, cards.given[places], belief(places))
    hide = hide or (blind is not None and bool((suggested[audit] < 0).any()))
    return Queue(cards, places, audit, suggested, blind is not None, hide)


def _ranked(cards: Cards) -> np.ndarray:
    """Places in the table, suspects first, then by falling `p_wrong`, then as they come: int64 ``[M]``."""
    return np.lexsort((np.arange(len(cards)), np.nan_to_num(-cards.p_wrong, nan=1.0), ~cards.flagged))


def _count(blind: float, order: np.ndarray) -> int:
    """How many rows to mix in."""
    if not 0 < blind < np.inf or (blind > 1 and blind != int(blind)):
        raise UsageError(f"blind is {blind:g}: give a share of the queue between 0 and 1, or a number of rows")
    return int(blind) if blind >= 1 else int(np.ceil(blind * len(order)))


def _sample(cards: Cards, order: np.ndarray, count: int) -> np.ndarray:
    """Places of so many rows that are neither in the queue nor called wrong, a uniform sample."""
    doubted = cards.flagged.copy()
    doubted[order] = True
    by_row = np.argsort(cards.rows, kind="stable")  # places in the table change with every search
    return np.asarray(by_row[audit_rows(len(cards), doubted[by_row], count, _SEED)])


def _filled(suggested: np.ndarray, given: np.ndarray, belief: np.ndarray) -> np.ndarray:
    """The suggestions, with the most probable other class where there is none."""
    others = np.where(np.arange(belief.shape[1]) == given[:, None], -1.0, belief)
    known = np.isfinite(belief).all(1) & (belief.shape[1] > 1)
    return np.where((suggested < 0) & known, others.argmax(1), suggested).astype(np.int32)
