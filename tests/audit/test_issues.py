"""The issues table: columns, order, suggestions and reasons."""

from typing import Any

import numpy as np
import pytest

from thresher.audit.calibrate import best_cut
from thresher.audit.combine import Combined
from thresher.audit.dynamics import margin_evidence
from thresher.audit.evidence import Evidence
from thresher.audit.issues import issues_table
from thresher.audit.kinds import find_kinds
from thresher.audit.neighbours import Neighbours
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


def test_all_witnesses_together_decide() -> None:
    p = np.array([0.1, 0.9, np.nan, 0.6])
    belief = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    table = issues_table([CHOSEN], combined=Combined(p, belief, {}, 0.5), **COMMON)
    assert list(table.key) == ["b", "d", "a", "c"]
    assert list(table.is_label_issue) == [True, True, False, False]
    assert list(table.suggested) == ["eel", "dog", "cat", "eel"]
    np.testing.assert_allclose(table.p_wrong, [0.9, 0.6, 0.1, np.nan])
    np.testing.assert_allclose(table.label_quality, [0.1, 0.4, 0.9, np.nan])
    assert best_cut(p) == pytest.approx(1.5 / 3.6)
    np.testing.assert_allclose(table.score_combined[:2], np.log([9, 1.5]) - np.log(1.5 / 2.1))
    assert table.reasons[0] == "only all evidence taken together speaks against it"
    assert table.reasons[1] == "elr calls the label wrong"
    assert table.reasons[2] == "elr expects 'dog' (p 0.80)"


def test_reasons_are_made_for_shown_rows_only() -> None:
    asked: list[int] = []

    def said(rows: np.ndarray) -> list[str]:
        asked.extend(rows.tolist())
        return [f"row {row}" for row in rows]

    table = issues_table([Evidence("x", np.array([1.0, -1, 2, np.nan]), reason=said)], **COMMON)
    assert asked == [0, 2]
    assert list(table.reasons) == ["row 2", "row 0", "", ""]


def test_refusals() -> None:
    with pytest.raises(UsageError, match="no evidence"):
        issues_table([], **COMMON)
    with pytest.raises(UsageError, match="same name"):
        issues_table([CHOSEN, CHOSEN], **COMMON)
    with pytest.raises(UsageError, match="margin has 2 entries for 4"):
        issues_table([CHOSEN, margin_evidence(np.zeros(2))], **COMMON)
    with pytest.raises(UsageError, match="3 columns for 2 classes"):
        issues_table([CHOSEN], **COMMON | {"classes": ["a", "b"]})


def test_what_else_may_be_the_matter() -> None:
    near = Neighbours(np.array([[3, 1], [2, 0], [1, 3], [0, 1]]), np.array([[0.0, 2.0], [2.0, 2], [2, 2.0], [0.0, 2]]))
    given = np.array([0, 1, 2, 1])
    kinds = find_kinds(np.array([False, False, True, False]), near, given, BELIEF, ["cat", "dog", "eel"])
    table = issues_table([CHOSEN], kinds=kinds, **COMMON | {"given": given}).set_index("key")
    assert list(table.columns[-2:]) == ["kind", "duplicate_of"]
    assert table.kind["c"] == "wrong"
    assert table.duplicate_of.to_dict() == {"a": "d", "b": "", "c": "", "d": "a"}
    assert table.reasons["a"].endswith("; a near copy is labelled 'dog'")
