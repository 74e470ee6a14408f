"""Feature-dependent noise: its chances by a plain loop, the expected rate, and where labels go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import noise
from thresher.errors import UsageError
from thresher.noise.feature import KINDS, _scaled

F = {
    1: lambda d: -0.5 * d**2 + 0.5,
    2: lambda d: 1 - d**3,
    3: lambda d: 1 - (d**3 + d**2 + d) / 3,
}


def sharp(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    """Posteriors as a trained network has them: most of them are nearly certain."""
    posterior: np.ndarray = np.random.default_rng(seed).dirichlet(np.full(classes, 0.1), rows)
    return posterior


def chances(labels: np.ndarray, posterior: np.ndarray, kind: int, rate: float, seeds: int) -> np.ndarray:
    """How often each label is wrong over many seeds."""
    drawn = [noise.feature(labels, posterior, kind, rate, seed) != labels for seed in range(seeds)]
    often: np.ndarray = np.mean(drawn, axis=0)
    return often


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize(("gap", "values"), [(0.0, (0.5, 1, 1)), (0.5, (0.375, 0.875, 17 / 24)), (1.0, (0, 0, 0))])
def test_the_three_types(kind: int, gap: float, values: tuple[float, ...]) -> None:
    assert KINDS[kind](np.array([gap]))[0] == pytest.approx(values[kind - 1])
    assert F[kind](gap) == pytest.approx(values[kind - 1])


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.35, 0.7])
def test_each_label_has_the_chance_of_the_formula(kind: int, rate: float) -> None:
    posterior = np.random.default_rng(1).dirichlet(np.ones(4), 300)
    labels = posterior.argmax(1)
    top = np.sort(posterior, axis=1)
    f = np.array([F[kind](row[-1] - row[-2]) for row in top])
    low, high = 0.0, 1e6
    for _ in range(200):  # by halving, until the mean of the chances is the rate
        scale = (low + high) / 2
        low, high = (scale, high) if np.minimum(1, scale * f).mean() < rate else (low, scale)
    expected = np.minimum(1, scale * f)
    np.testing.assert_allclose(_scaled(f, kind, rate), expected, atol=1e-9)
    found = chances(labels, posterior, kind, rate, 400)
    assert np.abs(found - expected).max() < 5 * np.sqrt(0.25 / 400)
    assert found.mean() == pytest.approx(rate, abs=5 * np.sqrt(0.25 / 400 / 300))


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 1e-12, 1e-3, 0.1, 0.5, 1.0]), min_size=1, max_size=30),
    st.integers(0, 999).map(lambda per_mille: per_mille / 1000),
    st.sampled_from([1, 2, 3]),
)
def test_chances_have_the_rate_for_a_mean_or_it_is_refused(shape: list[float], rate: float, kind: int) -> None:
    values = np.array(shape)
    if rate * len(values) > (values > 0).sum():
        with pytest.raises(UsageError, match="lower the rate"):
            _scaled(values, kind, rate)
        return
    found = _scaled(values, kind, rate)
    assert found.mean() == pytest.approx(rate, abs=1e-9)
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(values)]) >= -1e-12).all()
    inside = (found < 1) & (values > 0)
    if inside.any():
        ratios = found[inside] / values[inside]
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)


def test_where_labels_go() -> None:
    posterior = np.tile([0.2, 0.5, 0.3, 0.0], (300, 1))
    for label, other in ((1, 2), (2, 1), (0, 1), (3, 1)):
        noisy = noise.feature(np.full(300, label), posterior, 1, 0.5, 0)
        assert set(noisy.tolist()) == {label, other}


def test_hard_samples_are_wrong_more_often() -> None:
    posterior = sharp(20_000, 10)
    labels = posterior.argmax(1)
    top = np.sort(posterior, axis=1)
    gap = top[:, -1] - top[:, -2]
    for kind in (1, 2, 3):
        wrong = noise.feature(labels, posterior, kind, 0.35, 0) != labels
        assert wrong.mean() == pytest.approx(0.35, abs=0.02)
        assert wrong[gap < 0.2].mean() > wrong[gap > 0.8].mean() + 0.3


def test_noise_only_grows_with_the_rate() -> None:
    posterior, labels = sharp(2000, 5), np.arange(2000) % 5
    low, high = (noise.feature(labels, posterior, 2, rate, 3) for rate in (0.2, 0.6))
    assert np.array_equal(low[low != labels], high[low != labels])


def test_a_posterior_that_is_certain_allows_no_more_than_the_rest() -> None:
    posterior = np.repeat([[1.0, 0.0], [0.6, 0.4]], 50, axis=0)
    labels = np.zeros(100, dtype=int)
    with pytest.raises(
        UsageError, match=r"type 3 can make at most 50.0% of these labels wrong, .* and 60.0% are asked"
    ):
        noise.feature(labels, posterior, 3, 0.6, 0)
    assert noise.feature(labels, posterior, 3, 0.5, 0).tolist() == [0] * 50 + [1] * 50
    with pytest.raises(UsageError, match=r"at most 0\.0%"):
        noise.feature(labels[:50], posterior[:50], 1, 0.1, 0)


def test_float32_and_small_errors_of_rounding_are_fine() -> None:
    posterior = sharp(500, 4)
    labels = np.arange(500) % 4
    found = noise.feature(labels, (posterior * 1.0004).astype(np.float32), 1, 0.4, 0)
    assert np.mean(found != noise.feature(labels, posterior, 1, 0.4, 0)) < 0.01


@pytest.mark.parametrize(
    ("posterior", "message"),
    [
        (np.zeros(4), r"the posterior of feature noise has shape \[4\]"),
        (np.ones((4, 2), dtype=int), "dtype int64: give class probabilities"),
        (np.full((3, 2), 0.5), "has 3 rows for 4 labels"),
        (np.array([[0.5, 0.5]] * 3 + [[0.5, 0.6]]), r"row 3 of the posterior of feature noise is \[0.5, 0.6\]: give"),
        (np.array([[1.5, -0.5]] * 4), r"row 0 of the posterior .* \[1.5, -0.5\]"),
        (np.full((4, 2), np.nan), "row 0 of the posterior"),
        (np.ones((4, 1)), "feature noise needs a class to go to"),
    ],
)
def test_posteriors_that_are_none(posterior: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        noise.feature(np.zeros(4, dtype=int), posterior, 1, 0.4, 0)


@pytest.mark.parametrize("kind", [0, 4, -1])
def test_types_that_there_are_not(kind: int) -> None:
    with pytest.raises(UsageError, match=f"the type of feature noise is {kind}: choose 1, 2 or 3"):
        noise.feature(np.zeros(4, dtype=int), np.full((4, 2), 0.5), kind, 0.4, 0)
