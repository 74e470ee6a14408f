"""What is put together from a finished training: who speaks first, and how rows that were not trained on are scored."""

import numpy as np
import pytest

from thresher.audit.evidence import Evidence
from thresher.findings import choose
from thresher.findings.witnesses import by_model, with_held, without

LABELS = np.array([0, 1, 0, 1, 0])
P = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.95, 0.05]])


def test_the_model_alone_calls_wrong_what_it_would_label_otherwise() -> None:
    evidence = by_model(LABELS, P)
    assert evidence.score == pytest.approx([-0.8, -0.6, 0.4, 0.2, -0.9])
    assert evidence.flagged.tolist() == [False, False, True, True, False]


def test_held_out_rows_keep_zero_as_the_line() -> None:
    trained = Evidence("elr", np.array([-40.0, 20.0, 10.0]), P[:3])
    both = with_held(trained, LABELS, P, 3)
    assert both.score[:3].tolist() == [-40.0, 20.0, 10.0]
    assert (both.score[3:] > 0).tolist() == [True, False]
    assert np.median(np.abs(both.score[3:])) == pytest.approx(20)  # the spread of the witness's own
    assert both.suggested is not None
    assert np.array_equal(both.suggested, P)


@pytest.mark.parametrize("score", [np.array([np.nan] * 3), np.array([np.inf, np.inf, -2.0])])
def test_a_witness_that_scored_nothing_leaves_the_rest_finite(score: np.ndarray) -> None:
    both = with_held(Evidence("aum", score), LABELS, P, 3)
    assert np.isfinite(both.score[3:]).all()
    assert both.suggested is None


def test_no_held_out_rows() -> None:
    both = with_held(Evidence("elr", np.ones(5)), LABELS, P, 5)
    assert both.score.tolist() == [1.0] * 5


def test_trusted_rows_have_no_score() -> None:
    evidence = Evidence("elr", np.ones(5, dtype=np.float32))
    assert np.isnan(without(evidence, 2).score).tolist() == [False, False, False, True, True]
    assert without(evidence, 0).score.tolist() == [1.0] * 5
    assert evidence.score.tolist() == [1.0] * 5


def test_the_best_on_noisy_validation_shows_its_suspects() -> None:
    assert choose([0.5, 0.57, None]) == 1
    assert choose([None, 0.0]) == 1
    assert choose([None, None]) == 0
