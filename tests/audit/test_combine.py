"""The combination of witnesses: what it must get right, whatever they are."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit.calibrate import calibration, logistic
from thresher.audit.combine import Combined, combine
from thresher.audit.evidence import Evidence
from thresher.audit.history import History
from thresher.audit.scores import detection
from thresher.audit.stacking import anchors, counted_noise, expected_noise, stacked
from thresher.errors import UsageError


def world(
    size: int = 4000, classes: int = 4, noise: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, truth, a model's and its neighbours' probabilities of the given labels."""
    draws = np.random.default_rng(seed)
    truth = draws.integers(classes, size=size)
    if noise is None:
        noise = np.full((classes, classes), 0.3 / (classes - 1))
        np.fill_diagonal(noise, 0.7)
    labels = np.array([draws.choice(classes, p=noise[t]) for t in truth])

    def witness(clarity: float) -> np.ndarray:
        logits = draws.normal(size=(size, classes))
        logits[np.arange(size), truth] += clarity
        p = np.exp(clarity * logits)  # the posterior of such features, for even classes
        p /= p.sum(1, keepdims=True)
        return np.asarray(p @ noise)

    return labels, truth, witness(2.0), witness(1.5)


def precision(found: np.ndarray, wrong: np.ndarray) -> float:
    average = detection(found > 0.5, found, wrong)["average_precision"]
    assert average is not None
    return average


def test_better_than_every_witness() -> None:
    labels, truth, p, votes = world()
    wrong, rows = labels != truth, np.arange(len(labels))
    margin = (labels != truth) + np.random.default_rng(1).normal(size=len(labels))
    found = combine([Evidence("margin", margin)], labels, p, votes=votes)
    alone = [precision(score, wrong) for score in (-p[rows, labels], -votes[rows, labels], margin)]
    assert precision(found.p_wrong, wrong) > max(alone) + 0.03
    assert found.p_wrong.dtype == np.float64


def test_calibrated_without_any_truth() -> None:
    for rate in (0.1, 0.4):
        noise = np.full((4, 4), rate / 3)
        np.fill_diagonal(noise, 1 - rate)
        labels, truth, p, votes = world(noise=noise)
        wrong = labels != truth
        found = combine([], labels, p, votes=votes)
        assert found.rate == pytest.approx(wrong.mean(), abs=0.06)
        assert found.rate == pytest.approx(found.p_wrong.mean())
        assert calibration(found.p_wrong, wrong)["ece"] < 0.08


def test_knows_where_the_noise_goes() -> None:
    # Only class 0 is ever mistaken, always for 1: a doubtful label 1 is wrong, a doubtful 2 or 3 is not.
    noise = np.eye(4)
    noise[0] = [0.6, 0.4, 0, 0]
    labels, truth, p, _ = world(noise=noise)
    wrong = labels != truth
    for estimate in (counted_noise, expected_noise):
        estimated = estimate(labels, stacked(labels, p)[0])
        assert estimated[0, 1] > 0.15
        assert estimated[0, 2:].max() < 0.05
        assert estimated[1:].max(axis=1).min() > 0.93
    plain = precision(-p[np.arange(len(labels)), labels], wrong)
    assert precision(combine([], labels, p).p_wrong, wrong) > plain + 0.1


def test_weights() -> None:
    labels, truth, p, votes = world()
    draws = np.random.default_rng(2)
    blind = np.full_like(votes, 0.25)
    nothing = Evidence("nothing", draws.normal(size=len(labels)))
    against = Evidence("against", p[np.arange(len(labels)), labels])
    good = Evidence("good", 1.0 * (labels != truth) + draws.normal(size=len(labels)))
    weights = combine([nothing, against, good], labels, p, votes=blind).weights
    assert list(weights) == ["model", "neighbours", "nothing", "against", "good"]
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["against"] == 0
    assert weights["neighbours"] < 0.05
    assert weights["nothing"] < 0.05 < weights["good"] < weights["model"]


def test_many_alike_do_not_outvote() -> None:
    labels, truth, p, _ = world()
    score = 1.0 * (labels != truth) + np.random.default_rng(3).normal(size=len(labels))
    crowd = [Evidence(f"margin{k}", score) for k in range(9)]
    assert combine(crowd, labels, p).weights["model"] == pytest.approx(0.5)


def test_what_is_said_twice_counts_once() -> None:
    labels, _, p, _ = world(500)
    twice = [Evidence(name, -p[np.arange(500), labels]) for name in ("confident", "model", "neighbours")]
    assert np.array_equal(combine(twice, labels, p).p_wrong, combine([], labels, p).p_wrong)


def test_unknown_scores_and_units_do_not_matter() -> None:
    labels, _, p, votes = world(1000)
    score = np.random.default_rng(4).normal(size=1000) - p[np.arange(1000), labels]
    score[::3] = np.nan
    found = combine([Evidence("loss", score)], labels, p, votes=votes)
    scaled = combine([Evidence("loss", np.exp(score) * 1e6)], labels, p, votes=votes)
    assert np.isfinite(found.p_wrong).all()
    assert np.allclose(found.p_wrong, scaled.p_wrong)
    empty = combine([Evidence("loss", np.full(1000, np.nan))], labels, p, votes=votes)
    assert np.array_equal(empty.p_wrong, combine([], labels, p, votes=votes).p_wrong)
    assert empty.weights["loss"] == 0


def test_belief() -> None:
    labels, truth, p, votes = world()
    found = combine([], labels, p, votes=votes)
    assert found.belief.dtype == np.float32
    assert found.belief.shape == p.shape
    assert np.allclose(found.belief.sum(1), 1, atol=1e-5)
    assert np.allclose(found.belief[np.arange(len(labels)), labels], 1 - found.p_wrong, atol=1e-5)
    assert (found.belief.argmax(1) == truth).mean() > (p.argmax(1) == truth).mean()


def test_decisions_move_the_calibration() -> None:
    labels, _, p, _ = world(2000)
    draws = np.random.default_rng(5)
    rows = draws.permutation(2000)[:300]
    before = combine([], labels, p)
    none_wrong = combine([], labels, p, decisions=(rows, np.zeros(300, dtype=bool)))
    all_wrong = combine([], labels, p, decisions=(rows, np.ones(300, dtype=bool)))
    assert none_wrong.rate < 0.05 < before.rate < 0.6 < all_wrong.rate
    one = combine([], labels, p, decisions=(rows[:1], np.zeros(1, dtype=bool)))
    assert abs(one.rate - before.rate) < 0.05
    nobody = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool))
    assert np.array_equal(combine([], labels, p, decisions=nobody).p_wrong, before.p_wrong)


def test_decisions_correct_what_the_witnesses_cannot_know() -> None:
    # The model has learned the wrong labels of class 0 too: only a person can say that they are wrong.
    labels, truth, _, _ = world(4000)
    p = np.eye(4)[labels] * 0.8 + 0.05
    p = np.clip(p + np.random.default_rng(6).normal(size=p.shape) * 0.01, 0.01, 1)
    p /= p.sum(1, keepdims=True)
    wrong = labels != truth
    rows = np.random.default_rng(7).permutation(4000)[:400]
    before = combine([], labels, p)
    after = combine([], labels, p, decisions=(rows, wrong[rows]))
    assert abs(before.rate - wrong.mean()) > 0.2
    assert abs(after.rate - wrong.mean()) < 0.1


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 30),
    classes=st.integers(2, 6),
    seed=st.integers(0, 1000),
    sharp=st.booleans(),
    half=st.booleans(),
)
def test_always_probabilities(size: int, classes: int, seed: int, sharp: bool, half: bool) -> None:
    draws = np.random.default_rng(seed)
    labels = draws.integers(classes, size=size)
    p = np.eye(classes)[draws.integers(classes, size=size)] if sharp else draws.dirichlet(np.ones(classes), size)
    score = np.where(draws.random(size) < 0.3, np.nan, draws.integers(3, size=size))
    found: Combined = combine(
        [Evidence("some", score)], labels, p.astype(np.float16 if half else np.float32), votes=p[::-1]
    )
    assert ((found.p_wrong >= 0) & (found.p_wrong <= 1)).all()
    assert np.allclose(found.belief.sum(1), 1, atol=1e-4)
    assert (found.belief >= 0).all()
    assert 0 <= found.rate <= 1


def test_inputs_stay_as_they_are() -> None:
    labels, _, p, votes = world(300)
    kept = [one.copy() for one in (labels, p, votes)]
    combine([], labels, p, votes=votes)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (labels, p, votes), strict=True))


def test_refused() -> None:
    labels, _, p, votes = world(20)
    rows, outcome = np.arange(3), np.array([True, False, True])
    with pytest.raises(UsageError, match="no labels"):
        combine([], labels[:0], p[:0])
    with pytest.raises(UsageError, match="votes have shape"):
        combine([], labels, p, votes=votes[:, :3])
    with pytest.raises(UsageError, match="NaN or infinite"):
        combine([], labels, p, votes=votes * np.nan)
    with pytest.raises(UsageError, match="19 scores for 20 labels"):
        combine([Evidence("loss", np.zeros(19))], labels, p)
    with pytest.raises(UsageError, match="infinite scores"):
        combine([Evidence("loss", np.full(20, np.inf))], labels, p)
    with pytest.raises(UsageError, match="same name"):
        combine([Evidence("loss", np.zeros(20))] * 2, labels, p)
    with pytest.raises(UsageError, match="3 rows and say 2 times"):
        combine([], labels, p, decisions=(rows, outcome[:2]))
    with pytest.raises(UsageError, match="rows 0 to 20, but there are 20"):
        combine([], labels, p, decisions=(np.array([0, 20]), outcome[:2]))
    with pytest.raises(UsageError, match="judge a row twice"):
        combine([], labels, p, decisions=(np.array([1, 1]), outcome[:2]))
    with pytest.raises(UsageError, match="true or false"):
        combine([], labels, p, decisions=(rows, np.ones(3)))


@pytest.mark.parametrize("estimate", [counted_noise, expected_noise])
def test_noise_without_some_classes(estimate: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    labels = np.zeros(50, dtype=np.int64)
    matrix = estimate(labels, np.tile([0.9, 0.05, 0.05], (50, 1)))
    assert np.allclose(matrix.sum(1), 1)
    assert (matrix > 0).all()
    assert matrix[0, 0] > 0.75


def test_anchors_do_not_depend_on_the_order_of_equals() -> None:
    # All are as clear: the first tenth of them would be the wrong ones.
    truth = np.arange(400) % 2
    labels = np.where(np.arange(400) < 40, 1 - truth, truth)
    predicted = np.eye(2)[truth] * 0.6 + 0.2
    assert [len(rows) for rows in anchors(predicted)[0]] == [200, 200]
    assert counted_noise(labels, predicted)[0, 0] == pytest.approx(0.9, abs=0.02)


def test_logistic_finds_what_made_the_outcomes() -> None:
    draws = np.random.default_rng(8)
    features = np.stack([draws.normal(size=20000) * 3 - 5, np.ones(20000)], axis=1)
    target = draws.random(20000) < 1 / (1 + np.exp(-(features @ np.array([2.0, 9.0]))))
    found = logistic(features, target.astype(float), np.zeros(2), np.full(2, 100.0))
    assert found == pytest.approx([2.0, 9.0], rel=0.1)


def test_logistic_far_from_the_start() -> None:
    # A full Newton step from here overshoots.
    x = np.linspace(-30, 2, 500)
    features = np.stack([x, np.ones(500)], axis=1)
    target = 1 / (1 + np.exp(-(3 * x + 40)))
    assert logistic(features, target, np.array([1.0, 0.0]), np.array([50.0, 500.0])) == pytest.approx([3, 40], rel=0.01)


def test_calibration_by_hand() -> None:
    found = calibration(np.array([0.95, 0.95, 0.05, np.nan]), np.array([True, False, False, True]))
    assert found["brier"] == pytest.approx((0.05**2 + 0.95**2 + 0.05**2) / 3)
    assert [one["rows"] for one in found["bins"]] == [1, 2]
    assert found["ece"] == pytest.approx((0.05 + 2 * 0.45) / 3)
    assert calibration(np.array([1.0]), np.array([True]))["bins"] == [{"rows": 1, "mean": 1.0, "wrong": 1.0}]


def test_history() -> None:
    predicted = np.array([[0, 1, 2], [0, 0, 2], [1, 1, 2], [0, 1, 2]])
    labels = np.array([0, 1, 1])
    history = History.start(3)
    for epoch in predicted:
        history = history.after(epoch, labels)
    assert history.agreed.tolist() == [3, 3, 0]
    assert history.first.tolist() == [1, 1, 0]
    assert history.forgotten.tolist() == [1, 1, 0]
    agreement, learned, forgetting = history.evidence()
    assert [one.flagged.tolist() for one in (agreement, learned, forgetting)] == [[False, False, True]] * 3
    assert callable(agreement.reason)
    assert callable(learned.reason)
    assert callable(forgetting.reason)
    rows = np.array([0, 2])
    assert agreement.reason(rows)[1] == "predicted as labelled in 0 of 4 epochs"
    assert learned.reason(rows) == ["first learned in epoch 1", ""]
    assert forgetting.reason(rows) == ["learned and forgotten 1 times", ""]
    with pytest.raises(UsageError, match="no epoch"):
        History.start(3).evidence()
    with pytest.raises(UsageError, match="2 predictions"):
        History.start(3).after(np.zeros(2), labels)
