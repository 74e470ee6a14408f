"""Torchvision's and timm's networks: which are taken, which refused, and what becomes of grey images."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from thresher import nets
from thresher.errors import UsageError
from thresher.nets.backbone import Backbone, moments


@pytest.mark.parametrize(
    ("name", "last", "features"),
    [
        ("resnet18", "fc", 512),
        ("shufflenet_v2_x0_5", "fc", 1024),
        ("regnet_y_400mf", "fc", 440),
        ("mobilenet_v3_small", "classifier.3", 1024),
    ],
)
def test_the_last_linear_layer_becomes_the_head(name: str, last: str, features: int) -> None:
    net = nets.build(f"torchvision:{name}", (3, 64, 64), 7)
    assert isinstance(net.body, Backbone)
    assert (net.body.last, net.head.in_features, net.head.out_features) == (last, features, 7)
    assert isinstance(net.body.get_submodule(f"model.{last}"), nn.Identity)
    assert net.name == f"torchvision:{name}"


def test_nothing_but_the_head_is_changed() -> None:
    from torchvision import models

    net = nets.build("torchvision:resnet18", (3, 64, 64), 10).eval()
    model = models.resnet18(num_classes=10).eval()
    weights = {key.removeprefix("body.model."): value for key, value in net.state_dict().items()}
    model.load_state_dict({key.replace("head.", "fc."): value for key, value in weights.items()})
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(net(x)[1], model(x))


def test_grey_images_are_repeated() -> None:
    torch.manual_seed(0)
    grey = nets.build("torchvision:resnet18", (1, 32, 32), 3).eval()
    torch.manual_seed(0)
    colour = nets.build("torchvision:resnet18", (3, 32, 32), 3).eval()
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(grey(x)[1], colour(x.repeat(1, 3, 1, 1))[1])
    assert grey.state_dict().keys() == colour.state_dict().keys()


def test_building_leaves_no_trace_of_the_trial() -> None:
    net = nets.build("torchvision:resnet18", (3, 32, 32), 3)
    assert {value.device.type for value in net.state_dict().values()} == {"cpu"}
    assert net.body.get_buffer("model.bn1.num_batches_tracked").item() == 0
    assert net.body.get_buffer("model.bn1.running_mean").abs().sum() == 0


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("squeezenet1_0", (3, 224, 224), "has no linear layer at its end .*: choose torchvision:resnet18 or"),
        ("googlenet", (3, 224, 224), "has outputs beside its logits, .*: choose torchvision:resnet18 or"),
        ("inception_v3", (3, 64, 64), "has outputs beside its logits, .*: choose torchvision:resnet18 or"),
        ("resnet19", (3, 64, 64), r"^torchvision has no classification net 'resnet19': did you mean resnet18 or .*\?$"),
        ("fcn_resnet50", (3, 64, 64), "no classification net 'fcn_resnet50': did you mean resnet50"),
        ("", (3, 64, 64), "no classification net '': known are alexnet, "),
        (
            "alexnet",
            (3, 32, 32),
            r"^net torchvision:alexnet does not take images of 32 x 32 pixels \(.*\): choose .*--size$",
        ),
        ("resnet18", (2, 64, 64), "takes images of 1 or 3 channels, and these have 2: choose net resnet18$"),
        ("resnet18", (64,), "takes images, and these inputs are 64 features: choose net mlp"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        nets.build(f"torchvision:{name}", shape, 10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "side", "last", "features"),
    [("resnet10t", 32, "fc", 512), ("convnext_atto", 64, "head.fc", 320), ("vit_tiny_patch16_224", 224, "head", 192)],
)
def test_networks_of_timm(name: str, side: int, last: str, features: int, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    net = nets.build(f"timm:{name}", (3, side, side), 7).eval()
    assert isinstance(net.body, Backbone)
    assert (net.body.last, net.head.in_features, net.head.out_features) == (last, features, 7)
    model = timm.create_model(name, num_classes=7).eval()
    torch.save(model.state_dict(), tmp_path / "own.pt")
    nets.load_weights(net, tmp_path / "own.pt")
    x = torch.randn(2, 3, side, side)
    torch.testing.assert_close(net(x)[1], model(x))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet19", "^timm has no net 'resnet19': did you mean resnet18"),
        ("deit_tiny_distilled_patch16_224", "has outputs beside its logits"),
        ("vit_tiny_patch16_224", r"does not take images of 64 x 64 pixels \(.*\): .*--size$"),
    ],
)
def test_what_does_not_fit_of_timm_is_refused(name: str, sentence: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(UsageError, match=sentence):
        nets.build(f"timm:{name}", (3, 64, 64), 10)


def test_without_timm_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"need timm: pip install 'thresher\[timm\]'$"):
        nets.build("timm:resnet18", (3, 64, 64), 10)


def test_what_pretrained_weights_expect() -> None:
    pytest.importorskip("timm")
    expected = moments("timm:vit_tiny_patch16_224")
    assert expected is not None
    assert expected[0].tolist() == [127.5] * 3
