"""The literature's kinds of noise: what each leaves right, against the figures of the papers' own code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher import noise
from thresher.data import digits
from thresher.data.idx import SETS
from thresher.errors import UsageError
from thresher.noise.confusions import class_map
from thresher.noise.superclasses import next_inside

K = 7
labellings = st.lists(st.integers(0, K - 1), max_size=200).map(lambda values: np.array(values, dtype=np.int64))
rates = st.floats(0, 0.999)
seeds = st.integers(0, 2**63)
CIFAR = np.repeat(np.arange(10), 5000)
CIFAR_MAP = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}


def counts(clean: np.ndarray, noisy: np.ndarray, classes: int = K) -> np.ndarray:
    return np.bincount(clean * classes + noisy, minlength=classes**2).reshape(classes, classes)


def wrong(clean: np.ndarray, noisy: np.ndarray) -> float:
    return float(np.mean(clean != noisy))


def test_bernoulli_draws_no_true_class_and_differs_from_seed_to_seed() -> None:
    found = [wrong(CIFAR, noise.symmetric_bernoulli(CIFAR, 0.4, seed)) for seed in range(5)]
    assert len(set(found)) == 5
    assert np.abs(np.array(found) - 0.4).max() < 5 * np.sqrt(0.24 / len(CIFAR))
    off = counts(CIFAR, noise.symmetric_bernoulli(CIFAR, 0.9, 0), 10)[~np.eye(10, dtype=bool)]
    assert np.abs(off - 500).max() < 5 * np.sqrt(500)  # each other class gets a ninth of 90 %


@given(labellings, rates, rates, seeds)
def test_bernoulli_noise_only_grows_with_the_rate(clean: np.ndarray, one: float, other: float, seed: int) -> None:
    low, high = (noise.symmetric_bernoulli(clean, rate, seed, K) for rate in sorted((one, other)))
    assert np.array_equal(low[low != clean], high[low != clean])


@pytest.mark.parametrize(("classes", "rate", "expected"), [
    (10, 0.2, 0.18), (10, 0.5, 0.45), (10, 0.8, 0.72), (10, 0.9, 0.81),
    (100, 0.2, 0.198), (100, 0.5, 0.495), (100, 0.8, 0.792), (100, 0.9, 0.891),
])  # fmt: skip
def test_inclusive_is_wrong_less_often_than_its_rate_says(classes: int, rate: float, expected: float) -> None:
    clean = np.arange(50_000) % classes
    noisy = noise.symmetric_inclusive(clean, rate, 0)
    assert abs(wrong(clean, noisy) - expected) < 5 * np.sqrt(rate / classes / len(clean))


def test_inclusive_gives_every_label_alike_and_counts_the_rows_of_all_classes_together() -> None:
    clean = np.repeat([0, 1], [30_000, 10_000])
    noisy = noise.symmetric_inclusive(clean, 0.5, 0, 4)
    drawn = np.bincount(noisy, minlength=4)
    assert drawn[2:].sum() == pytest.approx(10_000, abs=5 * np.sqrt(10_000))
    assert drawn[2] == pytest.approx(drawn[3], abs=5 * np.sqrt(10_000))
    assert [wrong(clean[clean == k], noisy[clean == k]) for k in (0, 1)] == pytest.approx([0.375, 0.375], abs=0.02)


@given(st.integers(2, 400), st.floats(0, 0.999), seeds)
def test_inclusive_never_touches_more_rows_than_asked(rows: int, rate: float, seed: int) -> None:
    clean = np.arange(rows) % K
    assert (noise.symmetric_inclusive(clean, rate, seed, K) != clean).sum() <= round(rate * rows)


@given(labellings, rates, seeds)
def test_pairflip_is_the_next_class_in_exact_counts(clean: np.ndarray, rate: float, seed: int) -> None:
    sizes = np.bincount(clean, minlength=K)
    moved = np.array([round(rate * n) for n in sizes])
    expected = np.diag(sizes - moved) + np.roll(np.diag(moved), 1, axis=1)
    assert np.array_equal(counts(clean, noise.pairflip(clean, rate, seed, K)), expected)


@given(labellings, rates, seeds)
def test_tridiagonal_is_both_neighbours_in_exact_counts(clean: np.ndarray, rate: float, seed: int) -> None:
    found = counts(clean, noise.tridiagonal(clean, rate, seed, K))
    for label, n in enumerate(np.bincount(clean, minlength=K)):
        above, below = found[label, (label + 1) % K], found[label, label - 1]
        assert above + below == round(rate * n)
        assert abs(above - below) <= 1
        assert found[label, label] == n - above - below


def test_tridiagonal_favours_no_side() -> None:
    clean = np.zeros(2, dtype=np.int64)
    sides = [noise.tridiagonal(clean, 0.5, seed, 3).max() for seed in range(200)]
    assert 60 < sides.count(1) < 140
    assert sides.count(1) + sides.count(2) == 200


def test_two_classes_are_each_others_only_neighbour() -> None:
    clean = np.repeat([0, 1], 10)
    for make in (noise.pairflip, noise.tridiagonal):
        assert counts(clean, make(clean, 0.3, 0), 2).tolist() == [[7, 3], [3, 7]]


@pytest.mark.parametrize(("rate", "cat", "overall"), [(0.4, 0.24, 0.184), (0.2, 0.16, 0.096)])
def test_in_place_brings_cats_back_that_were_dogs_for_a_while(rate: float, cat: float, overall: float) -> None:
    noisy = noise.asymmetric_inplace(CIFAR, rate, 0, CIFAR_MAP)
    found = counts(CIFAR, noisy, 10)
    assert 1 - found[3, 3] / 5000 == pytest.approx(cat, abs=0.02)
    assert 1 - found[5, 5] / 5000 == pytest.approx(rate, abs=0.02)
    assert wrong(CIFAR, noisy) == pytest.approx(overall, abs=0.003)
    assert (noisy == 3).sum() == 5000 - 5000 * rate + rate * (5000 + 5000 * rate)  # exact: it counts what it finds
    assert found[9, 1] == found[2, 0] == found[4, 7] == 5000 * rate
    assert wrong(CIFAR, noise.asymmetric(CIFAR, rate, 0, CIFAR_MAP)) == rate / 2


@pytest.mark.parametrize(("mapping", "affected"), [
    (digits.CONFUSIONS, 5),  # MNIST, by Patrini et al.
    ({2: 7, 3: 8, 5: 6, 6: 5}, 4),  # MNIST, by CDR
    (SETS["fashion_mnist"].confusions, 4),
    (CIFAR_MAP, 5),
])  # fmt: skip
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_the_maps_of_the_papers(mapping: dict[int, int], affected: int, rate: float) -> None:
    found = counts(CIFAR, noise.asymmetric(CIFAR, rate, 0, mapping), 10)
    expected = np.diag(np.full(10, 5000))
    for label, other in mapping.items():
        expected[label, label], expected[label, other] = 5000 * (1 - rate), 5000 * rate
    assert np.array_equal(found, expected)
    assert 1 - np.trace(found) / len(CIFAR) == pytest.approx(rate * affected / 10)


def test_both_spellings_of_cdrs_map_are_one() -> None:
    classes = digits.CLASSES
    assert class_map("2>7,3>8,5<>6", classes) == {k: v for k, v in digits.CONFUSIONS.items() if k != 7}


def test_in_place_goes_by_the_order_of_the_map() -> None:
    clean = np.repeat([2, 7], 100)
    assert noise.asymmetric_inplace(clean, 0.4, 0, {7: 1, 2: 7}).tolist().count(1) == 40
    assert noise.asymmetric_inplace(clean, 0.4, 0, {2: 7, 7: 1}).tolist().count(1) == 56  # 40 % of 140


def test_in_place_without_a_way_back_is_asymmetric() -> None:
    clean = np.repeat(np.arange(4), 50)
    one_way = {0: 1, 2: 3}
    assert np.array_equal(noise.asymmetric_inplace(clean, 0.4, 5, one_way), noise.asymmetric(clean, 0.4, 5, one_way))


def test_blocks_are_five_consecutive_classes() -> None:
    clean = np.repeat(np.arange(100), 10)
    found = counts(clean, noise.asymmetric_blocks(clean, 0.4, 0), 100)
    expected = 6 * np.eye(100, dtype=np.int64)
    for label in range(100):
        expected[label, label + 1 if label % 5 < 4 else label - 4] = 4
    assert np.array_equal(found, expected)


def test_a_block_that_is_left_over_is_smaller() -> None:
    clean = np.repeat(np.arange(8), 10)
    found = counts(clean, noise.asymmetric_blocks(clean, 0.4, 0), 8)
    assert (found[5, 6], found[6, 7], found[7, 5]) == (4, 4, 4)
    six = np.repeat(np.arange(6), 10)
    assert (noise.asymmetric_blocks(six, 0.4, 0)[six == 5] == 5).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), seeds)
def test_next_inside_goes_around_every_superclass(groups: list[int], seed: int) -> None:
    mapping = next_inside(np.array(groups))
    assert all(groups[a] == groups[b] and a != b for a, b in mapping.items())
    assert sorted(mapping) == sorted(mapping.values()) == [k for k, g in enumerate(groups) if groups.count(g) > 1]
    assert all(
        b > a or b == groups.index(groups[a]) for a, b in mapping.items()
    )  # upwards, and from the last to the first


def test_swap_is_one_pair_of_each_superclass_and_16_percent_at_40() -> None:
    clean = np.repeat(np.arange(100), 50)
    groups = np.random.default_rng(0).permutation(np.arange(100) % 20)
    drawn = set()
    for seed in range(5):
        found = counts(clean, noise.swap(clean, 0.4, seed, groups), 100)
        off = found - np.diag(np.diag(found))
        assert off.sum() == 0.16 * len(clean)
        assert np.array_equal(off, off.T)
        pairs = np.argwhere(off)
        assert (off[off > 0] == 20).all()
        assert (groups[pairs[:, 0]] == groups[pairs[:, 1]]).all()
        assert sorted(groups[pairs[:, 0]].tolist()) == sorted([*range(20), *range(20)])
        drawn.add(pairs.tobytes())
    assert len(drawn) == 5


def test_swap_leaves_a_class_alone_in_its_superclass_clean() -> None:
    clean = np.repeat(np.arange(3), 10)
    assert counts(clean, noise.swap(clean, 0.4, 0, np.array([7, 2, 7])), 3).tolist() == [
        [6, 0, 4],
        [0, 10, 0],
        [4, 0, 6],
    ]


@pytest.mark.parametrize(("groups", "message"), [
    (np.arange(3), "swap noise needs superclasses of two classes or more"),
    (np.zeros((3, 1), dtype=int), r"superclasses have shape \[3, 1\]"),
    (np.zeros(3), "dtype float64: give one whole number per class"),
    (np.zeros(2, dtype=int), "labels for noise go from 0 to 2 where there are 2 classes"),
])  # fmt: skip
def test_superclasses_that_mean_nothing(groups: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        noise.swap(np.array([0, 1, 2]), 0.4, 0, groups)
