"""The loop on real data, with labels made wrong: trained plainly it ends better on corrected labels than it began."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import thresher as th
from thresher import data as sources

Call = Callable[..., Any]
KINDS = (1, 3, 5, 7, 8, 9)  # trousers, dresses, sandals, sneakers, bags, ankle boots


@pytest.fixture
def root() -> Path:
    path = os.environ.get("THRESHER_DATA")
    if not path or not Path(path).is_dir():
        pytest.skip("THRESHER_DATA names no folder of official files")
    return Path(path)


def loop(thresher: Call, data: list[object], train: list[object], find: list[object]) -> tuple[th.Result, th.Result]:
    """Train plainly, find, correct, train plainly again."""
    plain = ["--method", "cross_entropy", "--quiet", *train]
    assert thresher("train", *data, *plain, "--out", "before").code == 0
    assert thresher("find", *data, *find, "--quiet", "--out", "found").code == 0
    words = ("--policy", "relabel", "--min-confidence", 0.5, "--out", "mended.csv")
    assert thresher("correct", "found", *words).code == 0
    assert thresher("train", *data, *plain, "--labels", "mended.csv", "--out", "after").code == 0
    return th.load("before"), th.load("after")


def right_share(given: dict[str, str], truth: dict[str, str]) -> float:
    return float(np.mean([given[key] == label for key, label in truth.items()]))


def labels_in(path: str) -> dict[str, str]:
    return dict(pd.read_csv(path, dtype=str)[["key", "label"]].itertuples(index=False, name=None))


@pytest.mark.realdata
def test_photos_of_mixed_sizes(root: Path, workplace: Path, thresher: Call) -> None:
    data = sources.load("fashion_mnist", root=root)
    names = [name.lower().replace(" ", "-") for name in data.classes]
    draws = np.random.default_rng(0)
    truth: dict[str, str] = {}
    for part, samples, each in (("train", data.train, 150), ("test", data.test, 80)):
        assert samples is not None
        labels = samples.labels.numpy()
        rows = np.concatenate([np.flatnonzero(labels == k)[:each] for k in KINDS])
        codes = np.searchsorted(KINDS, labels[rows])
        given = th.noise.symmetric(codes, 0.25, seed=0) if part == "train" else codes
        for row, code in zip(rows, given, strict=True):
            side = (int(draws.integers(28, 85)), int(draws.integers(28, 85)))
            path = Path("photos", part, names[KINDS[code]], f"{row}{'.jpg' if row % 2 else '.png'}")
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = samples.dense()[int(row), 0].numpy() if part == "test" else data.train.dense()[int(row), 0].numpy()
            Image.fromarray(pixels).resize(side, Image.Resampling.BICUBIC).save(path)
            if part == "train":
                truth[f"{path.parent.name}/{path.name}"] = names[labels[row]]
    photos: list[object] = ["photos", "--size", 28, "--bs", 64]
    before, after = loop(thresher, photos, ["--epochs", 30, "--lr", 0.05], ["--epochs", 12, "--lr", 0.05, "--folds", 4])
    assert before.last is not None
    assert after.last is not None
    assert after.last > before.last + 0.03
    assert right_share(labels_in("mended.csv"), truth) > 0.75 + 0.08


@pytest.mark.realdata
def test_questions(root: Path, workplace: Path, thresher: Call) -> None:
    file = np.load(root / "text" / "trec.npz")
    names, truth = file["class_names"], file["train_label"].astype(np.int64)
    given = th.noise.symmetric(truth, 0.25, seed=0)
    keys = [f"q{row}" for row in range(len(truth))]
    table = pd.DataFrame({"id": keys, "text": file["train_text"], "label": names[given]})
    table.to_csv("questions.csv", index=False)
    test = pd.DataFrame({"id": range(500), "text": file["test_text"], "label": names[file["test_label"]]})
    test.to_csv("test.csv", index=False)
    words: list[object] = ["questions.csv", "--text", "text", "--id", "id"]
    before, after = loop(thresher, words, ["--test", "test.csv", "--epochs", 25], ["--epochs", 10])
    assert before.last is not None
    assert after.last is not None
    assert after.last > before.last + 0.03
    assert right_share(labels_in("mended.csv"), dict(zip(keys, names[truth], strict=True))) > 0.75 + 0.05


@pytest.mark.realdata
def test_customers_of_a_bank(root: Path, workplace: Path, thresher: Call) -> None:
    table = pd.read_csv(root / "tabular" / "bank-full.csv", dtype=str).sample(9000, random_state=0)
    table.insert(0, "id", [f"c{row}" for row in range(len(table))])
    train, test = table.iloc[:6000].copy(), table.iloc[6000:]
    truth = dict(zip(train["id"], train["y"], strict=True))
    wrong = np.random.default_rng(0).permutation(6000)[:1200]
    labels = train["y"].to_numpy(dtype=object)
    labels[wrong] = np.where(labels[wrong] == "yes", "no", "yes")
    train["y"] = labels
    train.to_csv("bank.csv", index=False)
    test.to_csv("test.csv", index=False)
    words: list[object] = ["bank.csv", "--label", "y", "--id", "id"]
    before, after = loop(thresher, words, ["--test", "test.csv", "--epochs", 30], ["--epochs", 10])

    def balanced(result: th.Result) -> float:
        assert result.per_class is not None
        return float(np.mean([right / of for right, of in result.per_class.values()]))

    assert balanced(after) > balanced(before)
    assert right_share(labels_in("mended.csv"), truth) > 0.8 + 0.05
