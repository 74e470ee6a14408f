"""`thresher find --labels --probs` on files of any kind and size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thresher as th
from thresher.audit.streaming import issues

Call = Callable[..., Any]


@pytest.fixture
def own(workplace: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities, as .npy and as tables."""
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 3, 300)
    p = draws.dirichlet(np.ones(3), 300) * 0.4 + 0.6 * np.eye(3)[np.where(draws.random(300) < 0.2, 0, labels)]
    np.save("y.npy", labels)
    np.save("p.npy", p)
    keys = [f"k{row}" for row in range(300)]
    pd.DataFrame({"key": keys, "label": np.array(["ant", "bee", "cat"])[labels]}).to_csv("y.csv", index=False)
    table = pd.DataFrame(p, columns=["ant", "bee", "cat"]).assign(key=keys)
    table.iloc[::-1].to_csv("p.csv", index=False)
    table.to_parquet("p.parquet", row_group_size=50)
    return labels, p


def test_npy(own: Any, thresher: Call) -> None:
    said = thresher("find", "--labels", "y.npy", "--probs", "p.npy", "--json")
    assert said.code == 0, said.err
    told, listed = json.loads(said.out), pd.read_csv("issues.csv")
    flagged = th.find_label_issues(*own)
    assert sorted(listed["row"]) == list(range(300))
    assert set(listed.loc[listed["is_label_issue"], "row"]) == set(np.flatnonzero(flagged))
    assert (told["issues"], told["labels"], told["suspects"]) == ("issues.csv", 300, int(flagged.sum()))
    assert sum(one["suspects"] for one in told["classes"]) == flagged.sum()
    assert told["classes"] == sorted(told["classes"], key=lambda one: -one["suspects"])
    pairs = listed[listed["is_label_issue"]].groupby(["given", "suggested"]).size().max()
    assert told["pairs"][0]["suspects"] == pairs
    again = thresher("find", "--labels", "y.npy", "--probs", "p.npy", "--out", "b.csv", "--quiet", "--workers", 1)
    assert f"{flagged.sum()} of 300 labels" in again.out
    assert "The most frequent mistake: " in again.out
    assert again.err == ""
    assert Path("issues.csv").read_bytes() == Path("b.csv").read_bytes()
    assert listed["p_wrong"].between(0, 1).all()
    assert told["review"]["expected"] > 0


@pytest.mark.parametrize("words", [["--on", "processes", "--workers", 2], ["--filter-by", "both"], ["--all-rows"]])
@pytest.mark.parametrize("kind", ["csv", "npy", "parquet"])
def test_said_how(words: list[object], kind: str, own: Any, thresher: Call) -> None:
    labels = "y.npy" if kind == "npy" else "y.csv"
    said = thresher("find", "--labels", labels, "--probs", f"p.{kind}", *words)
    assert said.code == 0, said.err
    listed = pd.read_csv("issues.csv")
    filter_by = "both" if "both" in words else "prune_by_noise_rate"
    flagged = th.find_label_issues(*own, filter_by=filter_by)
    assert set(listed.loc[listed["is_label_issue"], "row"]) == set(np.flatnonzero(flagged))
    if kind != "npy":
        assert (listed["key"] == "k" + listed["row"].astype(str)).all()
        assert set(listed["given"]) == {"ant", "bee", "cat"}


def test_shards_and_many_rows(own: Any, thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    p = own[1]
    Path("shards").mkdir()
    for number in range(3):
        np.save(f"shards/{number}.npy", p[number * 100 : (number + 1) * 100])
    monkeypatch.setattr(issues, "ALL_ROWS", 250)
    monkeypatch.setattr("thresher.audit.streaming.files.ALL_ROWS", 250)
    said = thresher("find", "--labels", "y.npy", "--probs", "shards")
    assert said.code == 0, said.err
    assert "The list has the suspects only" in said.out
    assert pd.read_csv("issues.csv")["is_label_issue"].all()
    said = thresher("find", "--labels", "y.csv", "--probs", "p.parquet", "--out", "every.csv", "--all-rows")
    assert "The list has the suspects only" not in said.out
    assert len(pd.read_csv("every.csv")) == 300


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["--labels", "y.npy", "--probs", "p.npy", "--on", "gpu"], "there is no place 'gpu' to compute on"),
        (["--labels", "y.npy", "--probs", "p.npy", "--filter-by", "all"], "there is no filter_by 'all'"),
        (["--labels", "y.npy", "--probs", "p.npy", "--out", "y.npy"], "y.npy exists"),
        (["--labels", "y.npy", "--probs", "p.npy", "digits"], "digits is data: give only one of them"),
        (["--labels", "y.npy", "--probs", "p.npy", "--lambda", 3], "so --lambda means nothing"),
        (["--labels", "y.npy", "--probs", "absent"], "there is no file absent"),
        (["--labels", "absent.npy", "--probs", "p.npy"], "there is no file absent.npy"),
        (["digits", "--on", "ray"], "--on belongs to --labels with --probs"),
        (["--labels", "y.npy", "--probs", "p.npy", "--probs", "."], "several --probs are files, one of each model"),
        (["digits", "--all-rows"], "--all-rows belongs to --labels with --probs"),
    ],
)
def test_what_is_refused(words: list[object], pattern: str, own: Any, thresher: Call) -> None:
    said = thresher("find", *words)
    assert said.code == 2
    assert pattern in said.err
    assert len(said.err.splitlines()) == 1
    assert not Path("issues.csv").exists()
    assert not Path("issues.csv.state").exists()


def test_several_models(workplace: Path, thresher: Call) -> None:
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 3, 200)
    given = np.where(np.arange(200) < 30, (truth + 1) % 3, truth)
    names = np.array(["ant", "bee", "cat"])
    pd.DataFrame({"key": range(200), "label": names[given]}).to_csv("labels.csv", index=False)
    for name, strength in (("weak", 1.0), ("strong", 3.0)):
        z = draws.normal(size=(200, 3)) + strength * np.eye(3)[truth]
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        table = pd.DataFrame(p, columns=names).assign(key=range(200))
        table.sample(frac=1, random_state=1).to_csv(f"{name}.csv", index=False)
    said = thresher("find", "--labels", "labels.csv", "--probs", "weak.csv", "--probs", "strong.csv")
    assert said.code == 0, said.err
    issues = pd.read_csv("issues.csv")
    assert {"score_confident", "score_weak", "score_strong"} <= set(issues.columns)
    assert (issues.head(20).key < 30).mean() > 0.8
    assert issues.p_wrong.between(0, 1).all()
    assert "strong expects" in issues.reasons[0]
    refused = thresher("find", "--labels", "labels.csv", "--probs", "weak.csv", "--probs", "strong.csv", "--on", "ray")
    assert (refused.code, "several --probs are read in memory" in refused.err) == (2, True)


def test_models_in_another_order_and_of_equal_names(own: Any, thresher: Call) -> None:
    labels, _ = own
    table = pd.read_csv("p.csv")
    for folder, rows in (("one", table[::-1]), ("two", table.sample(frac=1, random_state=0))):
        Path(folder).mkdir()
        rows.to_csv(f"{folder}/probs.csv", index=False)
    np.save("y.npy", np.array(["ant", "bee", "cat"])[labels])  # without keys: in the order of the first model
    said = thresher("find", "--labels", "y.npy", "--probs", "one/probs.csv", "--probs", "two/probs.csv")
    assert said.code == 0, said.err
    both = pd.read_csv("issues.csv")
    assert {"score_model_1", "score_model_2"} <= set(both.columns)
    assert thresher("find", "--labels", "y.csv", "--probs", "p.csv", "--out", "single.csv").code == 0
    single = pd.read_csv("single.csv").set_index("key")
    np.testing.assert_allclose(both.set_index("key").loc[single.index, "p_suggested"], single["p_suggested"])
    Path("p.csv").rename("confident.csv")
    words = ["--probs", "confident.csv", "--probs", "p.parquet"]
    assert thresher("find", "--labels", "y.csv", *words, "--out", "named.csv").code == 0
    assert {"score_model_1", "score_model_2"} <= set(pd.read_csv("named.csv").columns)


@pytest.mark.parametrize("words", [[], ["--filter-by", "both"], ["--workers", 1]])
def test_a_class_without_labels(words: list[object], own: Any, thresher: Call) -> None:
    labels, p = own
    wider = np.column_stack([p * 0.9, np.full(300, 0.1)])
    np.save("wider.npy", wider)
    for given in ("y.npy", "y.csv"):
        refused = thresher("find", "--labels", given, "--probs", "wider.npy", *words)
        assert (refused.code, "4 columns" in refused.err, "name all classes" in refused.err) == (2, True, True), given
    said = thresher("find", "--labels", "y.csv", "--probs", "wider.npy", "--classes", "ant,bee,cat,dog", *words)
    assert said.code == 0, said.err
    listed = pd.read_csv("issues.csv")
    how = "both" if "both" in words else "prune_by_noise_rate"
    flagged = th.find_label_issues(labels, wider, filter_by=how)
    assert set(listed.loc[listed["is_label_issue"], "row"]) == set(np.flatnonzero(flagged))
    for typed, pattern in (("ant,bee", "'cat', unknown to the classes that are named"), ("ant", "name two or more")):
        refused = thresher("find", "--labels", "y.csv", "--probs", "wider.npy", "--classes", typed, "--out", "b.csv")
        assert (refused.code, pattern in refused.err) == (2, True), refused.err
    assert thresher("find", "digits", "--classes", "a,b").code == 2
