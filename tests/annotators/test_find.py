"""From files to suspects, annotators and labels to train on."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.annotators.crowds import crowd

from thresher.annotators.consensus import consensus
from thresher.annotators.find import find_in_votes, soft_label_table, voted_labels
from thresher.annotators.table import read_votes
from thresher.annotators.votes import matrix_votes
from thresher.data.labels import read_labels
from thresher.errors import UsageError

NAMES = np.array(["bird", "cat", "dog", ""], dtype=object)


def wide(seed: int = 0, n: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    table, true = crowd(seed, n, 5, 3, 0.7, (0.6, 0.9))
    frame = pd.DataFrame(NAMES[table], columns=[f"a{k}" for k in range(1, 6)])
    frame.insert(0, "key", [f"k{row}" for row in range(n)])
    return frame, true


def probabilities(true: np.ndarray, keys: list[str]) -> pd.DataFrame:
    weights = np.random.default_rng(0).random((len(true), 3)) + 2 * np.eye(3)[true]
    frame = pd.DataFrame(weights / weights.sum(1, keepdims=True), columns=["bird", "cat", "dog"]).round(6)
    frame.insert(0, "key", keys)
    return frame


def test_wide_file_with_a_model(tmp_path: Path) -> None:
    frame, true = wide()
    frame.to_csv(tmp_path / "votes.csv", index=False)
    keys = [*frame["key"], "extra"]
    order = np.random.default_rng(1).permutation(301)
    model = probabilities(np.append(true, 2), keys).iloc[order]
    model.to_csv(tmp_path / "p.csv", index=False)
    found = find_in_votes(tmp_path / "votes.csv", probs=tmp_path / "p.csv", annotators="a1..a5")
    assert found.method == "crowdlab"
    assert list(found.issues.columns)[:4] == ["key", "row", "given", "suggested"]
    assert {"score_annotators", "score_confident"} <= set(found.issues)
    assert len(found.issues) == 301
    truth = dict(zip(keys, NAMES[np.append(true, 2)], strict=True))
    right = np.mean(
        [truth[key] == label for key, label in zip(found.labels["key"], found.labels["label"], strict=True)]
    )
    assert right > 0.95
    assert dict(zip(found.labels["key"], found.labels["label"], strict=True))["extra"] == "dog"
    assert sorted(found.annotators["annotator"]) == ["a1", "a2", "a3", "a4", "a5"]
    assert 0 < found.agreement.alpha < 1


def test_rows_without_votes_are_judged_by_the_model(tmp_path: Path) -> None:
    frame, true = wide()
    frame.to_csv(tmp_path / "votes.csv", index=False)
    frame.loc[:4, ["a1", "a2", "a3", "a4", "a5"]] = ""
    frame.to_csv(tmp_path / "votes.csv", index=False)
    model = probabilities(true, list(frame["key"]))
    model.to_csv(tmp_path / "p.csv", index=False)
    for method in ("crowdlab", "majority"):
        found = find_in_votes(tmp_path / "votes.csv", probs=tmp_path / "p.csv", annotators="a1..a5", method=method)
        given = found.issues.set_index("key")["given"]
        sure = model.set_index("key").idxmax(axis=1)
        assert (given[[f"k{row}" for row in range(5)]] == sure[[f"k{row}" for row in range(5)]]).all()


def test_long_file_judges_labels_in_use(tmp_path: Path) -> None:
    frame, true = wide(2)
    long = frame.melt("key", var_name="who", value_name="label")
    long.to_csv(tmp_path / "votes.csv", index=False)
    given = np.where(np.arange(300) % 10 == 0, (true + 1) % 3, true)
    pd.DataFrame({"key": frame["key"], "label": NAMES[given]}).to_csv(tmp_path / "labels.csv", index=False)
    found = find_in_votes(tmp_path / "votes.csv", labels=tmp_path / "labels.csv", annotator="who")
    assert found.method == "dawid_skene"
    flagged = found.issues[found.issues["is_label_issue"]]
    wrong = {f"k{row}" for row in range(0, 300, 10)}
    assert len(wrong & set(flagged["key"])) > 25
    assert "annotators say '" in flagged["reasons"].iloc[0]


def test_soft_labels_are_read_by_training(tmp_path: Path) -> None:
    frame, _ = wide(3)
    table = read_votes(frame, annotators="a*", keys=np.array([*frame["key"], "bare"], dtype=object), unlabelled=True)
    soft = soft_label_table(table, consensus(table.votes))
    soft.to_csv(tmp_path / "soft.csv", index=False)
    file = read_labels(tmp_path / "soft.csv", table.keys, table.classes)
    direct = voted_labels(frame, table.keys, table.classes, annotators="a*")
    np.testing.assert_array_equal(file.labels, direct.labels)
    assert direct.labels[-1] == -1
    assert file.targets is not None
    assert direct.targets is not None
    np.testing.assert_allclose(file.targets, direct.targets, atol=1e-6)
    np.testing.assert_allclose(direct.targets.sum(1), 1, rtol=1e-5)


def test_bad_requests(tmp_path: Path) -> None:
    frame, true = wide(4)
    model = probabilities(true, frame["key"].tolist())
    np.save(tmp_path / "p.npy", model.drop(columns="key").to_numpy())
    np.save(tmp_path / "short.npy", model.drop(columns="key").to_numpy()[:-1])
    find_in_votes(frame, probs=tmp_path / "p.npy", annotators="a*")
    with pytest.raises(UsageError, match=r"short\.npy has 299 rows and 3 columns, and the annotators label 300 rows"):
        find_in_votes(frame, probs=tmp_path / "short.npy", annotators="a*")
    long = frame.melt("key", var_name="who", value_name="label")
    with pytest.raises(UsageError, match=r"p\.npy has no column 'key'"):
        find_in_votes(long, probs=tmp_path / "p.npy", annotator="who")
    pd.DataFrame({"key": ["k1"], "label": ["cat"]}).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(UsageError, match=r"few\.csv has no label for 299 rows, the first is 'k0'"):
        find_in_votes(frame, labels=tmp_path / "few.csv", annotators="a*")
    with pytest.raises(UsageError, match="no label at all"):
        find_in_votes(pd.concat([frame, pd.DataFrame({"key": ["bare"]})]), annotators="a*")


def test_the_command(workplace: Path, thresher: Callable[..., Any]) -> None:
    frame, true = wide(5)
    frame.to_csv("votes.csv", index=False)
    probabilities(true, frame["key"].tolist()).to_csv("p.csv", index=False)
    said = thresher("find", "--labels", "votes.csv", "--annotators", "a*", "--probs", "p.csv", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert (told["labels"], told["consensus_method"], len(told["people"])) == (300, "crowdlab", 5)
    assert told["suspects"] == pd.read_csv(told["issues"])["is_label_issue"].sum() > 0
    labels = pd.read_csv(told["consensus"])["label"].to_numpy()
    assert (labels == NAMES[true]).mean() > 0.95
    assert len(pd.read_csv(told["annotators"])) == 5
    assert "Krippendorff" in Path(told["report"]).read_text(encoding="utf-8")
    assert thresher("find", "--labels", "votes.csv", "--annotators", "a*").code == 2  # nothing is overwritten
    said = thresher("find", "--labels", "votes.csv", "--annotators", "a*", "--out", "plain.csv")
    assert said.code == 0, said.err
    assert "5 annotators, the consensus by dawid-skene" in said.out
    refused = thresher("find", "--labels", "votes.csv", "--annotators", "b*", "--out", "x.csv")
    assert (refused.code, len(refused.err.splitlines()), Path("x.csv").exists()) == (2, 1, False)


@pytest.mark.realdata
def test_three_people_per_image_of_cifar10() -> None:
    """One label is wrong in 17.6 %, the majority in 9.4 %, Dawid and Skene's in 8.1 % of 50,000 images."""
    root = os.environ.get("THRESHER_DATA")
    if not root or not (Path(root) / "CIFAR-N").is_dir():
        pytest.skip("THRESHER_DATA names no folder with CIFAR-N")
    from thresher.data.cifar import load_cifar

    sets = [load_cifar(f"cifar10n:random{k}", root).train for k in (1, 2, 3)]
    assert sets[0].clean is not None
    clean = sets[0].clean.numpy()
    table = np.stack([one.labels.numpy() for one in sets], 1)
    votes = matrix_votes(table, 10)
    single = (table != clean[:, None]).mean()
    wrong = {name: (consensus(votes, name).labels != clean).mean() for name in ("majority", "dawid_skene")}
    assert 0.16 < single < 0.19
    assert wrong["majority"] < 0.10
    assert wrong["dawid_skene"] < wrong["majority"] - 0.01
