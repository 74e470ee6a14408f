"""Agreement between people, by hand."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from thresher.review.agreement import compare
from thresher.review.decisions import Decision, decide, fold


def one(key: str, action: str, name: str) -> Decision:
    return decide(key, action, given="cat", suggested="dog", annotator=name)


def test_nobody_and_one_person() -> None:
    for state in (fold([]), fold([one("a", "keep", "ann"), one("a", "skip", "bob"), one("b", "keep", "bob")])):
        found = compare(state)
        assert found.agreement is None
        assert found.kappa is None
        assert found.disagreements.empty
        assert found.disagreements.columns[0] == "key"


def test_two_people_against_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    actions = np.array(["keep", "accept", "bad", "ambiguous"])
    ann, bob = draws.choice(actions, 80), draws.choice(actions, 80)
    bob[:50] = ann[:50]
    state = fold(
        [one(f"k{row}", action, name) for name, said in (("ann", ann), ("bob", bob)) for row, action in enumerate(said)]
    )
    found = compare(state)
    assert found.agreement is not None
    assert found.kappa is not None
    assert found.agreement.observed == pytest.approx(np.mean(ann == bob))
    assert found.kappa.loc["ann", "bob"] == pytest.approx(cohen_kappa_score(ann, bob))
    assert len(found.disagreements) == (ann != bob).sum()
    first = found.disagreements.iloc[0]
    words = {"keep": "cat", "accept": "dog", "bad": "<bad>", "ambiguous": "<ambiguous>"}
    row = int(first["key"][1:])
    assert (first["ann"], first["bob"]) == (words[ann[row]], words[bob[row]])


def test_undone_decisions_do_not_count() -> None:
    gone = one("a", "accept", "bob")
    state = fold([one("a", "keep", "ann"), gone, gone.undone_by("bob")])
    assert compare(state).agreement is None
    more = [one("a", "keep", name) for name in ("bob", "cleo")]
    for decision in more:
        state.add(decision)
    found = compare(state)
    assert found.agreement is not None
    assert (found.agreement.rows, found.agreement.observed) == (1, 1)
    assert found.disagreements.empty
    assert found.kappa is not None
    assert list(found.kappa.columns) == ["ann", "bob", "cleo"]
