"""Sentences: right numbers, right grammar, nothing about what is not known."""

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from thresher.report import Report, RunView, sentences, words


def test_headline_in_singular(report: Report) -> None:
    issues = report.run.issues.assign(is_label_issue=[True] + [False] * 39)
    one = dataclasses.replace(report, runs=[dataclasses.replace(report.run, issues=issues)], chosen=0)
    assert sentences.headline(one) == "1 of 40 labels (2.5\xa0%) looks wrong to elr."


def test_certainty_counts_hits(report: Report) -> None:
    wrong = report.wrong(report.run.issues)
    assert wrong is not None
    found = len(report.suspects)
    hits = int(wrong[report.run.issues["is_label_issue"]].sum())
    assert f"{hits:,} of the {found:,}" in sentences.certainty(report)
    assert f"of all {int(wrong.sum())} wrong labels" in sentences.certainty(report)


def test_certainty_without_truth_counts_agreement(report: Report) -> None:
    unknown = dataclasses.replace(report, truth=None)
    text = sentences.certainty(unknown)
    both = (report.suspects[["score_loss", "score_margin"]] > 0).all(axis=1).sum()
    assert f"{both} are doubted by loss over training and margin over training as well" in text


def test_truth_of_some_samples_only_is_no_truth(report: Report) -> None:
    key, name = next(iter((report.truth or {}).items()))
    assert dataclasses.replace(report, truth={key: name}).wrong(report.run.issues) is None


def test_training_with_and_without_a_plain_run(report: Report) -> None:
    assert "ordinary way (cross_entropy)" in sentences.training(report)
    alone = dataclasses.replace(report, runs=[report.run], chosen=0)
    assert sentences.training(alone).startswith("On clean test data elr is right in 70.0")
    blind = dataclasses.replace(report, runs=[dataclasses.replace(report.run, last=None)], chosen=0)
    assert sentences.training(blind) == ""
    unsized = dataclasses.replace(alone, test_size=None)
    assert sentences.training(unsized) == "On clean test data elr is right in 70.0\xa0% of cases after its last epoch."


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "1 min 0 s"), (60, "1 min 0 s"), (3661, "1 h 1 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def issues(given: list[str], suggested: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"given": given, "suggested": suggested})
    return table.assign(is_label_issue=table["given"] != table["suggested"])


def told(given: list[str], suggested: list[str], classes: list[str]) -> list[str]:
    return [sentence.replace("\xa0", " ") for sentence in words.summary(issues(given, suggested), classes)]


def test_summary_names_the_class_and_the_pair() -> None:
    given = ["Shirt"] * 1000 + ["Coat"] * 9000
    suggested = (
        ["T-shirt"] * 48 + ["Coat"] * 72 + ["Shirt"] * 880 + ["Shirt"] * 100 + ["T-shirt"] * 92 + ["Coat"] * 8808
    )
    assert told(given, suggested, ["Coat", "Shirt", "T-shirt"]) == [
        "312 of 10,000 labels (3.1 %) look wrong.",
        "Most of them are labelled Coat (192 of 9,000, 2.1 %).",
        "The most frequent mistake: Coat that should be Shirt (100).",
    ]


def test_summary_of_nothing_of_one_and_of_no_pair_twice() -> None:
    assert words.summary(pd.DataFrame(), ["a", "b"]) == ["There are no labels to judge."]
    assert told(["a", "b"], ["a", "b"], ["a", "b"]) == ["None of 2 labels looks wrong."]
    assert told(["a", "b"], ["a", "a"], ["a", "b"]) == [
        "1 of 2 labels (50 %) looks wrong.",
        "It is labelled b and should be a.",
    ]
    assert told(["a", "b", "c", "c"], ["b", "c", "a", "c"], ["a", "b", "c"])[1:] == [
        "The label doubted most often is a (1 of 1, 100 %).",
        "No mistake is made twice; one is a that should be b.",
    ]
    assert told(["a", "a", "b"], ["b", "c", "b"], ["a", "b", "c"])[1] == "All of them are labelled a (2 of 2, 100 %)."


def test_summary_of_two_classes_counts_both_ways() -> None:
    said = told(["cat"] * 10 + ["dog"] * 10, ["dog"] * 3 + ["cat"] * 12 + ["dog"] * 5, ["cat", "dog"])
    assert said[1] == "5 of 10 labelled dog should be cat (50 %) and 3 of 10 labelled cat should be dog (30 %)."


def test_summary_keeps_a_terminal_safe() -> None:
    text = " ".join(told(["\x1b[31mred\n"] * 3, ["b\u202e", "b\u202e", "<b>"], ["x", "y", "z"]))
    assert text.isprintable()
    assert "[31mred" in text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0 %"), (1, 10**6, "under 0.1 %"), (98, 1000, "9.8 %"), (999, 10000, "10 %"), (10, 10, "100 %")],
)
def test_share_has_the_digits_that_tell_something(part: int, whole: int, text: str) -> None:
    assert words.share(part, whole).replace("\xa0", " ") == text


def test_words_need_no_heavy_library() -> None:
    code = "import sys, thresher.report.words; print(sorted({'torch', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_the_ceiling_is_known_or_estimated_or_absent(report: Report) -> None:
    assert sentences.ceiling(report) == (1 - 0.31, False)
    unknown = dataclasses.replace(report, noise=None)
    found = len(report.suspects)
    assert sentences.ceiling(unknown) == (1 - found / 40, True)
    assert "an estimate" in sentences.about_ceiling(unknown)
    assert f"{found / 0.4:.1f}\xa0% of the held-out" in sentences.about_ceiling(unknown)
    assert sentences.ceiling(dataclasses.replace(unknown, runs=[RunView("elr")], chosen=0)) is None
    blind = [dataclasses.replace(run, history=run.history.drop(columns="valid")) for run in report.runs]
    assert sentences.about_ceiling(dataclasses.replace(report, runs=blind)) == ""


def test_flips_compare_suspects_with_the_rest(report: Report) -> None:
    run = report.run
    flips = pd.Series(np.where(run.flagged, 6, 2), index=run.issues["row"])
    told = dataclasses.replace(report, runs=[dataclasses.replace(run, flips=flips)], chosen=0)
    assert "changed 6.0 times" in sentences.flips(told)
    assert "another label 2.0 times" in sentences.flips(told)
    assert sentences.flips(report) == ""
    part = dataclasses.replace(run, flips=flips[run.flagged])
    assert sentences.flips(dataclasses.replace(told, runs=[part])) == ""


def corrected(report: Report) -> Report:
    """The suspects take the suggested label; one was right before, one row is left out."""
    changes = report.suspects[["key", "row", "given", "suggested"]].rename(columns={"suggested": "label"})
    after = dataclasses.replace(report.run, issues=report.run.issues[1:].assign(is_label_issue=False))
    truth = {**(report.truth or {}), changes["key"].iloc[0]: changes["given"].iloc[0]}
    return dataclasses.replace(
        report, runs=[after], chosen=0, before=report.run, label_changes=changes, truth=truth, noise=None
    )


def test_correction_is_told_and_marked(report: Report) -> None:
    said = " ".join(sentences.correction(corrected(report)))
    found = len(report.suspects)
    assert f"{found} of 39 labels" in said
    assert f"put right {found - 1} of them (" in said
    assert "1 was right before and is wrong now" in said
    assert "1 row was left out." in said
    assert f"Suspects before: {found} of 40" in said
    assert "after: 0 of 39" in said


def test_correction_without_truth_or_run_before(report: Report) -> None:
    bare = dataclasses.replace(corrected(report), truth=None, before=None)
    assert len(sentences.correction(bare)) == 1
    none = dataclasses.replace(bare, label_changes=pd.DataFrame(columns=["key", "row", "given", "label"]))
    assert sentences.correction(none) == ["0 of 39 labels (0\xa0%) were changed."]
