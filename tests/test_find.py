"""Wrong labels are found by cross-fitting, in a run, and in probabilities that the user brings."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thresher as th
from thresher import jobs
from thresher.engine.checkpoint import Interrupted
from thresher.training import train

Call = Callable[..., Any]
TINY: dict[str, Any] = {"epochs": 6, "batch": 32, "device": "cpu", "folds": 3}


def test_every_row_is_judged_and_the_wrong_ones_come_first(arrays: dict[str, np.ndarray], workplace: Path) -> None:
    result = th.find_issues(arrays, noise="symmetric:0.2", out="run", **TINY)
    issues = result.issues
    assert issues is not None
    assert sorted(issues["row"]) == list(range(120))
    assert issues["score_confident"].notna().all()
    assert issues["label_quality"].is_monotonic_increasing
    found = result.detections[0]
    assert found["name"] == "combined"
    assert found["average_precision"] > 0.9
    assert (result.kind, result.last, result.noise.realised if result.noise else None) == ("find", None, 0.2)
    assert Path("run/report.html").exists()
    with pytest.raises(th.UsageError, match=r"^run only looked for wrong labels and holds no model"):
        result.predict(arrays["x"])


def test_groups_stay_together(make_arrays: Call, workplace: Path) -> None:
    arrays = make_arrays(rows=60, test=0)
    twins = np.arange(60) // 6  # rows of one group are alike: a fold that saw some would know the others
    del arrays["x_test"], arrays["y_test"]
    job = jobs.prepare(
        {**arrays, "group": twins}, "cross_entropy", kind="find", cross_fit=5, settings={"batch": 16, "epochs": 2}
    )
    result = train(job)
    assert result.issues is not None
    assert len(result.issues) == 60
    with pytest.raises(th.UsageError, match=r"^there are 11 folds: give from 2 to 10 here$"):
        th.find_issues({**arrays, "group": twins}, folds=11, batch=16, device="cpu")
    with pytest.raises(th.UsageError, match=r"^all rows are of one group"):
        th.find_issues({**arrays, "group": np.zeros(60, dtype=int)}, folds=2, batch=16, device="cpu")


def test_stopped_and_resumed_it_finds_the_same(npz: str, thresher: Call) -> None:
    whole = thresher("find", npz, "--noise", "symmetric:0.2", "--epochs", 4, "--bs", 32, "--out", "whole", "--json")
    assert whole.code == 0
    job = jobs.prepare(
        npz,
        "cross_entropy",
        kind="find",
        noise="symmetric:0.2",
        cross_fit=5,
        out="part",
        settings={"epochs": 4, "batch": 32},
    )

    def stop(name: str | None, record: dict[str, Any]) -> None:
        if (name, record["epoch"]) == ("fold-2", 2):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"go on with: thresher find --resume part$"):
        train(job, stop)
    assert not Path("part/issues.csv").exists()
    resumed = thresher("find", "--resume", "part", "--json")
    assert resumed.code == 0
    assert "fold-0" not in resumed.err  # finished folds are loaded
    assert Path("part/issues.csv").read_bytes() == Path("whole/issues.csv").read_bytes()
    one, other = (json.loads(said.out) for said in (whole, resumed))
    assert {**one, "run": "", "seconds": 0} == {**other, "run": "", "seconds": 0}


def test_the_command_tells_in_words_and_in_json(npz: str, thresher: Call) -> None:
    said = thresher("find", npz, "--noise", "symmetric:0.2", "--epochs", 4, "--bs", 32)
    assert said.code == 0
    assert "120 labels" in said.out
    assert "suspects: runs/points-find-1/issues.csv" in said.out
    assert "fold-0: epoch 1" in said.err
    assert "to go" in said.err
    again = thresher("find", "runs/points-find-1", "--out", "mine.csv", "--json")
    document = json.loads(again.out)
    assert document["labels"] == 120
    assert document["suspects"] == sum(one["suspects"] for one in document["classes"])
    assert Path("mine.csv").read_bytes() == Path("runs/points-find-1/issues.csv").read_bytes()
    refused = thresher("find", "runs/points-find-1", "--out", "mine.csv")
    assert (refused.code, refused.out) == (2, "")


def test_a_table_is_written_where_it_is_asked_for(npz: str, thresher: Call) -> None:
    assert thresher("find", npz, "--epochs", 2, "--bs", 32, "--out", "mine.csv", "--quiet").code == 0
    assert len(pd.read_csv("mine.csv")) == 120
    assert Path("runs/points-find-1/run.json").exists()
    refused = thresher("find", npz, "--epochs", 2, "--bs", 32, "--out", "mine.csv")
    assert (refused.code, Path("runs/points-find-2").exists()) == (2, False)


def test_another_method_trains_the_folds(npz: str, thresher: Call) -> None:
    said = thresher("find", npz, "--method", "elr", "--lambda", 2, "--epochs", 2, "--bs", 32, "--folds", 2, "--quiet")
    assert said.code == 0
    run = th.load("runs/points-find-1").run
    assert run["method"][0]["fields"]["strength"] == 2
    assert sorted(path.name for path in Path("runs/points-find-1/fits").iterdir()) == ["fold-0", "fold-1", "whole"]


def test_a_method_with_trainings_of_its_own_is_refused(npz: str, thresher: Call) -> None:
    said = thresher("find", npz, "--method", "aum", "--bs", 32)
    assert said.code == 2
    assert "aum needs trainings of its own, which folds do not have" in said.err
    assert not Path("runs").exists()


@pytest.fixture
def own_model(workplace: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels and out-of-sample probabilities of somebody's model, as files."""
    draws = np.random.default_rng(1)
    truth = draws.integers(0, 3, 200)
    probabilities = draws.dirichlet(np.ones(3), 200) * 0.3 + 0.7 * np.eye(3)[truth]
    given = truth.copy()
    given[:20] = (given[:20] + 1) % 3
    names = np.array(["ant", "bee", "cat"])
    pd.DataFrame({"key": [f"k{i}" for i in range(200)], "label": names[given]}).to_csv("labels.csv", index=False)
    table = pd.DataFrame(probabilities, columns=names)
    table.insert(0, "key", [f"k{i}" for i in range(200)])
    table.iloc[::-1].to_csv("probs.csv", index=False)  # aligned by key, in another order
    np.save("probs.npy", probabilities)
    return given, probabilities


def test_labels_and_probabilities_of_another_model(own_model: Any, thresher: Call) -> None:
    given, probabilities = own_model
    said = thresher("find", "--labels", "labels.csv", "--probs", "probs.csv")
    assert said.code == 0, said.err
    issues = pd.read_csv("issues.csv")
    flagged = th.find_label_issues(given, probabilities)
    assert set(issues.loc[issues["is_label_issue"], "key"]) == {f"k{i}" for i in np.flatnonzero(flagged)}
    assert set(issues.head(20)["key"]) == {f"k{i}" for i in range(20)}
    assert "suspects: issues.csv" in said.out
    again = thresher("find", "--labels", "labels.csv", "--probs", "probs.npy", "--out", "by-row.csv", "--json")
    assert json.loads(again.out)["suspects"] == flagged.sum()


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["--probs", "probs.npy"], "--probs needs --labels, and no DATA"),
        (["--labels", "labels.csv", "--probs", "absent.npy"], "there is no file absent.npy"),
        (["--labels", "labels.csv", "--probs", "wide.npy"], "has 4 columns, and the labels have 3 classes"),
        (["--labels", "labels.csv", "--probs", "loud.npy"], "sum"),
        ([], "find needs data, a run, or --labels with --probs"),
    ],
)
def test_what_cannot_be_searched(words: list[str], pattern: str, own_model: Any, thresher: Call) -> None:
    _, probabilities = own_model
    np.save("wide.npy", np.full((200, 4), 0.25))
    np.save("loud.npy", probabilities * 1.2)
    said = thresher("find", *words)
    assert said.code == 2
    assert pattern in said.err
    assert len(said.err.splitlines()) == 1
    assert not Path("issues.csv").exists()


@pytest.mark.parametrize("words", [["--folds", 3], ["--dry-run"], ["--method", "elr"], ["--lambda", 3]])
def test_options_that_would_mean_nothing_are_refused(words: list[object], own_model: Any, thresher: Call) -> None:
    said = thresher("find", "--labels", "labels.csv", "--probs", "probs.npy", *words)
    assert said.code == 2
    assert f"with --probs nothing is trained, so {words[0]} means nothing" in said.err
    assert not Path("issues.csv").exists()


def test_groups_that_leave_nothing_to_watch_are_refused_before_anything_is_written(
    make_arrays: Call, workplace: Path, thresher: Call
) -> None:
    arrays = make_arrays(rows=60, test=0)
    np.savez("two.npz", x=arrays["x"], y=arrays["y"], group=np.arange(60) // 30)
    said = thresher("find", "two.npz", "--folds", 2, "--bs", 8)
    assert said.code == 2
    assert "what is left of the groups cannot be divided again" in said.err
    np.savez("one.npz", x=arrays["x"], y=arrays["y"], group=np.zeros(60))
    said = thresher("find", "one.npz", "--bs", 8, "--valid", 0)
    assert "all rows are of one group" in said.err
    assert not Path("runs").exists()
    assert thresher("find", "two.npz", "--folds", 2, "--bs", 8, "--valid", 0, "--epochs", 2, "--quiet").code == 0
