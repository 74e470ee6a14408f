"""Class imbalance: exact sizes, which rows, and the sentences for what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.noise import imbalance, longtail

K = 5
BOTH = pytest.mark.parametrize("choose", [longtail, imbalance])
labellings = st.lists(st.integers(0, K - 1), max_size=150).map(lambda values: np.array(values, dtype=np.int64))
factors = st.floats(1, 1e6)


def sizes(choose: Callable[..., np.ndarray], clean: np.ndarray, factor: float, classes: int = K) -> list[int]:
    found: list[int] = np.bincount(clean[choose(clean, factor, 0, classes)], minlength=classes).tolist()
    return found


def test_long_tail_of_cifar() -> None:
    """5000 * 100 ** (-k / 9), as in the tables of the long-tailed CIFAR-10."""
    clean = np.arange(50_000) % 10
    expected = [5000, 2997, 1797, 1077, 646, 387, 232, 139, 83, 50]
    assert sizes(longtail, clean, 100, 10) == expected


def test_step_of_cifar() -> None:
    clean = np.arange(50_000) % 10
    assert sizes(imbalance, clean, 10, 10) == [5000] * 5 + [500] * 5


@pytest.mark.parametrize(("classes", "expected"), [(2, [40, 4]), (3, [40, 40, 4]), (5, [40, 40, 40, 4, 4])])
def test_step_takes_the_smaller_half_of_an_odd_number(classes: int, expected: list[int]) -> None:
    assert sizes(imbalance, np.repeat(np.arange(classes), 40), 10, classes) == expected


def test_step_divides_what_each_class_has() -> None:
    assert sizes(imbalance, np.repeat([0, 1, 2, 3], [10, 20, 30, 100]), 10, 4) == [10, 20, 3, 10]


def test_long_tail_gives_no_class_more_than_it_has() -> None:
    """The largest class sets the scale: 100, 50, 25, wherever there are as many."""
    assert sizes(longtail, np.repeat([0, 1, 2], [30, 40, 100]), 4, 3) == [30, 40, 25]


@BOTH
@given(clean=labellings, factor=factors, seed=st.integers(0, 2**63))
def test_rows_are_a_choice_of_each_class(
    choose: Callable[..., np.ndarray], clean: np.ndarray, factor: float, seed: int
) -> None:
    before = clean.copy()
    rows = choose(clean, factor, seed, K)
    assert rows.dtype == np.int64
    assert (np.diff(rows) > 0).all()
    assert set(clean[rows]) == set(clean)  # no class loses its last row
    assert np.array_equal(rows, choose(clean, factor, seed, K))
    full = np.bincount(clean, minlength=K)
    if choose is longtail:
        wanted = [full.max(initial=0) * factor ** (-k / (K - 1)) for k in range(K)]
    else:
        wanted = [n / factor if k >= 3 else n for k, n in enumerate(full)]
    expected = [min(n, max(1, round(w))) for n, w in zip(full, wanted, strict=True)]
    assert np.bincount(clean[rows], minlength=K).tolist() == expected
    assert np.array_equal(clean, before)


@BOTH
def test_a_factor_of_1_keeps_a_balanced_set(choose: Callable[..., np.ndarray]) -> None:
    clean = np.arange(40) % 4
    assert choose(clean, 1, 0).tolist() == list(range(40))


@BOTH
def test_other_seeds_choose_other_rows(choose: Callable[..., np.ndarray]) -> None:
    clean = np.repeat([0, 1], 100)
    assert not np.array_equal(choose(clean, 10, 0), choose(clean, 10, 1))
    chosen = np.bincount(np.concatenate([choose(clean, 10, seed) for seed in range(300)]))[100:]
    assert chosen.min() > 5
    assert chosen.max() < 75


@BOTH
@pytest.mark.parametrize("factor", [0, 0.99, -10, float("nan"), float("inf")])
def test_factors_below_1(choose: Callable[..., np.ndarray], factor: float) -> None:
    with pytest.raises(UsageError, match=f"^{choose.__name__} .* is not above 1: it is how many times"):
        choose(np.array([0, 1]), factor, 0)


@BOTH
def test_other_refusals(choose: Callable[..., np.ndarray]) -> None:
    with pytest.raises(UsageError, match="and there is only one"):
        choose(np.zeros(4, dtype=np.int64), 10, 0)
    with pytest.raises(UsageError, match="the seed of noise is -1"):
        choose(np.array([0, 1]), 10, -1)
    with pytest.raises(UsageError, match="give one whole number per row"):
        choose(np.array([0.0, 1.0]), 10, 0)
    with pytest.raises(UsageError, match="where there are 2 classes: give 0 to 1"):
        choose(np.array([0, 2]), 10, 0, 2)
