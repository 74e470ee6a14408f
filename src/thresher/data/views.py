"""What a sample may look like when it is shown: batched functions of uint8 images and one chance per sample.

A chance is a number in [0, 1) from `draws.uniform`, so a sample's view depends on (seed, view, count, row) and neither
on the batch it is in nor on the worker that makes it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad as padding

from thresher.errors import UsageError
from thresher.randomness import mix, uniform

VIEWS = ("plain", "weak")
"""Every view: `plain` has nothing random, `weak` applies the parts that suit the data. The position seeds the draws."""


def crop(images: Tensor, chance: Tensor, pad: int = 4) -> Tensor:
    """Shift each image by up to `pad` pixels each way: zero padding, then a random window of the old size.

    Args:
        images: ``[B, C, H, W]`` of any dtype.
        chance: float32 ``[B]`` in [0, 1), one of ``(2 * pad + 1) ** 2`` windows.
        pad: pixels added on every side.

    Returns:
        The windows, ``[B, C, H, W]``.

    Example:
        >>> image = torch.arange(1, 10).reshape(1, 1, 3, 3)
        >>> crop(image, torch.tensor([0.0]), pad=1)[0, 0].tolist()  # the top left window
        [[0, 0, 0], [0, 1, 2], [0, 4, 5]]
    """
    count, channels, height, width = images.shape
    padded = padding(images, (pad, pad, pad, pad))
    per_image, per_channel, per_line, per_pixel = padded.stride()
    side = 2 * pad + 1
    cell = (chance * side**2).to(torch.int64)
    down, right = torch.div(cell, side, rounding_mode="floor"), cell % side
    first = torch.arange(count, device=images.device) * per_image + down * per_line + right * per_pixel
    # Every possible window as an overlapping view, so that one selection by start address copies whole lines.
    starts = (count - 1) * per_image + 2 * pad * (per_line + per_pixel) + 1 if count else 0
    windows = padded.as_strided((starts, channels, height, width), (1, per_channel, per_line, per_pixel))
    return windows.index_select(0, first)


def flip(images: Tensor, chance: Tensor) -> Tensor:
    """Mirror left and right the images whose chance is below one half.

    Args:
        images: ``[B, C, H, W]`` of any dtype.
        chance: float32 ``[B]`` in [0, 1).

    Returns:
        ``[B, C, H, W]``.

    Example:
        >>> flip(torch.tensor([1, 2, 1, 2]).reshape(2, 1, 1, 2), torch.tensor([0.2, 0.7])).flatten().tolist()
        [2, 1, 1, 2]
    """
    both = torch.cat(
        [images, images.flip(3)]
    )  # a selection copies whole images; `torch.where` takes four times as long
    return both.index_select(0, torch.arange(len(images), device=images.device) + len(images) * (chance < 0.5))


PARTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"crop": crop, "flip": flip}
"""The parts a weak view can be made of; the order seeds the draws."""


def check_views(names: Sequence[str]) -> None:
    """Refuse a view that does not exist.

    Raises:
        UsageError: it names the known ones.
    """
    for name in names:
        if name not in VIEWS:
            raise UsageError(f"unknown view {name!r}: the views are {', '.join(VIEWS)}")


def check_parts(names: Sequence[str]) -> None:
    """Refuse a part of the weak view that does not exist.

    Raises:
        UsageError: it names the known ones.
    """
    for name in names:
        if name not in PARTS:
            raise UsageError(f"unknown augmentation {name!r}: the weak view can be made of {', '.join(PARTS)}")


def numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    """Count equal names, in the order they come.

    Example:
        >>> numbered(("weak", "weak", "plain"))
        [('weak', 0), ('weak', 1), ('plain', 0)]
    """
    return [(name, names[:place].count(name)) for place, name in enumerate(names)]


def chances(seed: int, rows: Tensor, view: tuple[str, int], parts: Sequence[str]) -> Tensor:
    """What the k-th view of that name draws for each part and row.

    Args:
        seed: of the pass.
        rows: row numbers, int64 ``[B]``.
        view: name and count.
        parts: names of `PARTS`.

    Returns:
        float32 ``[parts, B]``.

    Example:
        >>> chances(0, torch.arange(5), ("weak", 0), ("crop", "flip")).shape
        torch.Size([2, 5])
    """
    name, k = view
    own = mix(seed, VIEWS.index(name), k)
    known = list(PARTS)
    return torch.stack([uniform(own, rows, known.index(part)) for part in parts])


def weak(images: Tensor, chance: Tensor, parts: Sequence[str]) -> Tensor:
    """Apply the parts one after the other.

    Args:
        images: uint8 ``[B, C, H, W]``.
        chance: float32 ``[parts, B]``, from `chances`.
        parts: names of `PARTS`.

    Returns:
        uint8 ``[B, C, H, W]``.

    Example:
        >>> images = torch.tensor([[[[1, 2]]]], dtype=torch.uint8)
        >>> weak(images, torch.tensor([[0.1]]), ("flip",)).flatten().tolist()
        [2, 1]
    """
    for part, own in zip(parts, chance, strict=True):
        images = PARTS[part](images, own)
    return images
