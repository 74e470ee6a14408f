"""Outliers, samples between two classes, and the one kind that is named."""

from collections.abc import Callable

import numpy as np
import pytest

from thresher.audit.kinds import find_kinds, kinds, plausible_pairs
from thresher.audit.neighbours import Neighbours, nearest
from thresher.audit.neighbours.duplicates import near_duplicates
from thresher.audit.neighbours.outliers import Remoteness, outliers, remoteness
from thresher.audit.neighbours.votes import neighbour_evidence
from thresher.errors import UsageError


def clouds(scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A wide and a narrow class, 150 each."""
    rng = np.random.default_rng(0)
    wide, narrow = rng.standard_normal((150, 8)), 0.1 * rng.standard_normal((150, 8)) + 6
    return np.concatenate([wide, narrow]) * scale, np.repeat([0, 1], 150)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_outliers_are_measured_by_their_own_surroundings(scale: float) -> None:
    x, labels = clouds(scale)
    x[5] = -9 * scale  # far from all
    x[160] = (6 + 0.3 * np.where(np.arange(8) % 2, 1, -1)) * scale  # far from its narrow class alone
    labels[7] = 1  # a wrong label is no reason: it is as far from its like as before
    remote = remoteness(nearest(x, metric="euclidean"), labels, 2)
    assert set(np.flatnonzero(outliers(remote))) == {5, 160}
    assert remote.times[5] > 3


def test_doubt_lowers_the_fence() -> None:
    remote = Remoteness(np.array([4.5, 4.5, 5.5, 0.0, 0.0, 0.0, 0.0, 0.0]), np.ones(8))
    belief = np.full((8, 2), [0.9, 0.1])
    belief[0] = 0.5
    assert np.flatnonzero(outliers(remote, [belief])).tolist() == [0, 2]
    assert np.flatnonzero(outliers(remote)).tolist() == [2]


def test_nothing_stands_out_among_equals() -> None:
    found = nearest(np.zeros((30, 2)), metric="euclidean")
    labels = np.arange(30) % 2
    assert not outliers(remoteness(found, labels, 2)).any()
    assert len(outliers(remoteness(Neighbours(np.empty((0, 1), dtype=int), np.empty((0, 1))), labels[:0], 2))) == 0


def test_plausible_pairs_need_every_witness() -> None:
    sure = np.tile([0.9, 0.06, 0.04], (8, 1))
    one, other = sure.copy(), sure.copy()
    one[:3] = [[0.48, 0.42, 0.1], [0.48, 0.42, 0.1], [0.48, 0.42, 0.1]]
    other[:3] = [[0.4, 0.5, 0.1], [0.48, 0.1, 0.42], [0.8, 0.15, 0.05]]
    assert plausible_pairs([one, other])[:4].tolist() == [[0, 1], [-1, -1], [-1, -1], [-1, -1]]
    np.testing.assert_array_equal(plausible_pairs([one])[:3], [[0, 1]] * 3)


def test_a_witness_that_is_never_sure_splits_few() -> None:
    rng = np.random.default_rng(0)
    flat = np.exp(0.3 * rng.standard_normal((500, 4)))
    flat /= flat.sum(axis=1, keepdims=True)
    assert (plausible_pairs([flat])[:, 0] >= 0).mean() < 0.35
    certain = np.eye(3)[rng.integers(0, 3, 50)]
    certain[0] = [0.95, 0.05, 0]  # beside certainty still no coin toss
    assert (plausible_pairs([certain]) == -1).all()


def test_the_order_of_kinds() -> None:
    pair = np.array([[0, 1], [0, 1], [1, 2], [1, 2], [-1, -1], [-1, -1], [-1, -1]])
    outlier = np.array([True, False, False, False, False, False, False])
    wrong = np.array([True, True, True, False, True, False, False])
    conflict = np.array([True, True, True, True, True, True, False])
    found = kinds(wrong, outlier, pair, conflict, np.zeros(7, dtype=int))
    assert found.tolist() == ["outlier", "ambiguous", "wrong", "ambiguous", "wrong", "duplicate", ""]


def test_planted_trouble_of_every_kind() -> None:
    rng = np.random.default_rng(1)
    true = np.repeat([0, 1, 2], 100)
    x = rng.standard_normal((300, 6)) + 5 * np.eye(3)[true] @ rng.standard_normal((3, 6)) * 2
    x[0] = 60.0
    x[150] = x[151] + 1e-4
    given = true.copy()
    given[[10, 120, 220]] = [1, 2, 0]
    given[150] = 0
    centre = np.stack([x[true == k][5:].mean(axis=0) for k in range(3)])
    odds = np.exp(
        -((x[:, None] - centre) ** 2).sum(axis=2) / 4
        + ((x[:, None] - centre) ** 2).sum(axis=2).min(axis=1)[:, None] / 4
    )
    belief = odds / odds.sum(axis=1, keepdims=True)
    near = nearest(x, metric="euclidean")
    wrong = neighbour_evidence(near, given, ["cat", "dog", "eel"]).flagged
    found = find_kinds(wrong, near, given, belief, ["cat", "dog", "eel"])
    assert found.kind[[0, 10, 120, 220, 150, 151]].tolist() == ["outlier", *["wrong"] * 4, "duplicate"]
    assert (found.kind == "").sum() >= 290
    said = found.reason(np.array([0, 10, 150, 151, 50]))
    assert said[0].startswith("far from every class: its neighbours are ")
    assert said[1:] == ["", "a near copy is labelled 'dog'", "a near copy is labelled 'cat'", ""]


def test_ambiguous_in_words() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 2))
    odds = 1 / (1 + np.exp(-8 * x[:, 0]))
    given = (rng.random(600) < odds).astype(int)
    near = nearest(x, 10, metric="euclidean")
    copies = near_duplicates(near, given)
    none = np.zeros(600, dtype=bool)
    found = find_kinds(none, near, given, np.stack([1 - odds, odds], axis=1), ["cat", "dog"], copies)
    assert found.duplicates is copies
    torn = np.flatnonzero(found.kind == "ambiguous")
    assert 10 < len(torn) < 60
    assert np.abs(x[torn, 0]).max() < 0.3
    said = found.reason(torn)
    assert set(said) == {"could be 'cat' or 'dog'", "could be 'dog' or 'cat'"}
    assert all(
        phrase.startswith(f"could be '{'dog' if odds[row] > 0.5 else 'cat'}'")
        for row, phrase in zip(torn, said, strict=True)
    )


def test_refused() -> None:
    near = Neighbours(np.array([[1], [0]]), np.ones((2, 1)))
    none, labels, belief = np.zeros(2, dtype=bool), np.array([0, 1]), np.full((2, 2), 0.5)
    remote = Remoteness(np.zeros(2), np.ones(2))
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: find_kinds(none, near, labels, belief, ["a"]), "2 columns for 1 classes"),
        (lambda: find_kinds(none[:1], near, labels, belief, ["a", "b"]), "wrong has 1 entries for 2"),
        (lambda: find_kinds(none, near, labels[:1], belief[:1], ["a", "b"]), "there are 1 samples"),
        (lambda: plausible_pairs([]), "no class shares"),
        (lambda: plausible_pairs([belief, belief[:1]]), r"\[2, 2\], \[1, 2\]"),
        (lambda: outliers(remote, fence=0), "above 0"),
        (lambda: outliers(remote, [belief[:1]]), "1 rows of class shares for 2"),
    ]
    for call, said in calls:
        with pytest.raises(UsageError, match=said):
            call()
