"""Image files: every mode and turn against a picture worked out by hand, and every kind of broken file."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from thresher.data.ahead import in_order
from thresher.data.files import Files
from thresher.data.images import ImageReader, Skipped, load_into_memory, read_files, settle, survey
from thresher.data.pixels import LIMIT, decode, probe
from thresher.data.reading import Reading
from thresher.data.resident import image_moments
from thresher.errors import ThresherError, UsageError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = np.array([[RED, GREEN], [BLUE, WHITE]], dtype=np.uint8)


def saved(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def big(array: np.ndarray) -> np.ndarray:
    """Each pixel as 16 x 16 of them, so that a JPEG keeps its colour."""
    return array.repeat(16, 0).repeat(16, 1)


def corners(path: Path, size: int = 32) -> np.ndarray:
    """The middles of the four quarters as [2, 2, 3]."""
    pixels = decode(path, size, 3)
    at = slice(size // 4, None, size // 2)
    return pixels[:, at, at].transpose(1, 2, 0)


def png(width: int, height: int, rows: bytes, kind: int = 2) -> bytes:
    """A PNG file by hand, whatever its header claims."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "tif", "webp", "jpg", "JPEG"])
def test_every_format_shows_the_same_picture(tmp_path: Path, ending: str) -> None:
    options = (
        {"lossless": True} if ending == "webp" else {"quality": 100, "subsampling": 0} if "j" in ending.lower() else {}
    )
    path = saved(tmp_path, Image.fromarray(big(CORNERS)), f"a.{ending}", **options)
    assert np.abs(corners(path).astype(int) - CORNERS).max() <= (3 if "j" in ending.lower() else 0)


ORIENTED = {
    1: [[RED, GREEN], [BLUE, WHITE]],
    2: [[GREEN, RED], [WHITE, BLUE]],
    3: [[WHITE, BLUE], [GREEN, RED]],
    4: [[BLUE, WHITE], [RED, GREEN]],
    5: [[RED, BLUE], [GREEN, WHITE]],
    6: [[BLUE, RED], [WHITE, GREEN]],
    7: [[WHITE, GREEN], [BLUE, RED]],
    8: [[GREEN, WHITE], [RED, BLUE]],
}
"""How the corners stand once the picture is turned as the EXIF note of that number asks (EXIF 2.32, tag 274)."""


@pytest.mark.parametrize("note", ORIENTED)
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
def test_pictures_are_turned_as_exif_says(tmp_path: Path, note: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = note
    path = saved(tmp_path, Image.fromarray(big(CORNERS)), f"a.{ending}", exif=exif)
    assert np.abs(corners(path).astype(int) - np.array(ORIENTED[note])).max() < 60


def test_a_turned_picture_that_is_no_square_keeps_its_centre(tmp_path: Path) -> None:
    wide = np.zeros((16, 48, 3), dtype=np.uint8)
    wide[:, 16:24] = RED  # the left half of the centre, the upper half once turned by note 6
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode(saved(tmp_path, Image.fromarray(wide), "a.png", exif=exif), 16, 3)
    assert (pixels[0, :8] == 255).all()
    assert (pixels[0, 8:] == 0).all()


def test_broken_exif_notes_are_passed_over(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (8, 8), RED), "a.jpg", exif=b"Exif\x00\x00broken", quality=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert decode(path, 8, 3)[0].min() > 250


def grey16(values: list[int]) -> Image.Image:
    return Image.fromarray(np.array([values], dtype=np.uint16))


def palette(transparent: int | bytes | None) -> tuple[Image.Image, dict[str, Any]]:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putdata([0, 1])
    return image, {} if transparent is None else {"transparency": transparent}


def one_line(mode: str, *pixels: object) -> Image.Image:
    image = Image.new(mode, (len(pixels), 1))
    for place, pixel in enumerate(pixels):
        image.putpixel((place, 0), pixel)  # type: ignore[arg-type]
    return image


MODES: dict[str, tuple[Image.Image, dict[str, Any], str, list[tuple[int, ...]]]] = {
    "grey": (one_line("L", 0, 100), {}, "png", [(0,) * 3, (100,) * 3]),
    "one bit": (one_line("1", 0, 255), {}, "png", [(0,) * 3, (255,) * 3]),
    "one bit, see-through": (one_line("1", 0, 255), {"transparency": 0}, "png", [(255,) * 3, (255,) * 3]),
    "16 bits": (grey16([0, 65535]), {}, "png", [(0,) * 3, (255,) * 3]),
    "16 bits, dark": (grey16([257, 25700]), {}, "png", [(1,) * 3, (100,) * 3]),
    "16 bits, rounded": (grey16([128, 129]), {}, "tif", [(0,) * 3, (1,) * 3]),
    "palette": (*palette(None), "png", [RED, BLUE]),
    "palette, see-through": (*palette(1), "png", [RED, WHITE]),
    "palette, half see-through": (*palette(bytes([255, 128])), "png", [RED, (127, 127, 255)]),
    "palette, gif": (*palette(0), "gif", [WHITE, BLUE]),
    "grey and alpha": (one_line("LA", (0, 255), (0, 51)), {}, "png", [(0,) * 3, (204,) * 3]),
    "colour and alpha": (one_line("RGBA", (255, 0, 0, 255), (9, 9, 9, 0)), {}, "png", [RED, WHITE]),
    "colour, one see-through": (one_line("RGB", RED, BLUE), {"transparency": BLUE}, "png", [RED, WHITE]),
    "grey, one see-through": (one_line("L", 7, 100), {"transparency": 7}, "png", [WHITE, (100,) * 3]),
    "ink": (one_line("CMYK", (0, 255, 255, 0), (0, 0, 0, 255)), {}, "tif", [RED, (0, 0, 0)]),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_eight_bits_on_white(tmp_path: Path, mode: str) -> None:
    image, options, ending, expected = MODES[mode]
    path = saved(tmp_path, image, f"a.{ending}", **options)
    square = tmp_path / f"b.{ending}"
    with Image.open(path) as opened:
        assert opened.size == (2, 1)
        twice = Image.new(opened.mode, (2, 2))
        if opened.mode == "P":
            twice.putpalette(opened.getpalette() or [])
        for line in (0, 1):
            twice.paste(opened, (0, line))
        twice.save(square, **{**options, **({} if mode != "palette, gif" else {"save_all": False})})
    pixels = decode(square, 2, 3)
    assert np.abs(pixels.transpose(1, 2, 0).astype(int) - np.array([expected, expected])).max() <= 1
    grey = decode(square, 2, 1)
    assert grey.shape == (1, 2, 2)
    assert (
        np.abs(grey[0, 0].astype(int) - [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in expected]).max() <= 1
    )


def test_ink_in_a_jpeg(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "a.jpg", quality=100)
    assert np.abs(decode(path, 4, 3)[:, 0, 0].astype(int) - RED).max() < 4


def test_32_bits_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)), "a.tif")
    with pytest.raises(ThresherError, match=r"a\.tif cannot be read.*32 bits per pixel"):
        decode(path, 4, 3)


def test_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    for ending in ("gif", "webp", "tif"):
        path = saved(tmp_path, frames[0], f"a.{ending}", save_all=True, append_images=frames[1:])
        assert decode(path, 2, 3)[:, 0, 0].tolist() == pytest.approx(RED, abs=3)


def test_the_shorter_side_is_resized_and_the_centre_cut(tmp_path: Path) -> None:
    stripes = np.zeros((10, 50, 3), dtype=np.uint8)
    stripes[:, 20:30] = WHITE
    for array in (stripes, stripes.transpose(1, 0, 2)):
        path = saved(tmp_path, Image.fromarray(array), "a.png")
        assert (decode(path, 10, 3) == 255).all()
        assert (decode(path, 4, 3)[:, 1:3, 1:3] == 255).all()


def test_reduction_averages_and_does_not_pick(tmp_path: Path) -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    path = saved(tmp_path, Image.fromarray(board.astype(np.uint8)), "a.png")
    assert np.abs(decode(path, 8, 1).astype(int) - 127).max() <= 2


def test_large_jpegs_decoded_at_a_fraction_look_as_they_should(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    coarse = Image.fromarray(draws.integers(0, 256, (12, 15, 3)).astype(np.uint8))
    image = coarse.resize((750, 600), Image.Resampling.BICUBIC)
    exact = decode(saved(tmp_path, image, "a.png"), 64, 3).astype(int)
    fast = decode(saved(tmp_path, image, "a.jpg", quality=95), 64, 3).astype(int)
    assert np.sqrt(((exact - fast) ** 2).mean()) < 2.5


def test_a_pillow_image_is_decoded_like_its_file(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8))
    assert np.array_equal(decode(saved(tmp_path, image, "a.png"), 8, 3), decode(image, 8, 3))


# ---- broken files


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def noise(side: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3)).astype(np.uint8))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tif"])
def test_files_cut_off_are_named(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path, noise(), f"photo.{ending}")
    cut_off(path)
    with pytest.raises(
        ThresherError, match=rf"photo\.{ending} cannot be read, it is damaged or cut off \(.*--skip-bad"
    ):
        decode(path, 8, 3)


def test_other_files_are_named(tmp_path: Path) -> None:
    for name, content in (
        ("empty.png", b""),
        ("text.jpg", b"not an image"),
        ("page.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    ):
        (tmp_path / name).write_bytes(content)
        for read in (lambda path: decode(path, 8, 3), lambda path: probe(str(path))):
            with pytest.raises(ThresherError, match=rf"{name} cannot be read.*no image is found in it"):
                read(tmp_path / name)
    with pytest.raises(ThresherError, match=r"gone\.png is not there, or not any more: put it back"):
        decode(tmp_path / "gone.png", 8, 3)


@pytest.mark.parametrize(
    ("sides", "said"),
    [((10_001, 10_000), "10001 x 10000"), ((20_000, 20_000), "400,000,000"), ((100_000, 100_000), "10,000,000,000")],
)
def test_bombs_are_refused_by_their_header(tmp_path: Path, sides: tuple[int, int], said: str) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*sides, bytes(1000)))
    with pytest.raises(ThresherError, match=rf"bomb\.png has {said} pixels, and at most {LIMIT:,} are read: make it"):
        Files.open([path], what="photos")


def test_an_image_just_below_the_limit_opens_without_pillows_warning(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(10_000, 9_900, bytes(1000)))  # Pillow itself warns above 89,478,485
    files, _, _ = Files.open([path], what="photos")
    assert files.size == 128


@pytest.mark.parametrize("seed", range(12))
def test_altered_files_are_read_or_named(tmp_path: Path, seed: int) -> None:
    draws = np.random.default_rng(seed)
    for ending in ("jpg", "png", "gif", "webp", "bmp", "tif"):
        path = saved(tmp_path, noise(16), f"a.{ending}")
        content = bytearray(path.read_bytes())
        for place in draws.integers(0, len(content), 3):
            content[place] = draws.integers(256)
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                shape = decode(path, 8, 3).shape
            except ThresherError as error:
                named = str(error)
            else:
                named = f"a.{ending}"
                assert shape == (3, 8, 8)
            assert f"a.{ending}" in named


# ---- many files


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Twenty JPEGs of 20 to 58 pixels."""
    return [saved(tmp_path, noise(20 + 2 * k), f"{k:02d}.jpg", quality=95) for k in range(20)]


def test_the_median_size_is_taken_up_to_128(tmp_path: Path, photos: list[Path]) -> None:
    files, kept, sentences = Files.open(photos, what="photos")
    assert (files.shape, kept.tolist(), sentences) == ((20, 3, 39, 39), list(range(20)), [])
    large = [saved(tmp_path, Image.new("RGB", (200, 300)), "large.png")]
    assert Files.open(large, what="photos")[0].size == 128
    assert Files.open(large, 150, what="photos")[0].size == 150
    with pytest.raises(UsageError, match="size is 0: give the side"):
        Files.open(large, 0, what="photos")


def test_channels_are_1_only_if_every_image_is_grey(tmp_path: Path) -> None:
    modes = ("L", "1", "LA", "I;16")
    paths = [saved(tmp_path, Image.new(mode, (9, 9)), f"{k}.png") for k, mode in enumerate(modes)]
    assert Files.open(paths, what="photos")[0].channels == 1
    paths.append(saved(tmp_path, Image.new("RGB", (9, 9)), "colour.png"))
    assert Files.open(paths, what="photos")[0].channels == 3
    assert Files.open(paths, what="photos", channels=1)[0].channels == 1


def test_rows_come_as_asked_for(photos: list[Path]) -> None:
    files, _, _ = Files.open(photos, 16, what="photos")
    rows = torch.tensor([7, 0, 7])
    expected = torch.stack([torch.from_numpy(decode(photos[row], 16, 3)) for row in rows.tolist()])
    assert torch.equal(files.read(rows), expected)
    assert torch.equal(files[rows].read(torch.arange(3)), expected)
    every = torch.arange(20)
    assert torch.equal(files.read(every), torch.cat([files.read(row) for row in every.split(1)]))
    assert files.read(every[:0]).shape == (0, 3, 16, 16)


def test_a_mark_changes_with_its_file_and_with_no_other(photos: list[Path]) -> None:
    files, _, _ = Files.open(photos, what="photos")
    before = files.marks()
    assert files.marks() == before
    assert len(set(before)) == 20
    content = bytearray(photos[3].read_bytes())
    content[-1] ^= 1
    photos[3].write_bytes(content)
    assert [k for k, (a, b) in enumerate(zip(before, files.marks(), strict=True)) if a != b] == [3]
    photos[4].unlink()
    with pytest.raises(ThresherError, match=r"04\.jpg cannot be read any more"):
        files.marks()


def test_the_survey_is_exact_and_finds_what_headers_hide(photos: list[Path]) -> None:
    files, _, _ = Files.open(photos, 16, what="photos")
    calls: list[tuple[int, int]] = []
    mean, std, bad, sentences = survey(files, lambda done, of: calls.append((done, of)))
    images, kept, _ = load_into_memory(files)
    assert (bad.tolist(), sentences, len(kept)) == ([], [], 20)
    assert calls[-1] == (20, 20)
    for found, expected in zip((mean, std), image_moments(images), strict=True):
        assert torch.equal(found, expected)
    cut_off(photos[2])
    mean, std, bad, sentences = survey(files)
    assert bad.tolist() == [2]
    assert "02.jpg cannot be read" in sentences[0]
    for found, expected in zip((mean, std), image_moments(images[torch.arange(20) != 2]), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("limit", [0, 2**29])
def test_what_fits_is_kept_and_the_rest_stays_in_files(
    photos: list[Path], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thresher.data.images.RESIDENT", limit)
    cut_off(photos[2])
    cut_off(photos[5])
    files, _, _ = Files.open(photos, 16, what="photos")
    with pytest.raises(ThresherError, match=r"02\.jpg cannot.*; 2 of 20 images in photos are like that"):
        settle(files, skip_bad=False, what="photos")
    inputs, kept, sentences = settle(files, skip_bad=True, what="photos")
    assert kept.tolist() == [k for k in range(20) if k not in (2, 5)]
    assert [sentence.split()[0].rsplit("/")[-1] for sentence in sentences] == ["02.jpg", "05.jpg"]
    expected = files.read(torch.from_numpy(kept))
    assert isinstance(inputs, torch.Tensor) == bool(limit)
    if isinstance(inputs, Files):
        assert inputs.moments is not None
        assert torch.equal(inputs.moments[0], image_moments(expected)[0])
        inputs = inputs.read(torch.arange(len(inputs)))
    assert torch.equal(inputs, expected)


def test_left_out_files_are_listed_once(tmp_path: Path, photos: list[Path]) -> None:
    for path in photos[:4]:
        path.write_bytes(b"")
    cut_off(photos[4])
    with pytest.warns(
        Skipped, match=r"^5 of 20 images in photos are left .*: 00\.jpg, 01\.jpg, 02\.jpg and 2 more$"
    ) as heard:
        _, kept, _ = read_files(photos, [path.name for path in photos], Reading(skip_bad=True), "photos")
    assert kept.tolist() == list(range(5, 20))
    assert isinstance(heard[0].message, Skipped)
    assert len(heard[0].message.sentences) == 5
    for path in photos:
        path.write_bytes(b"")
    with pytest.raises(ThresherError, match="20 of 20 images"):
        read_files(photos, [path.name for path in photos], Reading(skip_bad=True), "photos")


def test_a_list_without_files_is_refused() -> None:
    with pytest.raises(UsageError, match="there are no images in photos"):
        Files.open([], what="photos")


# ---- new images


def test_the_reader_takes_folders_files_lists_and_arrays(tmp_path: Path, photos: list[Path]) -> None:
    reader, reading = ImageReader(16, 3), Reading()
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    saved(tmp_path / "deep", noise(20), "a.png")
    saved(tmp_path / "deep" / ".hidden", noise(20), "b.png")
    saved(tmp_path, noise(20), ".c.png")
    inputs, keys = reader.read(str(tmp_path), reading)
    assert keys.tolist() == [*(path.name for path in photos), "deep/a.png"]
    assert isinstance(inputs, torch.Tensor)
    single, key = reader.read(photos[3], reading)
    assert key.tolist() == ["03.jpg"]
    several, names = reader.read([photos[3], str(photos[0])], reading)
    assert names.tolist() == [str(photos[3]), str(photos[0])]
    opened, numbers = reader.read([Image.open(photos[3])], reading)
    array, _ = reader.read(single.permute(0, 2, 3, 1).numpy(), reading)  # type: ignore[union-attr]
    assert numbers.tolist() == ["0"]
    for found in (single, several[torch.tensor([0])], array):
        assert torch.equal(found, inputs[torch.tensor([3])])  # type: ignore[arg-type]
    assert opened.shape == (1, 3, 16, 16)
    assert reader.facts() == ({"kind": "images", "size": 16, "channels": 3}, {})


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("absent", "there is no file or folder absent: check the path"),
        (np.zeros((2, 8, 8, 3), dtype=np.uint8), r"rows of shape \[3, 8, 8\].*trained on \[3, 16, 16\]"),
        (np.zeros((2, 16)), r"rows of shape \[16\]"),
        ([], "the array"),
        (object(), "the array has dtype object"),
    ],
)
def test_the_reader_refuses_the_rest(source: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        ImageReader(16, 3).read(source, Reading())


def test_the_reader_keeps_its_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="size is 32, and the network was trained on images of 16 pixels"):
        ImageReader(16, 3).read(tmp_path, Reading(size=32))
    with pytest.raises(UsageError, match="there are no images in"):
        ImageReader(16, 3).read(tmp_path, Reading())


# ---- threads


def test_results_come_in_order_and_no_more_than_allowed_is_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for k in range(50):
            taken.append(k)
            yield k

    results = in_order(lambda k: k * k, items(), workers=4, ahead=6)
    for k, result in enumerate(results):
        assert result == k * k
        assert len(taken) <= k + 6


def test_an_error_comes_when_its_item_is_due() -> None:
    def work(k: int) -> int:
        if k == 3:
            raise ThresherError("three")
        return k

    results = in_order(work, range(10), workers=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ThresherError, match="three"):
        next(results)
