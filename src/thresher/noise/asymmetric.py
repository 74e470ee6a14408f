"""Asymmetric noise: a share of some classes gets the label of the class they are mistaken for."""

from collections.abc import Mapping

import numpy as np

from thresher.errors import UsageError
from thresher.noise.rates import check_rate


def asymmetric(
    labels: np.ndarray, rate: float, seed: int, mapping: Mapping[int, int], classes: int | None = None
) -> np.ndarray:
    """Give an exact share of each mapped class the label it maps to.

    Rows are chosen by their true label, so that two classes mistaken for each other both lose the share asked for.
    (Several authors' code changes labels in place and so draws from what it has just changed.)

    Args:
        labels: true labels, integer ``[N]``, 0..K-1.
        rate: share of each mapped class that becomes wrong, in [0, 1); ``round(rate * n)`` samples of a class of n.
        seed: of the draw.
        mapping: true class to wrong class.
        classes: K; default the largest label plus one.

    Returns:
        Noisy labels, int64 ``[N]``.

    Raises:
        UsageError: the rate is outside [0, 1), or the mapping is empty or names no class.

    Example:
        >>> asymmetric(np.array([0, 0, 1, 1]), 0.5, seed=0, mapping={0: 1, 1: 0}).sum()
        np.int64(2)
    """
    check_rate(rate)
    labels = np.asarray(labels, dtype=np.int64)
    count = classes or int(labels.max()) + 1
    if not mapping:
        raise UsageError("asymmetric noise needs to know which class is mistaken for which, and this data has no such map")
    if strange := [k for pair in mapping.items() for k in pair if not 0 <= k < count]:
        raise UsageError(f"the map of asymmetric noise names class {strange[0]}, and there are {count} classes from 0")
    rng = np.random.Generator(np.random.PCG64(seed))
    noisy = labels.copy()
    for true, wrong in sorted(mapping.items()):
        rows = np.flatnonzero(labels == true)
        noisy[rng.permutation(rows)[: round(rate * len(rows))]] = wrong
    return noisy
