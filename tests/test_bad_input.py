"""Bad input: one clear sentence each, on the command line and from Python, and nothing written or trained."""

import errno
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import thresher as th
from thresher import jobs, training
from thresher.engine import checkpoint

Call = Callable[..., Any]
FAST = ("--bs", "32", "--epochs", "2", "--quiet")


def sentence(said: Any, pattern: str, code: int = 2) -> None:
    """Check that a command ended with one sentence, which the pattern finds."""
    assert (said.code, said.out) == (code, "")
    assert re.fullmatch(r"thresher: [^\n]+\n", said.err)
    assert re.search(pattern, said.err), said.err


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any training fail the test."""
    monkeypatch.setattr(training, "train", lambda *given: pytest.fail("it trained"))


def with_value(array: np.ndarray, value: float, row: int = 5) -> np.ndarray:
    """A float copy with one value changed."""
    changed = array.astype(np.float64)
    changed[row] = value
    return changed


LABELS: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "negative": (lambda y: with_value(y, -1).astype(int), r"y.* a negative label in 1 of 120 rows, the first is row 5"),
    "nan": (lambda y: with_value(y, np.nan), r"y.* NaN or infinite in 1 of 120 rows, the first is row 5"),
    "one class": (np.zeros_like, r"every label in y.* is '0': training needs two classes or more"),
    "gap": (lambda y: np.where(y == 1, 3, y), r"class 1 has no row in y.*, though labels go from 0 to 3"),
    "too many": (lambda y: np.append(y, 0), r"y.* has 121 values and x has 120 rows: give exactly one per row"),
    "fractions": (lambda y: y + 0.5, r"y.* a fractional value"),
    "a table": (lambda y: np.eye(3)[y], r"y.*: take the argmax over classes"),
}
FEATURES: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "nan": (
        lambda x: with_value(x, np.nan),
        r"x.* NaN, infinite or beyond float32, in 1 of 120 rows, the first is row 5",
    ),
    "inf": (lambda x: with_value(x, np.inf), r"x.* NaN, infinite or beyond float32, in 1 of 120 rows"),
    "empty": (lambda x: x[:0], r"x.* is empty"),
    "text": (lambda x: x.astype(str), r"x.* has dtype .*: give numbers"),
}
CASES = [("y", *case) for case in LABELS.values()] + [("x", *case) for case in FEATURES.values()]


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(("key", "change", "pattern"), CASES, ids=[*LABELS, *(f"features {name}" for name in FEATURES)])
def test_bad_arrays(
    key: str, change: Callable[[np.ndarray], Any], pattern: str, arrays: dict[str, Any], workplace: Path, thresher: Call
) -> None:
    arrays[key] = change(arrays[key])
    np.savez(workplace / "bad.npz", **arrays)
    sentence(thresher("train", "bad.npz", "--out", "run", *FAST), pattern.replace(r"y.*", r"y in bad\.npz.*"))
    with pytest.raises(th.UsageError, match=pattern):
        th.fit(arrays, out="run", batch=32, epochs=2)
    assert not Path("run").exists()


@pytest.mark.usefixtures("untrained", "workplace")
def test_labels_that_mix_text_and_numbers(arrays: dict[str, Any]) -> None:
    arrays["y"] = ["cat", *arrays["y"][1:].tolist()]
    with pytest.raises(th.UsageError, match=r"^y mixes numbers and text, first in row 1: give all labels as one"):
        th.fit(arrays, out="run")
    assert not Path("run").exists()


class Bomb:
    """Unpickling this leaves a mark."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("exploded"),)


@pytest.mark.usefixtures("untrained")
def test_pickled_objects_are_refused_and_not_run(arrays: dict[str, Any], workplace: Path, thresher: Call) -> None:
    np.savez(workplace / "bad.npz", x=arrays["x"], y=np.array([Bomb()] * 120, dtype=object))
    sentence(
        thresher("train", "bad.npz", "--out", "run"), r"bad\.npz holds pickled Python objects.*: save plain arrays"
    )
    assert not Path("exploded").exists()
    assert not Path("run").exists()


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["--method", "erl"], r"there is no method 'erl': did you mean elr"),
        (["--method", "elr,gse"], r"there is no method 'gse': did you mean .*gce"),
        (["--method", ""], r"there is no method '': known are "),
        (["--method", ","], r"there is no method ''"),
        (["--set", "elr.strenght=7"], r"elr has no setting 'strenght': did you mean strength\?"),
        (["--set", "elr.strength=-1"], r"elr\.strength is -1: it must be a number from 0"),
        (["--set", "elr.strength=strong"], r"elr\.strength is 'strong': it must be a number"),
        (["--method", "gce", "--set", "gce.q=2"], r"gce\.q is 2: it must be a number from .* to 1"),
        (["--method", "cdr", "--set", "cdr.mode=fast"], r"cdr\.mode is 'fast': choose one of official"),
        (["--set", "gce.q=0.5"], r"settings for gce, which is not among the methods elr: add it to --method"),
        (["--set", "elr=3"], r"elr is 3: write elr\.field=value"),
        (["--set", "optimiser.lr=1"], r"there is no setting optimiser: did you mean optimizer"),
        (["--set", "optimizer.lr=fast"], r"optimizer\.lr is 'fast': it must be of type float"),
        (["--set", "optimizer.lr"], r"--set 'optimizer\.lr' is not understood: write --set method\.field=value"),
        (["--set", "noise=symmetric:0.4"], r"there is no setting noise"),
        (["--method", "gce,sce"], r"gce and sce both fill the slot 'loss', which takes exactly one: choose"),
        (["--method", "mixup,elr"], r"mixup mixes samples, and elr needs each sample's own prediction: choose one"),
        (["--method", "dividemix,elr"], r"dividemix runs its own epoch, which never calls the slot 'penalty' of elr"),
        (["--method", "elr,elr"], r"elr is listed twice: name each method once"),
        (["--method", "l2rw"], r"l2rw learns from trusted samples and got none: pass trusted= or --trusted"),
        (["--method", "sce,mixup", "--alpha", "1"], r"write --set sce\.alpha=1 or --set mixup\.alpha=1"),
        (["--lambda", "3", "--set", "elr.strength=4"], r"elr\.strength is set twice"),
        (["--lambda"], r"--lambda needs a value"),
        (["--gamma", "3"], r"there is no option --gamma: "),
        (["--epoch", "3"], r"there is no option --epoch: did you mean --epochs\?"),
        (["--epochs", "many"], r"--epochs"),
        (["--epochs", "0"], r"epochs is 0: it must be 1 or more"),
        (["--epochs", "-1"], r"epochs is -1"),
        (["--bs", "0"], r"batch is 0"),
        (["--bs", "109"], r"batch is 109, and only 108 rows are trained on: lower --bs"),
        (["--seed", "-1"], r"seed is -1"),
        (["--valid", "1.5"], r"valid is 1\.5: it is a fraction"),
        (["--lr", "0"], r"optimizer\.lr is 0\.0: it must be a number above 0"),
        (["--noise", "symmetric:1"], r"noise rate 1.* is outside \[0, 1\): rates are fractions"),
        (["--noise", "symmetric:-0.1"], r"noise rate -0\.1 is outside \[0, 1\)"),
        (["--noise", "symetric:0.4"], r"there is no noise 'symetric': did you mean symmetric"),
        (["--noise", "symmetric:0.4:x"], r"noise 'symmetric:0\.4:x' has the seed 'x'"),
        (["--noise", "asymmetric:0.4"], r"asymmetric noise needs a map"),
        (["--net", "lennet"], r"there is no net 'lennet': did you mean lenet"),
        (["--net", "lenet"], r"lenet takes images"),
        (["--device", "gpu"], r"device 'gpu' means nothing here"),
        (["--cross-fit", "1"], r"there are 1 folds: give from 2 to 108 here, or 0 for none"),
        (["--cross-fit", "500"], r"there are 500 folds"),
        (["--trusted", "per-class:0"], r"trusted is 'per-class:0': write per-class:N"),
        (["--trusted", "per-class:5"], r"per-class trusted samples need known true labels"),
        (["--trusted", "absent.csv"], r"there is no file absent\.csv: check the path"),
        (["--name", "a/b"], r"name is 'a/b': it names one folder below runs"),
        (["--name", "other"], r"both out 'run' and name 'other' are given"),
        (["-c", "absent.toml"], r"the configuration absent\.toml cannot be read"),
        (["more.npz"], r"'more\.npz' is not understood here"),
        (["--resume", "run"], r"--resume goes on with the run as it was, so data cannot be changed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "-",
)
def test_bad_words(words: list[str], pattern: str, npz: str, thresher: Call) -> None:
    usual = [] if "--bs" in words else ["--bs", "32"]
    sentence(thresher("train", npz, "--out", "run", *usual, *words), pattern)
    assert not Path("run").exists()
    assert not Path("runs").exists()


@pytest.mark.usefixtures("untrained", "workplace")
@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ([], r"train needs data: thresher train DATA"),
        (["absent.npz"], r"there is no file absent\.npz: check the path"),
        (["empty.npz"], r"empty\.npz cannot be read as a \.npz file"),
        (["folder.npz"], r"there is no file folder\.npz"),
        (["digit"], r"'digit' is no data that can be read: did you mean digits"),
        (["--resume", "absent"], r"absent is no run: it holds no readable run\.json"),
        (["--resume", "folder.npz/"], r"folder\.npz is no run"),
    ],
)
def test_bad_data(words: list[str], pattern: str, thresher: Call) -> None:
    Path("empty.npz").touch()
    Path("folder.npz").mkdir()
    sentence(thresher("train", *words), pattern)
    assert not Path("runs").exists()


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("epochs = ", r"bad\.toml is not TOML"),
        ("epoch = 3", r"there is no setting epoch: did you mean epochs"),
        ("[optimizer]\nlearning_rate = 3", r"there is no setting optimizer\.learning_rate"),
        ("[elr]\nstrenght = 3", r"elr has no setting 'strenght'"),
        ("elr = 3", r"elr is 3: write elr\.field=value"),
        ("method = 3", r"method is 3 in the configuration: it must be a name or a list of names"),
        ('method = ["elr", 3]', r"method is \['elr', 3\] in the configuration"),
        ("noise = [0.4]", r"noise is \[0\.4\] in the configuration: it must be a text such as symmetric:0\.4"),
        ('cross_fit = "3"', r"cross_fit is '3' in the configuration: it must be a whole number"),
        ('epochs = "3"', r"epochs is '3': it must be of type int"),
    ],
)
def test_bad_toml(text: str, pattern: str, npz: str, thresher: Call) -> None:
    Path("bad.toml").write_text(text, encoding="utf-8")
    sentence(thresher("train", npz, "--bs", "32", "--out", "run", "-c", "bad.toml"), pattern)
    assert not Path("run").exists()


@pytest.mark.usefixtures("untrained", "workplace")
@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ({"method": "erl"}, r"there is no method 'erl'"),
        ({"method": []}, r"no method is named: choose some of apl"),
        ({"method": "gce,sce"}, r"gce and sce both fill the slot 'loss'"),
        ({"method": "l2rw"}, r"l2rw learns from trusted samples and got none"),
        ({"noise": "symmetric:1"}, r"noise rate 1.* is outside"),
        ({"epoch": 3}, r"there is no setting epoch: did you mean epochs"),
        ({"optimizer": {"lr": -1}}, r"optimizer\.lr is -1"),
        ({"batch": 1000}, r"batch is 1000, and only 108 rows are trained on"),
        ({"resume": True}, r"run is no run"),
    ],
)
def test_bad_arguments_of_fit(given: dict[str, Any], pattern: str, arrays: dict[str, Any]) -> None:
    with pytest.raises(th.UsageError, match=pattern):
        th.fit(arrays, **{"batch": 32, "out": "run", **given})
    assert not Path("run").exists()
    with pytest.raises(th.UsageError, match=r"elr has no setting 'strenght'"):
        th.method("elr", strenght=7)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("device", ["cuda", "0"])
def test_cuda_that_is_absent(device: str, npz: str, arrays: dict[str, Any], thresher: Call) -> None:
    pattern = rf"device '{device}' was asked for, and no CUDA device is available here: use cpu"
    sentence(thresher("train", npz, "--device", device, "--out", "run"), pattern)
    with pytest.raises(th.UsageError, match=pattern):
        th.fit(arrays, device=device, out="run")
    assert not Path("run").exists()


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", r"is empty"),
        ("key,label\n", r"has no rows"),
        ("key\n3\n", r"has no column 'label'"),
        ("key,label\n3,7\n", r"has the label '7', which the data does not know"),
        ("key,label\n999,1\n", r"has the key '999', which the data does not know"),
        ("key,label\n3,1\n3,2\n", r"has the key '3' twice"),
    ],
)
def test_trusted_file(text: str, pattern: str, npz: str, thresher: Call) -> None:
    Path("trusted.csv").write_text(text, encoding="utf-8")
    sentence(thresher("train", npz, "--bs", "32", "--trusted", "trusted.csv", "--out", "run"), pattern)
    assert not Path("run").exists()


def test_hopeless_noise_is_a_warning(npz: str, arrays: dict[str, Any], thresher: Call) -> None:
    said = thresher("train", npz, *FAST[:2], "--noise", "symmetric:0.9", "--dry-run", "--out", "run")
    assert said.code == 0
    assert re.fullmatch(
        r"warning: of the \d+ rows labelled '0', .*: no method can learn from such labels.*\n", said.err
    )
    with pytest.warns(UserWarning, match="no method can learn"):
        jobs.prepare(arrays, noise="symmetric:0.9", settings={"batch": 32})


def test_a_real_process_says_it_without_a_traceback(npz: str) -> None:
    words = [sys.executable, "-c", "from thresher.cli import main; main()", "train", npz, "--method", "erl"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"thresher: there is no method 'erl': did you mean elr[^\n]*\n", done.stderr)


def test_debug_shows_the_traceback(npz: str, thresher: Call) -> None:
    said = thresher("train", npz, "--method", "erl", "--debug")
    assert said.code == 2
    assert said.err.startswith("Traceback")
    assert said.err.splitlines()[-1].startswith("thresher: there is no method 'erl'")


def divide(*given: Any) -> None:
    """A mistake of ours."""
    raise ZeroDivisionError("somebody divided\nby zero")


def test_even_what_nobody_foresaw_is_one_sentence(npz: str, thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", divide)
    sentence(
        thresher("train", npz, "--bs", "32", "--quiet"),
        "ZeroDivisionError: somebody divided by zero: .*--debug",
        code=1,
    )
    monkeypatch.setattr(training, "train", lambda *given: np.zeros(1 << 50))
    sentence(thresher("train", npz, "--bs", "32", "--quiet"), "not enough memory", code=1)


# ---- around a run that exists


@pytest.fixture
def run(npz: str, thresher: Call, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run of two epochs, without the report, which takes longest."""
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)
    assert thresher("train", npz, "--out", "run", "--noise", "symmetric:0.2", *FAST).code == 0
    return "run"


def files(folder: str) -> dict[str, bytes]:
    """Everything in a folder."""
    return {str(p): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_what_a_run_refuses(run: str, npz: str, arrays: dict[str, Any], thresher: Call) -> None:
    before = files(run)
    sentence(thresher("train", npz, "--out", run, *FAST), r"run exists: pick another with --out .*--resume run")
    for words in (["--lr", "3"], ["--set", "elr.strength=2"], ["--method", "gce"], ["--lambda", "3"]):
        sentence(thresher("train", "--resume", run, *words), r"--resume goes on with the run as it was")
    sentence(thresher("train", "--resume", run, "--epochs", "1"), r"run has trained 2 epochs already: give --epochs 2")
    shutil.move(run, "moved")
    sentence(thresher("train", "--resume", run), r"run is no run")
    shutil.move("moved", run)
    np.savez("points.npz", **{**arrays, "x": arrays["x"] + 1})
    sentence(
        thresher("train", "--resume", run, "--epochs", "3"),
        r"run was trained on other data: 0 has changed, and 119 more like it",
    )
    Path(npz).unlink()
    sentence(thresher("train", "--resume", run, "--epochs", "3"), r"there is no file .*points\.npz: check the path")
    assert files(run) == before


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ({"method": "gce"}, r"another method \(.*elr.* and not .*gce"),
        ({"method": th.method("elr", strength=1)}, r"another method \(.*'strength': 3.* and not .*'strength': 1"),
        ({"noise": None}, r"another noise"),
        ({"seed": 1}, r"with seed 0 and not 1"),
        ({"valid": 0.2}, r"with valid 0\.1 and not 0\.2"),
        ({"batch": 16}, r"with batch 32 and not 16: only the epochs, the device and the workers may differ"),
        ({"optimizer": {"lr": 0.1}}, r"with optimizer .* and not "),
        ({"cross_fit": 2}, r"another cross_fit \(0 and not 2\)"),
    ],
)
def test_resume_with_another_configuration(
    given: dict[str, Any], pattern: str, run: str, npz: str, untrained: None
) -> None:
    before = files(run)
    usual = {"method": "elr", "noise": "symmetric:0.2", "batch": 32, "epochs": 3}
    with pytest.raises(th.UsageError, match=f"^run was trained {'with ' if 'another' in pattern else ''}{pattern}"):
        th.fit(npz, out=run, resume=True, **{**usual, **given})
    assert files(run) == before


def test_damaged_run_json(run: str, thresher: Call) -> None:
    Path(run, "run.json").write_text("{", encoding="utf-8")
    sentence(thresher("train", "--resume", run), r"run is no run: it holds no readable run\.json")


def test_damaged_checkpoint_falls_back_and_says_so(run: str, thresher: Call) -> None:
    whole = {
        name: data for name, data in files(run).items() if "/tables/" in name or name.endswith("weights.safetensors")
    }
    Path(run, "checkpoints", "2", "weights.safetensors").write_bytes(b"rubbish")
    said = thresher("train", "--resume", run, "--quiet")
    assert said.code == 0
    assert re.fullmatch(r"warning: the checkpoint run/checkpoints/2 is damaged \(weights\.safetensors\).*\n", said.err)
    assert {name: Path(name).read_bytes() for name in whole} == whole  # trained again from epoch 1, to the same bits


def test_no_space_left(npz: str, thresher: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = np.save, [9]

    def save(path: Any, *rest: Any, **named: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, *rest, **named)

    monkeypatch.setattr("numpy.save", save)
    said = thresher("train", npz, "--out", "run", *FAST)
    sentence(said, r"no space is left on the device of run/checkpoints/2: free some and resume", code=1)
    assert [path.name for path in checkpoint.Checkpoints(Path("run")).all()] == ["1"]
    checkpoint.read_json(Path("run/checkpoints/1"))
    left[0] = 1000
    assert thresher("train", "--resume", "run", "--quiet").code == 0
    assert len(th.load("run").history) == 2


def test_a_folder_that_cannot_be_written(npz: str, thresher: Call) -> None:
    sentence(thresher("train", npz, "--out", f"{npz}/run", *FAST), r"points\.npz/run cannot be written")


@pytest.mark.parametrize("method", ["cross_entropy", "elr"])
def test_a_loss_that_becomes_nan(method: str, npz: str, arrays: dict[str, Any], thresher: Call) -> None:
    explode = ["--set", "schedule.name=multistep", "--set", "schedule.milestones=[1]", "--set", "schedule.gamma=1e30"]
    said = thresher("train", npz, "--method", method, "--out", "run", *FAST, *explode)
    sentence(said, r"in epoch 2 at step \d.*: the last good checkpoint is kept", code=1)
    assert [path.name for path in checkpoint.Checkpoints(Path("run")).all()] == ["1"]
    left = th.load("run")
    assert left.issues is None
    assert len(left.history) == 1
    assert np.isfinite(left.predict_proba(arrays["x_test"])).all()
    assert json.loads(Path("run/run.json").read_text(encoding="utf-8"))["options"]["epochs"] == 2
