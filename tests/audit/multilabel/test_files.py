"""Multi-label files: every form, one order, and one sentence for what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.multilabel.test_filter import noisy

from thresher.audit.multilabel import find_label_issues, find_multilabel_in_files, multilabel_table
from thresher.correct import correct
from thresher.correct.suspects import classes_of
from thresher.errors import UsageError

CLASSES = ("ant", "bee", "cat 2", "007")


def names(labels: np.ndarray, separator: str = "|") -> list[str]:
    return [separator.join(CLASSES[k] for k in np.flatnonzero(row)) for row in labels]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["names.csv", "names;.csv", "names.parquet", "lists.parquet", "columns.csv", "columns.parquet"]),
    st.sampled_from(["p.csv", "p_.csv", "p.parquet"]),
)
def test_every_form_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, labels_as: str, probs_as: str
) -> None:
    folder = tmp_path_factory.mktemp("files")
    labels, p = noisy(seed, n=40, classes=4)
    keys = [f"k{row}" for row in range(40)]
    kind = labels_as.partition(".")[0]
    if kind.startswith("names"):
        frame = pd.DataFrame({"key": keys, "labels": names(labels, ";" if ";" in kind else "|")})
    elif kind == "lists":
        frame = pd.DataFrame({"key": keys, "labels": [[CLASSES[k] for k in np.flatnonzero(row)] for row in labels]})
    else:
        frame = pd.DataFrame(labels.astype(int), columns=list(CLASSES)).assign(key=keys)
    probs = pd.DataFrame(p, columns=[("p_" if "_" in probs_as else "") + name for name in CLASSES])
    probs.insert(0, "key", keys)
    rng = np.random.default_rng(seed)
    probs = probs.iloc[rng.permutation(40)][["key", *rng.permutation(probs.columns[1:])]]
    for table, path in ((frame, folder / labels_as), (probs, folder / probs_as)):
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    table, classes = find_multilabel_in_files(folder / labels_as, folder / probs_as)
    assert sorted(classes) == sorted(CLASSES)
    table = table.sort_values("row").reset_index(drop=True)
    assert table["key"].tolist() == keys
    order = [CLASSES.index(name) for name in classes]
    np.testing.assert_array_equal(table["is_label_issue"], find_label_issues(labels, p))
    assert table["given"].tolist() == ["|".join(CLASSES[k] for k in order if row[k]) or "(none)" for row in labels]


def test_matrices_keep_their_order(tmp_path: Path) -> None:
    labels, p = noisy(1, n=50, classes=4)
    np.save(tmp_path / "y.npy", labels.astype(np.int8))
    np.save(tmp_path / "p.npy", p.astype(np.float32))
    table, classes = find_multilabel_in_files(tmp_path / "y.npy", tmp_path / "p.npy")
    assert classes == ("0", "1", "2", "3")
    assert table["key"].tolist() == [str(row) for row in table["row"]]
    frame = pd.DataFrame(labels.astype(int), columns=list(CLASSES))  # not sorted
    frame.to_csv(tmp_path / "y.csv", index=False)
    again, classes = find_multilabel_in_files(tmp_path / "y.csv", tmp_path / "p.npy")
    assert classes == CLASSES
    assert again["row"].tolist() == table["row"].tolist()
    pd.DataFrame({"labels": names(labels)}).to_csv(tmp_path / "names.csv", index=False)
    pd.DataFrame(p, columns=list(CLASSES)).to_csv(tmp_path / "p.csv", index=False)
    third, classes = find_multilabel_in_files(tmp_path / "names.csv", tmp_path / "p.csv")
    assert third["given"].tolist() == [names(labels)[row] or "(none)" for row in third["row"]]
    assert classes == CLASSES


def test_the_table_says_what_to_change() -> None:
    labels, p = noisy(2, n=300, classes=4)
    p = np.round(p, 2)
    table = multilabel_table(labels, p, keys=[str(k) for k in range(300)], classes=CLASSES)
    flags = table["is_label_issue"].to_numpy()
    assert flags[: flags.sum()].all()
    assert table["score_confident"].is_monotonic_decreasing
    assert ((table["score_confident"] > 0) == flags).all()
    assert (np.diff(table["label_quality"][: flags.sum()]) > -1e-12).all()
    for one in table.to_dict("records"):
        have, want = (set(str(one[name]).split("|")) - {"(none)"} for name in ("given", "suggested"))
        phrases = {f"'{name}' should go" for name in have - want} | {f"'{name}' is missing" for name in want - have}
        assert {text.rpartition(" (p ")[0] for text in str(one["reasons"]).split("; ")} - {""} == phrases
        changed = [p[one["row"], CLASSES.index(name)] for name in want - have]
        changed += [1 - p[one["row"], CLASSES.index(name)] for name in have - want]
        if one["is_label_issue"]:
            assert np.isclose(one["p_suggested"], min(changed))
        else:
            assert have == want


def test_the_columns_are_those_of_every_issues_file() -> None:
    labels, p = noisy(3, n=100, classes=4)
    table = multilabel_table(labels, p, keys=[f"k{row}" for row in range(100)], classes=CLASSES)
    first = ["key", "row", "given", "suggested", "p_suggested", "label_quality", "p_wrong"]
    assert list(table.columns) == [*first, "is_label_issue", "reasons", "score_confident"]


def test_the_table_can_be_corrected_and_read_again(tmp_path: Path) -> None:
    labels, p = noisy(4, n=200, classes=4)
    labels[:20] = False
    keys = [f"k{row}" for row in range(200)]
    table = multilabel_table(labels, p, keys=keys, classes=CLASSES)
    assert (table["given"] == "(none)").any()
    assert not (table[["given", "suggested"]] == "").any(axis=None)  # no label would mean to leave the sample out
    done = correct(table, "relabel", classes_of(table), min_confidence=0)
    assert done.counts["changed"] == table["is_label_issue"].sum() > 0
    done.table.to_csv(tmp_path / "labels.csv", index=False)
    pd.DataFrame(p, columns=list(CLASSES)).assign(key=keys).to_csv(tmp_path / "probs.csv", index=False)
    again, _ = find_multilabel_in_files(tmp_path / "labels.csv", tmp_path / "probs.csv")
    suggested = table.set_index("key")["suggested"].where(table.set_index("key")["is_label_issue"])
    suggested = suggested.fillna(table.set_index("key")["given"])
    assert again.set_index("key")["given"].to_dict() == suggested.to_dict()


def test_a_class_that_would_stand_for_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a class is called '\(none\)', which stands for samples without any class"):
        multilabel_table([[0], [1]], np.eye(2), keys=["a", "b"], classes=["(none)", "x"])


def test_no_samples() -> None:
    table = multilabel_table(np.zeros((0, 2), dtype=bool), np.zeros((0, 2)), keys=[], classes=["a", "b"])
    assert len(table) == 0


LABELS = "key,labels\nx,ant|bee\ny,\nz,bee\n"
PROBS = "key,ant,bee\nx,.9,.8\ny,.1,.2\nz,.3,.9\n"


@pytest.mark.parametrize(
    ("labels", "probs", "message"),
    [
        (LABELS.replace("ant", "fox"), PROBS, "has the class 'fox', which the probabilities do not have"),
        (LABELS.replace("z,", "x,"), PROBS, "has the key 'x' twice"),
        (LABELS.replace("z,", "w,"), PROBS, "1 keys that the probabilities do not have, first 'w'"),
        (LABELS, PROBS.replace(".9", "1.9"), r"has \[1.9, 0.8\] in row 0, and 2 of 3 rows like it"),
        (LABELS, PROBS.replace(".9", "high"), "has 'high' in 'ant', row 0"),
        (LABELS, PROBS.replace(".9", ""), "has '' in 'ant', row 0"),
        (LABELS, "key\nx\ny\nz\n", "has no column of probabilities"),
        ("key,labels\n", PROBS, "has no rows"),
        ("key,ant,bee\nx,1,0\ny,2,0\nz,0,0\n", PROBS, "has 2.0 in row 1: labels per class are 0 or 1"),
        ("key,ant\nx,1\ny,0\nz,0\n", PROBS, "lacks 'bee': give a column of 0 and 1"),
        ("key,ant,bee,cat\nx,1,0,0\ny,0,0,0\nz,0,0,0\n", PROBS, "has 'cat', which the probabilities do not"),
        ("labels\nant|bee\nbee\n", "ant,bee\n.9,.8\n.1,.2\n.3,.9\n", "there are 2 labels and 3 rows"),
        ("labels\na|b\na\n", "a,b|c\n.9,.8\n.1,.2\n", "b"),
    ],
)
def test_bad_tables(tmp_path: Path, labels: str, probs: str, message: str) -> None:
    (tmp_path / "y.csv").write_text(labels)
    (tmp_path / "p.csv").write_text(probs)
    with pytest.raises(UsageError, match=message):
        find_multilabel_in_files(tmp_path / "y.csv", tmp_path / "p.csv")


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text(LABELS)
    np.save(tmp_path / "p.npy", np.full((3, 4), 0.5))
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object))
    np.save(tmp_path / "flat.npy", np.zeros(3))
    (tmp_path / "junk.npy").write_bytes(b"\x93NUMPY and more")
    (tmp_path / "one.csv").write_text("labels\nant\nant\n")
    cases: list[tuple[str, str, str]] = [
        ("y.csv", "p.npy", r"has 4 columns, and .* has 2 classes \('ant', 'bee'\)"),
        ("y.csv", "absent.npy", "there is no file"),
        ("y.csv", "absent.csv", "there is no file"),
        ("y.csv", "objects.npy", "damaged or no plain .npy file"),
        ("y.csv", "junk.npy", "damaged or no plain .npy file"),
        ("y.csv", "flat.npy", "is no matrix of numbers"),
        ("p.npy", "p.npy", "has 0.5 in row 0: labels per class are 0 or 1"),
        ("y.csv", "p.xlsx", "of a kind that is not read here"),
        ("one.csv", "p.npy", "fewer than two classes"),
    ]
    for labels, probs, message in cases:
        with pytest.raises(UsageError, match=message):
            find_multilabel_in_files(tmp_path / labels, tmp_path / probs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"keys": ["x"]}, "there are 1 keys"),
        ({"classes": ["a"]}, "there are 1 class names"),
        ({"classes": ["a", "b|c"]}, r"the class 'b\|c' has a \| in its name"),
    ],
)
def test_bad_names(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        multilabel_table([[0], [1]], np.full((2, 2), 0.5), **{"keys": ["x", "y"], "classes": ["a", "b"], **words})
