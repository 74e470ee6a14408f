"""What is taken, what is refused, and what is said: the part that cleanlab does not have."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from thresher.audit import blocks, confident, labels
from thresher.errors import UsageError

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
Y = np.array([0, 0, 0, 1, 1])


def drawn(n: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    y = rng.integers(0, classes, n)
    p = rng.dirichlet(np.ones(classes), n) + 0.5 * np.eye(classes)[np.where(rng.random(n) < 0.2, (y + 1) % classes, y)]
    return y, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool"])
def test_other_kinds_of_numbers(dtype: str) -> None:
    certain = np.eye(3)[[0, 1, 2, 0, 1, 1]]
    found = labels.find_label_issues([0, 1, 2, 0, 1, 2], certain.astype(dtype), filter_by="predicted_neq_given")
    assert np.flatnonzero(found).tolist() == [5]


NUMBERS: list[Any] = [
    *(Y.tolist(), tuple(Y.tolist()), pd.Series(Y, index=[9, 8, 7, 6, 5]), pd.Series(Y, dtype="Int64")),
    *(Y.astype(np.uint8), Y.astype(object), torch.tensor(Y), Y.astype(float), Y[:, None], pd.DataFrame({"y": Y})),
]


@pytest.mark.parametrize("given", NUMBERS, ids=lambda given: f"{type(given).__name__} {getattr(given, 'dtype', '')}")
def test_class_numbers_of_all_kinds(given: Any) -> None:
    assert np.flatnonzero(labels.find_label_issues(given, P)).tolist() == [2]
    assert labels.num_label_issues(given, P) == 1
    assert labels.estimate_joint(given, P, confident_joint=np.eye(2)).sum() == 1
    assert len(labels.rank_classes_by_label_quality(given, P)) == 2


NAMES = np.array(["cat", "cat", "cat", "dog", "dog"])


@pytest.mark.parametrize(
    "given", [NAMES, NAMES.tolist(), pd.Series(NAMES), pd.Series(NAMES, dtype="category"), NAMES == "dog"]
)
def test_names_of_all_kinds(given: Any) -> None:
    assert np.flatnonzero(labels.find_label_issues(given, P)).tolist() == [2]
    np.testing.assert_array_equal(labels.compute_confident_joint(given, P), labels.compute_confident_joint(Y, P))
    np.testing.assert_array_equal(labels.get_label_quality_scores(given, P), labels.get_label_quality_scores(Y, P))


@pytest.mark.parametrize(
    "probs",
    [
        *(P.tolist(), torch.tensor(P), torch.tensor(P, requires_grad=True), pd.DataFrame(P)),
        *(np.asfortranarray(P), np.repeat(P, 2, axis=1)[:, ::2], P.astype(np.float32)),
    ],
)
def test_probabilities_of_all_kinds(probs: Any) -> None:
    assert np.flatnonzero(labels.find_label_issues(Y, probs)).tolist() == [2]
    assert np.flatnonzero(labels.find_label_issues(NAMES, probs)).tolist() == [2]


def test_columns_of_a_frame_are_found_by_name() -> None:
    turned = pd.DataFrame(P[:, ::-1], columns=["dog", "cat"])
    assert np.flatnonzero(labels.find_label_issues(NAMES, turned)).tolist() == [2]
    with pytest.raises(UsageError, match="'cat', which is no class"):
        labels.find_label_issues(NAMES, pd.DataFrame(P, columns=["dog", "horse"]))
    with pytest.raises(UsageError, match="2 different names"):
        labels.find_label_issues(NAMES, pd.DataFrame(P, columns=["dog", "dog"]))


def test_classes_give_the_order_of_the_columns() -> None:
    y, p = drawn()
    names = np.array(["e", "b", "d", "a", "c"])
    expected = labels.find_label_issues(y, p)
    np.testing.assert_array_equal(labels.find_label_issues(names[y], p, classes=names), expected)
    np.testing.assert_array_equal(labels.find_label_issues(y * 10, p, classes=[0, 10, 20, 30, 40]), expected)
    np.testing.assert_array_equal(
        labels.find_label_issues(np.sort(names)[y], p), expected
    )  # without classes, in sorted order


def test_a_class_without_labels() -> None:
    y, p = drawn()
    y[y == 3] = 1
    names = np.array([f"class {k}" for k in range(5)])
    with pytest.raises(UsageError, match="4 names for 5 columns"):
        labels.find_label_issues(names[y], p)
    for how in labels.FILTERS:
        found = labels.find_label_issues(names[y], p, classes=names, filter_by=how)
        np.testing.assert_array_equal(found, labels.find_label_issues(y, p, filter_by=how))
    assert labels.compute_confident_joint(names[y], p, classes=names)[3].sum() == 0
    table = labels.rank_classes_by_label_quality(names[y], p, class_names=names)
    assert set(table["Class Name"]) == set(names)


def test_numbers_written_as_text() -> None:
    y, p = drawn(300, 11)
    text = y.astype(str)
    with pytest.raises(UsageError, match="not their order by value"):
        labels.find_label_issues(text, p)
    found = labels.find_label_issues(text, p, classes=[str(k) for k in range(11)])
    np.testing.assert_array_equal(found, labels.find_label_issues(y, p))
    few, p_few = drawn(100, 4)
    np.testing.assert_array_equal(
        labels.find_label_issues(few.astype(str), p_few), labels.find_label_issues(few, p_few)
    )


def test_names_show_in_the_overviews() -> None:
    assert labels.rank_classes_by_label_quality(NAMES, P)["Class Name"].tolist() == ["cat", "dog"]
    assert labels.find_overlapping_classes(NAMES, P).iloc[0, :2].tolist() == ["cat", "dog"]
    assert labels.health_summary(NAMES, P, verbose=False)["overall_label_health_score"] == 0.8


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    labels.find_label_issues(Y, P, verbose=True)
    assert capsys.readouterr().out == "1 of 5 labels are probably wrong\n"
    labels.get_label_quality_ensemble_scores(Y, [P, P])
    assert capsys.readouterr().out == "weights of the 2 models, by accuracy: 0.5, 0.5\n"
    labels.health_summary(Y, P)
    assert "label health 0.80" in capsys.readouterr().out
    labels.find_label_issues(Y, P)
    labels.overall_label_health_score(Y, P, verbose=False)
    assert capsys.readouterr().out == ""


def test_probabilities_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p = drawn()
    p.flags.writeable = False
    whole = {method: labels.get_label_quality_scores(y, p, method=method) for method in labels.SCORES}
    mask = labels.find_label_issues(y, p)
    monkeypatch.setattr(blocks, "_BLOCK", 40)
    monkeypatch.setattr(confident, "_ROWS", 7)
    for method, expected in whole.items():
        np.testing.assert_array_equal(labels.get_label_quality_scores(y, p, method=method), expected)
    np.testing.assert_array_equal(labels.find_label_issues(y, p), mask)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_threads_do_not_matter(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 40)
    y, p = drawn()
    for how in labels.FILTERS:
        expected = labels.find_label_issues(y, p, filter_by=how, n_jobs=1)
        np.testing.assert_array_equal(labels.find_label_issues(y, p, filter_by=how, n_jobs=jobs), expected)
    for wanted in ([3, 0, 2, 9, 1], [0, 0, 0, 0, 5]):
        options: Any = {"num_to_remove_per_class": wanted, "confident_joint": np.diag([30, 0, 30, 30, 30])}
        expected = labels.find_label_issues(y, p, n_jobs=1, **options)
        np.testing.assert_array_equal(labels.find_label_issues(y, p, n_jobs=jobs, **options), expected)


def test_no_samples() -> None:
    empty, none = np.zeros((0, 3)), np.zeros(0, dtype=int)
    for how in labels.FILTERS:
        assert labels.find_label_issues(none, empty, filter_by=how).shape == (0,)
    for method in labels.SCORES:
        assert labels.get_label_quality_scores(none, empty, method=method).shape == (0,)
    assert labels.find_label_issues([], empty).shape == (0,)
    assert labels.find_top_issues(np.zeros(0)).shape == (0,)


def test_calibrated_joint_is_taken_as_it_is_without_labels() -> None:
    np.testing.assert_allclose(labels.estimate_joint(None, P, confident_joint=np.array([[3, 1], [0, 4]])).sum(), 1)
    with pytest.raises(UsageError, match="needs labels"):
        labels.estimate_joint(None, P)


def test_a_class_that_nothing_is_confused_with_shares_out_nothing() -> None:
    found = labels.find_label_issues(Y, P, num_to_remove_per_class=[1, 0], confident_joint=np.array([[3, 0], [0, 2]]))
    assert not found.any()


def test_ensembles_where_theirs_fails() -> None:
    """A class without labels; a temperature at which every weight would vanish."""
    y, p = drawn()
    y[y == 3] = 1
    options: Any = {"weight_ensemble_members_by": "log_loss_search", "verbose": False}
    worse = p[:, ::-1]
    scores = labels.get_label_quality_ensemble_scores(y, [p, worse], log_loss_search_T_values=[1e5], **options)
    np.testing.assert_allclose(scores, labels.get_label_quality_scores(y, p), atol=1e-12)
    with pytest.raises(UsageError, match="no model gives any"):
        labels.get_label_quality_ensemble_scores(1 - Y[:2], [P[:2, ::1]], weight_ensemble_members_by="accuracy")
