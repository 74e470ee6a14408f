"""What a review would find: counts against a plain sum, the stopping point, and what is said where nothing is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from thresher.report import Report, RunView, review, review_figures


def planned(p: np.ndarray, wrong: np.ndarray | None = None) -> review.Expected:
    keys = [str(n) for n in range(len(p))]
    issues = pd.DataFrame({"key": keys, "given": "a", "suggested": "b", "is_label_issue": p > 0.5, "p_wrong": p})
    truth = None if wrong is None else {key: "b" if bad else "a" for key, bad in zip(keys, wrong, strict=True)}
    found = review.expect(Report("t", "d", ["a", "b"], [RunView("", issues=issues)], truth=truth))
    assert found is not None
    return found


P = np.concatenate([np.full(40, 0.9), np.full(10, 0.6), np.full(150, 0.02), [np.nan] * 5])
WRONG = np.arange(205) < 45


def test_the_first_labels_by_hand() -> None:
    found = planned(P)
    assert (found.total, found.plan.count, found.reach) == (200, 50, 100)
    said = " ".join(review.sentences(found)).replace("\xa0", " ")
    assert "Review the first 50: about 42 of them (84 %) are expected to be wrong" in said
    assert "93 % of the 45 wrong labels expected in all" in said
    assert "Then stop: each label after that is more probably right than wrong." in said
    assert "true labels" not in said
    low, high = found.curve.low[50], found.curve.high[50]
    assert 25 < low < 27
    assert 49 < high <= 50
    assert f"{low:.0f} to {high:.0f} with" in said


def test_the_truth_is_counted_beside_it() -> None:
    found = planned(P, WRONG)
    said = " ".join(review.sentences(found)).replace("\xa0", " ")
    assert "45 of 50 really are wrong (90 %), which is 100 % of all wrong labels" in said
    rows = {row["n"]: row for row in review.steps(found)}
    assert set(rows) == {10, 20, 50, 200}
    assert [rows[n]["wrong"] for n in (10, 20, 50, 200)] == [10, 20, 45, 45]
    assert rows[50]["stop"]
    assert not rows[20]["stop"]
    assert rows[200]["recall"] == 1
    assert sum(one["rows"] for one in review.bins(found.fit)) == 200  # type: ignore[arg-type]


def test_nothing_worth_a_look_and_everything() -> None:
    none = planned(np.full(30, 0.1))
    assert review.sentences(none) == [
        "No label is more probably wrong than right. Of all 30 labels about 3 are expected to be wrong: whoever looks "
        "for them will mostly see labels that are right."
    ]
    assert [row["n"] for row in review.steps(none)] == [10, 20, 30]
    assert "worth a look: " not in review.pictures(none)[0].alt
    whole = planned(np.full(30, 0.9))
    assert review.sentences(whole)[0].endswith("Each of them is worth a look.")
    zero = planned(np.zeros(3))
    assert review.steps(zero)[-1]["recall"] is None


@pytest.mark.parametrize("issues", [pd.DataFrame(), pd.DataFrame({"p_wrong": [np.nan]}), pd.DataFrame({"key": ["a"]})])
def test_without_probabilities_there_is_nothing_to_expect(issues: pd.DataFrame) -> None:
    assert review.expect(Report("t", "d", ["a"], [RunView("", issues=issues)])) is None


def test_one_label_has_no_curve() -> None:
    found = planned(np.array([0.9]), np.array([True]))
    assert review.pictures(found) == []
    assert "1 of 1 really is wrong" in review.sentences(found)[1]


def test_figures_of_a_large_queue_stay_small() -> None:
    p = np.sort(np.random.default_rng(0).random(100_000))[::-1]
    pictures = review.pictures(planned(p, np.random.default_rng(1).random(100_000) < p))
    assert [picture.name for picture in pictures] == ["review-precision", "review-reliability"]
    assert "75\xa0% of the first" in pictures[0].alt
    assert len(pictures[0].figure.axes[0].lines[0].get_xdata()) <= 300  # type: ignore[arg-type]
    mean, wrong = pictures[1].figure.axes[0].lines[1].get_data()
    assert np.abs(np.asarray(mean) - np.asarray(wrong)).max() < 0.02


def test_the_line_to_stop_at_keeps_its_words_inside() -> None:
    n, share = np.arange(1, 101), np.linspace(1, 0.5, 100)
    for stop, side in ((10, "left"), (95, "right")):
        text = review_figures.precision(n, share, share, share, stop=stop).axes[0].texts[-1]
        assert (text.get_text(), text.get_horizontalalignment()) == (f"worth a look: {stop}", side)
    assert len(review_figures.precision(n, share, share, share).axes[0].texts) == 1


def test_probabilities_of_a_hair_beyond_one_are_no_error(report: Report) -> None:
    issues = report.run.issues.assign(p_wrong=np.where(np.arange(40) < 10, 1 + 1e-16, 0.0))
    assert review.expect(dataclasses.replace(report, runs=[RunView("", issues=issues)], chosen=0)) is not None
