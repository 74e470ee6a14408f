"""Views: against loops over samples, and pure in (seed, view, row)."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad as padding

from thresher.data import views
from thresher.errors import UsageError
from thresher.randomness import uniform


def images(count: int = 32, channels: int = 3, height: int = 7, width: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def cropped(image: Tensor, chance: float, pad: int) -> Tensor:
    """One window, cut out by hand."""
    down, right = divmod(int(chance * (2 * pad + 1) ** 2), 2 * pad + 1)
    height, width = image.shape[1:]
    return padding(image, (pad,) * 4)[:, down : down + height, right : right + width]


@pytest.mark.parametrize("pad", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_crop_equals_a_loop(pad: int, channels: int) -> None:
    given, chance = images(channels=channels), uniform(0, torch.arange(32), 0)
    expected = torch.stack([cropped(image, float(own), pad) for image, own in zip(given, chance, strict=True)])
    assert torch.equal(views.crop(given, chance, pad), expected)


def test_crop_of_channels_last_images_is_the_same() -> None:
    given, chance = images(), uniform(0, torch.arange(32), 0)
    assert torch.equal(
        views.crop(given.contiguous(memory_format=torch.channels_last), chance), views.crop(given, chance)
    )


@pytest.mark.parametrize("pad", range(1, 9))
def test_crop_reaches_every_window_and_none_beyond(pad: int) -> None:
    side = 2 * pad + 1
    chance = torch.cat([torch.arange(side**2) / side**2 + 1e-4, torch.tensor([0.0, 1 - 2.0**-24])])
    given = images(1, 1, side, side).clamp_min(1).expand(len(chance), 1, side, side).contiguous()
    windows = views.crop(given, chance, pad)
    assert len(set(map(str, windows[:-2].tolist()))) == side**2
    assert torch.equal(windows[-2:], windows[[0, side**2 - 1]])


def test_flip_mirrors_half() -> None:
    given, chance = images(1000), uniform(0, torch.arange(1000), 0)
    shown = views.flip(given, chance)
    assert torch.equal(shown[chance < 0.5], given[chance < 0.5].flip(3))
    assert torch.equal(shown[chance >= 0.5], given[chance >= 0.5])
    assert 400 < int((chance < 0.5).sum()) < 600


def test_nothing_in_an_empty_batch() -> None:
    chance = views.chances(0, torch.arange(0), ("weak", 0), ("crop", "flip"))
    assert views.weak(images(0), chance, ("crop", "flip")).shape == (0, 3, 7, 5)


def test_chances_differ_by_seed_view_count_and_part() -> None:
    rows = torch.arange(50)
    drawn = [views.chances(seed, rows, ("weak", k), ("crop", "flip")) for seed in (0, 1) for k in (0, 1)]
    every = torch.cat([*drawn, views.chances(0, rows, ("plain", 0), ("crop",))])
    assert len(set(every.flatten().tolist())) == every.numel()


def test_a_part_draws_the_same_whatever_stands_beside_it() -> None:
    rows = torch.arange(50)
    both = views.chances(0, rows, ("weak", 0), ("crop", "flip"))
    assert torch.equal(views.chances(0, rows, ("weak", 0), ("flip",))[0], both[1])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^unknown view 'wild': the views are plain, weak$"):
        views.check_views(("weak", "wild"))
    with pytest.raises(UsageError, match=r"^unknown augmentation 'spin': the weak view can be made of crop, flip$"):
        views.check_parts(("crop", "spin"))
