"""Weights that a user brings: the forms they come in, and every way in which they may not fit."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torchvision import models

from thresher import nets
from thresher.errors import ThresherError, UsageError
from thresher.nets.blocks import Net

State = dict[str, Tensor]


def resnet(classes: int = 1000, name: str = "torchvision:resnet18", shape: tuple[int, ...] = (3, 64, 64)) -> Net:
    torch.manual_seed(1)
    return nets.build(name, shape, classes)


@pytest.fixture(scope="module")
def official() -> State:
    """A state dict as torchvision's files have it."""
    torch.manual_seed(0)
    state: State = {key: value.clone() for key, value in models.resnet18(weights=None).state_dict().items()}
    state["bn1.running_mean"] += 1
    return state


def loaded(net: Net, content: object, tmp_path: Path, name: str = "net.pt") -> str:
    path = tmp_path / name
    if name.endswith(".safetensors"):
        assert isinstance(content, dict)
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    digest = nets.load_weights(net, path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    return digest


def wrapped(official: State, prefix: str) -> State:
    return {prefix + key: value for key, value in official.items()}


@pytest.mark.parametrize("form", ["plain", "state_dict", "model", "module.", "model.", "module.model.", "safetensors"])
@pytest.mark.parametrize("net_name", ["torchvision:resnet18", "resnet18"])
def test_every_form_gives_the_same_network(official: State, tmp_path: Path, form: str, net_name: str) -> None:
    content: Any = official
    if form.endswith("."):
        content = {"state_dict": wrapped(official, form), "epoch": 3}
    elif form in ("state_dict", "model"):
        content = {form: official, "best": 0.5}
    net = resnet(name=net_name).eval()
    loaded(net, content, tmp_path, "net.safetensors" if form == "safetensors" else "net.pth")
    model = models.resnet18(weights=None).eval()
    model.load_state_dict(official)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(net(x)[1], model(x))


def test_another_number_of_classes_leaves_the_head(official: State, tmp_path: Path) -> None:
    net = resnet(classes=10)
    head = net.head.weight.detach().clone()
    loaded(net, official, tmp_path)
    assert torch.equal(net.head.weight, head)
    assert torch.equal(net.body.get_parameter("model.conv1.weight"), official["conv1.weight"])


def test_a_file_without_a_head_leaves_the_head(official: State, tmp_path: Path) -> None:
    net = resnet()
    head = net.head.weight.detach().clone()
    loaded(net, {key: value for key, value in official.items() if not key.startswith("fc.")}, tmp_path)
    assert torch.equal(net.head.weight, head)


def test_old_files_without_counts_are_taken(official: State, tmp_path: Path) -> None:
    net = resnet()
    loaded(net, {key: value for key, value in official.items() if "num_batches" not in key}, tmp_path)
    assert torch.equal(net.body.get_buffer("model.bn1.running_mean"), official["bn1.running_mean"])


def test_grey_images_take_weights_for_colour(official: State, tmp_path: Path) -> None:
    net = resnet(shape=(1, 64, 64))
    loaded(net, official, tmp_path)
    assert torch.equal(net.head.bias, official["fc.bias"])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("linear", (5,)),
        ("mlp", (5,)),
        ("lenet", (1, 28, 28)),
        ("resnet18", (3, 32, 32)),
        ("torchvision:shufflenet_v2_x0_5", (3, 64, 64)),
    ],
)
def test_our_own_networks_take_their_own_state(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = nets.build(name, shape, 4)
    second = resnet(4, name, shape)
    loaded(second, first.state_dict(), tmp_path)
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def changed(official: State, **changes: Tensor | None) -> State:
    named = {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in {**official, **named}.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layer1__0__conv1__weight": None}, r"does not fit net torchvision:resnet18, for it has no layer1\.0\.conv1"),
        ({"bn1__bias": torch.zeros(9)}, r"for bn1\.bias is \[9\] in the file and \[64\] in the net: give weights of"),
        ({"extra__weight": torch.zeros(9)}, r"does not fit net torchvision:resnet18, which has no extra\.weight: give"),
        (
            {"conv1__weight": torch.zeros(64, 1, 7, 7)},
            r"first convolution conv1\.weight takes images of 1 channels and",
        ),
        ({"conv1__weight": torch.zeros(64, 3, 3, 3)}, r"for conv1\.weight is \[64, 3, 3, 3\] in the file and"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changed(
    official: State, changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    net = resnet()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(UsageError, match=f"net.pt .*{sentence}|net.pt {sentence}") as caught:
        loaded(net, changed(official, **changes), tmp_path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_weights_of_another_network_are_refused(official: State, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"does not fit net mlp, for it has no body\.1\.weight: give weights of that net"
    ):
        loaded(resnet(3, "mlp", (5,)), official, tmp_path)
    with pytest.raises(
        UsageError, match=r"does not fit net resnet50, for layer1\.0\.conv1\.weight is \[64, 64, 3, 3\]"
    ):
        loaded(resnet(3, "resnet50"), official, tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds no state dict, for it is empty: save the weights with"),
        ({"net": {"w": torch.zeros(2)}, "epoch": 1}, "holds no state dict, for its entry net is of type dict"),
        ({3: torch.zeros(2)}, "holds no state dict, for its entry 3 is"),
        ({"model": {}}, "holds no state dict, for it is empty"),
    ],
)
def test_other_content_is_refused(content: object, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"net\.pt {sentence}"):
        loaded(resnet(2, "linear", (2,)), content, tmp_path)


class Harmful:
    """Runs code when a pickle of it is read without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_code_in_a_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    net, mark = resnet(2, "linear", (2,)), tmp_path / "ran"
    for content in (Harmful(mark), {"state_dict": Harmful(mark)}):
        with pytest.raises(ThresherError, match=r"net\.pt names .*, which could run code, so it was not read: save"):
            loaded(net, content, tmp_path)
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Harmful(mark)))
    with pytest.raises(ThresherError, match=r"old\.pth (names|cannot be read)"):
        nets.load_weights(net, tmp_path / "old.pth")
    with pytest.raises(ThresherError, match=r"net\.pt names torch\.nn\.modules\.linear\.Linear, which could run code"):
        loaded(net, torch.nn.Linear(2, 2), tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors", ".SafeTensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\3\4", b"\x80\2}q\0."])
def test_damaged_files_are_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(content)
    with pytest.raises(
        ThresherError, match=r"cannot be read, it is damaged or something else|it is empty|holds no"
    ) as caught:
        nets.load_weights(resnet(2, "linear", (2,)), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, ending: str) -> None:
    net = resnet(2, "linear", (2,))
    path = tmp_path / f"net.{ending}"
    loaded(net, net.state_dict(), tmp_path, path.name)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        ThresherError, match=rf"net\.{ending} cannot be read, it is damaged or something else \(.*: save"
    ):
        nets.load_weights(net, path)


def test_missing_and_other_files_are_refused(tmp_path: Path) -> None:
    net = resnet(2, "linear", (2,))
    with pytest.raises(UsageError, match=r"^there is no file of weights .*absent\.pt: check the path$"):
        nets.load_weights(net, tmp_path / "absent.pt")
    with pytest.raises(
        UsageError, match=r"net\.h5 is no file of weights: give one that ends in \.safetensors, \.pt, \.pth$"
    ):
        nets.load_weights(net, tmp_path / "net.h5")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(UsageError, match="there is no file of weights"):
        nets.load_weights(net, tmp_path / "folder.pt")


def test_a_program_in_the_place_of_weights_is_refused(tmp_path: Path) -> None:
    traced = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(traced, tmp_path / "net.pt2")
    (tmp_path / "net.pt2").rename(tmp_path / "net.pt")
    with pytest.raises(ThresherError, match=r"net\.pt (cannot be read|names|holds no)"):
        nets.load_weights(resnet(2, "linear", (2,)), tmp_path / "net.pt")
