"""A torch data set that yields (input, label), read by index."""

import zlib
from typing import cast

import numpy as np
import torch
from torch import Tensor

from thresher.data.arrays import augment
from thresher.data.columns import encode, row_keys
from thresher.data.images import RESIDENT, ImageReader, Progress
from thresher.data.items import Items, Pairs, plain
from thresher.data.reading import Reading
from thresher.data.resident import histogram, histogram_moments
from thresher.data.samples import Data, Samples
from thresher.errors import UsageError


def load_dataset(
    dataset: object, reading: Reading | None = None, name: str | None = None, progress: Progress = lambda done, of: None
) -> Data:
    """Read a map-style torch data set of (input, label).

    Every item is read once, for its label. Up to half a GiB the inputs are then kept in memory, and read again when
    they are wanted otherwise: by one thread at a time, unless the data set is known to allow more.

    Args:
        dataset: its inputs are Pillow images (resized and cut), images ``[C, H, W]`` or ``[H, W]`` (uint8, or floats
            in 0..1, all of one size), or features ``[D]``. Without random transforms, and without Normalize. Where
            ``dataset.classes`` is a list of names and labels are numbers, these are places in it.
        reading: its `size` counts, for Pillow images.
        name: of the data set; default the name of its type.
        progress: called with the number of items read, and of all.

    Raises:
        UsageError: an item that cannot be used, or wrong labels.
        ThresherError: the data set fails.

    Example:
        >>> data = load_dataset([(torch.zeros(1, 4, 4), "no"), (torch.ones(1, 4, 4), "yes")])
        >>> data.train.inputs.shape, data.train.labels.tolist(), data.classes
        (torch.Size([2, 1, 4, 4]), [0, 1], ('no', 'yes'))
    """
    what = name or type(dataset).__name__
    pairs = Pairs(dataset, what, (reading or Reading()).size)
    inputs, given = _read_all(pairs, progress)
    codes, classes = encode(_named(given, getattr(dataset, "classes", None), what), f"the labels of {what}")
    square = len(pairs.shape) == 3 and pairs.shape[1] == pairs.shape[2] and pairs.shape[0] in (1, 3)
    return Data(
        name=what,
        train=Samples(inputs, torch.from_numpy(codes), row_keys(pairs.count)),
        test=None,
        classes=classes,
        augment=augment(inputs),
        reader=ImageReader(pairs.shape[1], pairs.shape[0]) if square else None,
    )


def _read_all(pairs: Pairs, progress: Progress) -> tuple[Tensor | Items, list[object]]:
    """Every item once: the inputs, kept in memory if they are few, and the labels."""
    shape = (pairs.count, *pairs.shape)
    images = len(shape) == 4
    stored = None if images and np.prod(shape) > RESIDENT else np.empty(shape, np.uint8 if images else np.float32)
    sums, labels = np.zeros(pairs.count, dtype=np.int64), []
    counts = torch.zeros(shape[1], 256, dtype=torch.int64) if stored is None else None
    for row, (kept, label) in enumerate(map(pairs.pair, range(pairs.count))):
        labels.append(plain(label))
        if stored is not None:
            stored[row] = kept
        elif counts is not None:
            sums[row] = zlib.crc32(kept.tobytes())
            counts += histogram(torch.from_numpy(kept)[None])
        progress(row + 1, pairs.count)
    if stored is not None:
        return torch.from_numpy(stored), labels
    return Items(pairs, np.arange(pairs.count), sums, histogram_moments(cast(Tensor, counts))), labels


def _named(labels: list[object], classes: object, what: str) -> list[object]:
    """The labels, as names where the data set knows those of its numbers."""
    whole = all(isinstance(label, int) and not isinstance(label, bool) for label in labels)
    if not whole or not isinstance(classes, list | tuple) or not classes:
        return labels
    names = [str(one) for one in classes]
    if len(set(names)) < len(names):
        raise UsageError(f"the classes of {what} are {len(names)} names, and two are equal: give each class its own")
    for row, label in enumerate(cast(list[int], labels)):
        if not 0 <= label < len(names):
            raise UsageError(
                f"item {row} of {what} has the label {label}, and its classes are {len(names)} names, 0 to "
                f"{len(names) - 1}: correct the label or the classes"
            )
    return [names[label] for label in cast(list[int], labels)]
