"""Limits per class: at most so many labels of each given class are changed, the most certain first."""

import math

import numpy as np
import pandas as pd

from thresher.errors import UsageError


def parse_limit(text: str) -> int | float:
    """A limit as it was typed: a whole number is a count, anything with a point or a percent sign is a share.

    Raises:
        UsageError: it is neither.

    Example:
        >>> parse_limit("50"), parse_limit("0.1"), parse_limit("10%")
        (50, 0.1, 0.1)
    """
    word = text.strip()
    try:
        limit = int(word) if word.isdecimal() else float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ValueError:
        limit = math.nan
    check_limit(limit, text)
    return limit


def check_limit(limit: float, text: str | None = None) -> None:
    """Refuse what is no limit.

    Args:
        limit: an int is a count, a float a share.
        text: as it was typed.

    Raises:
        UsageError: a negative count, or a share beyond 0 to 1.
    """
    fine = not isinstance(limit, bool) and (limit >= 0 if isinstance(limit, int) else 0 <= limit <= 1)
    if not fine:
        shown = f"{limit!r}" if text is None else repr(text)
        raise UsageError(
            f"max_per_class is {shown}: give a number of labels, as in 50, or a share of each class, as in 0.1"
        )


def limited(known: pd.DataFrame, chosen: np.ndarray, limit: float | None) -> np.ndarray:
    """The part of the chosen rows that a limit per given class leaves.

    Args:
        known: as `thresher.correct.suspects.checked` gives it.
        chosen: bool ``[N]``.
        limit: an int is a count, a float a share of all rows with that given label, rounded down; None is no limit.

    Returns:
        bool ``[N]``: of each class those with the highest `p_suggested`, then the lowest `label_quality`, then in the
        order of the table.

    Raises:
        UsageError: it is no limit.

    Example:
        >>> known = pd.DataFrame({"given": ["a", "a", "b"], "p_suggested": [0.6, 0.9, 0.5], "label_quality": 0.1})
        >>> limited(known, np.array([True, True, True]), 1).tolist()
        [False, True, True]
    """
    if limit is None:
        return chosen
    check_limit(limit)
    codes, _ = pd.factorize(known["given"])
    most = np.full(codes.max() + 1, limit) if isinstance(limit, int) else np.floor(np.bincount(codes) * limit + 1e-9)
    order = known[chosen].sort_values(
        ["p_suggested", "label_quality"], ascending=[False, True], na_position="last", kind="stable"
    )
    place = order.groupby("given", sort=False).cumcount().reindex(known.index)
    return np.asarray(chosen & (place.to_numpy() < most[codes]))
