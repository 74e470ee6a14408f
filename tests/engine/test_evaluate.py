from collections.abc import Sequence

import pytest

from thresher.engine.evaluate import Judge, smoothed


def judge(valid: Sequence[float | None], test: list[float] | None = None, **options: object) -> Judge:
    tests: list[float | None] = list(test) if test else [None] * len(valid)
    history = [
        {"epoch": k + 1, "valid": v, "test": t, "changes": c}
        for k, (v, t, c) in enumerate(
            zip(valid, tests, options.pop("changes", [None] * len(valid)), strict=True)  # type: ignore[call-overload]
        )
    ]
    return Judge(history=history, **options)  # type: ignore[arg-type]


def test_the_selected_epoch_has_the_best_mean_of_three_ties_to_the_later() -> None:
    assert judge([0.1, 0.9, 0.1, 0.5, 0.5, 0.5]).best_epoch == 6
    assert judge([0.5, 0.5, 0.5, 0.5]).best_epoch == 4


def test_one_lucky_epoch_does_not_win() -> None:
    assert judge([0.4, 0.4, 0.4, 0.7, 0.2, 0.6, 0.6, 0.6]).best_epoch == 8


def test_without_a_validation_split_the_last_epoch_counts() -> None:
    assert judge([None, None, None]).best_epoch == 3


def test_the_named_accuracies() -> None:
    tests = [k / 20 for k in range(1, 16)]
    scores = judge([0.5] * 14 + [0.1], tests).scores()
    assert scores["last"] == tests[-1]
    assert scores["last10"] == pytest.approx(sum(tests[-10:]) / 10)
    assert scores["selected"] == tests[13]
    assert scores["oracle"] == max(tests)
    assert scores["best_epoch"] == 14


def test_patience_stops_after_that_many_epochs_without_a_better_one() -> None:
    assert not judge([0.9, 0.9, 0.9, 0.1, 0.1], stop="patience", patience=3).stopped
    assert judge([0.9, 0.9, 0.9, 0.1, 0.1, 0.1], stop="patience", patience=3).stopped
    assert not judge([0.9, 0.9, 0.9, 0.1, 0.1, 0.1], patience=3).stopped


def test_the_first_minimum_of_changed_predictions_is_chosen() -> None:
    changes = [None, 0.5, 0.3, 0.1, 0.1, 0.1, 0.4, 0.5, 0.5]
    found = judge([0.5] * 9, changes=changes, stop="changes", patience=3)
    assert found.best_epoch == 6
    assert found.stopped


def test_smoothing_skips_what_is_unknown() -> None:
    assert smoothed([None, None]) == [None, None]
    assert smoothed([1.0, 2.0, 3.0, 4.0]) == [1.0, 1.5, 2.0, 3.0]
