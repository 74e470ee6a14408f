"""Limits per class against a plain loop."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.correct import correct
from thresher.correct.limits import parse_limit
from thresher.errors import UsageError

PETS = ("bird", "cat", "dog")


def test_what_is_typed() -> None:
    for text, limit in (("50", 50), ("0", 0), ("0.1", 0.1), ("10%", 0.1), ("1.0", 1.0), (" 100% ", 1.0)):
        found = parse_limit(text)
        assert (found, type(found)) == (limit, type(limit))
    for text in ("", "x", "-1", "1.5", "120%", "nan", "inf", "1e400", "%"):
        with pytest.raises(UsageError, match="max_per_class is "):
            parse_limit(text)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 9999),
    st.one_of(st.integers(0, 5), st.floats(0, 1)),
    st.sampled_from(["relabel", "drop", "soften", "weight"]),
)
def test_the_most_certain_of_each_class(seed: int, limit: float, policy: str) -> None:
    rng, n = np.random.default_rng(seed), 25
    table = pd.DataFrame(
        {
            "key": [f"k{row}" for row in range(n)],
            "given": rng.choice(PETS, n),
            "p_suggested": rng.integers(0, 5, n) / 4,
            "label_quality": rng.integers(0, 4, n) / 4,
            "is_label_issue": rng.random(n) < 0.6,
        }
    )
    table["suggested"] = [PETS[(PETS.index(name) + 1) % 3] for name in table["given"]]
    confidence = 0.5 if policy in ("relabel", "drop") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = correct(table, policy, PETS, min_confidence=confidence, max_per_class=limit)
    expected = set()
    for name in PETS:
        rows = table[table["given"] == name]
        chosen = rows[rows["is_label_issue"] & (rows["p_suggested"] >= (confidence or 0))]
        order = sorted(chosen.index, key=lambda row: (-table["p_suggested"][row], table["label_quality"][row], row))
        most = limit if isinstance(limit, int) else int(limit * len(rows) + 1e-9)
        expected |= {table["key"][row] for row in order[:most]}
    assert set(done.changes["key"]) == expected
    untouched = done.table.set_index("key").drop(index=list(expected))
    if policy == "weight":
        assert (untouched["weight"] == 1).all()


def test_unknown_probabilities_come_last(issues: pd.DataFrame) -> None:
    issues.loc[0, "p_suggested"] = None
    done = correct(issues, "drop", PETS, max_per_class=1)
    assert set(done.changes["key"]) == {"a", "c"}  # of the cats, c is the one with a probability
    assert "at most 1 of each class" in done.summary()
    assert "at most 0.5 of the rows of each class" in correct(issues, "drop", PETS, max_per_class=0.5).summary()


def test_limits_that_are_refused(issues: pd.DataFrame) -> None:
    for policy in ("keep", "review"):
        with pytest.raises(UsageError, match=f"max_per_class has no meaning for {policy}"):
            correct(issues, policy, PETS, max_per_class=3)
    for limit in (-1, 1.5, float("nan"), True):
        with pytest.raises(UsageError, match="give a number of labels"):
            correct(issues, "drop", PETS, max_per_class=limit)
