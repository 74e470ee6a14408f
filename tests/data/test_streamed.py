"""Streaming gives what is resident, bit for bit, in bounded memory, and leaves nothing behind."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from thresher.data.files import Files
from thresher.data.images import load_into_memory
from thresher.data.resident import Resident
from thresher.data.streamed import Streamed
from thresher.errors import ThresherError, UsageError

CPU = torch.device("cpu")
COUNT = 75


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """75 small colour JPEGs."""
    folder = tmp_path_factory.mktemp("photos")
    draws = np.random.default_rng(0)
    for k in range(COUNT):
        side = 24 + k % 9
        Image.fromarray(draws.integers(0, 256, (side, side + 3, 3)).astype(np.uint8)).save(folder / f"{k:02d}.jpg")
    return Files.open(sorted(folder.iterdir()), 24, what="photos")[0]


@pytest.fixture
def own(files: Files, tmp_path: Path) -> Files:
    """Copies of the first 40, which a test may break."""
    paths = []
    for path in files.paths[:40]:
        copy = tmp_path / Path(path).name
        copy.write_bytes(Path(path).read_bytes())
        paths.append(str(copy))
    return replace(files, paths=tuple(paths))


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("thresher-read")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert not readers()


def batches(seed: int = 0, size: int = 16) -> list[Tensor]:
    return list(torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed)).split(size))


@pytest.mark.parametrize("views", [("plain",), ("weak",), ("weak", "weak"), ("plain", "weak", "weak")])
@pytest.mark.parametrize("augment", [(), ("crop", "flip")])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_numbers_as_resident(
    files: Files, views: tuple[str, ...], augment: tuple[str, ...], workers: int
) -> None:
    images, _, _ = load_into_memory(files)
    resident = Resident(images, augment=augment, device=CPU)
    streamed = Streamed(files, augment=augment, device=CPU, workers=workers)
    assert (len(streamed), streamed.shape, streamed.augment) == (len(resident), resident.shape, resident.augment)
    assert all(torch.equal(a, b) for a, b in zip(streamed.moments, resident.moments, strict=True))
    shown = zip(streamed.open(batches(), views, 7), resident.open(batches(), views, 7), strict=True)
    for ours, theirs in shown:
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    rows = torch.tensor([5, 3, 5])
    assert torch.equal(streamed.fetch(rows, views, 2)[views[0], 0], resident.fetch(rows, views, 2)[views[0], 0])


def test_channels_last_and_uneven_batches(files: Files) -> None:
    rows = [torch.arange(40), torch.arange(1), torch.arange(0), torch.arange(3)]
    images, _, _ = load_into_memory(files)
    ours = Streamed(files, device=CPU, channels_last=True, workers=2).open(rows, ("plain",), 0)
    theirs = Resident(images, device=CPU, channels_last=True).open(rows, ("plain",), 0)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a["plain", 0], b["plain", 0])
        assert a["plain", 0].stride() == b["plain", 0].stride()
    assert list(Streamed(files, device=CPU).open([], ("plain",), 0)) == []


def test_moments_are_taken_as_given_or_known(files: Files) -> None:
    zero, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    assert Streamed(files, device=CPU, moments=(one, one)).moments[0] is one
    assert Streamed(replace(files, moments=(zero, one)), device=CPU).moments[0] is zero


def test_several_passes_may_be_open_at_once(files: Files) -> None:
    source = Streamed(files, augment=("crop", "flip"), device=CPU, workers=2)
    alone = [shown["weak", 0] for shown in source.open(batches(), ("weak",), 3)]
    beside = [shown["weak", 0] for shown in source.open(batches(1), ("weak",), 4)]
    first, second = source.open(batches(), ("weak",), 3), source.open(batches(1), ("weak",), 4)
    for a, b in zip(alone, beside, strict=True):
        assert torch.equal(next(first)["weak", 0], a)
        assert source.fetch(torch.tensor([1, 2]), ("plain",), 0)["plain", 0].shape == (2, 3, 24, 24)
        assert torch.equal(next(second)["weak", 0], b)
    assert next(first, None) is None
    assert next(second, None) is None


class Counted:
    """Inputs that note which rows were read."""

    def __init__(self, count: int, pause: float = 0.0) -> None:
        self.shape: tuple[int, ...] = (count, 1, 2, 2)
        self.ndim, self.pause = 4, pause
        self.rows: list[int] = []
        self.moments = (torch.zeros(1), torch.ones(1))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor) -> "Counted":
        raise NotImplementedError

    def read(self, rows: Tensor) -> Tensor:
        self.rows += rows.tolist()
        time.sleep(self.pause)
        return rows[:, None, None, None].expand(-1, 1, 2, 2).to(torch.uint8)

    def marks(self) -> list[str]:
        raise NotImplementedError


def test_every_row_is_read_once() -> None:
    inputs = Counted(200)
    source = Streamed(inputs, device=CPU, workers=4)
    seen = [
        shown["plain", 0][:, 0, 0, 0].long() for shown in source.open(list(torch.arange(200).split(7)), ("plain",), 0)
    ]
    assert torch.cat(seen).tolist() == list(range(200))
    assert sorted(inputs.rows) == list(range(200))


def test_only_a_few_batches_are_read_ahead() -> None:
    inputs = Counted(10_000)
    feed = Streamed(inputs, device=CPU, workers=4).open(list(torch.arange(10_000).split(20)), ("plain",), 0)
    assert not inputs.rows  # nothing starts before it is wanted
    for done in range(1, 6):
        next(feed)
        time.sleep(0.05)
        assert len(inputs.rows) <= 20 * (done + 3)
    assert len(inputs.rows) > 20 * 5  # and some are
    feed.close()  # type: ignore[attr-defined]


def test_an_abandoned_pass_ends_its_threads_and_cancels_what_waits() -> None:
    inputs = Counted(10_000, pause=0.01)
    feed = Streamed(inputs, device=CPU, workers=4).open(list(torch.arange(10_000).split(64)), ("plain",), 0)
    next(feed)
    assert readers()
    del feed
    assert not readers()
    read = len(inputs.rows)
    time.sleep(0.05)
    assert len(inputs.rows) == read < 400


def test_an_error_in_the_loop_ends_the_threads(files: Files) -> None:
    def train() -> None:
        for _ in Streamed(files, device=CPU).open(batches(), ("plain",), 0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert not readers()


def test_a_file_deleted_during_training_is_named(own: Files) -> None:
    source = Streamed(own, device=CPU, workers=2)
    feed = source.open(list(torch.arange(40).split(4)), ("plain",), 0)
    next(feed)
    Path(own.paths[33]).unlink()
    with pytest.raises(ThresherError, match=r"33\.jpg is not there, or not any more: put it back") as raised:
        list(feed)
    assert "\n" not in str(raised.value)


def test_moments_of_unreadable_images_are_refused(own: Files) -> None:
    Path(own.paths[7]).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ThresherError, match=r"07\.jpg cannot be read"):
        Streamed(own, device=CPU)


def test_bad_requests_are_refused(files: Files) -> None:
    known = replace(files, moments=(torch.zeros(3), torch.ones(3)))
    with pytest.raises(UsageError, match="unknown augmentation 'spin'"):
        Streamed(known, augment=("spin",), device=CPU)
    with pytest.raises(UsageError, match="unknown view 'strong'"):
        Streamed(known, device=CPU).open([torch.arange(2)], ("strong",), 0)


EPOCH = """
import resource, sys, warnings
from pathlib import Path
import torch
from thresher.data.files import Files
from thresher.data.images import survey
from thresher.data.streamed import Streamed

warnings.simplefilter("error")
torch.set_num_threads(1)
torch.randn(8, 3, 192, 192).mul(2).add(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
files, _, _ = Files.open(sorted(Path(sys.argv[1]).iterdir()), 192, what="photos")
mean, std, _, _ = survey(files)
source = Streamed(files, augment=("crop", "flip"), device=torch.device("cpu"), moments=(mean, std), workers=4)
seen = sum(len(shown["weak", 0]) for shown in source.open(list(torch.randperm(len(files)).split(16)), ("weak",), 0))
print(seen, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
feed = source.open(list(torch.arange(len(files)).split(16)), ("weak",), 0)
next(feed)  # and leave with the pass open: nothing may hang or complain
"""


def test_memory_is_bounded_and_the_interpreter_ends_quietly(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    count, distinct = 3000, 20
    for k in range(count):
        path = tmp_path / f"{k:04d}.jpg"
        if k < distinct:
            coarse = Image.fromarray(draws.integers(0, 256, (9, 9, 3)).astype(np.uint8))
            coarse.resize((128, 128), Image.Resampling.BICUBIC).save(path)
        else:
            path.hardlink_to(tmp_path / f"{k % distinct:04d}.jpg")
    ended = subprocess.run(
        [sys.executable, "-c", EPOCH, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    seen, growth = ended.stdout.split()
    assert ended.stderr == ""
    assert int(seen) == count
    assert float(growth) < 130, f"{growth} MiB; all images together are {count * 3 * 192**2 / 2**20:.0f}"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_shows_what_the_cpu_shows(files: Files) -> None:
    cuda = Streamed(files, augment=("crop", "flip"), device=torch.device("cuda"))
    cpu = Streamed(files, augment=("crop", "flip"), device=CPU)
    for a, b in zip(cuda.open(batches(), ("weak", "plain"), 1), cpu.open(batches(), ("weak", "plain"), 1), strict=True):
        assert all(torch.equal(a[key].cpu(), b[key]) for key in b)
