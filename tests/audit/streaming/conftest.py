"""Labels and probabilities as a model would give them, in files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Made = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def make() -> Callable[..., Made]:
    """Labels int64 ``[N]`` and probabilities ``[N, K]``: ``make(300, 4, seed=1, dtype=np.float32, places=2)``."""

    def draw(
        rows: int = 300, classes: int = 4, seed: int = 0, dtype: type = np.float64, places: int | None = None
    ) -> Made:
        draws = np.random.default_rng(seed)
        true = draws.integers(0, classes, rows)
        labels = np.where(draws.random(rows) < 0.3, draws.integers(0, classes, rows), true)
        labels[:classes] = np.arange(classes)
        logits = draws.normal(size=(rows, classes)) * draws.choice([0.5, 1, 3]) + 2 * np.eye(classes)[true]
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        if places is not None:
            p = np.round(p, places)
            p[np.arange(rows), p.argmax(axis=1)] += 1 - p.sum(axis=1)
        return labels, p.astype(dtype)

    return draw


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[np.ndarray, np.ndarray], tuple[Path, Path]]:
    """Both arrays as ``.npy`` files: the paths."""

    def save(labels: np.ndarray, probabilities: np.ndarray) -> tuple[Path, Path]:
        np.save(tmp_path / "y.npy", labels)
        np.save(tmp_path / "p.npy", probabilities)
        return tmp_path / "y.npy", tmp_path / "p.npy"

    return save
