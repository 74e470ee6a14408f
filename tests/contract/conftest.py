"""One thread per process, and toy methods that other processes can import."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:  # so that `tests.contract.toys` has one name here and in the two-rank processes
    sys.path.append(ROOT)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _folders_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of small checkpoints: a disk would take most of the time."""
    if Path("/dev/shm").is_dir():  # noqa: S108 - folders with random names are made in it
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")  # noqa: S108
