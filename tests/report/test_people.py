"""Annotators: the table, and whom the sentences name."""

import math

import numpy as np
import pandas as pd

from thresher.annotators.agreement import Agreement
from thresher.report import people


def annotators(quality: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "annotator": [f"p{n}" for n in range(len(quality))], "labels": 10, "agreement": quality,
            "kappa": [math.nan] * len(quality), "quality": quality, "worst_class": "cat",
        }
    )  # fmt: skip


def test_who_stands_apart_is_named() -> None:
    said = people.sentences(annotators([0.5, 0.9, 0.95]), Agreement(20, 0.8, 0.61, None))
    assert said[0].replace("\xa0", " ") == (
        "On the 20 samples that several people labelled, two of them give the same label in 80.0 % of the cases "
        "(Krippendorff's alpha 0.61, where 0 is chance and 1 is full agreement, below the 0.8 that is usually asked "
        "for: the classes may need a clearer rule)."
    )
    assert said[1].startswith("p0 stands apart: quality 50\xa0%, and 90\xa0% for the one in the middle.")
    assert said[1].endswith("most of all at cat.")


def test_nobody_stands_apart() -> None:
    assert people.sentences(annotators([0.88, 0.9, 0.95]), None) == []
    assert people.sentences(annotators([0.1, 0.9]), None) == []  # of two, who knows
    assert people.sentences(annotators([math.nan] * 3), None) == []
    assert people.sentences(None, None) == []
    assert people.sentences(annotators([]), None) == []


def test_agreement_of_nothing_and_of_one_class() -> None:
    assert people.sentences(annotators([0.9] * 3), Agreement(0, math.nan, math.nan, None)) == []
    said = people.sentences(annotators([0.9] * 3), Agreement(4, 1.0, math.nan, None))
    assert said[0].endswith("in 100.0\xa0% of the cases.")


def test_the_table_ends_after_thirty() -> None:
    rows, left = people.table(annotators(list(np.linspace(0.5, 0.9, 33))))
    assert (len(rows), left) == (30, 3)
    assert rows[0]["kappa"] is None
