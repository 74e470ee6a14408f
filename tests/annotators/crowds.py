"""Simulated annotators."""

import numpy as np


def crowd(
    seed: int,
    n: int = 300,
    people: int = 8,
    classes: int = 4,
    share: float = 0.5,
    skill: tuple[float, float] = (0.4, 0.95),
) -> tuple[np.ndarray, np.ndarray]:
    """A table of labels ``[n, people]``, -1 = none, at least one in each row and column; and the true classes."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    right = rng.random((n, people)) < rng.uniform(*skill, people)
    table = np.where(right, true[:, None], rng.integers(0, classes, (n, people)))
    kept = rng.random((n, people)) < share
    kept[np.arange(n), rng.integers(0, people, n)] = True
    kept[rng.integers(0, n, people), np.arange(people)] = True
    return np.where(kept, table, -1), true
