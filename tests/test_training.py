"""`fit`: from arrays to a finished run folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import thresher as th
from thresher import data, jobs, training
from thresher.audit.history import HISTORY
from thresher.data.reading import Reading
from thresher.data.split import folds
from thresher.decisions import Log, decide
from thresher.noise import Noise

Arrays = dict[str, Any]
COLUMNS = ["key", "row", "given", "suggested", "p_suggested", "label_quality", "p_wrong", "is_label_issue", "reasons"]
TINY: dict[str, Any] = {"epochs": 2, "batch": 32}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> Callable[..., th.Result]:
    """`fit` for two epochs in an empty folder, without the report, which takes longest."""
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)
    return lambda *given, **named: th.fit(*given, **{"out": "run", **TINY, **named})


def metrics(folder: str | Path) -> list[dict[str, Any]]:
    """The records of a run, without the seconds."""
    lines = Path(folder, "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_everything_is_in_the_folder(arrays: Arrays, workplace: Path) -> None:
    seen: list[tuple[str | None, int]] = []
    result = th.fit(
        arrays, noise="symmetric:0.2", out="run", progress=lambda fit, r: seen.append((fit, r["epoch"])), **TINY
    )
    assert seen == [(None, 1), (None, 2)]
    names = {"best", "checkpoints", "figures", "issues.csv", "metrics.jsonl", "noise.npz", "report.html", "run.json"}
    assert {p.name for p in result.path.iterdir()} == names | {"evidence", "reader.npz", "rows.csv", "test.csv"}
    page = (result.path / "report.html").read_text(encoding="utf-8")
    outside = [part for part in page.split('"') if part.startswith(("http:", "https:", "//"))]
    assert {part for part in outside if "www.w3.org" not in part} == set()  # those name the SVG format, nobody calls
    stored = json.loads(Path("run/run.json").read_text(encoding="utf-8"))
    assert stored["options"]["net"] == "mlp"
    assert stored["request"]["noise"] == ["symmetric:0.2"]
    assert stored["method"] == [{"name": "elr", "fields": {"strength": 3.0, "momentum": 0.7}}]
    assert Noise.load("run/noise.npz").realised == 0.2
    assert result.run == stored


def test_issues_are_every_given_row_once_worst_first(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    issues = quick(arrays, noise="symmetric:0.2").issues
    assert issues is not None
    assert list(issues.columns) == [
        *COLUMNS,
        "score_elr",
        "score_margin",
        "score_loss",
        *(f"score_{one}" for one in HISTORY),
        "flips",
    ]
    assert sorted(issues["row"]) == list(range(120))
    assert issues["key"].tolist() == issues["row"].astype(str).tolist()
    assert issues["score_elr"].is_monotonic_decreasing
    assert issues["label_quality"].is_monotonic_increasing
    assert issues["label_quality"].between(0, 1).all()
    assert issues["p_wrong"].isna().all()
    assert (issues["is_label_issue"] == (issues["score_elr"] > 0)).all()
    assert (issues["given"] != issues["suggested"])[issues["is_label_issue"]].all()
    held = issues["score_agreement"].isna()  # of rows that were held out there is no history
    assert 0 < held.sum() < 60
    assert issues.loc[~held, "score_agreement"].between(-0.5, 0.5).all()
    assert (
        issues.loc[issues["score_agreement"] > 0, "reasons"]
        .str.contains("predicted as labelled in 0 of 2 epochs")
        .all()
    )
    assert set(issues["given"]) == {"0", "1", "2"}
    header = Path("run/issues.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == ",".join(issues.columns)


def test_planted_errors_are_found_and_mended(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    names = np.array(["ant", "bee", "cow"])
    planted = np.arange(0, 120, 10)
    right = names[arrays["y"]]
    arrays["y"], arrays["y_test"] = right.copy(), names[arrays["y_test"]]
    arrays["y"][planted] = names[(np.arange(120) % 3)[planted] - 1]
    result = quick(arrays, epochs=5)
    assert isinstance(result.issues, pd.DataFrame)
    found = result.issues[result.issues["is_label_issue"]]
    assert set(found["row"]) >= set(planted)
    mended = result.suggested_labels
    assert mended.index.tolist() == result.issues["key"].tolist()
    assert (mended.loc[[str(row) for row in planted]].to_numpy() == right[planted]).all()
    assert (mended.loc[[str(row) for row in range(120)]].to_numpy() == right).mean() > 0.97
    assert result.noise is None
    assert result.detections == []


def test_held_out_rows_are_scored(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    issues = quick(arrays, noise="symmetric:0.2", valid=0.25, epochs=4).issues
    assert issues is not None
    job = jobs.prepare(arrays, noise="symmetric:0.2", settings={**TINY, "valid": 0.25})
    held = issues[issues["row"].isin(job.held)]
    assert len(held) == 30
    assert not set(job.held) & set(job.rows)
    assert held["score_elr"].notna().all()
    clean, noisy = np.asarray(job.data.train.clean), np.asarray(job.data.train.labels)
    wrong = (clean != noisy)[held["row"]]
    assert (held["is_label_issue"].to_numpy() == wrong).mean() > 0.8


def test_equal_seeds_give_equal_results_and_others_do_not(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    for name in ("a", "b"):
        quick(arrays, noise="symmetric:0.2", out=name)
    quick(arrays, noise="symmetric:0.2", out="c", seed=1)
    assert metrics("a") == metrics("b") != metrics("c")
    assert Path("a/issues.csv").read_bytes() == Path("b/issues.csv").read_bytes()


@pytest.mark.parametrize(
    "classes", [("NA", "nan", "null"), ("1", "2", "10"), ("a,b", 'say "x"', "#"), ("é", " b ", "☃")]
)
def test_awkward_class_names_survive(classes: tuple[str, ...], arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    arrays = {key: np.array(classes)[value] if key.startswith("y") else value for key, value in arrays.items()}
    result = quick(arrays, noise="symmetric:0.2")
    again = th.load("run")
    for one in (result, again):
        assert one.issues is not None
        assert set(one.issues["given"]) == set(classes)
        assert set(one.suggested_labels) <= set(classes)
        assert set(one.predict(arrays["x_test"])) <= set(classes)
    assert again.issues is not None
    names = np.array(again.run["data"]["classes"])
    assert names.tolist() == (sorted(classes) if classes[0] != "1" else list(classes))
    assert again.noise is not None
    assert (names[again.noise.labels][again.issues["row"]] == again.issues["given"]).all()


def test_ids_are_the_keys(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    arrays["id"] = np.array([f"00{row}" if row else "NA" for row in range(120)])
    issues = quick(arrays).issues
    assert issues is not None
    assert issues["key"].tolist() == arrays["id"][issues["row"]].tolist()


def test_a_combination_with_several_fits(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    result = quick(arrays, "elr,cdr,aum", noise="symmetric:0.2")
    assert result.method == "elr,cdr,aum"
    assert sorted(p.name for p in Path("run/fits").iterdir()) == ["aum-first", "aum-second"]
    assert result.issues is not None
    assert sorted(result.issues["row"]) == list(range(120))
    assert {"score_elr", "score_aum"} <= set(result.issues.columns)
    assert {one["name"] for one in result.detections} >= {"elr", "aum"}
    assert result.summary()["detection"]["method"] == result.detections[0]["name"]
    assert result.predict(arrays["x_test"]).shape == (60,)


def test_cross_fit(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    result = quick(arrays, "cross_entropy", noise="symmetric:0.2", cross_fit=3, epochs=4)
    assert sorted(p.name for p in Path("run/fits").iterdir()) == ["fold-0", "fold-1", "fold-2"]
    assert result.issues is not None
    assert result.issues["score_confident"].notna().all()
    confident = next(one for one in result.detections if one["name"] == "confident")
    assert confident["recall"] > 0.8


def test_groups_never_straddle(
    arrays: Arrays, quick: Callable[..., th.Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = np.arange(120) // 4
    seen: list[np.ndarray] = []

    def watched(*given: Any) -> np.ndarray:
        seen.append(folds(*given))
        return seen[-1]

    monkeypatch.setattr("thresher.data.split.folds", watched)
    job = jobs.prepare({**arrays, "group": group}, settings=TINY)
    assert len(job.held) > 0
    assert not set(group[job.held]) & set(group[job.rows])
    quick({**arrays, "group": group}, cross_fit=2)
    assert all(len(set(seen[0][group[job.rows] == one])) == 1 for one in set(group[job.rows]))
    with pytest.raises(th.UsageError, match=r"there are 50 folds: give from 2 to 27 here"):
        jobs.prepare({**arrays, "group": group}, cross_fit=50, settings=TINY)


def test_trusted_per_class(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    result = quick(arrays, "l2rw", noise="symmetric:0.4", trusted="per-class:4")
    job = jobs.prepare(arrays, "l2rw", noise="symmetric:0.4", trusted="per-class:4", settings=TINY)
    labels = np.asarray(job.data.train.labels)
    assert np.bincount(arrays["y"][job.trusted]).tolist() == [4, 4, 4]
    assert (labels[job.trusted] == arrays["y"][job.trusted]).all()
    assert len(set(job.trusted) | set(job.held) | set(job.rows)) == 120
    assert result.issues is not None
    assert sorted(result.issues["row"]) == list(range(120))
    last = result.issues.tail(12)
    assert set(last["row"]) == set(job.trusted)
    assert not last["is_label_issue"].any()
    assert result.detections[0]["wrong"] == (labels != arrays["y"]).sum()
    assert result.suggested_labels[[str(r) for r in job.trusted]].tolist() == [str(y) for y in labels[job.trusted]]


def test_trusted_file(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    names = np.array(["NA", "b", "c"])
    arrays = {key: names[value] if key.startswith("y") else value for key, value in arrays.items()}
    wanted = pd.DataFrame({"key": [str(k) for k in range(11, -1, -1)], "label": arrays["y"][11::-1]})
    wanted.loc[0, "label"] = "NA"  # row 11 was given as c
    wanted.to_csv("trusted.csv", index=False)
    result = quick(arrays, "elr,l2rw", trusted=Path("trusted.csv"))
    assert result.issues is not None
    given = result.issues.set_index("row")["given"]
    assert given[11] == "NA"
    assert (given.drop(11).sort_index() == np.delete(arrays["y"], 11)).all()
    assert result.run["request"]["trusted"] == str(Path("trusted.csv").absolute())


def test_what_people_decided_is_trusted(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    first = quick(arrays, "cross_entropy", noise="symmetric:0.4", out="reviewed")
    assert first.issues is not None
    given, others = first.issues.head(9), {"0": "1", "1": "2", "2": "0"}
    with Log(first.path / "decisions.jsonl") as log:
        log.append(
            *(
                decide(key, "relabel", label=others[label], given=label, annotator="ann")
                for key, label in zip(given["key"], given["given"], strict=True)
            ),
            decide("5", "skip", given="0", annotator="ann"),
        )
    job = jobs.prepare(arrays, "l2rw", noise="symmetric:0.4", trusted="reviewed", settings=TINY)
    assert sorted(job.trusted.tolist()) == sorted(given["row"].tolist())
    labels = job.data.train.labels.numpy()
    for row, label in zip(given["row"], given["given"], strict=True):
        assert str(labels[row]) == others[label]
    rows = first.issues.sort_values("row")
    rows["label"] = rows["given"].where(~rows["key"].isin(given["key"][:4]), "")  # left out, so not to be trusted
    rows[["key", "label"]].to_csv("decided.csv", index=False)
    less = jobs.prepare(arrays, "l2rw", reading=Reading(labels="decided.csv"), trusted="reviewed", settings=TINY)
    assert set(less.data.train.keys[less.trusted]) == set(given["key"][4:])
    Path("empty.jsonl").write_text("")
    with pytest.raises(th.UsageError, match=r"empty\.jsonl vouches for no label that is learned from: review"):
        jobs.prepare(arrays, "l2rw", trusted="empty.jsonl", settings=TINY)


def test_resume_ends_where_an_uninterrupted_run_does(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    whole = quick(arrays, "elr,cdr", noise="symmetric:0.2", epochs=4, out="whole")

    def stop(fit: str | None, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(th.ThresherError, match=r"^stopped; go on with th\.fit\(\.\.\., out='run', resume=True\)$"):
        quick(arrays, "elr,cdr", noise="symmetric:0.2", epochs=4, progress=stop)
    half = th.load("run")
    assert half.issues is None
    with pytest.raises(th.UsageError, match="run is not finished"):
        _ = half.suggested_labels
    again = quick(arrays, "elr,cdr", noise="symmetric:0.2", epochs=4, resume=True)
    assert metrics("whole") == metrics("run")
    assert Path("whole/issues.csv").read_bytes() == Path("run/issues.csv").read_bytes()
    assert np.array_equal(whole.predict_proba(arrays["x"]), again.predict_proba(arrays["x"]))


def test_resume_goes_on_to_more_epochs_and_keeps_the_first_command(
    npz: str, arrays: Arrays, quick: Callable[..., th.Result]
) -> None:
    first = quick(npz)
    quick(Path(npz), epochs=3, resume=True)  # the same file, said in another way
    job = jobs.resumed("run", epochs=4)
    again = training.train(job)
    assert len(again.history) == 4
    assert again.run["options"]["epochs"] == 4
    assert (again.run["command"], again.run["started"]) == (first.run["command"], first.run["started"])


def test_resume_from_arrays_alone_says_how(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    quick(arrays)
    with pytest.raises(th.UsageError, match=r"run was made from arrays in Python: go on with th\.fit"):
        jobs.resumed("run")


@pytest.mark.usefixtures("workplace")
def test_run_names_count_up(npz: str) -> None:
    names = []
    for _ in range(3):
        job = jobs.prepare(npz, "elr,cdr", settings=TINY)
        job.folder.mkdir(parents=True)
        (job.folder / "run.json").touch()
        names.append(job.folder)
    assert names == [Path("runs") / f"points-elr-cdr-{k}" for k in (1, 2, 3)]
    assert jobs.prepare(npz, name="mine", settings=TINY).folder == Path("runs/mine")


def test_digits_split_is_stratified_and_fixed() -> None:
    first, again, other = (jobs.prepare("digits", settings={"seed": seed}) for seed in (0, 0, 1))
    assert (first.held == again.held).all()
    assert set(first.held) != set(other.held)
    labels = np.asarray(data.load("digits").train.labels)
    assert np.ptp(np.bincount(labels[first.held])) <= 2
    assert first.options.net == "small_cnn"


def test_methods_may_be_objects_and_torch_tensors_are_data(arrays: Arrays, quick: Callable[..., th.Result]) -> None:
    given = tuple(torch.as_tensor(arrays[key]) for key in ("x", "y", "x_test", "y_test"))
    result = quick(given, [th.method("elr", **{"lambda": 7}), "cdr"])
    assert result.run["method"][0]["fields"] == {"strength": 7, "momentum": 0.7}
