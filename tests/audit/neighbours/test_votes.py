"""What neighbours say about labels."""

import numpy as np
import pytest

from thresher.audit.evidence import Evidence
from thresher.audit.neighbours import Neighbours, nearest
from thresher.audit.neighbours.votes import neighbour_evidence, neighbour_votes
from thresher.errors import UsageError

INDEX = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]], dtype=np.int32)
FOUND = Neighbours(INDEX, np.tile(np.array([1.0, 2.0, 4.0], dtype=np.float32), (4, 1)))
LABELS = np.array([0, 0, 1, 2])


def said(evidence: Evidence, rows: np.ndarray) -> list[str]:
    assert callable(evidence.reason)
    return list(evidence.reason(rows))


def test_against_a_plain_loop() -> None:
    for weights in ("uniform", "distance"):
        votes = neighbour_votes(FOUND, LABELS, 3, weights, smoothing=0.5)
        for row in range(4):
            share = np.full(3, 0.5 / 3)
            for place in range(3):
                far = FOUND.distance[row, place] / FOUND.distance[row, -1]
                share[LABELS[INDEX[row, place]]] += 1 if weights == "uniform" else np.exp(-(far**2))
            np.testing.assert_allclose(votes[row], share / share.sum(), rtol=1e-6)


def test_soft_labels_and_finite_logarithms() -> None:
    hard = neighbour_votes(FOUND, LABELS, 3)
    np.testing.assert_allclose(neighbour_votes(FOUND, np.eye(3)[LABELS], 3), hard, rtol=1e-6)
    assert np.isfinite(np.log(hard)).all()
    np.testing.assert_allclose(hard.sum(axis=1), 1, rtol=1e-6)


def test_all_distances_zero_count_the_same() -> None:
    flat = Neighbours(INDEX, np.zeros((4, 3), dtype=np.float32))
    np.testing.assert_allclose(neighbour_votes(flat, LABELS, 3), neighbour_votes(flat, LABELS, 3, "uniform"))


def test_evidence_finds_planted_labels() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1], 100)
    x = rng.standard_normal((200, 4)) + 4 * true[:, None]
    given = true.copy()
    given[[3, 150]] = [1, 0]
    evidence = neighbour_evidence(nearest(x, 10, metric="euclidean"), given, ["cat", "dog"])
    assert np.flatnonzero(evidence.flagged).tolist() == [3, 150]
    assert said(evidence, np.array([150, 3])) == [
        "10 of its 10 nearest neighbours are 'dog'",
        "10 of its 10 nearest neighbours are 'cat'",
    ]
    assert evidence.suggested is not None
    assert evidence.suggested[150].argmax() == 1
    assert said(evidence, np.empty(0, dtype=np.int64)) == []


def test_a_tie_calls_nothing_wrong_and_one_neighbour_is_named() -> None:
    even = Neighbours(np.array([[1, 2], [0, 2], [0, 1]]), np.ones((3, 2)))
    assert neighbour_evidence(even, np.array([0, 0, 1]), ["a", "b"]).score[0] == 0
    one = neighbour_evidence(Neighbours(INDEX[:, :1], np.ones((4, 1))), LABELS, ["a", "b", "c"])
    assert said(one, np.array([0, 3])) == ["its nearest neighbour is 'a'"] * 2
    few = neighbour_evidence(FOUND, LABELS, ["a", "b", "c"])
    assert said(few, np.array([0])) == ["1 of its 3 nearest neighbours is 'b'"]


def test_refused() -> None:
    for labels, options, words in [
        (LABELS, {"classes": 2}, "0 to 2"),
        (LABELS, {"classes": 1}, "two or more"),
        (LABELS[:3], {"classes": 3}, "there are 3 samples"),
        (LABELS.astype(float), {"classes": 3}, "class numbers"),
        (-np.eye(3)[LABELS], {"classes": 3}, "negative"),
        (LABELS, {"classes": 3, "weights": "rank"}, "uniform or distance"),
        (LABELS, {"classes": 3, "smoothing": -1}, "0 or more"),
    ]:
        with pytest.raises(UsageError, match=words):
            neighbour_votes(FOUND, labels, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="class numbers"):
        neighbour_evidence(FOUND, np.eye(3)[LABELS], ["a", "b", "c"])
    with pytest.raises(UsageError, match="its own neighbours"):
        neighbour_evidence(Neighbours(np.array([[0], [0]]), np.ones((2, 1))), LABELS[:2], ["a", "b"])
