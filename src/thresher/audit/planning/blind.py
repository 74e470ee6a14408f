"""The blind audit: random rows that nobody suspects, and what they say of the wrong labels that were missed."""

from dataclasses import dataclass

import numpy as np

from thresher.audit.scores import interval
from thresher.errors import UsageError


@dataclass(frozen=True)
class Missed:
    """What a blind random sample of unflagged rows says of those that nobody suspected.

    Attributes:
        rate: share of wrong labels among unflagged rows.
        rate_low: the lower end of its 95 % Wilson interval.
        rate_high: the upper end.
        remaining: expected number of wrong labels among unflagged rows that were not in the sample.
        remaining_low: by `rate_low`.
        remaining_high: by `rate_high`.
        recall: share of all wrong labels that flagged rows hold; None where no wrong label is known.
        recall_low: by `rate_high`.
        recall_high: by `rate_low`.
    """

    rate: float
    rate_low: float
    rate_high: float
    remaining: float
    remaining_low: float
    remaining_high: float
    recall: float | None
    recall_low: float | None
    recall_high: float | None


def missed(wrong: int, sampled: int, unflagged: int, found: float) -> Missed:
    """What is still wrong, and the recall of the flags, from a blind random sample of unflagged rows.

    Args:
        wrong: how many labels of the sample people called wrong.
        sampled: how many rows of the sample people decided.
        unflagged: how many rows are not flagged, the sample among them.
        found: how many flagged labels are wrong, as decided or expected.

    Raises:
        UsageError: counts that contradict one another.

    Example:
        >>> sample = missed(wrong=4, sampled=200, unflagged=10_000, found=800)
        >>> sample.rate, sample.remaining, sample.recall, round(sample.recall_low, 2)
        (0.02, 196.0, 0.8, 0.61)
    """
    if not 0 <= wrong <= sampled <= unflagged or found < 0:
        raise UsageError(
            f"{wrong} wrong of {sampled} sampled of {unflagged} unflagged rows, and {found} found, contradict another: "
            "each count is at most the next"
        )
    rate = wrong / sampled if sampled else 0.0
    low, high = interval(wrong, sampled)
    rest = unflagged - sampled
    return Missed(
        *(rate, low, high, rate * rest, low * rest, high * rest),
        *(_recall(found, share * unflagged) for share in (rate, high, low)),
    )


def audit_rows(n_rows: int, flagged: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The untouched audit part: random rows among those that nobody suspects.

    Every row has a random place that depends on the seed alone, and the first unflagged ones are taken: a larger part
    holds a smaller one, and other flags leave the rest of it as it was.

    Args:
        n_rows: N.
        flagged: bool ``[N]``, or the flagged rows, integer ``[n]``.
        count: of rows; fewer where there are not so many.
        seed: of the places.

    Returns:
        Rows in ascending order, int64 ``[count]``.

    Raises:
        UsageError: a mask of another length, rows out of range, or negative counts.

    Example:
        >>> audit_rows(10, np.array([0, 1, 2, 3, 4]), 3, seed=0)
        array([5, 6, 7])
        >>> audit_rows(10, np.ones(10, dtype=bool), 3, seed=0)
        array([], dtype=int64)
    """
    flags = np.asarray(flagged)
    if n_rows < 0 or count < 0:
        raise UsageError(f"{count} of {n_rows} rows cannot be taken: both are 0 or more")
    mask = np.zeros(n_rows, dtype=bool)
    if flags.dtype == bool:
        if flags.shape != (n_rows,):
            raise UsageError(
                f"flagged has shape {list(flags.shape)} and there are {n_rows} rows: give one flag per row"
            )
        mask = flags
    elif flags.size:
        if flags.min() < 0 or flags.max() >= n_rows:
            raise UsageError(f"flagged names row {int(flags.max())}, and there are {n_rows} rows: number them from 0")
        mask[flags.astype(np.int64)] = True
    order = np.random.Generator(np.random.PCG64(seed)).permutation(n_rows)
    return np.sort(order[~mask[order]][:count]).astype(np.int64)


def _recall(found: float, unseen: float) -> float | None:
    return found / (found + unseen) if found + unseen else None
