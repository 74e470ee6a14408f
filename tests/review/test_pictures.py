import io
import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thresher.errors import ThresherError
from thresher.review import pictures
from thresher.review.pictures import Pictures, encode, placeholder


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


@pytest.mark.parametrize(
    ("size", "side", "wanted"),
    [((400, 100), 128, (128, 32)), ((100, 400), 256, (64, 256)), ((50, 20), 128, (50, 20)), ((3000, 3), 128, (128, 1))],
)
def test_size(tmp_path: Path, size: tuple[int, int], side: int, wanted: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    assert shown(encode(tmp_path / "a.png", side)).size == wanted


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new(mode, (20, 10)).save(path)
    assert shown(encode(path, 128)).size == (20, 10)


def test_small_images_keep_their_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    assert np.array_equal(np.asarray(shown(encode(image, 128))).transpose(2, 0, 1), image)
    grey = np.asarray(shown(encode(image[:1], 128)).convert("L"))
    assert np.array_equal(grey, image[0])


def test_transparent_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert shown(encode(tmp_path / "a.png", 128)).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_turned_as_the_camera_says_and_nothing_else_of_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif, comment=b"secret comment")
    data = encode(tmp_path / "a.jpg", 128)
    assert shown(data).size == (20, 40)
    for secret in (b"taken", b"secret", b"EXIF", b"Exif"):
        assert secret not in data


def test_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (9, 9), value) for value in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert shown(encode(tmp_path / "a.gif", 128)).convert("L").getpixel((4, 4)) == 0


def png(width: int, height: int) -> bytes:
    """A file of a few bytes that claims to be large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
WHOLE = io.BytesIO()
Image.effect_noise((64, 64), 50).save(WHOLE, "JPEG")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.png", png(50_000, 50_000)),
        ("wide.png", png(2**31 - 1, 1)),
        ("picture.svg", SVG),
        ("svg.png", SVG),
        ("cut.jpg", WHOLE.getvalue()[:700]),
        ("cut.png", png(40, 40)[:60]),
        ("empty.jpg", b""),
        ("page.jpg", b"<html><script>alert(1)</script></html>"),
        ("vector.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
        ("nulls.bmp", b"BM" + bytes(100)),
    ],
)
def test_what_is_no_picture(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ThresherError, match=name):
        encode(tmp_path / name, 128)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "pipe.png", tmp_path / "folder.png", tmp_path / "absent.png", Path("/dev/zero")):
        with pytest.raises(ThresherError, match="not there"):
            encode(path, 128)


@pytest.mark.parametrize("channels", [2, 5])
def test_arrays_that_are_no_pictures(channels: int) -> None:
    with pytest.raises(ThresherError, match="cannot be shown"):
        encode(np.zeros((channels, 4, 4), dtype=np.uint8), 128)


def test_placeholder() -> None:
    assert shown(placeholder()).size == (128, 128)


def test_made_once_but_failures_again() -> None:
    asked: list[int] = []

    def source(row: int) -> np.ndarray:
        asked.append(row)
        if row == 1 and asked.count(1) == 1:
            raise ThresherError("not there yet")
        return np.zeros((1, 4, 4), dtype=np.uint8)

    made = Pictures(source)
    assert made.get(0, 128) is made.get(0, 128)
    with pytest.raises(ThresherError):
        made.get(1, 128)
    made.get(1, 128)
    assert asked == [0, 1, 1]


def test_few_at_a_time() -> None:
    now, most, lock, gate = 0, 0, threading.Lock(), threading.Event()

    def source(row: int) -> np.ndarray:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        gate.wait(0.05)
        with lock:
            now -= 1
        return np.zeros((1, 4, 4), dtype=np.uint8)

    made = Pictures(source)
    threads = [threading.Thread(target=made.get, args=(row, 128)) for row in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= max(1, min(4, os.cpu_count() or 1))


def test_sides_are_kept_apart() -> None:
    made = Pictures(lambda row: np.zeros((3, 2000, 2000), dtype=np.uint8))
    assert [shown(made.get(0, side)).size[0] for side in (*pictures.SIDES, pictures.LARGE)] == [128, 192, 256, 1024]
