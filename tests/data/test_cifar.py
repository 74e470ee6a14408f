"""CIFAR-10, CIFAR-100 and CIFAR-N: where the files may lie, and what may be wrong with them."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thresher.data.cifar import NAMES, load_cifar
from thresher.data.samples import Data
from thresher.errors import ThresherError, UsageError

ROWS = 4  # of each batch of CIFAR-10
PIXELS = (np.arange(100 * 3072) % 251).astype(np.uint8).reshape(100, 3072)
FINE = np.arange(100)[::-1].tolist()
COARSE = [label % 20 for label in FINE]


def put(path: Path, content: object, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))


def write_10(folder: Path) -> None:
    """Five batches of four rows: labels 0 to 9, and 0 to 9 again."""
    put(folder / "batches.meta", {"num_cases_per_batch": ROWS, "label_names": [f"c{k}" for k in range(10)]})
    for number in range(5):
        rows = range(number * ROWS, (number + 1) * ROWS)
        put(folder / f"data_batch_{number + 1}", {"data": PIXELS[rows], "labels": [row % 10 for row in rows]})
    put(folder / "test_batch", {"batch_label": "testing", "data": PIXELS[:3], "labels": [3, 8, 8]})


def write_100(folder: Path) -> None:
    names = [f"f{k:02}" for k in range(100)]
    put(folder / "meta", {"fine_label_names": names, "coarse_label_names": [f"s{k}" for k in range(20)]})
    put(folder / "train", {"data": PIXELS, "fine_labels": FINE, "coarse_labels": COARSE})
    put(folder / "test", {"data": PIXELS[:2], "fine_labels": FINE[:2], "coarse_labels": COARSE[:2]})


def human(path: Path, clean: list[int], **kinds: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"clean_label": np.array(clean), **{key: np.array(labels) for key, labels in kinds.items()}}, path)


CLEAN = [row % 10 for row in range(20)]


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "."])
def test_cifar_10(tmp_path: Path, place: str) -> None:
    write_10(tmp_path / place)
    data = load_cifar("cifar10", tmp_path)
    assert data.test is not None
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((20, 3, 32, 32), (3, 3, 32, 32))
    assert isinstance(data.train.inputs, torch.Tensor)
    assert data.train.inputs.dtype == torch.uint8
    assert np.array_equal(np.asarray(data.train.inputs).reshape(20, 3072), PIXELS[:20])
    assert data.train.labels.tolist() == CLEAN
    assert data.test.labels.tolist() == [3, 8, 8]
    assert data.train.keys[-1] == "19"
    assert data.train.clean is None
    assert (data.name, data.classes[9], data.augment) == ("cifar10", "c9", ("crop", "flip"))
    assert data.confusions == {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}
    assert data.superclasses is None


@pytest.mark.parametrize("place", ["cifar-100-python", "."])
def test_cifar_100(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_100(tmp_path / place)
    monkeypatch.setenv("THRESHER_DATA", str(tmp_path))
    data = load_cifar("cifar100", name="mine")
    assert data.train.labels.tolist() == FINE
    assert (data.name, data.classes[99], data.confusions) == ("mine", "f99", {})
    assert data.superclasses is not None
    assert data.superclasses.tolist() == [k % 20 for k in range(100)]


@pytest.mark.parametrize("place", ["CIFAR-N", ".", "data"])
def test_labels_by_people_are_given_and_the_official_ones_clean(tmp_path: Path, place: str) -> None:
    write_10(tmp_path / "cifar-10-batches-py")
    worse = [0] * 20
    human(tmp_path / place / "CIFAR-10_human.pt", CLEAN, worse_label=worse, random_label2=CLEAN[::-1])
    data = load_cifar("cifar10n:worse", tmp_path)
    assert data.name == "cifar10n:worse"
    assert data.train.labels.tolist() == worse
    assert data.train.clean is not None
    assert data.train.clean.tolist() == CLEAN
    assert data.test is not None
    assert data.test.labels.tolist() == [3, 8, 8]
    assert load_cifar("cifar10n:random2", tmp_path).train.labels.tolist() == CLEAN[::-1]
    with pytest.raises(ThresherError, match=r"CIFAR-10_human\.pt has no entry aggre_label: fetch the official file"):
        load_cifar("cifar10n:aggre", tmp_path)


def test_cifar_100n(tmp_path: Path) -> None:
    write_100(tmp_path)
    human(tmp_path / "CIFAR-100_human.pt", FINE, noisy_label=[5] * 100, noisy_coarse_label=COARSE)
    data = load_cifar("cifar100n", tmp_path)
    assert data.train.labels.tolist() == [5] * 100
    assert data.train.clean is not None
    assert data.train.clean.tolist() == FINE
    assert data.superclasses is not None


def test_another_order_is_refused(tmp_path: Path) -> None:
    write_10(tmp_path)
    human(tmp_path / "CIFAR-10_human.pt", [1, 0, *CLEAN[2:]], worse_label=CLEAN)
    with pytest.raises(ThresherError, match=r"human\.pt is in another order .* in 2 of 20 rows: fetch the official"):
        load_cifar("cifar10n:worse", tmp_path)
    human(tmp_path / "CIFAR-10_human.pt", CLEAN, worse_label=CLEAN[1:])
    with pytest.raises(ThresherError, match="one whole number of worse_label for each of 20 images"):
        load_cifar("cifar10n:worse", tmp_path)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("cifar10n", "^there is no set 'cifar10n': choose one of cifar10n:aggre, .*random1, .*2, .*3, cifar10n:worse$"),
        ("cifar10n:worst", "no set 'cifar10n:worst': choose one of cifar10n:aggre"),
        ("cifar100n:worse", "^there is no set 'cifar100n:worse': choose cifar100n$"),
        ("cifar10:aggre", "^there is no set 'cifar10:aggre': choose cifar10$"),
        ("cifar11", "^there is no set 'cifar11': choose one of cifar10, cifar100, cifar10n:aggre"),
    ],
)
def test_other_names_are_refused(source: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_cifar(source, tmp_path)


def test_missing_files_say_what_is_expected_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THRESHER_DATA", raising=False)
    with pytest.raises(UsageError, match=r"^cifar10 needs .* holds cifar-10-batches-py/ with --data-root or THRESHER"):
        load_cifar("cifar10")
    with pytest.raises(
        UsageError, match=r"^cifar100: there is no folder .*absent: check --data-root or THRESHER_DATA$"
    ):
        load_cifar("cifar100", tmp_path / "absent")
    write_10(tmp_path / "cifar-10-batches-py")
    with pytest.raises(
        UsageError,
        match=r"^cifar10n:worse: there is no file CIFAR-N/CIFAR-10_human\.pt \(or CIFAR-10_human\.pt or "
        r"data/CIFAR-10_human\.pt\) in .*: put the official files into CIFAR-N/ below the folder",
    ):
        load_cifar("cifar10n:worse", tmp_path)
    (tmp_path / "cifar-10-batches-py/data_batch_4").unlink()
    with pytest.raises(UsageError, match=r"^cifar10: there is no file data_batch_4 in .*batches-py: put the official"):
        load_cifar("cifar10", tmp_path)


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_code_in_official_files_is_refused_and_does_not_run(tmp_path: Path) -> None:
    write_10(tmp_path)
    human(tmp_path / "CIFAR-10_human.pt", CLEAN, worse_label=CLEAN)
    mark = tmp_path / "ran"
    torch.save({"clean_label": Harmful(mark)}, tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(ThresherError, match=r"human\.pt names .*, which could run code, so it was not read: fetch"):
        load_cifar("cifar10n:worse", tmp_path)
    put(tmp_path / "data_batch_2", {"data": PIXELS[:4], "labels": Harmful(mark)})
    with pytest.raises(ThresherError, match=r"data_batch_2 names .*, which could run code, so it was not read: fetch"):
        load_cifar("cifar10", tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("meta", {"fine_label_names": ["a"]}, "does not list the names of 100 classes"),
        ("meta", {"fine_label_names": list(range(100))}, "does not list the names of 100 classes"),
        ("meta", {"fine_label_names": None}, "has no entry fine_label_names"),
        ("train", {"data": None}, "has no entry data"),
        ("train", {"data": PIXELS.tolist()[:1]}, "does not hold images of 3 x 32 x 32 bytes"),
        ("train", {"data": PIXELS[:, :99]}, "does not hold images of 3 x 32 x 32 bytes"),
        ("train", {"data": PIXELS[0]}, "does not hold images of 3 x 32 x 32 bytes"),
        ("train", {"data": PIXELS.astype(np.int64)}, "does not hold images of 3 x 32 x 32 bytes"),
        ("train", {"fine_labels": FINE[:-1]}, "does not hold one whole number of fine_labels for each of 100 images"),
        ("train", {"fine_labels": [0.5] * 100}, "does not hold one whole number of fine_labels"),
        ("train", {"fine_labels": [[1], 2] * 50}, "does not hold one whole number of fine_labels"),
        ("train", {"fine_labels": "x" * 100}, "does not hold one whole number of fine_labels"),
        ("train", {"fine_labels": [100, *FINE[1:]]}, "holds 100 in fine_labels, and the classes are 0 to 99"),
        ("train", {"coarse_labels": [-1, *COARSE[1:]]}, "holds -1 in coarse_labels, and the classes are 0 to 19"),
        ("train", {"fine_labels": [0] * 100}, "does not give every class exactly one superclass"),
        (
            "train",
            {"data": PIXELS[:0], "fine_labels": [], "coarse_labels": []},
            "does not hold one .* for each of 0 images",
        ),
        ("test", {"coarse_labels": None}, "has no entry coarse_labels"),
    ],
)
def test_altered_files_are_refused(file: str, changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    write_100(tmp_path)
    content = pickle.loads((tmp_path / file).read_bytes()) | changes
    put(tmp_path / file, {key: value for key, value in content.items() if value is not None}, protocol=4)
    with pytest.raises(ThresherError, match=f"{file} {sentence}.*: fetch the official file again"):
        load_cifar("cifar100", tmp_path)


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta", "CIFAR-10_human.pt"])
@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_files_that_are_cut_off_are_refused(tmp_path: Path, file: str, share: float) -> None:
    write_10(tmp_path)
    human(tmp_path / "CIFAR-10_human.pt", CLEAN, worse_label=CLEAN)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ThresherError, match=f"{file} cannot be read, it is damaged or something else"):
        load_cifar("cifar10n:worse", tmp_path)


def official(name: str) -> Data:
    root = os.environ.get("THRESHER_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("THRESHER_DATA names no folder of official files")
    return load_cifar(name)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "first", "mean"),
    [
        ("cifar10", "frog truck truck deer automobile", 0.4734),
        ("cifar100", "cattle dinosaur apple boy aquarium_fish", 0.4782),
    ],
)
def test_the_official_files(name: str, first: str, mean: float) -> None:
    data = official(name)
    assert data.test is not None
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert " ".join(data.classes[label] for label in data.train.labels[:5].tolist()) == first
    assert float(np.asarray(data.train.inputs).mean()) / 255 == pytest.approx(mean, abs=1e-3)
    assert data.train.labels.bincount().tolist() == [50_000 // len(data.classes)] * len(data.classes)
    if data.superclasses is not None:
        assert np.bincount(data.superclasses).tolist() == [5] * 20
        trees = [data.classes[k] for k in np.flatnonzero(data.superclasses == 17)]
        assert trees == ["maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "rate"), list(zip(NAMES[2:], (0.0901, 0.1723, 0.1812, 0.1764, 0.4021, 0.4020), strict=True))
)
def test_the_noise_rates_of_cifar_n(name: str, rate: float) -> None:
    """As Wei et al., ICLR 2022, table 1, have them."""
    data = official(name)
    assert data.train.clean is not None
    assert (data.train.labels != data.train.clean).double().mean().item() == pytest.approx(rate, abs=5e-5)
