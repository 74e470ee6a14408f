"""Pictures for the page: decoded, made small and encoded again, so that nothing but pixels leaves a file."""

import io
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from thresher.data import pixels
from thresher.errors import ThresherError

SIDES = (128, 192, 256)
"""Pixels; of the small pictures."""

LARGE = 1024
"""Pixels; of the large picture, at most."""

MEDIA = "image/webp"
"""What all pictures are encoded as."""

Picture = Path | np.ndarray
"""An image file, or pixels: uint8 ``[C, H, W]``."""

_SHARP = 64  # pixels up to which a picture is encoded without loss
_QUALITY = 82
_KEPT, _KEPT_LARGE = 2048, 64  # pictures in memory; a small one takes up to 20 KB, a large one up to 300


class Pictures:
    """Pictures by row, encoded once as long as they are in use; safe to call from several threads.

    Args:
        source: gives a row's image; a `ThresherError` where there is none.

    Example:
        >>> pictures = Pictures(lambda row: np.zeros((1, 8, 8), dtype=np.uint8))
        >>> pictures.get(0, 128)[:4], pictures.get(0, 128) is pictures.get(0, 128)
        (b'RIFF', True)
    """

    def __init__(self, source: Callable[[int], Picture]) -> None:
        self._source = source
        # A file of 100 million pixels takes 300 MB while it is decoded, so few are at a time.
        self._room = threading.BoundedSemaphore(max(1, min(4, os.cpu_count() or 1)))
        self._small = lru_cache(_KEPT)(self._make)
        self._large = lru_cache(_KEPT_LARGE)(self._make)

    def get(self, row: int, side: int) -> bytes:
        """The picture of a row as WebP, at most `side` pixels wide and high; never made larger.

        Raises:
            ThresherError: it cannot be made: the file is gone, damaged, cut off, too large or no image.
        """
        return (self._small if side in SIDES else self._large)(row, side)

    def _make(self, row: int, side: int) -> bytes:
        with self._room:
            return encode(self._source(row), side)


def encode(picture: Picture, side: int) -> bytes:
    """An image within a square, as WebP without anything but its pixels.

    Args:
        picture: a file of the formats that Thresher trains on, first frame, turned as EXIF says; or uint8
            ``[C, H, W]`` with one, three or four channels.
        side: of the square in pixels; a smaller image keeps its size.

    Raises:
        ThresherError: the file cannot be read: it is gone, damaged, cut off, too large or no image.

    Example:
        >>> Image.open(io.BytesIO(encode(np.zeros((3, 100, 400), dtype=np.uint8), 128))).size
        (128, 32)
    """
    small = _within(picture, side) if isinstance(picture, Path) else _fitted(_image(picture), side)
    held = io.BytesIO()
    small.save(held, "WEBP", lossless=max(small.size) <= _SHARP, quality=_QUALITY, method=2)
    return held.getvalue()


@lru_cache(1)
def placeholder() -> bytes:
    """What is shown where there is no picture: a grey square, crossed out.

    Example:
        >>> Image.open(io.BytesIO(placeholder())).size
        (128, 128)
    """
    across = np.abs(np.subtract.outer(np.arange(128), np.arange(128)))
    lines = np.minimum(across, across[::-1]) < 2
    return encode(np.where(lines, 150, 190).astype(np.uint8)[None], 128)


def _within(path: Path, side: int) -> Image.Image:
    """The first frame of a file, turned, within the square."""
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise FileNotFoundError(str(path))
        with Image.open(path, formats=pixels.FORMATS) as image:
            pixels.check_pixels(image, str(path))
            image.draft(None, (2 * side, 2 * side))
            turn = pixels.TURNS.get(pixels.orientation(image))
            small = _fitted(pixels.plain(image, 3), side)
    except Exception as error:  # on damaged files, decoders raise almost anything
        raise pixels.unreadable(str(path), error) from error
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    return small if turn is None else small.transpose(turn)


def _image(values: np.ndarray) -> Image.Image:
    if values.ndim != 3 or len(values) not in (1, 3, 4):
        raise ThresherError(f"an image of the shape {list(values.shape)} cannot be shown: one, three or four channels")
    return Image.fromarray(values[0] if len(values) == 1 else np.ascontiguousarray(values.transpose(1, 2, 0)))


def _fitted(image: Image.Image, side: int) -> Image.Image:
    width, height = image.size
    scale = side / max(width, height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
