import numpy as np
import pandas as pd
import pytest
from tests.review.tables import issues

from thresher.errors import UsageError
from thresher.review.cards import KINDS, Cards

CLASSES = ("cat", "dog", "eel")


def test_every_column() -> None:
    cards = Cards.of(issues(), CLASSES)
    assert cards.sourced
    assert cards.rows[:3].tolist() == [0, 10, 20]
    assert cards.given[:4].tolist() == [0, 1, 2, 0]
    assert cards.suggested[:4].tolist() == [1, 2, 0, 1]
    assert cards.flagged.sum() == 6
    assert [KINDS[k] for k in cards.kinds[[0, 11]]] == ["wrong", ""]
    assert [cards.doubters[k] for k in cards.witnesses[[0, 5, 11]]] == ["elr, loss", "elr", ""]
    assert cards.doubters[0] == ""
    assert cards.duplicates[:3].tolist() == [-1, 3, -1]


def test_text_as_from_a_file_gives_the_same() -> None:
    table = issues()
    one, other = Cards.of(table, CLASSES), Cards.of(table.astype(str).replace("nan", ""), CLASSES)
    for name in ("keys", "rows", "given", "suggested", "p_wrong", "kinds", "flagged", "witnesses", "duplicates"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_only_what_is_needed() -> None:
    needed = ["key", "given", "suggested", "p_suggested", "is_label_issue"]
    cards = Cards.of(issues()[needed], CLASSES)
    assert not cards.sourced
    assert cards.rows.tolist() == list(range(12))
    assert np.isnan(cards.p_wrong).all()
    assert cards.doubters == ("",)
    assert not cards.kinds.any()
    assert (cards.duplicates == -1).all()


@pytest.mark.parametrize("rows", [[0, 0, 1], [0, 1, None], [0, 1, 1.5], [0, 1, 1e300]])
def test_row_numbers_that_name_no_rows_are_not_used(rows: list[float]) -> None:
    cards = Cards.of(issues(3, 1).assign(row=rows), CLASSES)
    assert (cards.sourced, cards.rows.tolist()) == (False, [0, 1, 2])


def test_places() -> None:
    table = issues().sample(frac=1, random_state=0)
    cards = Cards.of(table, CLASSES)
    found = cards.places(np.array([110, 0, 5, -1, 10**12]))
    assert [(-1 if place < 0 else int(table["row"].iloc[place])) for place in found] == [110, 0, -1, -1, -1]


@pytest.mark.parametrize("value", ["high", "1.2", "-0.1", "inf"])
def test_a_chance_that_is_none(value: str) -> None:
    table = issues().astype(str)
    table.loc[2, "p_wrong"] = value
    with pytest.raises(UsageError, match=r"p_wrong of 'eel/2.png' is .*it must be a number from 0 to 1, or empty"):
        Cards.of(table, CLASSES)


def test_more_witnesses_than_bits() -> None:
    table = issues().assign(**{f"score_w{n}": 1.0 for n in range(80)})
    assert "w3" in Cards.of(table, CLASSES).doubters[-1]


def test_a_kind_that_is_not_known() -> None:
    assert not Cards.of(issues().assign(kind="odd"), CLASSES).kinds.any()


def test_an_empty_table() -> None:
    with pytest.raises(UsageError, match="no rows"):
        Cards.of(pd.DataFrame(columns=issues().columns), CLASSES)
