"""Features of several looks at each sample, computed once: the source of batches for a network that stays as it is."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from thresher.data.resident import Shown
from thresher.data.views import VIEWS, check_views, numbered
from thresher.randomness import mix, uniform


class Variants:
    """Features kept on the device; `plain` is the first look at a sample, a `weak` view is one of them by chance.

    Args:
        features: float32 ``[N, V, D]``, V looks at each sample.

    Example:
        >>> source = Variants(torch.tensor([[[1.0], [-1.0]]]))
        >>> [source.fetch(torch.tensor([0]), ("weak",), seed)["weak", 0].item() for seed in range(4)]
        [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, features: Tensor) -> None:
        self._features = features

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample as the network sees it, ``(D,)``."""
        return tuple(self._features.shape[2:])

    def open(self, batches: Sequence[Tensor], views: Sequence[str], seed: int) -> Iterator[Shown]:
        """Show batches, one after the other; see `thresher.data.resident.Shows.open`."""
        check_views(views)
        return (self._show(rows.to(self._features.device), numbered(views), seed) for rows in batches)

    def fetch(self, rows: Tensor, views: Sequence[str], seed: int) -> Shown:
        """Show one batch; see `open`."""
        return next(self.open([rows], views, seed))

    def _show(self, rows: Tensor, keys: list[tuple[str, int]], seed: int) -> Shown:
        looks = self._features.shape[1]
        shown = {}
        for name, k in keys:
            chance = uniform(mix(seed, VIEWS.index(name), k), rows, 0)
            look = (chance * looks).long() if name == "weak" else torch.zeros_like(rows)
            shown[name, k] = self._features[rows, look]
        return shown
