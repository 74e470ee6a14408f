"""Data that stays on the device: the source of batches for sets that fit into its memory."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import torch
from torch import Tensor

from thresher.data.views import chances, check_parts, check_views, numbered, weak
from thresher.errors import UsageError

Shown = dict[tuple[str, int], Tensor]
"""A batch's inputs by (view name, count)."""

_CHUNK = 65_536


def image_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel; the deviation of a constant one is 1.

    Args:
        images: uint8 ``[N, C, H, W]``.

    Returns:
        Two float64 ``[C]``, in units of 0..255. Exact: both come from a histogram of the 256 values.

    Example:
        >>> mean, std = image_moments(torch.tensor([[[[0, 10]]], [[[20, 10]]]], dtype=torch.uint8))
        >>> mean.item(), round(std.item(), 3)
        (10.0, 7.071)
    """
    return histogram_moments(histogram(images))


def histogram(images: Tensor) -> Tensor:
    """How often each channel has each value.

    Args:
        images: uint8 ``[N, C, H, W]``.

    Returns:
        int64 ``[C, 256]``; sums of them are those of larger sets.

    Example:
        >>> histogram(torch.tensor([[[[0, 2, 2]]]], dtype=torch.uint8))[0, :3].tolist()
        [1, 0, 2]
    """
    channels = range(images.shape[1])
    return torch.stack([torch.bincount(images[:, c].flatten(), minlength=256) for c in channels])


def histogram_moments(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel from its `histogram` (int64 ``[C, 256]``); see `image_moments`.

    Example:
        >>> counts = histogram(torch.tensor([[[[0, 10]]], [[[20, 10]]]], dtype=torch.uint8))
        >>> histogram_moments(counts)[0].tolist()
        [10.0]
    """
    counts = counts.double()
    share = counts / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64, device=counts.device)
    mean = share @ values
    std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
    return mean, torch.where((counts > 0).sum(1) > 1, std, 1.0)


def feature_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every feature; the deviation of a constant one is 1.

    Args:
        features: float32 ``[N, D]``.

    Returns:
        Two float64 ``[D]``.

    Example:
        >>> mean, std = feature_moments(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> mean.tolist(), std.tolist()
        ([2.0, 5.0], [1.0, 1.0])
    """
    parts = torch.split(features, _CHUNK)  # sums in float64, without a second copy of the data in it
    mean = torch.stack([part.sum(0, dtype=torch.float64) for part in parts]).sum(0) / len(features)
    squares = torch.stack([((part - mean) ** 2).sum(0) for part in parts]).sum(0)
    constant = features.amin(0) == features.amax(0)  # compared, because rounding leaves its variance just above 0
    return mean, torch.where(constant, 1.0, (squares / len(features)).sqrt())


def moments_of(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of images, or per feature; see `image_moments`, `feature_moments`."""
    return image_moments(inputs) if inputs.ndim == 4 else feature_moments(inputs)


class Shows(ABC):
    """Shows batches as normalised float32 views; where their inputs come from is for a subclass to say.

    Args:
        shape: of all inputs, ``(N, C, H, W)`` for images or ``(N, D)`` for features.
        augment: parts of the weak view, of ``("crop", "flip")``; without any, `weak` is `plain`.
        device: where the views are made.
        channels_last: give images in that memory format.

    Raises:
        UsageError: an unknown part in `augment`, or parts for features.
    """

    moments: tuple[Tensor, Tensor]

    def __init__(
        self, shape: tuple[int, ...], *, augment: tuple[str, ...], device: torch.device, channels_last: bool
    ) -> None:
        check_parts(augment)
        self._images = len(shape) == 4
        if augment and not self._images:
            raise UsageError(f"augmentation {', '.join(augment)} is for images, and these are features: leave it empty")
        self.augment, self.device = augment, device
        self._count, self._shape = shape[0], tuple(shape[1:])
        self._format = torch.channels_last if channels_last and self._images else torch.contiguous_format

    @abstractmethod
    def _read(self, batches: Sequence[Tensor], order: Tensor) -> Generator[Tensor, None, None]:
        """The inputs of each batch, on the device; `order` is all of their rows, on the device too."""

    def __len__(self) -> int:
        """The number of samples."""
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample as the network sees it: ``(C, H, W)`` or ``(D,)``."""
        return self._shape

    def open(self, batches: Sequence[Tensor], views: Sequence[str], seed: int) -> Iterator[Shown]:
        """Show batches, one after the other.

        Args:
            batches: row numbers of each batch, int64 ``[B]`` on the CPU.
            views: names of views; a name that comes twice gives two different views of it.
            seed: of the pass; a row's views depend on nothing else.

        Returns:
            An iterator over dicts from (view, count) to float32 ``[B, ...]`` on the device. Views without anything
            random share one tensor, so do not write into it.

        Raises:
            UsageError: an unknown view, at once.
        """
        check_views(views)
        return self._shows(batches, numbered(views), seed)

    def fetch(self, rows: Tensor, views: Sequence[str], seed: int) -> Shown:
        """Show one batch; see `open`."""
        return next(self.open([rows], views, seed))

    def _shows(self, batches: Sequence[Tensor], keys: list[tuple[str, int]], seed: int) -> Iterator[Shown]:
        if not batches:
            return
        # All rows go to the device, and all chances are drawn, once per pass: a batch then only takes its slice.
        order = torch.cat(list(batches)).to(self.device)
        sizes = [len(rows) for rows in batches]
        varied = [key for key in keys if key[0] == "weak" and self.augment]
        drawn = [torch.split(chances(seed, order, key, self.augment), sizes, 1) for key in varied]
        with closing(self._read(batches, order)) as feed:
            for number, inputs in enumerate(feed):
                own = {key: chance[number] for key, chance in zip(varied, drawn, strict=True)}
                yield self._show(inputs, keys, own)

    def _show(self, inputs: Tensor, keys: list[tuple[str, int]], own: dict[tuple[str, int], Tensor]) -> Shown:
        plain = self._ready(inputs) if len(own) < len(keys) else inputs
        return {key: self._ready(weak(inputs, own[key], self.augment)) if key in own else plain for key in keys}

    def _normalise_by(self, moments: tuple[Tensor, Tensor]) -> None:
        self.moments = moments
        if self._images:
            mean, std = moments
            self._scale = (1 / std).float()[:, None, None].to(self.device)
            self._shift = (-mean / std).float()[:, None, None].to(self.device)

    def _ready(self, inputs: Tensor) -> Tensor:
        """Normalise images. Two plain operations: fused ones round differently from one position to the next."""
        if not self._images:
            return inputs
        return inputs.contiguous(memory_format=self._format).to(torch.float32).mul_(self._scale).add_(self._shift)


class Resident(Shows):
    """Inputs kept on the device, shown as normalised float32 views.

    Images stay uint8 and are turned into numbers batch by batch; features are normalised once.

    Args:
        inputs: images uint8 ``[N, C, H, W]``, or features float32 ``[N, D]``.
        augment: parts of the weak view, of ``("crop", "flip")``; without any, `weak` is `plain`.
        device: where the data lives and the views are made.
        moments: mean and standard deviation per channel or feature that bring the views to 0 and 1, as a rule those
            of the training inputs; default those of `inputs`.
        channels_last: give images in that memory format.

    Raises:
        UsageError: an unknown part in `augment`, or parts for features.

    Example:
        >>> images = torch.arange(32, dtype=torch.uint8).reshape(8, 1, 2, 2)
        >>> source = Resident(images, device=torch.device("cpu"))
        >>> shown = source.fetch(torch.tensor([0, 7]), ("weak", "plain"), seed=0)
        >>> list(shown), shown["weak", 0].dtype, shown["weak", 0].shape
        ([('weak', 0), ('plain', 0)], torch.float32, torch.Size([2, 1, 2, 2]))
    """

    def __init__(
        self,
        inputs: Tensor,
        *,
        augment: tuple[str, ...] = (),
        device: torch.device,
        moments: tuple[Tensor, Tensor] | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__(tuple(inputs.shape), augment=augment, device=device, channels_last=channels_last)
        self._normalise_by(moments or moments_of(inputs))
        if self._images:
            self._inputs = inputs.to(device)
        else:
            mean, std = self.moments
            self._inputs = torch.cat([((part - mean) / std).float() for part in torch.split(inputs, _CHUNK)]).to(device)

    def _read(self, batches: Sequence[Tensor], order: Tensor) -> Generator[Tensor, None, None]:
        for rows in torch.split(order, [len(rows) for rows in batches]):
            yield self._inputs.index_select(0, rows)
