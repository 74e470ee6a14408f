"""Sentences: right numbers, right grammar, nothing about what is not known."""

import dataclasses

import pytest

from thresher.report import Report, words


def test_headline_in_singular(report: Report) -> None:
    issues = report.run.issues.assign(is_label_issue=[True] + [False] * 39)
    one = dataclasses.replace(report, runs=[dataclasses.replace(report.run, issues=issues)], chosen=0)
    assert words.headline(one) == "1 of 40 labels (2\xa0%) looks wrong to elr."


def test_certainty_counts_hits(report: Report) -> None:
    wrong = report.wrong(report.run.issues)
    assert wrong is not None
    found = len(report.suspects)
    hits = int(wrong[report.run.issues["is_label_issue"]].sum())
    assert f"{hits:,} of the {found:,}" in words.certainty(report)
    assert f"of all {int(wrong.sum())} wrong labels" in words.certainty(report)


def test_certainty_without_truth_counts_agreement(report: Report) -> None:
    unknown = dataclasses.replace(report, truth=None)
    text = words.certainty(unknown)
    both = (report.suspects[["score_loss", "score_margin"]] > 0).all(axis=1).sum()
    assert f"{both} are doubted by loss and margin as well" in text


def test_truth_of_some_samples_only_is_no_truth(report: Report) -> None:
    key, name = next(iter((report.truth or {}).items()))
    assert dataclasses.replace(report, truth={key: name}).wrong(report.run.issues) is None


def test_training_with_and_without_a_plain_run(report: Report) -> None:
    assert "ordinary way (cross_entropy)" in words.training(report)
    alone = dataclasses.replace(report, runs=[report.run], chosen=0)
    assert words.training(alone).startswith("On clean test data elr is right in 70.0")
    blind = dataclasses.replace(report, runs=[dataclasses.replace(report.run, last=None)], chosen=0)
    assert words.training(blind) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (3661, "1 h 1 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text
