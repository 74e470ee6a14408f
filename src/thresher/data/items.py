"""The items of a torch data set, one by one: checked, and as Thresher keeps them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, Subset, TensorDataset

from thresher.data.arrays import read_inputs
from thresher.data.columns import to_numpy
from thresher.data.files import LARGEST_SIDE
from thresher.data.pixels import decode, is_grey
from thresher.errors import ThresherError, UsageError

_TWICE = 16  # items read twice: a transform that acts on every other item escapes once in 65,536 times
_SAMPLED = 100  # Pillow images whose size and mode decide those of all


class Pairs:
    """The items of a data set: one by one, checked, the input as Thresher keeps it.

    Args:
        dataset: yields (input, label) by index.
        what: its name in messages.
        size: side of Pillow images; None lets them decide.

    Raises:
        UsageError: it is no such data set, or random.
    """

    def __init__(self, dataset: Any, what: str, size: int | None) -> None:
        self.dataset, self.what = dataset, what
        self._alone: AbstractContextManager = nullcontext() if _known_safe(dataset) else threading.Lock()
        self.count = _length(dataset, what)
        first = self._get(0)[0]
        self.pictures = isinstance(first, Image.Image)
        self._check_steady()
        self.size, self.channels = self._seen(size) if self.pictures else (0, 0)
        self.shape = self._kept(first, 0).shape
        if size is not None and not self.pictures and self.shape[1:] != (size, size):
            raise UsageError(
                f"size is {size}, and {what} yields inputs of {list(self.shape)}: resize them in the data set"
            )

    def pair(self, index: int) -> tuple[np.ndarray, object]:
        """Image uint8 ``[C, H, W]`` or features float32 ``[D]``, and the label as it is given.

        Raises:
            ThresherError: the item cannot be read.
            UsageError: it is none that Thresher can use, or differs in shape from the first.
        """
        given, label = self._get(index)
        kept = self._kept(given, index)
        if kept.shape != self.shape:
            raise UsageError(
                f"item {index} of {self.what} has the shape {list(kept.shape)}, and item 0 {list(self.shape)}: make "
                "all of them equal, for instance by Resize((64, 64))"
            )
        return kept, label

    def _get(self, index: int) -> tuple[Any, object]:
        try:
            with self._alone:
                item = self.dataset[index]
            if isinstance(item, tuple | list) and item and isinstance(item[0], Image.Image):
                item[0].load()
        except Exception as error:  # someone else's code
            raise ThresherError(
                f"item {index} of {self.what} cannot be read ({type(error).__name__}: {error}): mend the data set"
            ) from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UsageError(f"item {index} of {self.what} is no pair of input and label: let it yield (input, label)")
        return item[0], item[1]

    def _check_steady(self) -> None:
        for index in _spread(self.count, _TWICE) * max(1, _TWICE // self.count):
            once, twice = (np.asarray(plain(self._get(index)[0])) for _ in range(2))
            if once.shape != twice.shape or once.tobytes() != twice.tobytes():
                raise UsageError(
                    f"item {index} of {self.what} is another each time it is read: remove random transforms, for "
                    "Thresher makes views of its own"
                )

    def _seen(self, size: int | None) -> tuple[int, int]:
        """Size and channels for Pillow images, from a sample of them."""
        given = [self._get(index)[0] for index in _spread(self.count, _SAMPLED)]
        seen = [one for one in given if isinstance(one, Image.Image)]
        middle = int(np.median([min(one.size) for one in seen]))
        return size or min(LARGEST_SIDE, middle), 1 if all(map(is_grey, seen)) else 3

    def _kept(self, given: Any, index: int) -> np.ndarray:
        what = f"item {index} of {self.what}"
        if isinstance(given, Image.Image) != self.pictures:
            raise UsageError(f"{what} is of the type {type(given).__name__}, unlike item 0: yield inputs of one kind")
        if self.pictures:
            return decode(given, self.size, self.channels)
        array = to_numpy(given, what)
        if array.ndim not in (1, 2, 3):
            raise UsageError(f"{what} has the shape {list(array.shape)}: images are [C, H, W] or [H, W], features [D]")
        if array.ndim > 1:
            _check_image(array, what)
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
        kept: np.ndarray = read_inputs(array[None], what)[0].numpy()
        return kept


@dataclass(eq=False)
class Items:
    """Images of a data set, read by index when they are wanted; fulfils `Lazy`. Not to be changed.

    Attributes:
        pairs: the data set.
        index: which of its items, int64 ``[N]``.
        sums: CRC-32 of each, as read first.
        moments: mean and standard deviation per channel, where they are known for just these items.
        shape: ``(N, C, H, W)``.
    """

    pairs: Pairs
    index: np.ndarray
    sums: np.ndarray
    moments: tuple[Tensor, Tensor] | None = None
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.shape = (len(self.index), *self.pairs.shape)

    @property
    def ndim(self) -> int:
        """4."""
        return 4

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Tensor) -> "Items":
        """Some of the items (int64 ``[n]``), in that order."""
        return Items(self.pairs, self.index[rows.numpy()], self.sums[rows.numpy()])

    def read(self, rows: Tensor) -> Tensor:
        """The images of some rows (int64 ``[n]``), uint8 ``[n, C, H, W]``, see `Pairs.pair`."""
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        for place, index in enumerate(self.index[rows.numpy()].tolist()):
            images[place] = self.pairs.pair(index)[0]
        return torch.from_numpy(images)

    def marks(self) -> list[str]:
        """The CRC-32 of each image, as it was read when the data set was loaded."""
        return [f"{value:08x}" for value in self.sums.tolist()]


def _length(dataset: Any, what: str) -> int:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise UsageError(f"{what} cannot be read by index: give a data set with __len__ and __getitem__")
    if len(dataset) == 0:
        raise UsageError(f"{what} is empty: training needs items of two classes or more")
    return len(dataset)


def _spread(count: int, wanted: int) -> list[int]:
    """Up to so many places, evenly over all."""
    return sorted(set(np.linspace(0, count - 1, wanted, dtype=np.int64).tolist()))


def plain(value: Any) -> Any:
    """A label or input without a tensor around it; a single value as Python has it."""
    if isinstance(value, Tensor):
        value = to_numpy(value, "an item")
    return value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value


def _check_image(array: np.ndarray, what: str) -> None:
    if array.ndim == 3 and array.shape[0] > 4 and array.shape[2] in (1, 3, 4):
        raise UsageError(f"{what} has the shape {list(array.shape)}, channels last: yield [C, H, W], as ToTensor does")
    if array.dtype.kind == "f" and array.size:
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            raise UsageError(
                f"{what} has floats from {low:.4g} to {high:.4g}, and images need 0 to 1: remove Normalize from its "
                "transforms, for Thresher normalises by itself"
            )


def _known_safe(dataset: object) -> bool:
    """Whether several threads may read the data set: its type and all of its parts are known not to mind."""
    if isinstance(dataset, Subset):
        return _known_safe(dataset.dataset)
    if type(dataset).__module__ != "torchvision.datasets.folder":
        return type(dataset) is TensorDataset
    own = cast(Any, dataset)
    known = all(_from_torchvision(part) for part in _transforms(own.transform))
    return known and own.target_transform is None and own.loader.__module__ == "torchvision.datasets.folder"


def _transforms(transform: Any) -> Iterator[object]:
    parts: Sequence[Any] | None = getattr(transform, "transforms", None)
    if parts is None:
        yield transform
    else:
        for part in parts:
            yield from _transforms(part)


def _from_torchvision(transform: object) -> bool:
    kind = type(transform)
    return transform is None or (kind.__module__.startswith("torchvision.transforms") and kind.__name__ != "Lambda")
