"""How far a review is, how good the suspects were so far, and whether it is time to stop."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from thresher.audit.planning.blind import Missed, missed
from thresher.audit.planning.progress import advice, recalibrated
from thresher.audit.scores import interval
from thresher.decisions.decision import ACTIONS
from thresher.review.queue import Queue

_PAUSE = 120.0  # seconds; a longer gap was no work
_LATEST = 200  # requests that the pace is taken from
_WINDOW = 50  # decisions that the advice is taken from where no probabilities are known
_WORTH = 0.1  # of wrong labels, below which the rest is hardly worth the time

SKIP, KEEP, AMBIGUOUS = (ACTIONS.index(name) for name in ("skip", "keep", "ambiguous"))
"""Numbers of actions, which are places in `ACTIONS`; -1 stands for none."""


class Pace:
    """Decisions per minute, without pauses.

    Args:
        clock: gives seconds.

    Example:
        >>> seconds = iter([0.0, 3.0, 6.0])
        >>> pace = Pace(lambda: next(seconds))
        >>> for _ in range(3):
        ...     pace.count(1)
        >>> pace.per_minute()
        20.0
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._gaps: deque[tuple[float, int]] = deque(maxlen=_LATEST)

    def count(self, decisions: int) -> None:
        """Note that so many decisions were made just now."""
        now = self._clock()
        if self._last is not None and now - self._last <= _PAUSE:
            self._gaps.append((now - self._last, decisions))
        self._last = now

    def per_minute(self) -> float | None:
        """The rate over the latest decisions, or None where there are none yet."""
        seconds = sum(gap for gap, _ in self._gaps)
        return 60 * sum(count for _, count in self._gaps) / seconds if seconds > 0 else None


def progress(queue: Queue, actions: np.ndarray, per_minute: float | None) -> dict[str, Any]:
    """What the page says about the review as a whole.

    A label counts as wrong when another one was chosen, when no class fits, or when the sample is bad; as right when it
    was kept. Ambiguous rows count as neither, skipped rows as not decided, audit rows for themselves alone.

    Args:
        queue: what is reviewed.
        actions: what was decided of it, places in `ACTIONS`, int8 ``[Q]``; -1 is nothing yet.
        per_minute: decisions a minute, or None.

    Returns:
        `decided`, `total`, `audited`, `accepted` (counts), `per_minute`, `precision` (the share of wrong labels among
        the decided suspects, ``value`` with ``low`` and ``high``, Wilson's 95 % interval; None before the first),
        `expected_remaining` (wrong labels among the suspects not decided, or None) and `advice`, a sentence.
    """
    decided = (actions >= 0) & (actions != SKIP)
    firm = decided & ~queue.audit & (actions != AMBIGUOUS)
    wrong = (actions != KEEP)[firm]
    chances = queue.cards.p_wrong[queue.order]
    left, seen = chances[~decided & ~queue.audit], chances[firm]
    return {
        "decided": int(decided.sum()),
        "total": len(queue),
        "audited": int((decided & queue.audit).sum()),
        "accepted": int((actions == ACTIONS.index("accept")).sum()),
        "per_minute": None if per_minute is None else round(per_minute, 1),
        "precision": _precision(wrong),
        "expected_remaining": _remaining(left, seen, wrong),
        "advice": _advice(left, seen, wrong, per_minute),
    }


def audited(queue: Queue, actions: np.ndarray) -> Missed | None:
    """What the audit rows that were decided say of the labels that nobody suspects; None without such rows.

    Args:
        queue: what is reviewed.
        actions: what was decided of it, as for `progress`.
    """
    firm = (actions >= 0) & (actions != SKIP) & (actions != AMBIGUOUS)
    chosen = firm & queue.audit
    if not chosen.any():
        return None
    suspects = firm & ~queue.audit
    outside = len(queue.cards) - int((~queue.audit).sum())
    return missed(int((chosen & (actions != KEEP)).sum()), int(chosen.sum()), outside, _found(queue, actions, suspects))


def _found(queue: Queue, actions: np.ndarray, firm: np.ndarray) -> float:
    """Wrong labels among the suspects: those found, and those to be expected among the rest."""
    chances, wrong = queue.cards.p_wrong[queue.order], (actions != KEEP)[firm]
    rest = _remaining(chances[~firm & ~queue.audit], chances[firm], wrong)
    return float(wrong.sum()) + (rest or 0.0)


def _precision(wrong: np.ndarray) -> dict[str, float] | None:
    if not len(wrong):
        return None
    low, high = interval(int(wrong.sum()), len(wrong))
    return {"value": round(float(wrong.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


def _remaining(left: np.ndarray, seen: np.ndarray, wrong: np.ndarray) -> float | None:
    """Wrong labels to be expected among rows: by their probabilities, or else by the share among those decided."""
    if not np.isnan(left).any():
        return round(float(recalibrated(left, seen, wrong).sum()), 1)
    return round(float(wrong.mean()) * len(left), 1) if len(wrong) else None


def _advice(left: np.ndarray, seen: np.ndarray, wrong: np.ndarray, per_minute: float | None) -> str:
    """Whether to go on.

    Args:
        left: `p_wrong` of the rows not decided, float ``[n]``.
        seen: of those decided, float ``[m]``.
        wrong: which of these had a wrong label, bool ``[m]``, in the order of the queue.
        per_minute: decisions a minute, or None.
    """
    if not len(left):
        return "Every suspect is decided."
    if not np.isnan(left).all():
        return advice(left, seen, wrong, rate=per_minute)
    if len(wrong) < _WINDOW:
        return "Go on: nothing is known yet of how many of these labels are wrong."
    found = int(wrong[-_WINDOW:].sum())
    told = f"{found} of the last {_WINDOW} labels decided, in the order of the queue, were wrong."
    return f"{'Stop here' if found < _WORTH * _WINDOW else 'Go on'}: {told}"
