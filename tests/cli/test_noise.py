"""`thresher noise`: the file, the words, the figure, and that nothing is written when anything is wrong."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thresher import data
from thresher.noise import Noise, asymmetric, instance, longtail, symmetric

Call = Callable[..., Any]


@pytest.fixture
def call(thresher: Call) -> Call:
    """``call("digits", "--noise", ..)``."""
    return lambda *words: thresher("noise", *words)


def digits() -> np.ndarray:
    labels: np.ndarray = data.load("digits").train.labels.numpy()
    return labels


def written(figure: str) -> list[str]:
    """The words in an SVG file."""
    return re.findall(r">([^<>]+)</text>", Path(figure).read_text(encoding="utf-8"))


def test_writes_the_manifest_and_says_what_was_done(call: Call, workplace: Path) -> None:
    said = call("digits", "--noise", "asymmetric:0.4", "--out", "noise.npz")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[:3] == [
        "digits: asymmetric:0.4:0",
        "labels made wrong: 288 of 1,437, 20.0% (rate asked for: 40.0%)",
        "most frequent mistakes, true class > label:",
    ]
    assert lines[3].split() == ["3", ">", "8", "58", "rows,", "39.7%", "of", "3"]
    assert lines[-1] == "labels and record: noise.npz"
    assert len(lines) == 9
    found = Noise.load("noise.npz")
    assert np.array_equal(found.labels, asymmetric(digits(), 0.4, 0, {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}))
    assert [path.name for path in workplace.iterdir()] == ["noise.npz"]


def test_map_and_seed(call: Call) -> None:
    assert call("digits", "--noise", "asymmetric:0.4", "--map", "1<>7", "--seed", 3, "--out", "noise.npz").code == 0
    assert np.array_equal(Noise.load("noise.npz").labels, asymmetric(digits(), 0.4, 3, {1: 7, 7: 1}))


def test_imbalance_then_noise(call: Call) -> None:
    said = call("digits", "--noise", "longtail:20", "--noise", "symmetric:0.4", "--out", "noise.npz")
    assert said.code == 0
    assert "rows kept: 494 of 1,437; the largest class, 0, has 142, the smallest, 9, 7" in said.out
    assert said.err.startswith("warning: of the 36 rows labelled '9', 14 are truly '0'")
    assert said.err.count("\n") == 1
    found, rows = Noise.load("noise.npz"), longtail(digits(), 20, 0)
    assert found.rows is not None
    assert np.array_equal(found.rows, rows)
    assert np.array_equal(found.labels, symmetric(digits()[rows], 0.4, 0))


def test_json_is_one_document(call: Call) -> None:
    said = call("digits", "--noise", "symmetric_inclusive:0.9:5", "--out", "noise.npz", "--plot", "--json")
    assert said.code == 0
    found, noise = json.loads(said.out), Noise.load("noise.npz")
    assert {key: found[key] for key in ("data", "generator", "version", "seed", "nominal", "out", "plot")} == {
        "data": "digits", "generator": "symmetric_inclusive:0.9:5", "version": 1, "seed": 5, "nominal": 0.9,
        "out": "noise.npz", "plot": "noise.svg",
    }  # fmt: skip
    assert (found["of"], found["rows"], found["wrong"]) == (1437, 1437, round(noise.realised * 1437))
    assert found["realised"] == noise.realised
    assert sum(found["sizes"].values()) == 1437
    worst = found["pairs"][0]
    off = noise.counts - np.diag(np.diag(noise.counts))
    assert worst["count"] == off.max() == off[int(worst["true"]), int(worst["label"])]
    assert worst["share"] == noise.matrix[int(worst["true"]), int(worst["label"])]
    assert [pair["count"] for pair in found["pairs"]] == sorted(off.ravel().tolist())[:-6:-1]


def test_noise_that_changes_nothing(call: Call) -> None:
    said = call("digits", "--noise", "symmetric:0", "--out", "noise.npz")
    assert said.out.splitlines() == [
        "digits: symmetric:0.0:0",
        "labels made wrong: 0 of 1,437, 0.0% (rate asked for: 0.0%)",
        "labels and record: noise.npz",
    ]


def test_plot_shows_the_matrix(call: Call) -> None:
    said = call("digits", "--noise", "asymmetric:0.4", "--out", "noise.npz", "--plot")
    assert said.out.splitlines()[-1] == "transition matrix: noise.svg"
    words = written("noise.svg")
    assert {"true class", "label", "% of each true class"} <= set(words)
    assert words.count("40") + words.count("60") == 10  # five classes: what stays and what goes
    assert words.count("100") == 5


def test_plot_of_many_classes_shows_the_most_frequent_mistakes(call: Call, workplace: Path) -> None:
    y = np.repeat(np.arange(20), 10)
    np.savez(workplace / "many.npz", x=np.zeros((200, 2), dtype=np.float32), y=y)
    options = ("--map", "3<>17,19>0", "--out", "noise.npz", "--plot")
    assert call("many.npz", "--noise", "asymmetric:0.4", *options).code == 0
    words = written("noise.svg")
    assert "% of each true class, 14 of 20 classes" in words
    assert {"0", "3", "17", "19"} <= set(words)
    assert words.count("40") == 3


def test_matrix_from_a_file(call: Call, workplace: Path) -> None:
    text = "\n".join(
        ",".join("0.8" if i == j else "0.2" if j == (i + 1) % 10 else "0" for j in range(10)) for i in range(10)
    )
    (workplace / "T.csv").write_text(text, encoding="utf-8")
    assert call("digits", "--noise", "transition:T.csv", "--out", "noise.npz").code == 0
    assert Noise.load("noise.npz").nominal == 0.2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--noise", "symetric:0.4", "--out", "n.npz"), "there is no noise 'symetric'"),
        (("--noise", "symmetric:40", "--out", "n.npz"), "noise rate 40.0 is outside"),
        (("--noise", "symmetric:0.4", "--out", "n.csv"), "--out is 'n.csv': name a .npz file"),
        (("--noise", "symmetric:0.4", "--out", "absent/n.npz"), "there is no folder absent for n.npz"),
        (("--noise", "symmetric:0.4", "--seed", "-1", "--out", "n.npz"), "the seed of noise is -1"),
        (("--noise", "symmetric:0.4", "--map", "1>2", "--out", "n.npz"), "the map '1>2' is for asymmetric"),
        (("--noise", "asymmetric:0.4", "--map", "1>x", "--out", "n.npz"), "there is no class 'x'"),
        (("--noise", "swap:0.4", "--out", "n.npz"), "swap noise needs superclasses"),
        (("--noise", "transition:T.npy", "--out", "n.npz"), "there is no transition matrix T.npy"),
        (("--noise", "feature:0.35", "--out", "n.npz"), "write for example feature:1:0.35"),
        (("--noise", "feature:5:0.35", "--out", "n.npz"), "has the type '5': choose 1, 2 or 3"),
        (("--noise", "instance:0.4:4294967296", "--out", "n.npz"), "the seed of instance noise is 4294967296"),
        (("--noise", "symmetric:0.4", "--noise", "longtail:10", "--out", "n.npz"), "longtail comes after symmetric"),
        (("--noise", "symmetric:0.4"), "--out"),
        (("--out", "n.npz"), "--noise"),
    ],
)
def test_refusals_write_nothing(call: Call, workplace: Path, words: tuple[str, ...], message: str) -> None:
    said = call("digits", *words, "--plot")
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize("taken", ["noise.npz", "noise.svg"])
def test_what_is_there_stays(call: Call, workplace: Path, taken: str) -> None:
    (workplace / taken).write_text("mine", encoding="utf-8")
    said = call("digits", "--noise", "symmetric:0.4", "--out", "noise.npz", "--plot")
    assert (said.code, said.out) == (2, "")
    assert f"{taken} is there already: name another file with --out, or remove it" in said.err
    assert [(path.name, path.read_text(encoding="utf-8")) for path in workplace.iterdir()] == [(taken, "mine")]


def test_noise_on_top_of_labels_that_are_wrong_already(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    source = data.load("digits")
    human = symmetric(digits(), 0.2, 9)
    known, clean = source.with_labels(torch.as_tensor(human), source.train.labels), digits()
    monkeypatch.setattr("thresher.data.load", lambda *words, **options: known)
    said = call("digits", "--noise", "symmetric:0.5", "--out", "noise.npz")
    noise = Noise.load("noise.npz")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "digits: symmetric:0.5:0, on top of the labels that people gave"
    wrong = (noise.labels != clean).sum()
    assert (
        lines[1] == f"wrong labels: {wrong} of 1,437, {noise.realised:.1%} (touched by people or by the noise: 60.0%)"
    )
    assert noise.generator == "digits + symmetric:0.5:0"
    assert np.array_equal(noise.clean, clean)
    assert np.array_equal(noise.labels, symmetric(human, 0.5, 0))


def test_instance_noise(call: Call) -> None:
    said = call("digits", "--noise", "instance:0.4:3", "--out", "noise.npz", "--plot", "--json")
    assert (said.code, said.err) == (0, "")
    images = data.load("digits").train.dense().numpy()
    assert np.array_equal(Noise.load("noise.npz").labels, instance(digits(), images, 0.4, 3))
    assert {"true class", "label"} <= set(written("noise.svg"))


def test_feature_noise_says_that_it_trains(call: Call, npz: str) -> None:
    said = call(npz, "--noise", "feature:1:0.35", "--out", "noise.npz")
    assert said.code == 0
    assert said.err == (
        "warning: feature noise goes by class probabilities: 3 networks (mlp) are trained on the true labels first, "
        "for up to 100 epochs each\n"
    )
    assert "rate asked for: 35.0%" in said.out
    assert Noise.load("noise.npz").generator == "feature:1:0.35:0"


def test_superclasses_of_the_data_are_used(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(data.load("digits"), superclasses=np.arange(10) // 2)
    monkeypatch.setattr("thresher.data.load", lambda *words, **options: known)
    assert call("digits", "--noise", "swap:0.4", "--out", "noise.npz").code == 0
    noise = Noise.load("noise.npz")
    assert {(i, j) for i, j in np.argwhere(noise.counts).tolist() if i != j} == {(k, k ^ 1) for k in range(10)}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "spec", "realised", "worst"),
    [
        ("cifar10", "asymmetric:0.4", 0.2, "bird > airplane"),
        ("cifar10", "asymmetric_inplace:0.4", 0.184, "bird > airplane"),
        ("cifar100", "asymmetric:0.4", 0.4, "apple > mushroom"),
        ("cifar100", "asymmetric_blocks:0.4", 0.4, "apple > aquarium_fish"),
        ("cifar100", "swap:0.4", 0.16, None),
        ("cifar100", "symmetric_inclusive:0.9", 0.891, None),
        ("cifar10", "instance:0.4:1", 0.4, None),
        ("cifar100", "instance:0.4:1", 0.4, None),
    ],
)
def test_the_figures_of_the_papers_code(call: Call, name: str, spec: str, realised: float, worst: str | None) -> None:
    if not Path(os.environ.get("THRESHER_DATA") or "absent").is_dir():
        pytest.skip("THRESHER_DATA names no folder of official files")
    found = json.loads(call(name, "--noise", spec, "--out", "noise.npz", "--json").out)
    assert found["realised"] == pytest.approx(realised, abs=0.004)
    assert worst in (None, "{true} > {label}".format(**found["pairs"][0]))
