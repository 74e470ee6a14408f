"""The mixture of two normals, against scikit-learn's and at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.mixture import GaussianMixture

from thresher.parts.mixture import Mixture, fit


def groups(seed: int, low: int = 300, high: int = 150, gap: float = 4.0) -> np.ndarray:
    source = np.random.default_rng(seed)
    return np.concatenate([source.normal(1, 0.5, low), source.normal(1 + gap, 0.8, high)])


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn_on_two_clear_groups(seed: int) -> None:
    values = groups(seed)
    unit = (values - values.min()) / np.ptp(values)
    theirs = GaussianMixture(2, tol=1e-8, max_iter=500, reg_covar=1e-12, random_state=0).fit(unit[:, None])
    low = int(theirs.means_.argmin())
    found = fit(values, iterations=500, tolerance=1e-10)
    means = values.min() + np.ptp(values) * np.sort(theirs.means_.ravel())
    assert found.means == pytest.approx(means, rel=1e-4)
    expected_weights = [theirs.weights_[low], theirs.weights_[1 - low]]
    assert found.weights == pytest.approx(expected_weights, rel=1e-3)
    variances = np.ptp(values) ** 2 * theirs.covariances_.ravel()[[low, 1 - low]]
    assert found.variances == pytest.approx(variances, rel=1e-2)
    inside = (values > found.means[0]) & (values < found.means[1])
    posterior = theirs.predict_proba(unit[:, None])[:, low]
    assert np.abs(found.posterior(values) - posterior)[inside].max() < 1e-3
    assert np.array_equal(found.posterior(values) > 0.5, posterior > 0.5)


def test_one_step_by_hand() -> None:
    found = fit(np.array([0.0, 0.0, 1.0, 1.0]))
    assert found.means == pytest.approx([0, 1], abs=1e-9)
    assert found.weights == pytest.approx([0.5, 0.5])
    assert found.variances == pytest.approx([5e-4, 5e-4])  # the least there is


def test_posterior_by_bayes() -> None:
    mixture = Mixture(np.array([0.0, 2.0]), np.array([1.0, 0.25]), np.array([0.75, 0.25]))
    for x in (0.3, 1.0, 1.7):
        low = 0.75 * np.exp(-(x**2) / 2)
        high = 0.25 * np.exp(-((x - 2) ** 2) / 0.5) / 0.5
        assert mixture.posterior(np.array([x]))[0] == pytest.approx(low / (low + high))


def test_a_wide_component_does_not_claim_the_far_side() -> None:
    wide_low = Mixture(np.array([0.0, 1.0]), np.array([1.0, 0.01]), np.array([0.5, 0.5]))
    assert wide_low.posterior(np.array([1.0, 2.0, 5.0])).max() < 0.5
    wide_high = Mixture(np.array([0.0, 1.0]), np.array([0.01, 1.0]), np.array([0.5, 0.5]))
    assert wide_high.posterior(np.array([0.0, -1.0, -5.0])).min() > 0.5
    unclear = Mixture(np.array([0.0, 0.1]), np.array([1.0, 1.0]), np.array([0.1, 0.9]))
    assert unclear.posterior(np.array([-0.5, 0.0]))[1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("values", [[], [3.0], [2.0] * 50, [0.0, 0.0]])
def test_values_that_are_all_equal_decide_nothing(values: list[float]) -> None:
    found = fit(np.array(values))
    assert found.posterior(np.array([*values, 1.0])).tolist() == [0.5] * (len(values) + 1)


def test_one_outlier() -> None:
    values = np.array([0.1] * 99 + [50.0])
    posterior = fit(values).posterior(values)
    assert (posterior[:99] > 0.99).all()
    assert posterior[99] < 0.01


def test_two_values() -> None:
    assert (fit(np.array([5.0, 1.0])).posterior(np.array([1.0, 5.0])) > 0.5).tolist() == [True, False]


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
def test_always_gives_probabilities(values: np.ndarray) -> None:
    found = fit(values)
    posterior = found.posterior(values)
    assert np.isfinite(posterior).all()
    assert ((posterior >= 0) & (posterior <= 1)).all()
    assert found.means[0] <= found.means[1]
    assert found.weights.sum() == pytest.approx(1)


@given(st.integers(0, 100), st.floats(0.01, 100), st.floats(-50, 50))
def test_units_do_not_matter(seed: int, scale: float, shift: float) -> None:
    values = groups(seed, 40, 20)
    before, after = fit(values).posterior(values), fit(scale * values + shift).posterior(scale * values + shift)
    assert np.allclose(before, after, atol=1e-6)
