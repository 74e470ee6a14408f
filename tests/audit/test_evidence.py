"""What single witnesses say."""

import numpy as np

from thresher.audit.confident import find_issues
from thresher.audit.evidence import confident_evidence, other_class


def test_confident_evidence_flags_and_ranks_what_confident_learning_finds() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(3, 0.4), 200)
    labels = np.where(rng.random(200) < 0.7, probabilities.argmax(axis=1), rng.integers(0, 3, 200))
    evidence = confident_evidence(labels, probabilities)
    issues = find_issues(labels, probabilities)
    np.testing.assert_array_equal(evidence.flagged, issues)
    assert evidence.score[issues].min() >= 0.5
    assert evidence.score[~issues].max() <= 0


def test_confident_evidence_says_what_is_expected_instead() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    reason = confident_evidence(labels, p, ["cat", "dog"]).reason
    assert callable(reason)
    assert reason(np.array([2])) == ["a model that never saw it expects 'dog' (p 0.90)"]


def test_the_other_class_is_never_the_given_one() -> None:
    belief = np.array([[0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_array_equal(other_class(belief, np.array([0, 0])), [1, 1])
