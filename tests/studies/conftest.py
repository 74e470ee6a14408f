"""A lab that is done within seconds."""

from pathlib import Path

import pytest

from thresher.data import Data
from thresher.studies.lab import Lab, some


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The quick form, two epochs."""
    return Lab(tmp_path / "study", epochs=2)


@pytest.fixture
def digits(lab: Lab) -> Data:
    """100 digits."""
    return some(lab.data(), 100)
