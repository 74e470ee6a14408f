"""Fractions of memorisation and evidence from margins and losses, against loops."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.audit import dynamics


def groups(means: list[float], variances: list[float], weights: list[float]) -> SimpleNamespace:
    return SimpleNamespace(means=np.array(means), variances=np.array(variances), weights=np.array(weights))


@given(st.integers(0, 1000))
def test_memorisation_by_counting(seed: int) -> None:
    predicted, labels, clean = np.random.default_rng(seed).integers(0, 3, (3, 30))
    fractions = dynamics.memorisation(predicted, labels, clean)
    counts = dict.fromkeys(fractions, 0)
    for p, y, c in zip(predicted, labels, clean, strict=True):
        if y == c:
            counts["clean_right" if p == c else "clean_wrong"] += 1
        else:
            counts["wrong_right" if p == c else "wrong_memorised" if p == y else "wrong_other"] += 1
    n_wrong = int((labels != clean).sum())
    for name, fraction in fractions.items():
        whole = 30 - n_wrong if name.startswith("clean") else n_wrong
        assert fraction == (counts[name] / whole if whole else None)


def test_memorisation_without_wrong_labels() -> None:
    labels = np.array([0, 1])
    fractions = dynamics.memorisation(labels, labels, labels)
    assert fractions["clean_right"] == 1.0
    assert fractions["wrong_right"] is None


def test_changes_agreement_and_flips() -> None:
    predicted = np.array([[0, 1, 2], [0, 2, 2], [1, 1, 2]])
    np.testing.assert_array_equal(dynamics.flips(predicted), [1, 2, 0])
    np.testing.assert_array_equal(dynamics.flips(predicted[:1]), [0, 0, 0])
    assert dynamics.changes(predicted[0], predicted[1]) == pytest.approx(1 / 3)
    assert dynamics.agreement(predicted[0], np.array([0, 1, 1])) == pytest.approx(2 / 3)
    assert dynamics.agreement(np.array([]), np.array([])) is None


def test_margin_evidence() -> None:
    evidence = dynamics.margin_evidence(np.array([1.0, -0.5, np.nan, 0.2]), threshold=0.5)
    np.testing.assert_array_equal(evidence.flagged, [False, True, False, True])
    assert evidence.reason == "margin over training is below 0.5"
    assert dynamics.margin_evidence(np.zeros(2)).reason == "margin over training is negative"


@given(st.floats(-5, 5), st.floats(0.5, 10), st.floats(0.05, 4), st.floats(0.05, 4), st.floats(0.1, 0.9))
def test_boundary_is_where_the_densities_meet(m0: float, gap: float, v0: float, v1: float, w0: float) -> None:
    fit = groups([m0, m0 + gap], [v0, v1], [w0, 1 - w0])
    x = dynamics.boundary(fit)
    d = np.log(fit.weights) - np.log(fit.variances) / 2 - (x - fit.means) ** 2 / (2 * fit.variances)
    assert m0 <= x <= m0 + gap
    if x not in {float(fit.means[0]), float(fit.means[1])}:
        assert d[0] == pytest.approx(d[1], abs=1e-5)


def test_boundary_when_one_group_outweighs_the_other() -> None:
    assert dynamics.boundary(groups([0, 1], [4, 4], [0.999, 0.001])) == 1.0
    assert dynamics.boundary(groups([0, 1], [4, 4], [0.001, 0.999])) == 0.0
    assert dynamics.boundary(groups([2, 2], [1, 1], [0.5, 0.5])) == 2.0


def test_loss_evidence() -> None:
    evidence = dynamics.loss_evidence(np.array([0.1, 3.0, np.nan]), groups([0, 4], [1, 1], [0.5, 0.5]))
    np.testing.assert_array_equal(evidence.flagged, [False, True, False])
    np.testing.assert_allclose(evidence.score[:2], [-1.9, 1.0])
