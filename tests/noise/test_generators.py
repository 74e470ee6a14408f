"""What all generators share, symmetric and asymmetric noise: exact counts, targets, determinism, and refusals."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
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


def pixels(rows: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (rows, 1, 3, 3)).astype(np.uint8)


def posterior(rows: int, classes: int) -> np.ndarray:
    return np.random.default_rng(5).dirichlet(np.ones(classes), rows)


def small(seed: int) -> int:
    """The random numbers of instance noise take 32 bits."""
    return seed if seed < 0 else seed % 2**32


GENERATORS: dict[str, Callable[..., np.ndarray]] = {
    "asymmetric": lambda labels, rate, seed, classes=None: noise.asymmetric(labels, rate, seed, {0: 1, 1: 0}, classes),
    "asymmetric_blocks": noise.asymmetric_blocks,
    "asymmetric_inplace": lambda labels, rate, seed, classes=None: noise.asymmetric_inplace(
        labels, rate, seed, {0: 1, 1: 0}, classes
    ),
    "feature": lambda labels, rate, seed, classes=None: noise.feature(
        labels, posterior(len(labels), classes or 2), 1, rate, seed
    ),
    "instance": lambda labels, rate, seed, classes=None: noise.instance(
        labels, pixels(len(labels)), rate, small(seed), classes
    ),
    "instance_normalised": lambda labels, rate, seed, classes=None: noise.instance_normalised(
        labels, pixels(len(labels)), rate, small(seed), classes
    ),
    "pairflip": noise.pairflip,
    "swap": lambda labels, rate, seed, classes=None: noise.swap(labels, rate, seed, np.zeros(classes or 2, dtype=int)),
    "symmetric": noise.symmetric,
    "symmetric_bernoulli": noise.symmetric_bernoulli,
    "symmetric_inclusive": noise.symmetric_inclusive,
    "tridiagonal": noise.tridiagonal,
}
EACH = pytest.mark.parametrize("generate", GENERATORS.values(), ids=list(GENERATORS))


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


@EACH
@settings(max_examples=25)
@given(clean=labellings, rate=rates, seed=seeds)
def test_input_is_kept_and_the_draw_is_a_function_of_the_seed(
    generate: Callable[..., np.ndarray], clean: np.ndarray, rate: float, seed: int
) -> None:
    before = clean.copy()
    first = generate(clean, rate, seed, K)
    np.random.default_rng().random()
    assert np.array_equal(first, generate(clean, rate, seed, K))
    assert np.array_equal(clean, before)
    assert not np.shares_memory(first, clean)
    assert first.dtype == np.int64
    assert all(0 <= label < K for label in first)


@EACH
@settings(max_examples=25)
@given(clean=labellings, seed=seeds)
def test_a_rate_of_0_changes_nothing(generate: Callable[..., np.ndarray], clean: np.ndarray, seed: int) -> None:
    assert np.array_equal(generate(clean, 0, seed, K), clean)


@EACH
def test_without_labels_there_are_none(generate: Callable[..., np.ndarray]) -> None:
    assert generate(np.zeros(0, dtype=np.int64), 0.4, 0).tolist() == []


@EACH
def test_other_seeds_give_other_labels(generate: Callable[..., np.ndarray]) -> None:
    clean = np.repeat(np.arange(2), 50)
    assert not np.array_equal(generate(clean, 0.4, 0), generate(clean, 0.4, 1))


def test_these_very_labels() -> None:
    """A change here changes everybody's benchmarks: raise `manifest.VERSION` with it."""
    clean = np.tile(np.arange(3), 4)
    assert noise.symmetric(clean, 0.5, 0).tolist() == [1, 2, 1, 0, 1, 2, 1, 1, 1, 0, 2, 2]
    assert noise.asymmetric(clean, 0.5, 0, {2: 0, 0: 2}).tolist() == [2, 1, 2, 0, 1, 2, 2, 1, 0, 0, 1, 0]
    assert noise.asymmetric_inplace(clean, 0.5, 0, {2: 0, 0: 2}).tolist() == [0, 1, 0, 2, 1, 2, 2, 1, 0, 2, 1, 2]
    assert noise.asymmetric_blocks(clean, 0.5, 0).tolist() == [1, 1, 2, 0, 1, 0, 1, 2, 2, 0, 2, 0]
    assert noise.pairflip(clean, 0.5, 0).tolist() == [1, 1, 2, 0, 1, 0, 1, 2, 2, 0, 2, 0]
    assert noise.swap(clean, 0.5, 0, np.zeros(3, dtype=int)).tolist() == [0, 1, 2, 0, 1, 0, 2, 1, 2, 2, 1, 0]
    assert noise.symmetric_bernoulli(clean, 0.5, 0).tolist() == [0, 2, 1, 1, 1, 2, 0, 1, 2, 0, 1, 1]
    assert noise.symmetric_inclusive(clean, 0.5, 0).tolist() == [0, 1, 2, 0, 0, 1, 0, 2, 2, 0, 1, 2]
    assert noise.instance(clean, pixels(12), 0.5, 0).tolist() == [1, 2, 2, 1, 1, 2, 0, 2, 1, 0, 1, 1]
    assert noise.instance_normalised(clean, pixels(12), 0.5, 0).tolist() == [1, 1, 2, 1, 1, 2, 0, 1, 0, 0, 1, 1]
    assert noise.feature(clean, posterior(12, 3), 1, 0.5, 0).tolist() == [0, 0, 0, 2, 1, 2, 0, 1, 1, 0, 1, 1]
    assert noise.tridiagonal(clean, 0.5, 0).tolist() == [2, 0, 2, 0, 1, 1, 1, 2, 2, 0, 1, 0]
    assert noise.transition(clean, np.full((3, 3), 1 / 3), 0).tolist() == [0, 2, 1, 1, 1, 0, 0, 0, 2, 2, 0, 0]
    assert noise.longtail(clean, 2, 0).tolist() == [0, 3, 4, 5, 6, 7, 9, 10, 11]
    assert noise.imbalance(clean, 2, 0).tolist() == [0, 1, 3, 4, 5, 6, 7, 9, 10, 11]


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


@EACH
@pytest.mark.parametrize("rate", [-0.1, 1, 1.0, 40, float("nan"), float("inf")])
def test_rates_out_of_range(generate: Callable[..., np.ndarray], rate: float) -> None:
    with pytest.raises(UsageError, match=r"noise rate .* is outside \[0, 1\): rates are fractions"):
        generate(np.array([0, 1]), rate, 0)


@EACH
def test_negative_seed(generate: Callable[..., np.ndarray]) -> None:
    with pytest.raises(UsageError, match="the seed of noise is -1"):
        generate(np.array([0, 1]), 0.4, -1)


@EACH
@pytest.mark.parametrize("labels", [np.zeros((3, 1), dtype=np.int64), np.array([0.0, 1.0]), np.array(["a", "b"])])
def test_labels_of_another_kind(generate: Callable[..., np.ndarray], labels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="give one whole number per row"):
        generate(labels, 0.4, 0)


@EACH
@pytest.mark.parametrize("labels", [[-1, 0], [0, 2]])
def test_labels_out_of_range(generate: Callable[..., np.ndarray], labels: list[int]) -> None:
    with pytest.raises(UsageError, match="where there are 2 classes: give 0 to 1"):
        generate(np.array(labels), 0.4, 0, 2)


@pytest.mark.parametrize("name", sorted({*GENERATORS} - {"asymmetric", "asymmetric_inplace", "feature", "swap"}))
def test_one_class_has_nowhere_to_go(name: str) -> None:
    with pytest.raises(
        UsageError, match=f"^{name.removesuffix('_normalised')} noise needs a class to go to, and there is only one"
    ):
        GENERATORS[name](np.zeros(4, dtype=np.int64), 0.4, 0)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "needs a map"),
        ({0: 0}, "leads class 0 to itself"),
        ({0: 2}, "has 0>2, and classes go from 0 to 1"),
        ({-1: 0}, "has -1>0"),
    ],
)
@pytest.mark.parametrize("generate", [noise.asymmetric, noise.asymmetric_inplace])
def test_maps_that_mean_nothing(generate: Callable[..., np.ndarray], mapping: dict[int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        generate(np.array([0, 1]), 0.4, 0, mapping, 2)
