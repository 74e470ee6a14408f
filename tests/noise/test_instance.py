"""Instance-dependent noise against a plain loop of the published procedure, bit for bit, and its realised rates."""

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from thresher import data as sources
from thresher import noise
from thresher.errors import UsageError
from thresher.noise.instance import part_dependent


def naive(labels: np.ndarray, images: np.ndarray, rate: float, seed: int, classes: int) -> np.ndarray:
    """The description, sample by sample, with NumPy's global random numbers and float32 as published."""
    np.random.seed(seed)
    bounds = ((0 - rate) / 0.1, (1 - rate) / 0.1)
    q = stats.truncnorm(*bounds, loc=rate, scale=0.1).rvs(len(labels))
    x = torch.from_numpy(images.reshape(len(labels), -1)).float()
    weights = torch.from_numpy(np.random.randn(classes, x.shape[1], classes)).float()
    chances = []
    for i, label in enumerate(labels.tolist()):
        logits = (x[i : i + 1] @ weights[label])[0]
        logits[label] = -torch.inf
        p = float(q[i]) * torch.softmax(logits, 0)
        p[label] += 1 - float(q[i])
        chances.append(p.numpy())
    return np.array([np.random.choice(classes, p=p) for p in chances])


def drawn(rows: int, classes: int, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, rows), rng.integers(0, 256, (rows, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("classes", "shape"), [(10, (1, 8, 8)), (3, (1, 3, 3)), (5, (3, 5, 1)), (7, (1, 1, 1)), (2, (9,))]
)
@pytest.mark.parametrize("rate", [0.1, 0.4, 0.9])
def test_labels_are_those_of_the_published_procedure(classes: int, shape: tuple[int, ...], rate: float) -> None:
    for seed in range(3):
        labels, images = drawn(400, classes, shape, seed)
        expected = naive(labels, images, rate, seed, classes)
        assert np.array_equal(noise.instance(labels, images, rate, seed, classes), expected)
        assert (expected != labels).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 7), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_labels_are_those_of_the_published_procedure_at_every_size(
    classes: int, width: int, rows: int, seed: int
) -> None:
    """Odd numbers of weights leave half a pair of normal numbers over, which the next class begins with."""
    labels, images = drawn(rows, classes, (width,), seed)
    expected = naive(labels, images, 0.5, seed, classes)
    assert np.array_equal(noise.instance(labels, images, 0.5, seed, classes), expected)


def test_soft_choices_too() -> None:
    """With small numbers the softmax has many classes, so that the sums of the choice are put to the test."""
    labels = np.random.default_rng(0).integers(0, 6, 3000)
    features = np.random.default_rng(1).normal(size=(3000, 5)).astype(np.float32) / 3
    found = noise.instance(labels, features, 0.6, 3, 6)
    assert np.array_equal(found, naive(labels, features, 0.6, 3, 6))
    assert all(len(np.unique(found[labels == k])) == 6 for k in range(6))


def test_features_are_used_as_they_are_and_rows_of_a_class_may_be_missing() -> None:
    labels, images = drawn(200, 4, (6,), 0)
    labels[labels == 1] = 3
    features = images / 255.0
    assert np.array_equal(noise.instance(labels, features, 0.4, 1, 4), naive(labels, features, 0.4, 1, 4))


@pytest.mark.parametrize(("rate", "mean"), [(0.1, 0.129), (0.2, 0.2055), (0.3, 0.3004), (0.4, 0.4), (0.5, 0.5)])
def test_cutting_off_raises_low_rates(rate: float, mean: float) -> None:
    labels, images = drawn(60_000, 5, (4,), 0)
    wrong = np.mean(noise.instance(labels, images, rate, 0) != labels)
    assert wrong == pytest.approx(mean, abs=4 * np.sqrt(0.25 / 60_000))
    assert stats.truncnorm.mean(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1) == pytest.approx(mean, abs=1e-3)


def test_the_wrong_class_follows_from_the_image() -> None:
    labels, images = drawn(40, 6, (1, 5, 5), 0)
    labels, images = np.tile(labels, 50), np.tile(images, (50, 1, 1, 1))
    noisy = noise.instance(labels, images, 0.4, 0)
    targets = [set(noisy[k::40].tolist()) - {int(labels[k])} for k in range(40)]
    assert {len(target) for target in targets} == {1}
    assert len(set.union(*targets)) > 2


def test_normalised_pixels_are_the_same_draw_of_other_numbers() -> None:
    labels, images = drawn(3000, 6, (3, 4, 4), 0)
    images[:, 2] = 7  # a constant channel is 0
    mean, std = images.mean((0, 2, 3), keepdims=True), images.std((0, 2, 3), keepdims=True)
    by_hand = (images - mean) / np.where(std > 0, std, 1)
    found = noise.instance_normalised(labels, images, 0.4, 2)
    assert np.array_equal(found, noise.instance(labels, by_hand, 0.4, 2))
    raw = noise.instance(labels, images, 0.4, 2)
    assert np.mean(found != raw) > 0.05
    assert np.mean(found != labels) == pytest.approx(0.4, abs=0.04)


def test_normalised_features_are_each_by_itself() -> None:
    labels, images = drawn(500, 3, (4,), 0)
    features = images * np.array([1.0, 1e-6, 1e6, 1.0]) + np.array([0, 5.0, 0, 1000])
    by_hand = (features - features.mean(0)) / features.std(0)
    assert np.array_equal(noise.instance_normalised(labels, features, 0.4, 2), noise.instance(labels, by_hand, 0.4, 2))


def test_inputs_are_read_piece_by_piece() -> None:
    labels, images = drawn(5000, 3, (2, 2), 0)
    asked: list[np.ndarray] = []

    def read(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        part: np.ndarray = images[rows]
        return part

    found = part_dependent(labels, read, 0.4, 0, 3)
    assert np.array_equal(found, noise.instance(labels, images, 0.4, 0, 3))
    assert max(map(len, asked)) <= 1024
    assert np.array_equal(np.sort(np.concatenate(asked[1:])), np.arange(5000))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros(4), r"the images of instance noise have shape \[4\]"),
        (np.zeros((3, 2)), r"have shape \[3, 2\] and dtype float64: give numbers \[N, ...\], for 4 labels 4 rows"),
        (np.array([["a"]] * 4), "have shape .* and dtype <U1: give numbers"),
        (np.full((4, 2), np.nan), "hold values in row 0 that are not finite"),
        (np.array([[1.0], [1.0], [np.inf], [1.0]]), "hold values in row 2 that are not finite or too large: mend it"),
        (np.broadcast_to(np.uint8(0), (4, 3, 40_000, 40_000)), "needs 2 x 4,800,000,000 x 2 random weights"),
    ],
)
@pytest.mark.parametrize("make", [noise.instance, noise.instance_normalised])
def test_images_that_mean_nothing(make: Callable[..., np.ndarray], images: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(np.array([0, 1, 0, 1]), images, 0.4, 0)


def test_a_seed_that_is_too_large() -> None:
    with pytest.raises(UsageError, match="the seed of instance noise is 4294967296, and its random numbers take 0 to"):
        noise.instance(np.array([0, 1]), np.zeros((2, 1)), 0.4, 2**32)


@pytest.mark.realdata
def test_cifar100_takes_seconds_and_less_than_a_gigabyte() -> None:
    if not Path(os.environ.get("THRESHER_DATA") or "absent").is_dir():
        pytest.skip("THRESHER_DATA names no folder of official files")
    train = sources.load("cifar100").train
    labels, images = train.labels.numpy(), train.dense().numpy()
    begun = time.perf_counter()
    noisy = noise.instance(labels, images, 0.4, 1)
    assert time.perf_counter() - begun < 60
    assert np.mean(noisy != labels) == pytest.approx(0.4, abs=0.01)
    tracemalloc.start()
    again = noise.instance(labels, images, 0.4, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**30
    assert np.array_equal(noisy, again)
