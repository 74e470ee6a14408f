"""The resident source: normalised, pure, the same in one batch or another."""

import pytest
import torch
from torch import Tensor

from thresher.data.resident import Resident, feature_moments, image_moments, moments_of
from thresher.errors import UsageError

CPU = torch.device("cpu")


def images(count: int = 40, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 8, 8), dtype=torch.uint8, generator=generator)


def test_moments_of_images_are_those_of_the_pixels() -> None:
    given = images().double()
    mean, std = image_moments(images())
    assert torch.allclose(mean, given.mean((0, 2, 3)))
    assert torch.allclose(std, given.transpose(0, 1).flatten(1).std(1, correction=0))


def test_moments_of_features_hold_beside_a_large_offset() -> None:
    given = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 1e4, -10.0])
    mean, std = feature_moments(given)
    assert torch.allclose(mean, given.double().mean(0))
    assert torch.allclose(std, given.double().std(0, correction=0))


def test_training_inputs_come_out_with_mean_0_and_deviation_1() -> None:
    shown = Resident(images(), device=CPU).fetch(torch.arange(40), ("plain",), 0)["plain", 0]
    per_channel = shown.transpose(0, 1).flatten(1)
    assert torch.allclose(per_channel.mean(1), torch.zeros(3), atol=1e-5)
    assert torch.allclose(per_channel.std(1, correction=0), torch.ones(3), atol=1e-5)


def test_constant_columns_and_channels_become_0() -> None:
    features = torch.tensor([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]])
    assert Resident(features, device=CPU).fetch(torch.arange(3), ("plain",), 0)["plain", 0][:, 0].tolist() == [0, 0, 0]
    black = torch.full((3, 1, 2, 2), 7, dtype=torch.uint8)
    assert not Resident(black, device=CPU).fetch(torch.arange(3), ("plain",), 0)["plain", 0].any()


def test_test_inputs_are_normalised_by_the_training_inputs() -> None:
    train, test = torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0]])
    source = Resident(test, device=CPU, moments=moments_of(train))
    assert source.fetch(torch.tensor([0]), ("plain",), 0)["plain", 0].item() == 3.0


def test_keys_come_in_the_order_asked_for() -> None:
    shown = Resident(images(), device=CPU).fetch(torch.arange(4), ("weak", "plain", "weak"), 0)
    assert list(shown) == [("weak", 0), ("plain", 0), ("weak", 1)]
    assert all(view.dtype == torch.float32 and view.shape == (4, 3, 8, 8) for view in shown.values())


def test_without_augmentation_weak_is_plain_at_no_cost() -> None:
    shown = Resident(images(), device=CPU).fetch(torch.arange(4), ("plain", "weak", "weak"), 0)
    assert shown["weak", 0] is shown["plain", 0]
    assert shown["weak", 1] is shown["plain", 0]


def test_weak_views_depend_on_seed_count_and_row_only() -> None:
    source = Resident(images(), augment=("crop", "flip"), device=CPU)
    rows = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    whole = source.fetch(rows, ("weak", "weak"), 7)
    pieces = list(source.open(list(torch.split(rows, [16, 16, 8])), ("plain", "weak", "weak"), 7))
    for k in (0, 1):
        assert torch.equal(torch.cat([piece["weak", k] for piece in pieces]), whole["weak", k])
    assert not torch.equal(whole["weak", 0], whole["weak", 1])
    assert not torch.equal(whole["weak", 0], source.fetch(rows, ("weak",), 8)["weak", 0])
    assert not torch.equal(whole["weak", 0], pieces[0]["plain", 0].new_zeros(whole["weak", 0].shape))


def test_a_pass_opened_in_the_middle_goes_on_as_it_would_have() -> None:
    source = Resident(images(), augment=("crop", "flip"), device=CPU)
    batches = list(torch.split(torch.arange(40), 8))
    straight = [shown["weak", 0] for shown in source.open(batches, ("weak",), 3)]
    resumed = [shown["weak", 0] for shown in source.open(batches[2:], ("weak",), 3)]
    assert all(torch.equal(a, b) for a, b in zip(straight[2:], resumed, strict=True))


def test_weak_views_are_crops_and_flips_of_the_pixels() -> None:
    """A cropped border is black (pixel 0), which is the smallest normalised value."""
    source = Resident(images(), augment=("crop",), device=CPU)
    plain, weak = source.fetch(torch.arange(40), ("plain", "weak"), 0).values()
    black = -image_moments(images())[0] / image_moments(images())[1]
    corners = weak[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.isclose(corners, black.float()[:, None]).any(2).float().mean() > 0.9
    assert weak.min() >= plain.min() - 1e-6


def test_channels_last_changes_the_memory_and_no_value() -> None:
    rows = torch.arange(8)
    usual = Resident(images(), augment=("flip",), device=CPU).fetch(rows, ("weak", "plain"), 0)
    last = Resident(images(), augment=("flip",), device=CPU, channels_last=True).fetch(rows, ("weak", "plain"), 0)
    for key, view in last.items():
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(view, usual[key])


def test_a_row_may_come_twice_and_the_store_is_not_touched() -> None:
    source = Resident(images(), device=CPU)
    first = source.fetch(torch.tensor([1, 1]), ("plain",), 0)["plain", 0]
    first.zero_()
    again = source.fetch(torch.tensor([1, 1]), ("plain",), 0)["plain", 0]
    assert torch.equal(again[0], again[1])
    assert again.any()


def test_shape_and_length() -> None:
    assert Resident(images(), device=CPU).shape == (3, 8, 8)
    assert Resident(torch.zeros(5, 4), device=CPU).shape == (4,)
    assert len(Resident(torch.zeros(5, 4), device=CPU)) == 5


def test_no_batches_give_nothing() -> None:
    assert list(Resident(images(), device=CPU).open([], ("plain",), 0)) == []


def test_wrong_names_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="unknown view 'strong': the views are plain, weak"):
        Resident(images(), device=CPU).open([torch.arange(2)], ("strong",), 0)
    with pytest.raises(UsageError, match="unknown augmentation 'spin'"):
        Resident(images(), augment=("spin",), device=CPU)
    with pytest.raises(UsageError, match="augmentation crop is for images, and these are features"):
        Resident(torch.zeros(5, 4), augment=("crop",), device=CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_shows_what_the_cpu_shows() -> None:
    rows, names = torch.arange(40), ("weak", "plain", "weak")
    cpu = Resident(images(), augment=("crop", "flip"), device=CPU).fetch(rows, names, 1)
    cuda = Resident(images(), augment=("crop", "flip"), device=torch.device("cuda")).fetch(rows, names, 1)
    assert all(torch.equal(cuda[key].cpu(), cpu[key]) for key in cpu)
