"""One image file as a square of bytes: any format, mode and size that people keep photographs in."""

import os
import re
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from thresher.errors import ThresherError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of files that count as images."""

LIMIT = 100_000_000
"""Pixels that an image may have. A file of a few kilobytes can claim so many that decoding them fills the memory."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # Pillow's others never run: some call other programs
_GREY = ("1", "L", "LA", "La", "I", "F")
_ORIENTATION = 0x0112  # EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size in less time. As long as that leaves a quarter more than is
# needed, the result differs from that of a full decoding by 1 to 2.5 of 255 (root mean square, photographs).
_SPARE = 1.25


def decode(source: str | Path | Image.Image, size: int, channels: int) -> np.ndarray:
    """Read an image: its first frame, turned as EXIF says, the shorter side resized, and its centre cut.

    Transparent parts become white, 16 bits are scaled to 8 by their full range.

    Args:
        source: a file, or an opened image.
        size: S, the side of the result in pixels.
        channels: C, 1 (grey) or 3 (red, green, blue).

    Returns:
        uint8 ``[C, S, S]``.

    Raises:
        ThresherError: the file cannot be read: it is gone, damaged, cut off, or too large.

    Example:
        >>> decode(Image.new("RGB", (30, 20), (255, 0, 7)), 2, 3)[:, 0, 0].tolist()
        [255, 0, 7]
    """
    path = (getattr(source, "filename", "") or "an image") if isinstance(source, Image.Image) else os.fspath(source)
    try:
        if isinstance(source, Image.Image):
            return _square(source, size, channels)
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(image, path)
            image.draft(None, (int(size * _SPARE), int(size * _SPARE)))
            return _square(image, size, channels)
    except Exception as error:  # on damaged files, decoders raise almost anything
        raise unreadable(path, error) from error


def probe(path: str) -> tuple[int, bool]:
    """The shorter side of an image file in pixels, and whether it is grey; reads the header only.

    Raises:
        ThresherError: as for `decode`, as far as the header tells.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(image, path)
            return min(image.size), is_grey(image)
    except Exception as error:
        raise unreadable(path, error) from error


def is_grey(image: Image.Image) -> bool:
    """Whether an image has no colours."""
    return image.mode in _GREY or image.mode.startswith("I;")


def check_pixels(image: Image.Image, path: str) -> None:
    """Refuse an image of more than `LIMIT` pixels, which nobody has decoded yet.

    Raises:
        ThresherError: it is too large.
    """
    if image.width * image.height > LIMIT:
        raise ThresherError(_too_large(path, f"{image.width} x {image.height}"))


def _too_large(path: str, pixels: str) -> str:
    return (
        f"{path} has {pixels} pixels, and at most {LIMIT:,} are read: make it smaller, or leave such files out with "
        "--skip-bad"
    )


def unreadable(path: str, error: Exception) -> ThresherError:
    """What to raise where Pillow could not read an image."""
    leave = "or leave such files out with --skip-bad"
    match error:
        case ThresherError():
            return error
        case Image.DecompressionBombError():
            counted = re.search(r"\d+", str(error))  # Pillow does not tell the sides
            return ThresherError(_too_large(path, f"{int(counted[0]):,}" if counted else "too many"))
        case FileNotFoundError():
            return ThresherError(f"{path} is not there, or not any more: put it back, {leave}")
        case PermissionError():
            return ThresherError(f"{path} must not be read by this user: change its permissions, {leave}")
        case UnidentifiedImageError():
            why = "no image is found in it"
        case _:
            why = str(error).strip().rstrip(".") or type(error).__name__
    return ThresherError(f"{path} cannot be read, it is damaged or cut off ({why}): replace it, {leave}")


def _square(image: Image.Image, size: int, channels: int) -> np.ndarray:
    flat = plain(image, channels)
    width, height = flat.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    small = flat.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
        small = small.convert("L" if channels == 1 else "RGB")
    turn = TURNS.get(orientation(image))
    pixels = np.asarray(small if turn is None else small.transpose(turn))
    if pixels.ndim == 2:
        return np.repeat(pixels[None], channels, 0)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def plain(image: Image.Image, channels: int) -> Image.Image:
    """The image in a mode that can be resized: grey, coloured, or coloured with transparency."""
    image.load()
    if image.mode[0] in "IF":
        return _eight_bits(image)
    opaque = "L" if channels == 1 or is_grey(image) else "RGB"
    mode = "RGBA" if image.has_transparency_data else opaque
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError("it has 32 bits per pixel, and 8 or 16 are understood")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))


def orientation(image: Image.Image) -> int:
    """How a camera held the image, 1 to 8 as EXIF has it; 1, upright, where nothing readable says so."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photograph with broken notes is still a photograph
        return 1
