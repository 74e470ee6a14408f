"""Agreement between people, by hand."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from thresher.decisions import Decision, decide, fold
from thresher.decisions.agreement import compare, disagreeing, trusted_labels


def one(key: str, action: str, name: str, label: str | None = None) -> Decision:
    return decide(key, action, label=label, given="cat", suggested="dog", annotator=name)


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


def test_trusted_labels_are_definite_and_undisputed() -> None:
    said = [
        *(("a", "keep", "ann"), ("b", "accept", "ann"), ("c", "relabel", "ann", "bird"), ("d", "bad", "ann")),
        *(("e", "skip", "ann"), ("f", "ambiguous", "ann"), ("g", "keep", "ann"), ("g", "accept", "bob")),
        *(("a", "skip", "bob"), ("b", "relabel", "bob", "dog")),
    ]
    state = fold([one(*record) for record in said])
    assert trusted_labels(state).to_dict("list") == {"key": ["a", "b", "c"], "label": ["cat", "dog", "bird"]}
    assert disagreeing(state) == 1
    assert list(trusted_labels(fold([])).columns) == ["key", "label"]
