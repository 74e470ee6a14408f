"""CROWDLAB against cleanlab 2.9, and where it goes further."""

import contextlib
import io
import math
import warnings
from typing import Any

import numpy as np
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator
from tests.annotators.crowds import crowd

from thresher.annotators.consensus import consensus, soft_targets
from thresher.annotators.crowdlab import crowdlab, peer_agreement
from thresher.annotators.quality import annotator_table, label_table
from thresher.annotators.votes import matrix_votes
from thresher.errors import UsageError


def model(seed: int, true: np.ndarray, classes: int, strength: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(true), classes))
    logits[np.arange(len(true)), true] += strength
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def cleanlabs(table: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        wide = np.where(table < 0, np.nan, table.astype(float))
        found: dict[str, Any] = get_label_quality_multiannotator(wide, p, return_weights=True, verbose=False)
    return found


@pytest.mark.parametrize(
    ("seed", "n", "people", "classes", "share"),
    [(0, 300, 8, 4, 0.5), (1, 500, 40, 10, 0.05), (2, 100, 3, 2, 1.0), (3, 400, 15, 30, 0.2), (4, 60, 5, 3, 0.1)],
)
def test_it_is_cleanlabs(seed: int, n: int, people: int, classes: int, share: float) -> None:
    table, true = crowd(seed, n, people, classes, share)
    p = model(seed, true, classes)
    expected = cleanlabs(table, p)
    votes = matrix_votes(table, classes)
    found = crowdlab(votes, p)
    quality = expected["label_quality"]
    np.testing.assert_array_equal(found.labels, quality["consensus_label"])
    own = consensus(votes, "crowdlab", p)
    np.testing.assert_allclose(own.quality, quality["consensus_quality_score"], rtol=1e-9)
    np.testing.assert_allclose(found.weights, expected["annotator_weight"], rtol=1e-9)
    assert math.isclose(found.model_weight, expected["model_weight"], rel_tol=1e-9)
    stats = expected["annotator_stats"].sort_index()
    np.testing.assert_allclose(found.accuracy, stats["annotator_quality"], rtol=1e-9)
    single = expected["detailed_label_quality"].to_numpy()
    np.testing.assert_allclose(found.probabilities[votes.rows, votes.labels], single[votes.rows, votes.annotators])
    mine = annotator_table(votes, own, [str(k) for k in range(classes)]).set_index("annotator")
    for name, row in stats.iterrows():
        assert mine.loc[str(name), "labels"] == row["num_examples_labeled"]


def test_worst_classes_are_cleanlabs() -> None:
    table, true = crowd(5, 2000, 6, 4)
    p = model(5, true, 4)
    stats = cleanlabs(table, p)["annotator_stats"].sort_index()
    votes = matrix_votes(table, 4)
    mine = annotator_table(votes, consensus(votes, "crowdlab", p), list("0123")).sort_values("annotator")
    assert mine["worst_class"].tolist() == stats["worst_class"].astype(str).tolist()


def test_a_good_model_improves_on_people() -> None:
    table, true = crowd(6, 2000, 20, 5, 0.12, (0.4, 0.8))
    votes, p = matrix_votes(table, 5), model(6, true, 5, 3.0)
    right = {
        name: (consensus(votes, name, q).labels == true).mean() for name, q in (("majority", None), ("crowdlab", p))
    }
    assert right["crowdlab"] > right["majority"] + 0.1
    assert right["crowdlab"] > (p.argmax(1) == true).mean()


def test_rows_without_labels_are_the_models() -> None:
    table, true = crowd(7, 100, 4, 3)
    p = model(7, np.append(true, [0, 1]), 3)
    found = crowdlab(matrix_votes(np.concatenate([table, np.full((2, 4), -1)]), 3), p)
    np.testing.assert_allclose(found.probabilities[100:], p[100:])
    assert found.labels[100:].tolist() == p[100:].argmax(1).tolist()
    np.testing.assert_allclose(found.probabilities[:100], crowdlab(matrix_votes(table, 3), p[:100]).probabilities)


def test_peers_are_counted_by_hand() -> None:
    votes = matrix_votes(np.array([[0, 0, 0, -1], [0, 1, 1, -1], [-1, -1, -1, 1]]))
    # ann agrees with 2 of 2, then 0 of 2; bob with 2 of 2, then 1 of 2; dee meets nobody: the mean of the others
    np.testing.assert_allclose(peer_agreement(votes), [0.5, 0.75, 0.75, (0.5 + 0.75 + 0.75) / 3])


def test_everybody_agrees() -> None:
    votes = matrix_votes(np.array([[0, 0], [0, 0], [0, 0]]), 2)
    for method, p in (("majority", None), ("dawid_skene", None), ("crowdlab", np.full((3, 2), 0.5))):
        found = consensus(votes, method, p)
        assert found.labels.tolist() == [0, 0, 0]
        assert np.isfinite(found.probabilities).all()
        np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test_probabilities_are_probabilities() -> None:
    table, true = crowd(8)
    for method in ("majority", "dawid_skene", "crowdlab"):
        p = model(8, true, 4) if method == "crowdlab" else None
        soft = soft_targets(matrix_votes(table, 4), method, p)
        assert soft.dtype == np.float32
        np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-5)


def test_auto_takes_the_model_where_there_is_one() -> None:
    table, true = crowd(9)
    votes = matrix_votes(table, 4)
    assert consensus(votes).method == "dawid_skene"
    assert consensus(votes, probabilities=model(9, true, 4)).method == "crowdlab"


def test_single_labels_are_ranked() -> None:
    table, true = crowd(10, 200, 6, 4, 1.0, (0.7, 0.9))
    votes = matrix_votes(table, 4)
    frame = label_table(votes, consensus(votes), [f"k{row}" for row in range(200)], list("abcd"))
    assert len(frame) == len(votes.labels)
    assert frame["label_quality"].is_monotonic_increasing
    wrong = np.array(["abcd".index(label) for label in frame["label"]]) != true[frame["row"]]
    assert wrong[: wrong.sum()].mean() > 0.8
    assert (frame["key"] == "k" + frame["row"].astype(str)).all()
    with pytest.raises(UsageError, match="1 keys for 200 rows"):
        label_table(votes, consensus(votes), ["x"], list("abcd"))


@pytest.mark.parametrize(
    ("method", "p", "message"),
    [
        ("vote", None, "there is no consensus 'vote'"),
        ("crowdlab", None, "crowdlab needs a model's probabilities"),
        ("dawid_skene", np.full((2, 2), 0.5), "dawid_skene does not read"),
        ("crowdlab", np.full((2, 3), 0.5), r"are \[2, 3\]"),
    ],
)
def test_wrong_requests(method: str, p: np.ndarray | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        consensus(matrix_votes(np.array([[0, 1], [1, 1]])), method, p)


@pytest.mark.parametrize("method", ["majority", "dawid_skene", "crowdlab"])
def test_people_who_never_meet(method: str) -> None:
    votes = matrix_votes(np.array([[0, -1], [-1, 1]]))
    with pytest.raises(UsageError, match="no row has labels by two annotators"):
        consensus(votes, method, np.full((2, 2), 0.5) if method == "crowdlab" else None)
