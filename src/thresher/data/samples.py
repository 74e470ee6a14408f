"""What a data set is to the rest of Thresher: rows of inputs with given labels, and what is known about them."""

import hashlib
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from thresher.data.reading import Lazy, Reader


@dataclass(frozen=True)
class Samples:
    """The rows of one set.

    Attributes:
        inputs: images as uint8 ``[N, C, H, W]``, features as float32 ``[N, D]``, or images that stay in their files.
        labels: the given labels, int64 ``[N]``, values 0..K-1.
        keys: one unique string per row (a path or an id), object array ``[N]``.
        clean: the true labels where they are known, int64 ``[N]``; used for figures only, never for training.
        groups: rows of one group never straddle a split, object array ``[N]``, or None.
    """

    inputs: Tensor | Lazy
    labels: Tensor
    keys: np.ndarray
    clean: Tensor | None = None
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def dense(self, rows: Tensor | None = None) -> Tensor:
        """Inputs of some rows (int64 ``[n]``; default all) as one tensor, read from their files if they lie there."""
        rows = torch.arange(len(self)) if rows is None else rows
        return self.inputs[rows] if isinstance(self.inputs, Tensor) else self.inputs.read(rows)

    def take(self, rows: np.ndarray) -> "Samples":
        """The given rows (integer array), in that order."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        return Samples(
            inputs=self.inputs[index],
            labels=self.labels[index],
            keys=self.keys[rows],
            clean=None if self.clean is None else self.clean[index],
            groups=None if self.groups is None else self.groups[rows],
        )


@dataclass(frozen=True)
class Data:
    """A data set: training rows, an optional clean test set, and the names of its classes.

    Attributes:
        name: what the user typed, or a short name for arrays; used in run names.
        train: every row that has a given label; the validation split is taken from these later.
        test: rows with correct labels, for figures, or None.
        classes: class names; label ``k`` means ``classes[k]``.
        confusions: the class map of asymmetric noise where the field has one, for example ``{7: 1}``.
        augment: the parts of the weak view, of ``("crop", "flip")``; empty where a weak view would do harm.
        superclasses: the superclass of each class where the field has one, integer ``[K]``, or None.
        reader: reads new inputs in the same way, to predict for them.
        table: what a person sees of each training row of a table or of texts, ``N`` rows, or None.
        shown: the column of `table` that holds the texts, where that is all there is to see.
    """

    name: str
    train: Samples
    test: Samples | None
    classes: tuple[str, ...]
    confusions: dict[int, int] = field(default_factory=dict)
    augment: tuple[str, ...] = ()
    superclasses: np.ndarray | None = None
    reader: Reader | None = None
    table: pd.DataFrame | None = None
    shown: str | None = None

    @property
    def is_image(self) -> bool:
        """Whether the inputs are images (uint8, four dimensions) rather than features."""
        return self.train.inputs.ndim == 4

    def with_labels(self, labels: Tensor, clean: Tensor | None = None) -> "Data":
        """The same data with other given labels (int64 ``[N]``), for instance after noise was put in."""
        return replace(self, train=replace(self.train, labels=labels, clean=clean))

    def keep(self, rows: np.ndarray) -> "Data":
        """The same data with these training rows alone (integer array), in that order."""
        if len(rows) == len(self.train) and np.array_equal(rows, np.arange(len(rows))):
            return self
        table = None if self.table is None else self.table.iloc[rows].reset_index(drop=True)
        return replace(self, train=self.train.take(rows), table=table)

    @cached_property
    def fingerprint(self) -> str:
        """A SHA-256 over inputs, given labels, keys, test set and class names: equal data has an equal fingerprint."""
        digest = hashlib.sha256()
        tested = () if self.test is None else (self.test.inputs, self.test.labels)
        for part in (self.train.inputs, self.train.labels, *tested):
            digest.update(str(tuple(part.shape)).encode())
            digest.update(_content(part))
        digest.update("\0".join(self.train.keys).encode())
        digest.update("\0".join(self.classes).encode())
        return digest.hexdigest()

    def marks(self) -> pd.DataFrame:
        """One row per training row: key, given label, and a short text that changes when the input does."""
        inputs = self.train.inputs
        if isinstance(inputs, Tensor):
            marks = [f"{zlib.crc32(row.data):08x}" for row in inputs.contiguous().numpy()]
        else:
            marks = inputs.marks()
        given = np.asarray(self.classes, dtype=object)[self.train.labels.numpy()]
        return pd.DataFrame({"key": self.train.keys, "given": given, "mark": marks})


def _content(part: Tensor | Lazy) -> bytes | memoryview:
    """What stands for a tensor, or for inputs that stay in their files, in the fingerprint."""
    return part.contiguous().numpy().data if isinstance(part, Tensor) else "\0".join(part.marks()).encode()
