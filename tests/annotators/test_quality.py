"""What is said of annotators and of the labels in use."""

import math

import numpy as np
import pytest
from tests.annotators.crowds import crowd

from thresher.annotators.consensus import Consensus, consensus
from thresher.annotators.majority import majority
from thresher.annotators.quality import annotator_evidence, annotator_table
from thresher.annotators.votes import matrix_votes
from thresher.audit.issues import issues_table
from thresher.errors import UsageError


def test_the_table_is_the_loops() -> None:
    table, _ = crowd(0, 200, 6, 4)
    votes = matrix_votes(table, 4)
    found = consensus(votes)
    frame = annotator_table(votes, found, list("abcd")).set_index("annotator")
    shared = (table >= 0).sum(1) > 1
    for a in range(6):
        own = table[:, a] >= 0
        row = frame.loc[str(a)].to_dict()
        assert row["labels"] == own.sum()
        assert math.isclose(row["agreement"], (table[own & shared, a] == found.labels[own & shared]).mean())
        rates = {k: (found.labels[own & (table[:, a] == k)] == k).mean() for k in set(table[own, a].tolist())}
        assert rates["abcd".index(row["worst_class"])] == min(rates.values())
    assert frame["quality"].is_monotonic_increasing


def test_a_spammer_is_last_in_quality_and_zero_beyond_chance() -> None:
    table, true = crowd(1, 2000, 6, 3, 0.8, (0.8, 0.9))
    table[:, 5] = np.random.default_rng(2).choice(3, 2000, p=[0.9, 0.05, 0.05])
    true = np.where(np.random.default_rng(3).random(2000) < 0.8, 0, true)
    table[:, :5] = np.where(
        (table[:, :5] >= 0) & (np.random.default_rng(4).random((2000, 5)) < 0.8), true[:, None], table[:, :5]
    )
    votes = matrix_votes(table, 3)
    worst = annotator_table(votes, consensus(votes), list("abc")).iloc[0]
    assert worst["annotator"] == "5"
    assert worst["agreement"] > 0.6  # the frequent class flatters
    assert abs(worst["kappa"]) < 0.1


def test_an_annotator_without_labels() -> None:
    votes = matrix_votes(np.array([[0, 0, -1], [1, 1, -1], [0, 1, -1]]))
    last = annotator_table(votes, consensus(votes), ["a", "b"]).iloc[-1]
    assert (last["annotator"], last["labels"], last["worst_class"]) == ("2", 0, "")
    assert np.isnan([last["agreement"], last["kappa"], last["quality"]]).all()


def test_evidence_finds_wrong_labels() -> None:
    table, true = crowd(3, 1000, 5, 4, 1.0, (0.6, 0.9))
    votes = matrix_votes(table, 4)
    given = np.where(np.random.default_rng(4).random(1000) < 0.2, (true + 1) % 4, true)
    said = annotator_evidence(votes, consensus(votes), given, list("abcd"))
    wrong = given != true
    assert (said.flagged & wrong).sum() / said.flagged.sum() > 0.9
    assert (said.flagged & wrong).sum() / wrong.sum() > 0.9
    assert said.suggested is not None
    names = np.array(list("abcd"), dtype=object)
    issues = issues_table(
        [said], keys=[str(k) for k in range(1000)], given=given, probabilities=said.suggested, classes=names.tolist()
    )
    first = issues.iloc[0]
    votes_for = (table[first["row"]] == "abcd".index(first["suggested"])).sum()
    assert first["reasons"] == f"{votes_for} of 5 annotators say '{first['suggested']}'"


def test_the_words() -> None:
    votes = matrix_votes(np.array([[0, 0, 1], [1, -1, -1], [0, 0, 0], [1, 0, 2], [-1, -1, -1]]), 3)
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.9, 0.1, 0]])
    found = Consensus("crowdlab", p.argmax(1), p, np.ones(3))
    said = annotator_evidence(votes, found, np.array([1, 0, 1, 2, 1]), ["cat", "dog", "fox"])
    assert callable(said.reason)
    assert said.reason(np.array([3, 0, 1, 2])) == [
        "1 of 3 annotators says 'cat'",
        "2 of 3 annotators say 'cat'",
        "1 of 1 annotator says 'dog'",
        "none of 3 annotators says 'dog', and 'fox' is more likely",
    ]
    np.testing.assert_allclose(said.score[:4], [0.7, 0.5, 0.7, 0.4])
    assert np.isnan(said.score[4])  # nobody labelled it, so the annotators say nothing
    again = annotator_evidence(votes, found, np.array([1, 0, 0, 2, 1]), ["cat", "dog", "fox"])
    assert callable(again.reason)
    assert again.reason(np.array([2])) == ["3 of 3 annotators say 'cat', and 'fox' is more likely"]


def test_the_majority_itself_is_never_doubted_by_the_majority() -> None:
    table, _ = crowd(5)
    votes = matrix_votes(table, 4)
    said = annotator_evidence(votes, consensus(votes, "majority"), majority(votes), list("abcd"))
    assert not said.flagged.any()


def test_bad_requests() -> None:
    votes = matrix_votes(np.array([[0, 0], [1, 1]]))
    found = consensus(votes, "majority")
    with pytest.raises(UsageError, match="3 class names for votes of 2 classes"):
        annotator_table(votes, found, ["a", "b", "c"])
    with pytest.raises(UsageError, match="give 2 class numbers"):
        annotator_evidence(votes, found, np.array([0]), ["a", "b"])
    with pytest.raises(UsageError, match="go from 0 to 2, of 2 classes"):
        annotator_evidence(votes, found, np.array([0, 2]), ["a", "b"])
