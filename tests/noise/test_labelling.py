"""Noise put into data: on top of people's labels, by what the inputs are, and that of a run that goes on."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import thresher as th
from thresher import data as sources
from thresher.data import Data, Reading
from thresher.errors import UsageError
from thresher.findings.posterior import out_of_sample
from thresher.labelling import labelled, put_in
from thresher.noise import Noise, instance, instance_normalised, longtail, pairflip, symmetric

Arrays = dict[str, np.ndarray]
TRAINS = "feature noise goes by class probabilities: 3 networks .mlp. are trained on the true labels first"


def clean(data: Data) -> np.ndarray:
    assert data.train.clean is not None
    known: np.ndarray = data.train.clean.numpy()
    return known


@pytest.fixture
def digits() -> Data:
    return sources.load("digits")


@pytest.fixture
def human(digits: Data) -> Data:
    """Digits whose labels are wrong as people made them, the true ones known."""
    given = torch.as_tensor(symmetric(digits.train.labels.numpy(), 0.2, 11))
    return replace(digits.with_labels(given, digits.train.labels), name="digits:worse")


@pytest.fixture
def points(arrays: Arrays) -> Data:
    return sources.load(arrays)


def test_noise_comes_on_top_of_labels_that_people_got_wrong(human: Data) -> None:
    found = labelled(human, noise=["pairflip:0.25"], seed=3)
    assert found.noise is not None
    assert np.array_equal(found.data.train.labels.numpy(), pairflip(human.train.labels.numpy(), 0.25, 3))
    assert np.array_equal(clean(found.data), clean(human))
    assert np.array_equal(found.noise.clean, clean(human))
    assert found.noise.generator == "digits:worse + pairflip:0.25:3"
    assert found.noise.nominal == pytest.approx(1 - 0.8 * 0.75, abs=1e-3)
    assert found.noise.realised == np.mean(found.noise.labels != found.noise.clean)


def test_imbalance_on_labels_that_people_got_wrong_goes_by_the_true_ones(human: Data) -> None:
    found = labelled(human, noise=["longtail:4", "symmetric:0.2"], seed=0)
    rows = longtail(clean(human), 4, 0)
    assert found.noise is not None
    assert found.noise.rows is not None
    assert np.array_equal(found.noise.rows, rows)
    assert np.array_equal(found.noise.labels, symmetric(human.train.labels.numpy()[rows], 0.2, 0, 10))
    assert np.array_equal(clean(found.data), clean(human)[rows])
    assert torch.equal(found.data.train.dense(), human.train.dense(torch.as_tensor(rows)))


def test_without_noise_people_s_labels_are_recorded_as_before(human: Data) -> None:
    found = labelled(human, seed=0).noise
    assert found is not None
    assert (found.generator, found.nominal) == ("digits:worse", found.realised)


@pytest.mark.parametrize(("name", "make"), [("instance", instance), ("instance_normalised", instance_normalised)])
def test_instance_noise_sees_the_pixels_as_they_are(digits: Data, name: str, make: Callable[..., np.ndarray]) -> None:
    found = put_in(digits, [f"{name}:0.4:5"], seed=0)
    labels, images = digits.train.labels.numpy(), digits.train.dense().numpy()
    assert images.dtype == np.uint8
    assert np.array_equal(found.labels, make(labels, images, 0.4, 5))


def test_instance_noise_sees_features_as_they_were_encoded(points: Data) -> None:
    found = put_in(points, ["instance:0.4"], seed=5)
    assert np.array_equal(found.labels, instance(points.train.labels.numpy(), points.train.dense().numpy(), 0.4, 5))


def test_instance_noise_reads_images_from_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.data.images.RESIDENT", 0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 20, 20)).astype(np.uint8)
    for k, image in enumerate(images):
        (tmp_path / f"{k % 2}").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"{k % 2}" / f"{k:02}.png")
    data = sources.load(tmp_path)
    assert not isinstance(data.train.inputs, torch.Tensor)
    labels = data.train.labels.numpy()
    for name, make in (("instance", instance), ("instance_normalised", instance_normalised)):
        found = put_in(data, [f"{name}:0.4"], seed=1)
        assert np.array_equal(found.labels, make(labels, data.train.dense().numpy(), 0.4, 1))
        assert (found.labels != labels).any()


def test_the_posterior_is_out_of_sample_and_a_function_of_the_seed(points: Data) -> None:
    with pytest.warns(UserWarning, match=TRAINS):
        one = out_of_sample(points, 0, "cpu")
    with pytest.warns(UserWarning, match=TRAINS):
        same = out_of_sample(points, 0, "cpu")
    assert one.shape == (120, 3)
    assert np.array_equal(one, same)
    np.testing.assert_allclose(one.sum(1), 1, atol=1e-5)
    assert np.mean(one.argmax(1) == points.train.labels.numpy()) > 0.9


def test_the_posterior_has_not_seen_the_label_of_its_row(points: Data) -> None:
    """Random labels cannot be predicted for rows that were not trained on."""
    draws = np.random.default_rng(0)
    noise = points.with_labels(torch.as_tensor(draws.integers(0, 3, 120)))
    with pytest.warns(UserWarning, match=TRAINS):
        found = out_of_sample(noise, 0, "cpu")
    assert np.mean(found.argmax(1) == noise.train.labels.numpy()) < 0.5


def test_the_posterior_is_that_of_true_labels_where_they_are_known(points: Data) -> None:
    wrong = points.with_labels((points.train.labels + 1) % 3, points.train.labels)
    with pytest.warns(UserWarning, match=TRAINS):
        found = out_of_sample(wrong, 0, "cpu")
    assert np.mean(found.argmax(1) == points.train.labels.numpy()) > 0.9


def test_feature_noise_makes_hard_rows_wrong(points: Data) -> None:
    with pytest.warns(UserWarning, match=TRAINS):
        found = labelled(points, noise=["feature:1:0.3"], seed=0, device="cpu").noise
    with pytest.warns(UserWarning, match=TRAINS):
        top = np.sort(out_of_sample(points, 0, "cpu"), axis=1)
    assert found is not None
    assert found.generator == "feature:1:0.3:0"
    assert found.realised == pytest.approx(0.3, abs=0.12)
    gap, wrong = top[:, -1] - top[:, -2], found.labels != found.clean
    assert gap[wrong].mean() < gap[~wrong].mean()


@pytest.mark.parametrize("device", ["cpu:2", "cpu:3"])
def test_several_processes_would_draw_other_labels_each(points: Data, device: str) -> None:
    with pytest.raises(UsageError, match="several processes would each get other labels from theirs: use one device"):
        labelled(points, noise=["feature:1:0.3"], seed=0, device=device)


def test_too_few_rows_to_train_on() -> None:
    data = sources.load((np.arange(4.0)[:, None], np.array([0, 1, 0, 1])))
    with pytest.raises(UsageError, match="feature noise trains 3 networks first, and there are only 4 rows: add some"):
        put_in(data, ["feature:1:0.3"], seed=0)


def test_stored_noise_is_used_for_the_same_request(points: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = labelled(points, noise=["longtail:3", "feature:2:0.3"], seed=4, device="cpu").noise
    assert drawn is not None
    monkeypatch.setattr("thresher.labelling.put_in", lambda *words, **named: pytest.fail("drawn again"))
    again = labelled(points, noise=["longtail:3", "feature:2:0.3"], seed=4, drawn=drawn)
    assert again.noise is drawn
    assert np.array_equal(again.data.train.labels.numpy(), drawn.labels)
    assert len(again.data.train) == len(drawn.labels) < 120


@pytest.mark.parametrize("change", ["request", "seed", "data", "rows", "version", "file"])
def test_stored_noise_of_something_else_is_drawn_again(points: Data, change: str, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"noise": ["symmetric:0.3"], "seed": 4}
    drawn = labelled(points, **asked).noise
    assert drawn is not None
    marked = replace(drawn, labels=np.where(np.arange(120) < 3, 0, drawn.labels))  # to be told from another draw
    assert labelled(points, **asked, drawn=marked).noise is marked
    if change == "request":
        asked["noise"] = ["symmetric:0.4"]
    elif change == "seed":
        asked["seed"] = 5
    elif change == "data":
        points = points.with_labels(points.train.labels.roll(1))
    elif change == "rows":
        points = points.keep(np.arange(100))
    elif change == "version":
        marked = replace(marked, version=0)
    else:
        rows = "\n".join(f"{key},{k % 3}" for k, key in enumerate(points.train.keys))
        (tmp_path / "labels.csv").write_text(f"key,label\n{rows}\n", encoding="utf-8")
        asked["reading"] = Reading(labels=str(tmp_path / "labels.csv"))
    found, fresh = labelled(points, **asked, drawn=marked), labelled(points, **asked)
    assert found.noise is not marked
    assert np.array_equal(found.data.train.labels.numpy(), fresh.data.train.labels.numpy())
    if change == "file":
        assert found.before is not None
        assert fresh.before is not None
        assert torch.equal(found.before, fresh.before)


def test_stored_rows_beyond_the_data_are_not_taken(points: Data) -> None:
    drawn = labelled(points, noise=["longtail:3"], seed=4).noise
    assert drawn is not None
    fewer = points.keep(np.arange(90))
    assert labelled(fewer, noise=["longtail:3"], seed=4, drawn=drawn).noise is not drawn


def test_fit_records_it_all(human: Data, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th.Result, "report", lambda self, data=None: None)
    result = th.fit(human, "cross_entropy", noise="instance:0.2", epochs=1, out="run", device="cpu")
    stored = Noise.load("run/noise.npz")
    assert stored.generator == "digits:worse + instance:0.2:0"
    assert np.array_equal(stored.clean, clean(human))
    assert stored.realised == pytest.approx(1 - 0.8 * (1 - 0.205), abs=0.03)
    assert result.noise is not None
    assert {one["name"] for one in result.detections}
