"""Every policy by hand, and what holds for all of them."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.correct import POLICIES, correct
from thresher.errors import UsageError

PETS = ("bird", "cat", "dog")
KEYS = ["a", "b", "c", "d", "e", "f"]
GIVEN = ["dog", "bird", "cat", "cat", "cat", "dog"]


def test_keep(issues: pd.DataFrame) -> None:
    done = correct(issues, "keep", PETS)
    assert done.table.to_dict("list") == {"key": KEYS, "label": GIVEN}
    assert done.changes.empty
    assert list(done.changes) == ["key", "given", "label", "p_suggested", "label_quality", "action"]
    assert done.counts == {"rows": 6, "suspects": 3, "changed": 0}
    assert done.summary() == "kept all 6 labels as given (suspects: 3)"


def test_relabel(issues: pd.DataFrame) -> None:
    done = correct(issues, "relabel", PETS)
    assert done.table.to_dict("list") == {"key": KEYS, "label": ["bird", "bird", "cat", "dog", "cat", "dog"]}
    assert done.changes.to_dict("records") == [
        {"key": "d", "given": "cat", "label": "dog", "p_suggested": 0.99, "label_quality": 0.1, "action": "relabel"},
        {"key": "a", "given": "dog", "label": "bird", "p_suggested": 0.9, "label_quality": 0.2, "action": "relabel"},
    ]
    assert done.pairs == [("cat", "dog", 1), ("dog", "bird", 1)]
    assert done.min_confidence == 0.9
    every = correct(issues, "relabel", PETS, min_confidence=0)
    assert every.table["label"].tolist() == ["bird", "bird", "dog", "dog", "cat", "dog"]
    assert every.pairs[0] == ("cat", "dog", 2)
    assert every.summary().splitlines()[1] == "  cat -> dog: 2"


def test_drop(issues: pd.DataFrame) -> None:
    done = correct(issues, "drop", PETS)
    assert done.table.to_dict("list") == {"key": KEYS, "label": ["", "bird", "", "", "cat", "dog"]}
    assert done.changes["action"].tolist() == ["drop"] * 3
    assert done.changes["label"].tolist() == [""] * 3
    assert done.summary() == "left 3 of 6 rows out (suspects: 3)"
    sure = correct(issues, "drop", PETS, min_confidence=0.95)
    assert sure.table["label"].tolist() == ["dog", "bird", "cat", "", "cat", "dog"]
    assert "p_suggested is 0.95 or more" in sure.summary()


def test_weight(issues: pd.DataFrame) -> None:
    done = correct(issues, "weight", PETS)
    assert done.table.to_dict("list") == {"key": KEYS, "label": GIVEN, "weight": [0.2, 1, 0.4, 0.1, 1, 1]}
    assert done.changes["key"].tolist() == ["d", "a", "c"]
    assert done.changes["action"].tolist() == ["weight"] * 3


def test_soften(issues: pd.DataFrame) -> None:
    done = correct(issues, "soften", PETS)
    assert list(done.table) == ["key", "label", "p_bird", "p_cat", "p_dog"]
    assert done.table["label"].tolist() == GIVEN
    expected: list[list[float]] = [[0.9, 0, 0.1], [1, 0, 0], [0, 0.5, 0.5], [0, 0.01, 0.99], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(done.table[["p_bird", "p_cat", "p_dog"]], expected, atol=1e-12)


def test_soften_with_full_rows(issues: pd.DataFrame) -> None:
    full = np.array([[0.2, 0.3, 0.5]] * 6)
    done = correct(issues, "soften", PETS, probabilities=full)
    soft = done.table[["p_bird", "p_cat", "p_dog"]].to_numpy()
    np.testing.assert_allclose(soft[[0, 2, 3]], full[:3])
    np.testing.assert_array_equal(soft[[1, 4, 5]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for wrong in (full[:5], full[:, :2], full * 2, full * np.nan):
        with pytest.raises(UsageError, match="probabilities"):
            correct(issues, "soften", PETS, probabilities=wrong)


def test_review(issues: pd.DataFrame) -> None:
    mixed = issues.iloc[[4, 2, 5, 0, 3, 1]]
    done = correct(mixed, "review", PETS)
    assert list(done.table) == ["key", "label", "given", "suggested", "p_suggested", "label_quality", "reasons"]
    assert done.table["key"].tolist() == ["d", "a", "c", "b", "e", "f"]
    assert (done.table["label"] == done.table["given"]).all()
    assert done.table["reasons"][0] == "elr expects 'dog' (p 0.99)"
    assert done.changes.empty


def test_a_table_made_by_hand() -> None:
    hand = pd.DataFrame(
        {
            "key": ["x", "y", "z"],
            "given": ["1", "NA", "1"],
            "suggested": ["NA", "", "1"],
            "p_suggested": ["0.95", "", "0.1"],
            "is_label_issue": ["TRUE", "no", "1"],
        }
    )
    done = correct(hand, "relabel", ("1", "NA"), min_confidence=0.05)
    assert done.table.to_dict("list") == {"key": ["x", "y", "z"], "label": ["NA", "NA", "1"]}
    assert done.counts["changed"] == 1  # the third is suggested what it has
    assert correct(hand, "review", ("1", "NA")).table["reasons"].tolist() == ["", "", ""]
    with pytest.raises(UsageError, match="'x' has no label_quality, and weight needs it"):
        correct(hand, "weight", ("1", "NA"))
    hand["p_suggested"] = ["", "", "0.1"]
    with pytest.raises(UsageError, match="'x' has no p_suggested"):
        correct(hand, "soften", ("1", "NA"))
    assert correct(hand, "relabel", ("1", "NA"), min_confidence=0).counts["changed"] == 0
    assert correct(hand, "drop", ("1", "NA"), min_confidence=0).table["label"].tolist() == ["1", "NA", ""]


def test_a_lost_class_is_named(issues: pd.DataFrame) -> None:
    issues.loc[issues["key"] == "f", "is_label_issue"] = True
    with pytest.warns(UserWarning, match="the class loses all its rows by this: 'dog'; training needs every class"):
        correct(issues, "drop", PETS)
    issues["is_label_issue"] = True
    with pytest.warns(UserWarning, match="classes lose all their rows by this: 'bird', 'cat', 'dog'"):
        correct(issues, "drop", PETS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        correct(issues, "keep", PETS)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 30), st.integers(2, 5), st.sampled_from(POLICIES))
def test_laws(seed: int, n: int, k: int, policy: str) -> None:
    rng = np.random.default_rng(seed)
    classes = ("1", "NA", "a,b", 'say "hi"', "ö")[:k]
    issues = pd.DataFrame(
        {
            "key": [f"k{row}" for row in range(n)],
            "row": np.arange(n),
            "given": rng.choice(classes, n),
            "suggested": rng.choice(classes, n),
            "p_suggested": rng.random(n),
            "label_quality": rng.random(n),
            "is_label_issue": rng.random(n) < 0.5,
        }
    )
    shuffled = issues.sample(frac=1, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = correct(shuffled, policy, classes)
    assert list(done.table)[:2] == ["key", "label"]
    assert sorted(done.table["key"]) == sorted(issues["key"])
    if policy != "review":
        assert done.table["key"].tolist() == issues["key"].tolist()
    assert set(done.table["label"]) <= {*classes, *([""] if policy == "drop" else [])}
    labels = done.table.set_index("key")["label"]
    innocent = issues[~issues["is_label_issue"]]
    assert (labels[innocent["key"]].to_numpy() == innocent["given"].to_numpy()).all()
    assert set(done.changes["key"]) <= set(issues["key"][issues["is_label_issue"]])
    assert done.counts["changed"] == len(done.changes)
    if policy == "soften":
        soft = done.table[[f"p_{name}" for name in classes]].to_numpy()
        np.testing.assert_allclose(soft.sum(axis=1), 1)
        assert soft.min() >= 0


def test_requests_that_are_refused(issues: pd.DataFrame) -> None:
    def ask(*words: Any, **options: Any) -> Callable[[], Any]:
        return lambda: correct(issues, *words, **options)

    for call, words in (
        (ask("relabl", PETS), "no policy 'relabl': did you mean relabel"),
        (ask("relabel", PETS, min_confidence=1.5), "is 1.5: it is a probability"),
        (ask("relabel", PETS, min_confidence=float("nan")), "is nan: it is a probability"),
        (ask("drop", PETS, min_confidence=-0.1), "from 0 to 1"),
        (ask("weight", PETS, min_confidence=0.9), "no meaning for weight"),
        (ask("keep", PETS, probabilities=np.ones((6, 3)) / 3), "belong to soften"),
        (ask("keep", ("bird", "cat")), "given of 'a' is 'dog', which is no class: the classes are 'bird', 'cat'"),
    ):
        with pytest.raises(UsageError, match=words):
            call()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("key", "a", "the key 'a' twice"),
        ("key", None, "row 0 of the table of issues has no key"),
        ("given", "", "given of 'd' is empty"),
        ("suggested", "cow", "suggested of 'd' is 'cow'"),
        ("suggested", None, "suggested of 'd' is empty"),
        ("is_label_issue", "perhaps", "is 'perhaps': write True or False"),
        ("is_label_issue", None, "write True or False"),
        ("p_suggested", "much", "p_suggested of 'd' is 'much'"),
        ("p_suggested", 1.2, "a number from 0 to 1"),
        ("p_suggested", "0,9", "is '0,9'"),
        ("label_quality", -1, "label_quality of 'd'"),
        ("row", "x", "a row number"),
    ],
)
def test_tables_that_are_refused(issues: pd.DataFrame, column: str, value: Any, words: str) -> None:
    broken = issues.astype(object)
    broken.loc[0, column] = value
    with pytest.raises(UsageError, match=words):
        correct(broken, "relabel", PETS)


def test_missing_columns_and_rows(issues: pd.DataFrame) -> None:
    for name in ("key", "given", "suggested", "p_suggested", "is_label_issue"):
        with pytest.raises(UsageError, match=f"no column '{name}'"):
            correct(issues.drop(columns=name), "keep", PETS)
    with pytest.raises(UsageError, match="no rows"):
        correct(issues.iloc[:0], "keep", PETS)
