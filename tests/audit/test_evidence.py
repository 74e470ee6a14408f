"""The issues table: columns, order, suggestions and reasons."""

from typing import Any

import numpy as np
import pytest

from thresher.audit import Evidence, issues_table
from thresher.audit.confident import find_issues
from thresher.audit.dynamics import margin_evidence
from thresher.audit.evidence import confident_evidence
from thresher.errors import UsageError

GIVEN = np.array([0, 1, 2, 0])
BELIEF = np.array([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])
SCORE = np.array([0.7, -0.5, 0.3, 0.1])
CHOSEN = Evidence("elr", SCORE, BELIEF)
COMMON: dict[str, Any] = {
    "keys": ["a", "b", "c", "d"],
    "given": GIVEN,
    "probabilities": BELIEF,
    "classes": ["cat", "dog", "eel"],
}


def test_columns_and_order() -> None:
    table = issues_table([CHOSEN, margin_evidence(np.array([-1.0, 2.0, 1.0, 1.0]))], **COMMON)
    assert list(table.columns) == [
        "key", "row", "given", "suggested", "p_suggested", "label_quality", "p_wrong", "is_label_issue", "reasons",
        "score_elr", "score_margin",
    ]  # fmt: skip
    assert list(table.key) == ["a", "c", "d", "b"]
    assert list(table.row) == [0, 2, 3, 1]
    assert list(table.is_label_issue) == [True, True, True, False]
    assert table.p_wrong.isna().all()


def test_a_flagged_label_is_not_suggested_again() -> None:
    table = issues_table([CHOSEN], **COMMON).set_index("key")
    assert table.suggested.to_dict() == {"a": "dog", "c": "cat", "d": "dog", "b": "dog"}
    assert table.p_suggested["d"] == pytest.approx(0.3)
    assert table.p_suggested["b"] == pytest.approx(0.7)
    np.testing.assert_allclose(BELIEF[3], [0.6, 0.3, 0.1])


def test_reasons_in_words() -> None:
    margins = margin_evidence(np.array([-1.0, 2.0, 1.0, 1.0]))
    doubt = Evidence("small_loss", np.array([1.0, -1, -1, -1]))
    table = issues_table([CHOSEN, margins, doubt], **COMMON).set_index("key")
    assert table.reasons["a"] == (
        "elr expects 'dog' (p 0.80); margin over training is negative; small_loss calls the label wrong"
    )
    assert table.reasons["d"] == "elr calls the label wrong"
    assert table.reasons["b"] == ""


def test_quality_falls_with_the_score_and_halves_on_the_line() -> None:
    scores = np.array([3.0, 0.0, -2.0, 1e6])
    quality = issues_table([Evidence("x", scores)], **COMMON).set_index("key").label_quality
    assert quality["b"] == 0.5
    assert quality["d"] < quality["a"] < quality["b"] < quality["c"]
    assert quality.between(0, 1).all()
    assert (issues_table([Evidence("x", np.zeros(4))], **COMMON).label_quality == 0.5).all()


def test_samples_without_a_score_come_last() -> None:
    table = issues_table([Evidence("x", np.array([np.nan, -1.0, 2.0, -3.0]))], **COMMON)
    assert list(table.key) == ["c", "b", "d", "a"]
    assert np.isnan(table.label_quality.iloc[-1])
    assert not table.is_label_issue.iloc[-1]


def test_row_numbers_of_a_subset() -> None:
    assert list(issues_table([CHOSEN], rows=np.array([7, 8, 9, 3]), **COMMON).row) == [7, 9, 3, 8]


def test_no_samples() -> None:
    table = issues_table(
        [Evidence("x", np.zeros(0))],
        keys=[], given=np.zeros(0, dtype=int), probabilities=np.zeros((0, 2)), classes=["a", "b"],
    )  # fmt: skip
    assert len(table) == 0


def test_confident_evidence_flags_and_ranks_what_confident_learning_finds() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(3, 0.4), 200)
    labels = np.where(rng.random(200) < 0.7, probabilities.argmax(axis=1), rng.integers(0, 3, 200))
    evidence = confident_evidence(labels, probabilities)
    issues = find_issues(labels, probabilities)
    np.testing.assert_array_equal(evidence.flagged, issues)
    assert evidence.score[issues].min() >= 0.5
    assert evidence.score[~issues].max() <= 0


def test_refusals() -> None:
    with pytest.raises(UsageError, match="no evidence"):
        issues_table([], **COMMON)
    with pytest.raises(UsageError, match="same name"):
        issues_table([CHOSEN, CHOSEN], **COMMON)
    with pytest.raises(UsageError, match="margin has 2 entries for 4"):
        issues_table([CHOSEN, margin_evidence(np.zeros(2))], **COMMON)
    with pytest.raises(UsageError, match="3 columns for 2 classes"):
        issues_table([CHOSEN], **COMMON | {"classes": ["a", "b"]})
