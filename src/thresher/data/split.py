"""Which rows are held out: stratified by the given label, groups kept together, the same for the same seed."""

import numpy as np

from thresher.errors import UsageError


def split(
    labels: np.ndarray, valid: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows into training and validation, with the same mix of classes in both.

    Every class keeps at least one training row. Without groups the validation part has the nearest whole number of
    rows, at least one; with groups, which are never divided, it comes as near as whole groups allow.

    Args:
        labels: given labels, integers ``[N]``.
        valid: the share to hold out, in [0, 1).
        seed: of the draw, 0 or more.
        groups: rows of equal group stay together, any sortable values ``[N]``.

    Returns:
        Row numbers of training and validation, sorted int64; the second is empty where `valid` is 0.

    Raises:
        UsageError: `valid` is outside [0, 1), or so small a set that nothing can be held out.

    Example:
        >>> train, valid = split(np.array([0, 1] * 10), 0.2, seed=0)
        >>> len(train), len(valid), int(np.sum(valid % 2))
        (16, 4, 2)
    """
    if not 0 <= valid < 1:
        raise UsageError(f"the validation share is {valid}: give a fraction from 0 up to, but not including, 1")
    rows = np.arange(len(labels))
    if valid == 0:
        return rows, rows[:0]
    _, classes = np.unique(labels, return_inverse=True)
    rng = np.random.default_rng(seed)
    held = _held_rows(classes, valid, rng) if groups is None else _held_groups(classes, valid, groups, rng)
    if not held.any():
        raise UsageError(
            f"a validation share of {valid} holds out no row of {len(rows)}, for every class keeps one row or group "
            "in training: bring more data, or set the share to 0"
        )
    return rows[~held], rows[held]


def folds(labels: np.ndarray, k: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Deal rows into k folds with the same mix of classes in each.

    Without groups, folds differ by at most one row, in each class and altogether. A class with fewer rows (or groups)
    than folds is missing from some of them.

    Args:
        labels: given labels, integers ``[N]``.
        k: the number of folds, 2 or more.
        seed: of the draw, 0 or more.
        groups: rows of equal group go into the same fold, any sortable values ``[N]``.

    Returns:
        The fold of each row, int64 ``[N]``, values 0..k-1.

    Raises:
        UsageError: fewer than two folds, or more folds than rows or groups.

    Example:
        >>> np.bincount(folds(np.array([0, 1] * 10), 4, seed=0)).tolist()
        [5, 5, 5, 5]
    """
    _, classes = np.unique(labels, return_inverse=True)
    units = np.arange(len(classes)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = len(np.unique(units))
    if not 2 <= k <= count:
        raise UsageError(f"{k} folds of {count} {'rows' if groups is None else 'groups'}: give from 2 to {count}")
    rng = np.random.default_rng(seed)
    if groups is not None:
        return _group_folds(_counts(units, classes), k, rng)[units]
    result = np.empty(len(classes), dtype=np.int64)
    result[_shuffled_by_class(classes, rng)] = np.arange(len(classes)) % k
    return result


def fold_splits(
    labels: np.ndarray, k: int, valid: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Folds, and for each of them what of the other rows is learned from, and what is watched to stop early.

    Args:
        labels: given labels, integers ``[N]``.
        k: the number of folds, 2 or more.
        valid: the share of the other folds' rows to watch, in [0, 1).
        seed: of the draws, 0 or more.
        groups: rows of equal group stay together in both divisions, any sortable values ``[N]``.

    Returns:
        The fold of each row, int64 ``[N]``; and per fold two sorted arrays of row numbers.

    Raises:
        UsageError: as for `folds` and `split`.

    Example:
        >>> fold, parts = fold_splits(np.array([0, 1] * 20), 4, 0.2, seed=0)
        >>> [(len(learn), len(watch)) for learn, watch in parts]
        [(24, 6), (24, 6), (24, 6), (24, 6)]
    """
    fold, parts = folds(labels, k, seed, groups), []
    for number in range(k):
        others = np.flatnonzero(fold != number)
        try:
            learn, watch = split(labels[others], valid, seed, None if groups is None else groups[others])
        except UsageError as error:
            raise UsageError(
                f"with {k} folds, what is left of the groups cannot be divided again to stop early: give more folds, "
                "or set valid to 0 to train each fold to its end"
            ) from error
        parts.append((others[learn], others[watch]))
    return fold, parts


def _shuffled_by_class(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row numbers, class after class, in random order within each."""
    return np.lexsort((rng.random(len(classes)), classes))


def _quotas(sizes: np.ndarray, valid: float) -> np.ndarray:
    """How many rows of each class to hold out: largest remainders, and one row of each stays."""
    total = max(1, int(valid * sizes.sum() + 0.5))
    exact = total * sizes / sizes.sum()
    quotas = np.floor(exact).astype(np.int64)
    largest = np.argsort(quotas - exact, kind="stable")
    quotas[largest[: total - quotas.sum()]] += 1
    result: np.ndarray = np.minimum(quotas, sizes - 1)
    return result


def _held_rows(classes: np.ndarray, valid: float, rng: np.random.Generator) -> np.ndarray:
    sizes = np.bincount(classes)
    order = _shuffled_by_class(classes, rng)
    place = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within the row's class
    held = np.zeros(len(classes), dtype=bool)
    held[order] = place < np.repeat(_quotas(sizes, valid), sizes)
    return held


def _counts(units: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Rows of each class in each group, int64 ``[groups, classes]``."""
    shape = (int(units.max()) + 1, int(classes.max()) + 1)
    return np.bincount(units * shape[1] + classes, minlength=shape[0] * shape[1]).reshape(shape)


def _held_groups(classes: np.ndarray, valid: float, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Go through the groups in random order, and hold one out where that brings the classes nearer to their share."""
    _, units = np.unique(groups, return_inverse=True)
    counts = _counts(units, classes)
    missing = valid * counts.sum(0)
    left = counts.sum(0)
    held = np.zeros(len(counts), dtype=bool)
    for group in np.argsort(rng.random(len(counts)), kind="stable"):
        own = counts[group]
        nearer = np.abs(missing - own).sum() < np.abs(missing).sum()
        if nearer and np.all((left > own) | (own == 0)):
            held[group] = True
            missing, left = missing - own, left - own
    return held[units]


def _group_folds(counts: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Large groups first, each into the fold that has the least of its classes so far."""
    share = counts / counts.sum(0)
    filled = np.zeros((k, counts.shape[1]))
    result = np.empty(len(counts), dtype=np.int64)
    for group in np.lexsort((rng.random(len(counts)), -counts.sum(1))):
        cost = 2 * filled @ share[group] + 1e-9 * filled.sum(1)  # what the squares of `filled` would grow by
        fold = int(np.argmin(cost))
        result[group] = fold
        filled[fold] += share[group]
    return result
