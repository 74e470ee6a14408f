"""How a source is to be read: what the user says about it, and what must be remembered to read more of the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Reading:
    """What a user says about a source, for it does not say so itself.

    Attributes:
        label: the column of labels in a table.
        path: the column of image paths, relative to the table's file.
        text: the column of texts.
        text_model: a model of sentence-transformers that turns them into features, a folder or a name on the Hugging
            Face hub; default TF-IDF and SVD.
        id: the column of keys; default the row number.
        group: the column of groups; rows of one group never straddle a split or a fold.
        test: a separate test set, anything that can be loaded.
        labels: a CSV file of key and label that replaces labels.
        annotator: the column of names in that file, where it has a row for every label that somebody gave.
        annotators: the columns of labels in that file, one per annotator: ``a,b,c``, ``a*`` or ``a1..a5``.
        size: image side in pixels; default from the median size, at most 128.
        skip_bad: leave unreadable images out, and list them, instead of refusing the source.
    """

    label: str = "label"
    path: str | None = None
    text: str | None = None
    text_model: str | None = None
    id: str | None = None
    group: str | None = None
    test: str | None = None
    labels: str | None = None
    annotator: str | None = None
    annotators: str | None = None
    size: int | None = None
    skip_bad: bool = False


class Lazy(Protocol):
    """Inputs that stay where they are (files, a torch data set) until a batch is wanted.

    Attributes:
        shape: ``(N, C, H, W)``, as the tensor of all inputs would have it.
    """

    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """The number of dimensions, 4."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, rows: Tensor) -> "Lazy":
        """The inputs of some rows (int64 ``[n]``), as lazy as these."""
        ...

    def read(self, rows: Tensor) -> Tensor:
        """The inputs of some rows (int64 ``[n]``) as uint8 ``[n, C, H, W]``; safe to call from several threads."""
        ...

    def marks(self) -> list[str]:
        """A short text per row that changes when its content does, without reading all of it."""
        ...


class Reader(Protocol):
    """Turns new inputs into what a network was trained on: the same columns, the same size, the same words."""

    def read(self, source: object, reading: Reading) -> tuple[Tensor | Lazy, np.ndarray]:
        """Read inputs without labels.

        Args:
            source: what the user has: a path, arrays, a data frame, a list of texts.
            reading: how, where a table needs it; a column of labels may be there, and is left alone.

        Returns:
            Inputs, as the training data has them, and one key per row (object array ``[n]``).

        Raises:
            UsageError: what cannot be read, or does not fit what the network was trained on.
        """
        ...

    def facts(self) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """What to store to read again: plain values with a ``kind``, for JSON, and arrays."""
        ...
