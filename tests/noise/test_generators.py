"""Symmetric and asymmetric noise: exact counts, targets, determinism, and the sentences for what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher import noise
from thresher.errors import UsageError

K = 6
rates = st.floats(0, 0.999)
seeds = st.integers(0, 2**63)
labellings = st.lists(st.integers(0, K - 1), max_size=200).map(lambda values: np.array(values, dtype=np.int64))
maps = st.dictionaries(st.integers(0, K - 1), st.integers(0, K - 1), min_size=1).map(
    lambda pairs: {a: b if a != b else (b + 1) % K for a, b in pairs.items()}
)
GENERATORS: list[Callable[..., np.ndarray]] = [
    noise.symmetric,
    lambda labels, rate, seed, classes=None: noise.asymmetric(labels, rate, seed, {0: 1, 1: 0}, classes),
]
BOTH = pytest.mark.parametrize("generate", GENERATORS, ids=["symmetric", "asymmetric"])


def flipped(clean: np.ndarray, noisy: np.ndarray) -> list[int]:
    return [int((noisy[clean == label] != label).sum()) for label in range(K)]


@given(labellings, rates, seeds)
def test_symmetric_counts_are_exact_and_the_true_class_is_never_drawn(
    clean: np.ndarray, rate: float, seed: int
) -> None:
    noisy = noise.symmetric(clean, rate, seed, K)
    assert noisy.dtype == np.int64
    assert flipped(clean, noisy) == [round(rate * n) for n in np.bincount(clean, minlength=K)]
    assert all(0 <= label < K for label in noisy)


@given(labellings, rates, seeds, maps)
def test_asymmetric_counts_are_exact_and_only_the_map_is_used(
    clean: np.ndarray, rate: float, seed: int, mapping: dict[int, int]
) -> None:
    noisy = noise.asymmetric(clean, rate, seed, mapping, K)
    sizes = np.bincount(clean, minlength=K)
    assert flipped(clean, noisy) == [round(rate * n) if k in mapping else 0 for k, n in enumerate(sizes)]
    assert all(new in (old, mapping.get(old)) for old, new in zip(clean.tolist(), noisy.tolist(), strict=True))


@given(labellings, rates, seeds)
def test_input_is_kept_and_the_draw_is_a_function_of_the_seed(clean: np.ndarray, rate: float, seed: int) -> None:
    before = clean.copy()
    first = noise.symmetric(clean, rate, seed, K)
    np.random.default_rng().random()
    assert np.array_equal(first, noise.symmetric(clean, rate, seed, K))
    assert np.array_equal(clean, before)
    assert not np.shares_memory(first, clean)


@BOTH
def test_other_seeds_give_other_labels(generate: Callable[..., np.ndarray]) -> None:
    clean = np.repeat(np.arange(2), 50)
    assert not np.array_equal(generate(clean, 0.4, 0), generate(clean, 0.4, 1))


def test_these_very_labels() -> None:
    """A change here changes everybody's benchmarks: raise `manifest.VERSION` with it."""
    clean = np.tile(np.arange(3), 4)
    assert noise.symmetric(clean, 0.5, 0).tolist() == [1, 2, 1, 0, 1, 2, 1, 1, 1, 0, 2, 2]
    assert noise.asymmetric(clean, 0.5, 0, {2: 0, 0: 2}).tolist() == [2, 1, 2, 0, 1, 2, 2, 1, 0, 0, 1, 0]


def test_symmetric_replacements_are_uniform() -> None:
    clean = np.zeros(40_000, dtype=np.int64)
    counts = np.bincount(noise.symmetric(clean, 0.5, 0, 5), minlength=5)
    assert counts[0] == 20_000
    assert np.abs(counts[1:] - 5_000).max() < 5 * np.sqrt(5_000)


def test_every_row_of_a_class_can_be_chosen() -> None:
    clean = np.repeat([0, 1], 20)
    changed = sum(noise.symmetric(clean, 0.4, seed) != clean for seed in range(200))
    assert changed.min() > 40
    assert changed.max() < 120


def test_two_way_map_moves_no_row_twice() -> None:
    """The in-place version leaves 24 % of the first class wrong here instead of 40 %."""
    clean = np.repeat([0, 1], 1000)
    noisy = noise.asymmetric(clean, 0.4, 0, {0: 1, 1: 0})
    assert [(noisy[clean == label] != label).mean() for label in (0, 1)] == [0.4, 0.4]


def test_order_of_the_map_does_not_matter() -> None:
    clean = np.repeat([0, 1, 2], 30)
    assert np.array_equal(
        noise.asymmetric(clean, 0.4, 0, {0: 1, 2: 1}),
        noise.asymmetric(clean, 0.4, 0, {2: 1, 0: 1}),
    )


def test_map_may_lead_to_a_class_without_rows() -> None:
    assert noise.asymmetric(np.zeros(4, dtype=np.int64), 0.5, 0, {0: 3}).max() == 3


@BOTH
@pytest.mark.parametrize("rate", [-0.1, 1, 1.0, 40, float("nan"), float("inf")])
def test_rates_out_of_range(generate: Callable[..., np.ndarray], rate: float) -> None:
    with pytest.raises(UsageError, match=r"noise rate .* is outside \[0, 1\): rates are fractions"):
        generate(np.array([0, 1]), rate, 0)


@BOTH
def test_negative_seed(generate: Callable[..., np.ndarray]) -> None:
    with pytest.raises(UsageError, match="the seed of noise is -1"):
        generate(np.array([0, 1]), 0.4, -1)


@BOTH
@pytest.mark.parametrize("labels", [np.zeros((3, 1), dtype=np.int64), np.array([0.0, 1.0]), np.array(["a", "b"])])
def test_labels_of_another_kind(generate: Callable[..., np.ndarray], labels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="give one whole number per row"):
        generate(labels, 0.4, 0)


@BOTH
@pytest.mark.parametrize("labels", [[-1, 0], [0, 2]])
def test_labels_out_of_range(generate: Callable[..., np.ndarray], labels: list[int]) -> None:
    with pytest.raises(UsageError, match="where there are 2 classes: give 0 to 1"):
        generate(np.array(labels), 0.4, 0, 2)


def test_one_class_has_nowhere_to_go() -> None:
    with pytest.raises(UsageError, match="there is only one"):
        noise.symmetric(np.zeros(4, dtype=np.int64), 0.4, 0)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "needs a map"),
        ({0: 0}, "leads class 0 to itself"),
        ({0: 2}, "has 0>2, and classes go from 0 to 1"),
        ({-1: 0}, "has -1>0"),
    ],
)
def test_maps_that_mean_nothing(mapping: dict[int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        noise.asymmetric(np.array([0, 1]), 0.4, 0, mapping, 2)
