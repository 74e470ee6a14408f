"""People's decisions as labels, on their own and on top of a policy; trusted labels."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.correct import correct
from thresher.decisions import ACTIONS, Decision, decide, fold
from thresher.errors import UsageError

PETS = ("bird", "cat", "dog")


def one(key: str, action: str, label: str | None = None, *, name: str = "ann", **more: Any) -> Decision:
    more = {"given": "cat", "suggested": "dog", **more}
    return decide(key, action, label=label, annotator=name, **more)


def state_of(*decisions: Decision) -> dict[str, Decision]:
    return fold(decisions).all_current()


def test_every_action_does_what_it_says(issues: pd.DataFrame) -> None:
    said = state_of(
        one("d", "accept"),
        one("a", "relabel", "cat", given="dog"),
        one("c", "skip"),
        one("b", "keep", given="bird", suggested="bird"),
        one("e", "none_of_these"),
        one("f", "bad", given="dog"),
    )
    done = correct(issues, "review", PETS, decisions=said)
    assert done.table.to_dict("list") == {"key": list("abcdef"), "label": ["cat", "bird", "cat", "dog", "", ""]}
    assert done.people == {"decided": 5, "moved": 2, "out": 2, "split": 0}
    assert done.counts == {"rows": 6, "suspects": 3, "changed": 4}
    assert dict(zip(done.changes["key"], done.changes["action"], strict=True)) == {
        **{"d": "accept", "a": "relabel", "e": "none_of_these", "f": "bad"}
    }
    assert done.pairs == [("cat", "dog", 1), ("dog", "cat", 1)]
    assert done.summary().splitlines()[0] == (
        "applied 5 decisions: changed 2 labels, left 2 rows out, split 0 labels between classes"
    )
    assert not done.listing
    assert not done.soft


def test_ambiguous_labels_are_shared_out(issues: pd.DataFrame) -> None:
    said = state_of(
        one("d", "ambiguous", labels=("bird", "cat", "dog")),
        one("a", "ambiguous", given="dog", suggested="bird"),
        one("c", "ambiguous", suggested=None),
        one("e", "ambiguous", labels=("bird", "dog")),
    )
    done = correct(issues, "review", PETS, decisions=said)
    assert done.table["label"].tolist() == ["dog", "bird", "", "cat", "bird", "dog"]
    soft = done.table[["p_bird", "p_cat", "p_dog"]].to_numpy()
    np.testing.assert_allclose(soft[[0, 3, 4]], [[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3], [0.5, 0, 0.5]])
    assert np.isnan(soft[[1, 2, 5]]).all()  # the label stands
    assert done.people == {"decided": 4, "moved": 0, "out": 1, "split": 3}
    assert done.counts["changed"] == 4
    assert done.soft
    with pytest.warns(UserWarning, match="the class loses all its rows by this: 'cat'"):
        dropped = correct(issues, "review", PETS, decisions=said, ambiguous="drop")
    assert dropped.table.to_dict("list") == {"key": list("abcdef"), "label": ["", "bird", "", "", "", "dog"]}
    assert not dropped.soft


def test_decisions_about_other_given_labels_are_told(issues: pd.DataFrame) -> None:
    said = state_of(one("d", "accept"), one("a", "keep", given="bird"))
    with pytest.warns(UserWarning, match=r"1 of 2 decisions .* the first is about 'a', then 'bird' and now 'dog'"):
        done = correct(issues, "review", PETS, decisions=said)
    assert done.table["label"].tolist()[:1] == ["bird"]  # what a person said counts all the same


@pytest.mark.parametrize("then", ["keep", "relabel", "drop", "weight", "soften"])
def test_on_top_of_a_policy(issues: pd.DataFrame, then: str) -> None:
    said = state_of(one("d", "keep"), one("e", "accept"), one("a", "skip"))
    done = correct(issues, "review", PETS, decisions=said, then=then)
    labels = dict(zip(done.table["key"], done.table["label"], strict=True))
    assert (labels["d"], labels["e"]) == ("cat", "dog")  # decided, suspect or not
    undecided = {
        "keep": ("dog", "cat"),
        "relabel": ("bird", "cat"),  # of a and c; c is not sure
        "drop": ("", ""),
        "weight": ("dog", "cat"),
        "soften": ("dog", "cat"),
    }
    assert (labels["a"], labels["c"]) == undecided[then]
    assert (done.policy, done.then, done.min_confidence) == ("review", then, 0.9 if then == "relabel" else None)
    rows = done.table.set_index("key")
    if then == "weight":
        assert rows["weight"].to_dict() == {"a": 0.2, "b": 1, "c": 0.4, "d": 1, "e": 1, "f": 1}
    if then == "soften":
        soft = rows[["p_bird", "p_cat", "p_dog"]]
        np.testing.assert_allclose(
            soft.loc[["a", "d", "e"]], np.array([[0.9, 0, 0.1], [0, 1, 0], [0, 0, 1]]), atol=1e-12
        )
    assert "\nthen " in done.summary()


def test_soften_leaves_rows_out_where_people_do(issues: pd.DataFrame) -> None:
    said = state_of(one("d", "bad"), one("a", "ambiguous", given="dog", labels=("bird", "cat")))
    done = correct(issues, "review", PETS, decisions=said, then="soften")
    rows = done.table.set_index("key")[["p_bird", "p_cat", "p_dog"]]
    assert rows.loc["d"].isna().all()
    assert rows.loc[["a", "c"]].to_numpy().tolist() == [[0.5, 0.5, 0], [0, 0.5, 0.5]]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([None, "keep", "relabel", "drop", "weight", "soften"]))
def test_laws(seed: int, then: str | None) -> None:
    rng, n = np.random.default_rng(seed), 12
    table = pd.DataFrame(
        {
            "key": [f"k{row}" for row in range(n)],
            "given": rng.choice(PETS, n),
            "suggested": rng.choice(PETS, n),
            "p_suggested": rng.random(n),
            "label_quality": rng.random(n),
            "is_label_issue": rng.random(n) < 0.5,
        }
    )
    made = []
    for row in rng.permutation(n)[: rng.integers(1, n)]:
        action = str(rng.choice(ACTIONS))
        about = {"given": table["given"][row], "suggested": table["suggested"][row]}
        made.append(one(table["key"][row], action, str(rng.choice(PETS)) if action == "relabel" else None, **about))
    decided = fold(made).decided()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = correct(table, "review", PETS, decisions=decided, then=then)
        alone = correct(table, then or "keep", PETS)
    labels, others = (found.table.set_index("key")["label"] for found in (done, alone))
    for key, decision in decided.items():
        if decision.label is not None:
            assert labels[key] == decision.label
        elif decision.action != "ambiguous":
            assert labels[key] == ""
    undecided = [key for key in table["key"] if key not in decided]
    assert (labels[undecided] == others[undecided]).all()
    assert done.counts["changed"] == len(done.changes)
    if done.soft and f"p_{PETS[0]}" in done.table:
        soft = done.table[[f"p_{name}" for name in PETS]].to_numpy()
        np.testing.assert_allclose(soft[~np.isnan(soft).any(1)].sum(1), 1)
    if then == "weight":
        assert (done.table.set_index("key")["weight"][list(decided)] == 1).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "relabel"}, "decisions have no meaning for relabel: they belong to review"),
        ({"decisions": None, "then": "relabel"}, "then has no meaning without decisions"),
        ({"then": "review"}, "no policy 'review' for suspects that nobody decided"),
        ({"then": "relable"}, "did you mean relabel"),
        ({"min_confidence": 0.5}, "min_confidence has no meaning for keep"),
        ({"then": "drop", "min_confidence": 2}, "from 0 to 1"),
        ({"ambiguous": "sofen"}, "no way 'sofen' with ambiguous labels: did you mean soften"),
        ({"decisions": {"z": one("z", "keep")}}, "1 of 1 decisions are about keys .* the first is 'z'"),
        ({"decisions": {"a": one("a", "relabel", "cow")}}, "names 'cow', which is no class"),
        ({"decisions": {"a": one("a", "keep", given="cow")}}, "names 'cow', which is no class"),
        ({"decisions": {"a": one("a", "ambiguous", labels=("cat", "cow"))}}, "names 'cow', which is no class"),
    ],
)
def test_requests_that_are_refused(issues: pd.DataFrame, options: dict[str, Any], words: str) -> None:
    asked: dict[str, Any] = {"policy": "review", "decisions": {"a": one("a", "keep", given="dog")}, **options}
    policy = asked.pop("policy")
    with pytest.raises(UsageError, match=re.compile(words)):
        correct(issues, policy, PETS, **asked)
