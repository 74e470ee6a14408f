import json
import multiprocessing
import pickle
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from thresher.data import Data
from thresher.engine.evaluate import Judge, accuracy
from thresher.engine.run import Run
from thresher.errors import ThresherError, UsageError
from thresher.studies import _pool
from thresher.studies._probes import Balance, effective, effective_share, per_class
from thresher.studies.lab import Lab, Training, enlarged, some

SMALL: dict[str, Any] = {"net": "small_cnn", "epochs": 2, "batch": 25, "augment": False}


def counted(run: Run, judge: Judge) -> Mapping[str, float | list[Any]]:
    return {"updates": float(run.updates), "pair": [run.epoch, judge.test is not None]}


def clash(run: Run, judge: Judge) -> Mapping[str, float | list[Any]]:
    return {"loss": 0.0}


def test_a_training_has_history_probes_and_a_net(lab: Lab, digits: Data) -> None:
    done = lab.train("one", "cross_entropy", data=digits, noise="symmetric:0.2", probes=(counted,), **SMALL)
    assert list(done.history["epoch"]) == [1, 2]
    assert list(done.history["updates"]) == [4.0, 8.0]
    assert list(done.history["pair"]) == [[1, True], [2, True]]
    assert {"train", "clean_right", "wrong_memorised"} <= set(done.history)
    assert accuracy(done.run, done.test) == pytest.approx(done.last)
    assert done.last == done.history["test"].iloc[-1]
    assert done.best == done.history["test"].max()
    assert done.early_stopped == done.history["test"].iloc[done.early_epoch - 1]
    assert done.last10 == pytest.approx(done.history["test"].mean())


def test_a_finished_training_is_loaded(lab: Lab, digits: Data) -> None:
    first = lab.train("one", "cross_entropy", data=digits, **SMALL)
    heard: list[str] = []
    lab.report = lambda name, record: heard.append(name)
    again = lab.train("one", "cross_entropy", data=digits, **SMALL)
    assert heard == []
    assert first.history.equals(again.history)


def test_another_training_in_the_folder_is_refused(lab: Lab, digits: Data) -> None:
    lab.train("one", "cross_entropy", data=digits, **SMALL)
    with pytest.raises(UsageError, match="was trained with batch 25 and not 20"):
        lab.train("one", "cross_entropy", data=digits, **{**SMALL, "batch": 20})
    with pytest.raises(UsageError, match="was trained with another method"):
        lab.train("one", "gce", data=digits, **SMALL)


def test_several_processes_do_what_one_does(lab: Lab, digits: Data, tmp_path: Path) -> None:
    wanted = [
        Training(name, "cross_entropy", digits, noise, (effective,), SMALL)
        for name, noise in (("a", None), ("b", "symmetric:0.4"), ("c", "symmetric:0.9"))
    ]
    heard: list[str] = []
    spread = Lab(tmp_path / "spread", jobs=2, report=lambda name, record: heard.append(f"{name} {record['epoch']}"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone, together = lab.train_all(wanted), spread.train_all(wanted)
    finally:
        torch.set_num_threads(threads)
    assert sorted(heard) == ["a 1", "a 2", "b 1", "b 2", "c 1", "c 2"]
    assert list(together) == ["a", "b", "c"]
    for name, training in alone.items():
        left, right = (one.history.drop(columns="seconds") for one in (training, together[name]))
        assert left.equals(right), name


def test_what_fails_in_another_process_is_told_here(digits: Data, tmp_path: Path) -> None:
    mine, theirs = multiprocessing.Pipe()
    for task, sentence in (
        (
            (Training("a", "cross_entropy", digits, None, (effective, effective), SMALL), tmp_path),
            "measures 'effective'",
        ),
        ("no training", "a training failed: ValueError"),
    ):
        theirs.send(_pool._outcome(pickle.dumps(task), 0, "cpu", lambda name, record: None))
        with pytest.raises(ThresherError, match=sentence):
            _pool._heard(mine, "a", lambda name, record: None)
    theirs.close()
    with pytest.raises(ThresherError, match="the process that trained a has ended"):
        _pool._heard(mine, "a", lambda name, record: None)


def test_a_warning_of_another_process_is_heard_here() -> None:
    mine, theirs = multiprocessing.Pipe()
    theirs.send((_pool._WARNING, "beware"))
    with pytest.warns(UserWarning, match="beware"):
        assert not _pool._heard(mine, "a", lambda name, record: None)


def test_a_probe_leaves_the_record_alone(lab: Lab, digits: Data) -> None:
    with pytest.raises(ThresherError, match="a probe measures 'loss', which the record has already"):
        lab.train("one", "cross_entropy", data=digits, probes=(clash,), **SMALL)


def test_noise_beyond_hope_is_no_news(lab: Lab, digits: Data) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lab.train("one", "cross_entropy", data=digits, noise="symmetric:0.9", **{**SMALL, "epochs": 1})


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", ".."])
def test_names_of_trainings_are_folders(lab: Lab, digits: Data, name: str) -> None:
    with pytest.raises(UsageError, match="give it the name of a folder"):
        lab.train(name, "cross_entropy", data=digits, **SMALL)


def test_two_of_one_name_are_refused(lab: Lab, digits: Data) -> None:
    with pytest.raises(UsageError, match="two trainings are called 'a'"):
        lab.train_all([Training("a", "cross_entropy", digits), Training("a", "gce", digits)])


def test_a_kill_after_the_checkpoint_loses_no_row(lab: Lab, digits: Data) -> None:
    done = lab.train("one", "cross_entropy", data=digits, probes=(counted,), **SMALL)
    (done.folder / "metrics.jsonl").unlink()  # as when the kill came between the checkpoint and the line
    again = lab.train("one", "cross_entropy", data=digits, probes=(counted,), **SMALL)
    assert again.history.equals(done.history)


def test_killed_and_typed_again_is_as_straight_through(lab: Lab, digits: Data, tmp_path: Path) -> None:
    longer = {**SMALL, "epochs": 4}
    straight = lab.train("one", "cross_entropy", data=digits, noise="symmetric:0.4", probes=(effective,), **longer)
    folder = tmp_path / "killed"
    script = f"""
import os
from pathlib import Path
from thresher.studies.lab import Lab, some
from thresher.studies import _pool
from thresher.studies._probes import effective
import torch
torch.set_num_threads({torch.get_num_threads()})
stop = lambda name, record: os._exit(9) if record["epoch"] == 2 else None
lab = Lab(Path({str(folder)!r}), report=stop)
lab.train("one", "cross_entropy", data=some(lab.data(), 100), noise="symmetric:0.4", probes=(effective,), **{longer!r})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert len((folder / "runs" / "one" / "metrics.jsonl").read_text().splitlines()) == 2
    resumed = Lab(folder).train(
        "one", "cross_entropy", data=digits, noise="symmetric:0.4", probes=(effective,), **longer
    )
    left, right = (one.history.drop(columns="seconds") for one in (straight, resumed))
    assert left.equals(right)


def test_the_forms_choose(tmp_path: Path) -> None:
    quick, full = Lab(tmp_path), Lab(tmp_path, full=True)
    assert (quick.choose(1, 2), full.choose(1, 2)) == (1, 2)
    assert (quick.length(5, 100), full.length(5, 100), quick.notes) == (5, 100, [])
    with pytest.raises(UsageError, match="mnist"):
        Lab(tmp_path, full=True, root=str(tmp_path)).data()


def test_the_first_data_that_are_there(tmp_path: Path) -> None:
    lab = Lab(tmp_path, root=str(tmp_path))
    assert lab.data(quick=("fashion_mnist", "digits")).name == "digits"


def test_some_rows_of_every_class() -> None:
    data = some(Lab(Path()).data(), 55)
    assert data.train.labels.bincount().tolist() == [5] * 10
    larger = enlarged(data, 12)
    assert larger.train.inputs.shape == (50, 1, 12, 12)
    assert larger.train.dense().dtype == torch.uint8
    assert larger.fingerprint != data.fingerprint


def test_probes_measure_what_they_say(lab: Lab, digits: Data) -> None:
    done = lab.train("one", "cross_entropy", data=digits, probes=(effective, per_class, Balance(40)), **SMALL)
    end = done.history.iloc[-1]
    assert end["effective"] == effective_share(done.net)
    assert sum(end["per_class"]) / 10 == pytest.approx(done.last)
    weights = list(done.net.parameters())
    assert end["w2"] == pytest.approx(sum(float((p.detach() ** 2).sum()) for p in weights), rel=1e-4)
    index = torch.arange(40)
    shown = next(iter(done.run.source.open([done.run.rows[index]], ("plain",), 0)))
    done.net.eval()
    weights_by_name = dict(done.net.named_parameters())

    def loss(t: float) -> torch.Tensor:
        stretched = {name: t * p for name, p in weights_by_name.items()}
        logits = torch.func.functional_call(done.net, stretched, tuple(shown.values()))[1]
        return torch.nn.functional.cross_entropy(logits, done.run.given[index])

    with torch.no_grad():
        measured = (loss(1 + 1e-3) - loss(1 - 1e-3)).item() / 2e-3
    assert end["gw"] == pytest.approx(measured, rel=0.02)
    assert end["gw_abs"] >= abs(end["gw"])


def test_run_json_says_what_was_done(lab: Lab, digits: Data) -> None:
    done = lab.train("one", "gce", data=digits, noise="symmetric:0.2", **SMALL)
    stored = json.loads((done.folder / "run.json").read_text())
    assert stored["method"][0]["name"] == "gce"
    assert stored["request"]["noise"] == ["symmetric:0.2"]
