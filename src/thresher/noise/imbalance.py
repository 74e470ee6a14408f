"""Class imbalance: rows are left out, so that some classes are rarer than others; labels stay right."""

import math

import numpy as np

from thresher.errors import UsageError
from thresher.noise.exact import check_labels, check_two, generator


def check_factor(factor: float, name: str) -> None:
    """Refuse an imbalance below 1, or without end.

    Raises:
        UsageError: so it is, or it is NaN.

    Example:
        >>> check_factor(0.01, "longtail")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: longtail 0.01 is not above 1: it is how many times more rows the largest class \
keeps than the smallest, such as 100
    """
    if not 1 <= factor < math.inf:
        raise UsageError(
            f"{name} {factor:g} is not above 1: it is how many times more rows the largest class keeps than the "
            "smallest, such as 100"
        )


def longtail(labels: np.ndarray, factor: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Choose rows so that the sizes of classes fall exponentially, from the first class to the last.

    Class k keeps ``n_max * factor ** (-k / (K - 1))`` rows, rounded, where n_max is the size of the largest class: so
    the first class keeps n_max and the last ``n_max / factor``. A class that has fewer rows than that keeps them all,
    and no class loses its last row. Source: Cui et al., "Class-balanced loss based on effective number of samples",
    CVPR 2019, whose code cuts down instead of rounding.

    Args:
        labels: whole numbers ``[N]`` in 0..K-1.
        factor: from the largest to the smallest class, 1 or more; 1 leaves a balanced set as it is.
        seed: of the draw; the same arguments always give the same rows.
        classes: K; None takes the largest label plus one.

    Returns:
        The rows to keep, int64, ascending; not labels, which stay as they are.

    Raises:
        UsageError: a factor below 1, a negative seed, no whole numbers, labels out of range, or a single class.

    Example:
        >>> labels = np.repeat([0, 1, 2], 100)
        >>> np.bincount(labels[longtail(labels, 100, seed=0)]).tolist()
        [100, 10, 1]
    """
    check_factor(factor, "longtail")
    whole, count = check_labels(labels, classes)
    check_two(count, "longtail")
    sizes = np.bincount(whole, minlength=count)
    largest = int(sizes.max(initial=0))
    return _keep(whole, [largest * factor ** (-k / (count - 1)) for k in range(count)], seed)


def imbalance(labels: np.ndarray, ratio: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Choose rows so that the latter half of the classes is smaller by a ratio: step imbalance.

    The last ``K // 2`` classes keep ``n / ratio`` of their n rows each, rounded, but no class loses its last row; the
    others keep all. Source: Buda et al., "A systematic study of the class imbalance problem", Neural Networks 106,
    2018, with half of the classes in the minority, as in Cao et al., NeurIPS 2019 (LDAM).

    Args:
        labels: whole numbers ``[N]`` in 0..K-1.
        ratio: from a class to what is kept of it, 1 or more; 1 keeps everything.
        seed: of the draw; the same arguments always give the same rows.
        classes: K; None takes the largest label plus one.

    Returns:
        The rows to keep, int64, ascending; not labels, which stay as they are.

    Raises:
        UsageError: a ratio below 1, a negative seed, no whole numbers, labels out of range, or a single class.

    Example:
        >>> labels = np.repeat([0, 1, 2, 3, 4], 100)
        >>> np.bincount(labels[imbalance(labels, 10, seed=0)]).tolist()
        [100, 100, 100, 10, 10]
    """
    check_factor(ratio, "imbalance")
    whole, count = check_labels(labels, classes)
    check_two(count, "imbalance")
    sizes = np.bincount(whole, minlength=count).tolist()
    return _keep(whole, [n / ratio if k >= count - count // 2 else n for k, n in enumerate(sizes)], seed)


def _keep(labels: np.ndarray, sizes: list[float], seed: int) -> np.ndarray:
    """A random choice of that many rows of each class, rounded: at least one where there is one, at most all."""
    draws = generator(seed)
    kept = [
        draws.permutation(np.flatnonzero(labels == label))[: max(1, round(size))] for label, size in enumerate(sizes)
    ]
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.int64)
