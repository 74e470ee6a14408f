"""Torch data sets: what they may yield, and what is refused in a sentence."""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from thresher.data.dataset import load_dataset
from thresher.data.images import ImageReader
from thresher.data.items import Items
from thresher.data.pixels import decode
from thresher.data.reading import Reading
from thresher.data.resident import image_moments
from thresher.data.streamed import Streamed
from thresher.errors import ThresherError, UsageError


class Made(Dataset):
    """Yields what a function makes of the index."""

    def __init__(self, make: Callable[[int], Any], count: int = 10) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


def pixels(index: int, *shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(index))


def picture(index: int, side: int = 30, mode: str = "RGB") -> Image.Image:
    return Image.fromarray(pixels(index, side, side + 6, 3).numpy()).convert(mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photographs of two classes."""
    for k in range(10):
        path = tmp_path / ("dog", "cat")[k % 2] / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        picture(k, 28 + k).save(path)
    return tmp_path


def test_imagefolder_with_a_plain_transform(folder: Path) -> None:
    plain = v2.Compose([v2.Resize(24), v2.CenterCrop(24), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    dataset = ImageFolder(folder, plain)
    data = load_dataset(dataset)
    assert (data.name, data.classes, data.augment) == ("ImageFolder", ("cat", "dog"), ("crop", "flip"))
    assert data.train.labels.tolist() == [0] * 5 + [1] * 5
    assert data.train.keys.tolist() == [str(k) for k in range(10)]
    expected = torch.stack([(image * 255).round().to(torch.uint8) for image, _ in dataset])
    assert torch.equal(data.train.inputs, expected)  # type: ignore[arg-type]
    assert isinstance(data.reader, ImageReader)
    assert (data.reader.size, data.reader.channels) == (24, 3)


def test_pillow_images_are_resized_like_files(folder: Path) -> None:
    dataset = ImageFolder(folder)
    data = load_dataset(dataset, Reading(size=20), "photos")
    expected = torch.stack([torch.from_numpy(decode(path, 20, 3)) for path, _ in dataset.samples])
    assert data.name == "photos"
    assert torch.equal(data.train.inputs, expected)  # type: ignore[arg-type]
    assert tuple(load_dataset(dataset).train.inputs.shape) == (10, 3, 32, 32)
    grey = load_dataset(Made(lambda k: (picture(k, mode="L"), k % 2)))
    assert tuple(grey.train.inputs.shape) == (10, 1, 30, 30)
    large = load_dataset(Made(lambda k: (picture(k, 200), k % 2)))
    assert large.train.inputs.shape[2:] == (128, 128)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda k: pixels(k, 3, 9, 8), (3, 9, 8)),
        (lambda k: pixels(k, 9, 8), (1, 9, 8)),
        (lambda k: pixels(k, 1, 9, 8).numpy(), (1, 9, 8)),
        (lambda k: pixels(k, 9, 8).int(), (1, 9, 8)),
        (lambda k: pixels(k, 3, 9, 8).float() / 255, (3, 9, 8)),
        (lambda k: (pixels(k, 3, 9, 8).double() / 255).numpy(), (3, 9, 8)),
        (lambda k: pixels(k, 5).float() - 100, (5,)),
        (lambda k: pixels(k, 5).numpy(), (5,)),
    ],
)
def test_images_and_features_keep_their_values(make: Callable[[int], Any], shape: tuple[int, ...]) -> None:
    data = load_dataset(Made(lambda k: (make(k), k % 2)))
    given = torch.as_tensor(make(3)).double()
    given = given * 255 if given.max() <= 1 else given
    assert tuple(data.train.inputs.shape) == (10, *shape)
    assert isinstance(data.train.inputs, Tensor)
    assert torch.allclose(data.train.inputs[3].double(), given.reshape(shape))
    assert data.train.inputs.dtype == (torch.uint8 if len(shape) == 3 else torch.float32)


@pytest.mark.parametrize("label", [int, str, torch.tensor, np.int32, float, bool, lambda k: torch.tensor([k])])
def test_labels_of_every_kind(label: Callable[[int], Any]) -> None:
    data = load_dataset(Made(lambda k: (pixels(k, 4), label(k % 2))))
    assert data.train.labels.tolist() == [0, 1] * 5


def named(classes: Any, label: Callable[[int], Any] = lambda k: k % 2) -> Made:
    made = Made(lambda k: (pixels(k, 4), label(k)))
    made.classes = classes  # type: ignore[attr-defined]
    return made


def test_names_of_classes_are_used_and_sorted() -> None:
    data = load_dataset(named(["zebra", "ant"]))
    assert (data.classes, data.train.labels.tolist()) == (("ant", "zebra"), [1, 0] * 5)
    assert load_dataset(named(None)).classes == ("0", "1")
    assert load_dataset(named(["x", "y"], lambda k: "ab"[k % 2])).classes == ("a", "b")


def test_tensor_dataset_and_subset() -> None:
    every = TensorDataset(torch.rand(20, 6), torch.arange(20) % 3)
    data = load_dataset(Subset(every, list(range(5, 17))))
    assert torch.equal(data.train.inputs, every.tensors[0][5:17])  # type: ignore[arg-type]
    assert data.train.labels.tolist() == [k % 3 for k in range(5, 17)]
    assert data.reader is None


@pytest.mark.parametrize("safe", [True, False])
def test_large_sets_are_read_again_when_wanted(folder: Path, safe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = v2.Compose([v2.Resize((24, 24)), v2.ToImage()] + ([] if safe else [v2.Lambda(lambda image: image)]))
    kept = load_dataset(ImageFolder(folder, transform))
    monkeypatch.setattr("thresher.data.dataset.RESIDENT", 100)
    data = load_dataset(ImageFolder(folder, transform))
    inputs, images = data.train.inputs, kept.train.inputs
    assert isinstance(inputs, Items)
    assert isinstance(images, Tensor)
    assert (inputs.shape, inputs.ndim, len(inputs), data.augment) == (tuple(images.shape), 4, 10, kept.augment)
    assert inputs.moments is not None
    assert all(torch.equal(a, b) for a, b in zip(inputs.moments, image_moments(images), strict=True))
    some = inputs[torch.tensor([7, 2])]
    assert torch.equal(some.read(torch.tensor([1, 0])), images[torch.tensor([2, 7])])
    assert some.marks() == [inputs.marks()[7], inputs.marks()[2]]
    assert len(set(inputs.marks())) == 10
    shown = Streamed(inputs, device=torch.device("cpu"), workers=3).open(list(torch.arange(10).split(4)), ("plain",), 0)
    assert sum(len(batch["plain", 0]) for batch in shown) == 10


def test_unknown_data_sets_are_read_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.data.dataset.RESIDENT", 1)
    alone = threading.Lock()

    def make(index: int) -> tuple[Tensor, int]:
        assert alone.acquire(blocking=False)
        threading.Event().wait(0.0005)
        alone.release()
        return pixels(index, 1, 4, 4), index % 2

    data = load_dataset(Made(make, 60))
    source = Streamed(data.train.inputs, device=torch.device("cpu"), workers=4)  # type: ignore[arg-type]
    assert sum(len(batch["plain", 0]) for batch in source.open(list(torch.arange(60).split(20)), ("plain",), 0)) == 60


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(())


BAD: list[tuple[Any, str]] = [
    (Stream(), "Stream cannot be read by index: give a data set with __len__ and __getitem__"),
    (object(), "object cannot be read by index"),
    (Made(lambda k: (pixels(k, 4), 0), 0), "Made is empty"),
    (Made(lambda k: pixels(k, 4)), r"item 0 of Made is no pair of input and label: let it yield \(input, label\)"),
    (Made(lambda k: (pixels(k, 4), 0, 1)), "is no pair"),
    (Made(lambda k: (torch.rand(4), 0)), "item 0 of Made is another each time it is read: remove random transforms"),
    (
        Made(
            lambda k: (
                picture(k).transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else picture(k),
                k % 2,
            ),
            3,
        ),
        "is another each time",
    ),
    (
        Made(lambda k: (pixels(k, 3, 8, 8).float() / 50 - 2, k % 2)),
        "has floats from .* and images need 0 to 1: remove Normalize from its transforms",
    ),
    (
        Made(lambda k: (pixels(k, 3, 8, 8 + k // 9), k % 2)),
        r"item 9 of Made has the shape \[3, 8, 9\], and item 0 \[3, 8, 8\]: make all of them equal",
    ),
    (Made(lambda k: (pixels(k, 8, 8, 3), k % 2)), r"shape \[8, 8, 3\], channels last: yield \[C, H, W\]"),
    (Made(lambda k: (pixels(k, 1, 1, 8, 8), k % 2)), r"has the shape \[1, 1, 8, 8\]: images are"),
    (Made(lambda k: (7, k % 2)), r"has the shape \[\]"),
    (Made(lambda k: ({"x": 1}, k % 2)), "item 0 of Made"),
    (Made(lambda k: ("a text", k % 2)), "item 0 of Made"),
    (Made(lambda k: (torch.full((3, 4, 4), torch.nan), k % 2)), "item 0 of Made has 48 values that are NaN"),
    (Made(lambda k: (torch.full((3, 4, 4), 256), k % 2)), "item 0 of Made has pixels from 256 to 256"),
    (
        Made(lambda k: (picture(k) if k else pixels(k, 3, 8, 8), k % 2)),
        "item 1 of Made is of the type Image, unlike item 0",
    ),
    (Made(lambda k: (pixels(k, 4), 0)), "every label in the labels of Made is '0'"),
    (Made(lambda k: (pixels(k, 4), torch.eye(2)[k % 2])), "the labels of Made"),
    (named(["a"]), "item 1 of Made has the label 1, and its classes are 1 names, 0 to 0"),
    (named(["a", "b"], lambda k: -(k % 2)), "has the label -1"),
    (named(["a", "a"]), "two are equal"),
]


@pytest.mark.parametrize("case", range(len(BAD)))
def test_what_cannot_be_used_is_refused(case: int) -> None:
    dataset, sentence = BAD[case]
    random.seed(0)
    with pytest.raises(UsageError, match=sentence) as raised:
        load_dataset(dataset)
    assert "\n" not in str(raised.value)


def test_sizes_of_tensors_are_theirs() -> None:
    made = Made(lambda k: (pixels(k, 3, 8, 8), k % 2))
    with pytest.raises(UsageError, match=r"size is 16, and Made yields inputs of \[3, 8, 8\]: resize them"):
        load_dataset(made, Reading(size=16))
    assert load_dataset(made, Reading(size=8)).train.inputs.shape[2] == 8


def test_random_flips_by_torchvision_are_found(folder: Path) -> None:
    torch.manual_seed(0)
    dataset = ImageFolder(folder, v2.Compose([v2.Resize((24, 24)), v2.RandomHorizontalFlip(), v2.ToImage()]))
    with pytest.raises(UsageError, match="remove random transforms"):
        load_dataset(dataset)


def test_failures_name_the_item(folder: Path) -> None:
    def make(index: int) -> tuple[Tensor, int]:
        if index == 7:
            raise KeyError("lost")
        return pixels(index, 4), index % 2

    with pytest.raises(ThresherError, match=r"item 7 of Made cannot be read \(KeyError: 'lost'\): mend the data set"):
        load_dataset(Made(make))
    broken = folder / "cat" / "3.png"
    broken.write_bytes(broken.read_bytes()[:-300])
    with pytest.raises(ThresherError, match=r"item 1 of ImageFolder cannot be read \(OSError: "):
        load_dataset(ImageFolder(folder))
