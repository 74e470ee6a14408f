"""The whole loop on a folder of images: train, find, correct, train again, predict."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import thresher as th
from thresher import data as sources
from thresher import jobs, nets
from thresher.data import images as reading_images
from thresher.engine.checkpoint import Interrupted
from thresher.training import train

Call = Callable[..., Any]
KINDS = ("bright", "dark", "striped")
QUICK = ("--epochs", 6, "--bs", 16, "--net", "small_cnn", "--quiet", "--set", "average=0.9")


def paint(kind: str, draws: np.random.Generator, side: tuple[int, int]) -> Image.Image:
    """A small picture of one of three kinds, of any size."""
    low, high = {"bright": (140, 250), "dark": (5, 110), "striped": (60, 190)}[kind]
    pixels = draws.integers(low, high, (*side, 3), dtype=np.uint8)
    if kind == "striped":
        pixels[:, ::4] = 255
        pixels[:, 2::4] = 0
    return Image.fromarray(pixels)


def make_photos(folder: Path, each: int = 40, wrong: int = 8, test: int = 15) -> dict[str, str]:
    """A folder with wrong labels in it: the true kind of every training image by its key."""
    draws = np.random.default_rng(0)
    truth = {}
    for part, count in (("train", each), ("test", test)):
        for place, kind in enumerate(KINDS):
            for number in range(count):
                moved = part == "train" and number < wrong
                label = KINDS[(place + 1) % 3] if moved else kind
                path = folder / part / label / f"{kind}-{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                paint(kind, draws, tuple(draws.integers(24, 40, 2))).save(path)
                if part == "train":
                    truth[f"{label}/{path.name}"] = kind
    return truth


@pytest.fixture
def photos(workplace: Path) -> dict[str, str]:
    return make_photos(workplace / "photos")


def test_train_correct_train_again_predict(photos: dict[str, str], thresher: Call) -> None:
    said = thresher("train", "photos", "--out", "first", "--cross-fit", 3, *QUICK)
    assert said.code == 0, said.err
    issues = pd.read_csv("first/issues.csv")
    assert set(issues["key"]) == set(photos)
    flagged = set(issues.loc[issues["is_label_issue"], "key"])
    wrong = {key for key, kind in photos.items() if not key.startswith(kind)}
    assert len(flagged & wrong) / len(wrong) > 0.7

    assert thresher("correct", "first", "--policy", "relabel", "--min-confidence", 0.5, "--out", "mended.csv").code == 0
    mended = pd.read_csv("mended.csv").set_index("key")["label"]
    right = sum(mended[key] == kind for key, kind in photos.items())
    assert right > sum(key.startswith(kind) for key, kind in photos.items())

    again = thresher("train", "photos", "--labels", "mended.csv", "--out", "second", *QUICK)
    assert again.code == 0, again.err
    first, second = th.load("first"), th.load("second")
    assert second.selected is not None
    assert first.selected is not None
    assert second.selected >= first.selected - 0.05
    changes = pd.read_csv("second/label-changes.csv")
    assert len(changes) == sum(not str(key).startswith(f"{label}/") for key, label in mended.items())
    page = Path("second/report.html").read_text(encoding="utf-8")
    assert "before" in page.lower()

    (Path("new") / "deeper").mkdir(parents=True)
    draws = np.random.default_rng(1)
    for kind in KINDS:
        paint(kind, draws, (50, 90)).save(Path("new/deeper") / f"{kind}.jpg", quality=95)
    assert thresher("predict", "second", "new", "--out", "predicted.csv").code == 0
    predicted = pd.read_csv("predicted.csv").set_index("key")["predicted"]
    assert set(predicted.index) == {f"deeper/{kind}.jpg" for kind in KINDS}
    assert sum(predicted[f"deeper/{kind}.jpg"] == kind for kind in KINDS) >= 2


@pytest.mark.parametrize("policy", ["drop", "weight", "soften", "review", "keep"])
def test_every_policy_gives_labels_that_can_be_trained_on(policy: str, photos: dict[str, str], thresher: Call) -> None:
    assert thresher("find", "photos", "--out", "found", "--epochs", 3, "--bs", 16, "--net", "small_cnn").code == 0
    assert thresher("correct", "found", "--policy", policy, "--out", "mended.csv").code == 0
    said = thresher("train", "photos", "--labels", "mended.csv", "--out", "run", "--method", "gce", *QUICK)
    assert said.code == 0, said.err
    left = th.load("run").issues
    assert left is not None
    suspects = int(pd.read_csv("found/issues.csv")["is_label_issue"].sum())
    assert len(left) == len(photos) - (suspects if policy == "drop" else 0)


def test_rows_left_out_stay_so_in_a_second_round(photos: dict[str, str], thresher: Call) -> None:
    assert thresher("find", "photos", "--out", "found", "--epochs", 3, "--bs", 16, "--net", "small_cnn").code == 0
    assert thresher("correct", "found", "--policy", "drop", "--out", "first.csv").code == 0
    assert thresher("train", "photos", "--labels", "first.csv", "--out", "run", *QUICK).code == 0
    assert thresher("correct", "run", "--policy", "relabel", "--out", "second.csv").code == 0
    gone = [
        set(pd.read_csv(name, keep_default_na=False).query("label == ''")["key"])
        for name in ("first.csv", "second.csv")
    ]
    assert gone[0] == gone[1]
    assert gone[0]
    assert thresher("train", "photos", "--labels", "second.csv", "--out", "again", *QUICK).code == 0


def test_methods_that_would_not_look_at_the_weights_are_refused(photos: dict[str, str], thresher: Call) -> None:
    assert thresher("find", "photos", "--out", "found", "--epochs", 2, "--bs", 16, "--net", "small_cnn").code == 0
    assert thresher("correct", "found", "--policy", "weight", "--out", "mended.csv").code == 0
    said = thresher("train", "photos", "--labels", "mended.csv", "--method", "dividemix", *QUICK)
    assert said.code == 2
    assert "the label file has weights, which dividemix would not look at" in said.err


def test_streamed_training_equals_that_in_memory(
    photos: dict[str, str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch": 16, "net": "small_cnn", "device": "cpu"}
    th.fit("photos", "elr", out="resident", **settings)
    monkeypatch.setattr(reading_images, "RESIDENT", 0)
    th.fit("photos", "elr", out="streamed", workers=3, **settings)
    for name in ("issues.csv", "rows.csv"):
        if name == "issues.csv":
            assert Path("resident", name).read_bytes() == Path("streamed", name).read_bytes()
    one, other = th.load("resident"), th.load("streamed")
    assert one.history.drop(columns="seconds").equals(other.history.drop(columns="seconds"))


def test_stopped_while_streaming_and_resumed(
    photos: dict[str, str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_images, "RESIDENT", 0)
    settings = {"epochs": 3, "batch": 16, "net": "small_cnn", "checkpoint_minutes": 1e-9}
    train(jobs.prepare("photos", "elr", out="whole", device="cpu", settings=settings))

    def stop(name: str | None, record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(jobs.prepare("photos", "elr", out="part", device="cpu", settings=settings), stop)
    train(jobs.resumed("part"))
    whole, part = (th.load(path).model.state_dict() for path in ("whole", "part"))
    assert all(torch.equal(value, part[name]) for name, value in whole.items())
    assert Path("whole/issues.csv").read_bytes() == Path("part/issues.csv").read_bytes()


def test_a_folder_that_changed_is_named(photos: dict[str, str], thresher: Call) -> None:
    assert thresher("train", "photos", "--out", "run", *QUICK).code == 0
    victim = next(iter(sorted(photos)))
    Path("photos/train", victim).unlink()
    said = thresher("train", "--resume", "run", "--epochs", 7)
    assert said.code == 2
    assert f"run was trained on other data: {victim} is gone" in said.err
    paint("dark", np.random.default_rng(5), (30, 30)).save(Path("photos/train", victim))
    said = thresher("train", "--resume", "run", "--epochs", 7)
    assert f"run was trained on other data: {victim} has changed" in said.err


def test_a_frozen_network_learns_on_its_features(photos: dict[str, str], thresher: Call, workplace: Path) -> None:
    torch.manual_seed(0)
    donor = nets.build("torchvision:resnet18", (3, 32, 32), 1000)
    torch.save({k.removeprefix("body.model."): v for k, v in donor.state_dict().items() if "head" not in k}, "w.pth")
    words = ("--net", "torchvision:resnet18", "--weights", "w.pth", "--size", 32, "--bs", 16, "--epochs", 8, "--quiet")
    said = thresher("train", "photos", "--frozen", "--method", "elr", "--out", "run", *words)
    assert said.code == 0, said.err
    result = th.load("run")
    assert result.last is not None
    assert result.last > 0.6
    test = sources.load("photos").test
    assert test is not None
    Path("w.pth").unlink()  # the run keeps what it needs
    assert thresher("predict", "run", "photos/test", "--out", "p.csv").code == 0
    predicted = pd.read_csv("p.csv")
    right = [key.startswith(name) for key, name in zip(predicted["key"], predicted["predicted"], strict=True)]
    assert np.mean(right) == pytest.approx(result.selected)
    program = torch.export.load(result.export("m.pt2")).module()
    x = torch.randint(0, 255, (5, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.allclose(program(x), result.model(x), atol=1e-6)


def test_frozen_needs_weights_that_fit(photos: dict[str, str], thresher: Call) -> None:
    said = thresher("train", "photos", "--frozen", "--net", "torchvision:resnet18", "--size", 32)
    assert (said.code, "give it trained weights with --weights FILE" in said.err) == (2, True)
    torch.save(nets.build("torchvision:resnet34", (3, 32, 32), 10).state_dict(), "w.pth")
    said = thresher("train", "photos", "--net", "torchvision:resnet18", "--weights", "w.pth", "--size", 32)
    assert said.code == 2
    assert "w.pth does not fit net torchvision:resnet18" in said.err
    assert not Path("runs").exists()


def test_bad_images_are_named_or_left_out(photos: dict[str, str], thresher: Call) -> None:
    victim = Path("photos/train", sorted(photos)[0])
    victim.write_bytes(victim.read_bytes()[:200])
    said = thresher("train", "photos", *QUICK)
    assert said.code == 1
    assert victim.name in said.err
    assert "--skip-bad" in said.err
    said = thresher("train", "photos", "--skip-bad", "--out", "run", *QUICK)
    assert said.code == 0
    assert victim.name in said.err
    assert len(pd.read_csv("run/issues.csv")) == len(photos) - 1


@pytest.mark.parametrize("word", ["label", "group", "text", "id", "path"])
def test_columns_mean_nothing_to_a_folder(word: str, photos: dict[str, str], thresher: Call) -> None:
    said = thresher("train", "photos", f"--{word}", "x", "--dry-run")
    assert (said.code, f"has no columns, so {word} means nothing: leave it out" in said.err) == (2, True)
    said = thresher("train", "digits", "--size", 16, "--dry-run")
    assert (said.code, "digits has no files of images, so size means nothing" in said.err) == (2, True)


def test_other_folders_beside_train_are_refused(photos: dict[str, str], thresher: Call) -> None:
    Path("photos/extra/bright").mkdir(parents=True)
    said = thresher("train", "photos", "--dry-run")
    assert said.code == 2
    assert "holds train/ with folders in it, and 'extra' beside it" in said.err
    Path("photos/extra").rename("photos/valid")
    assert thresher("train", "photos", "--dry-run", "--bs", 16).code == 0


def test_a_changed_test_set_is_named(photos: dict[str, str], thresher: Call) -> None:
    assert thresher("train", "photos", "--out", "run", *QUICK).code == 0
    next(Path("photos/test/dark").iterdir()).unlink()
    said = thresher("train", "--resume", "run", "--epochs", 7)
    assert said.code == 2
    assert "the test set of run has changed, it has 44 rows and had 45" in said.err


def test_every_row_trusted_is_refused(photos: dict[str, str], thresher: Call) -> None:
    Path("all.csv").write_text("key,label\n" + "".join(f"{k},{v}\n" for k, v in photos.items()), encoding="utf-8")
    said = thresher("train", "photos", "--trusted", "all.csv", *QUICK)
    assert (said.code, "every row is trusted, so that none is left to learn from" in said.err) == (2, True)


def test_several_runs_stand_side_by_side(photos: dict[str, str], thresher: Call) -> None:
    for method in ("gce", "elr"):
        assert thresher("train", "photos", "--method", method, "--out", method, *QUICK).code == 0
    said = thresher("report", "gce", "elr", "--out", "both.html")
    assert (said.code, said.out) == (0, "both.html\n")
    page = Path("both.html").read_text(encoding="utf-8")
    assert all(method in page for method in ("gce", "elr"))
    assert thresher("report", "gce", "elr", "--out", "both.html").code == 2
    assert thresher("report", "gce").out == "gce/report.html\n"
