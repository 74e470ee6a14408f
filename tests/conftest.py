"""A small set of features, and the command line called inside this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from thresher.cli import main

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def make_arrays() -> Callable[..., Arrays]:
    """Groups of points: ``make_arrays(rows=120, classes=3, test=60)``."""

    def make(rows: int = 120, classes: int = 3, test: int = 60, seed: int = 0) -> Arrays:
        draws = np.random.default_rng(seed)
        centres = 3 * draws.normal(size=(classes, 6))
        y = np.arange(rows + test) % classes
        x = (centres[y] + draws.normal(size=(rows + test, 6))).astype(np.float32)
        return {"x": x[:rows], "y": y[:rows], "x_test": x[rows:], "y_test": y[rows:]}

    return make


@pytest.fixture
def arrays(make_arrays: Callable[..., Arrays]) -> Arrays:
    """120 training and 60 test rows of three classes."""
    return make_arrays()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the one commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def npz(workplace: Path, arrays: Arrays) -> str:
    """The arrays as a file in the folder commands run in."""
    np.savez(workplace / "points.npz", allow_pickle=False, **arrays)
    return "points.npz"


@pytest.fixture
def thresher(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call the command line: ``thresher("train", "points.npz").err``."""

    def call(*words: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        heard = capsys.readouterr()
        return Said(int(ended.value.code or 0), heard.out, heard.err)

    return call
