"""Every network: shapes, the head, gradients, and the sentences for wrong names and shapes."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from thresher import nets
from thresher.errors import UsageError
from thresher.nets.blocks import Net

SHAPES = [
    ("linear", (7,)),
    ("mlp", (7,)),
    ("mlp", (1, 8, 8)),
    ("small_cnn", (1, 8, 8)),
    ("small_cnn", (3, 16, 16)),
    ("small_cnn", (3, 1, 5)),
    ("lenet", (1, 12, 12)),
    ("lenet", (1, 28, 28)),
    ("lenet", (1, 32, 21)),
    ("cnn8", (3, 8, 8)),
    ("cnn8", (3, 32, 32)),
    ("cnn8", (1, 19, 32)),
    ("preact_resnet18", (3, 32, 32)),
    ("preact_resnet18", (1, 9, 12)),
    ("preact_resnet34", (3, 8, 8)),
    ("resnet18", (3, 8, 8)),
    ("resnet18", (1, 64, 65)),
    ("resnet34", (2, 12, 9)),
    ("resnet50", (3, 8, 8)),
    ("torchvision:resnet18", (1, 40, 40)),
    ("torchvision:mobilenet_v3_small", (3, 33, 32)),
]
CASES = pytest.mark.parametrize(("name", "shape"), SHAPES)


def made(name: str, shape: tuple[int, ...], outputs: int = 5) -> tuple[Net, Tensor]:
    torch.manual_seed(0)
    net = nets.build(name, shape, outputs)
    assert isinstance(net, Net)
    return net, torch.randn(3, *shape)


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in net.named_parameters()}


@CASES
def test_head_maps_features_to_logits(name: str, shape: tuple[int, ...]) -> None:
    net, x = made(name, shape)
    features, logits = net(x)
    assert features.shape == (3, net.head.in_features)
    assert logits.shape == (3, 5)
    torch.testing.assert_close(net.head(features), logits)


@CASES
def test_gradient_reaches_every_parameter_and_the_input(name: str, shape: tuple[int, ...]) -> None:
    net, x = made(name, shape)
    x.requires_grad_()
    features, logits = net(x)
    gradients = torch.autograd.grad(logits.square().sum() + features.sum(), [x, *net.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].abs().sum() > 0
    assert gradients[1].abs().sum() > 0


@CASES
def test_input_is_left_as_it_was(name: str, shape: tuple[int, ...]) -> None:
    net, x = made(name, shape)
    before = x.clone()
    net(x)
    assert torch.equal(x, before)


@CASES
def test_functional_call_at_other_parameters(name: str, shape: tuple[int, ...]) -> None:
    net, x = made(name, shape)
    net.eval()
    doubled = {key: value * 2 if key.startswith("head") else value for key, value in weights(net).items()}
    _, logits = torch.func.functional_call(net, doubled, (x,))
    torch.testing.assert_close(logits, net(x)[1] * 2)


@CASES
def test_forward_mode_agrees_with_reverse_mode(name: str, shape: tuple[int, ...]) -> None:
    """Second-order methods differentiate forwards; a ReLU in place must not spoil either direction."""
    net, x = made(name, shape)
    net, x = net.double(), x.double()
    params = weights(net)
    direction = {key: torch.randn_like(value) for key, value in params.items()}

    def loss(at: dict[str, Tensor]) -> Tensor:
        torch.manual_seed(2)  # of dropout
        buffers = {key: buffer.clone() for key, buffer in net.named_buffers()}
        _, logits = torch.func.functional_call(net, {**at, **buffers}, (x,))
        result: Tensor = logits.square().sum()
        return result

    forwards = torch.func.jvp(loss, (params,), (direction,))[1]
    gradient = torch.func.grad(loss)(params)
    backwards = sum((gradient[key] * direction[key]).sum() for key in params)
    torch.testing.assert_close(forwards, backwards)


def test_a_seed_decides_the_weights() -> None:
    (first, x), (second, _) = made("small_cnn", (1, 8, 8)), made("small_cnn", (1, 8, 8))
    assert torch.equal(first(x)[1], second(x)[1])


def test_small_cnn_learns_in_a_few_steps() -> None:
    net, _ = made("small_cnn", (1, 8, 8), outputs=2)
    x = torch.randn(64, 1, 8, 8)
    labels = (x.mean((1, 2, 3)) > 0).long()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(net(x)[1], labels))
        optimizer.step()
    assert (net(x)[1].argmax(1) == labels).double().mean() > 0.9


@pytest.mark.parametrize("name", [*nets.names()[2:], "torchvision:resnet18"])
def test_convolutions_refuse_features(name: str) -> None:
    with pytest.raises(UsageError, match=f"net {name} takes images, and these inputs are 64 features: choose net mlp"):
        nets.build(name, (64,), 10)


@pytest.mark.parametrize(("name", "shape"), [("lenet", (1, 8, 8)), ("lenet", (1, 28, 11)), ("cnn8", (3, 7, 32))])
def test_images_too_small_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=f"net {name} takes images from .* and these are {shape[1]} x {shape[2]}"):
        nets.build(name, shape, 10)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"there is no net 'lenett': did you mean lenet or"):
        nets.build("lenett", (1, 28, 28), 10)
    with pytest.raises(UsageError, match=r"known are cnn8, lenet, linear, mlp, .*, torchvision:NAME$"):
        nets.build("?", (1, 28, 28), 10)


@pytest.mark.parametrize("shape", [(), (8, 8), (1, 2, 3, 4), (0,), (1, 0, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="one input has shape"):
        nets.build("mlp", shape, 10)
    with pytest.raises(UsageError, match="one input has shape"):
        nets.auto(shape, "cpu")


def test_no_outputs_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot have 0 outputs"):
        nets.build("mlp", (4,), 0)


@pytest.mark.parametrize(
    ("shape", "device", "expected"),
    [
        ((30,), "cuda", "mlp"),
        ((1, 8, 8), "cpu", "small_cnn"),
        ((3, 16, 16), "cuda", "small_cnn"),
        ((1, 17, 17), "cpu", "lenet"),
        ((1, 32, 32), "cuda", "lenet"),
        ((1, 8, 28), "cpu", "small_cnn"),
        ((3, 4, 60), "cpu", "small_cnn"),
        ((3, 17, 17), "cpu", "cnn8"),
        ((3, 64, 64), "cpu", "cnn8"),
        ((3, 32, 32), "cuda", "preact_resnet18"),
        ((4, 32, 32), "mps", "preact_resnet18"),
        ((3, 65, 65), "cpu", "torchvision:resnet18"),
        ((1, 40, 20), "cuda", "torchvision:resnet18"),
        ((4, 65, 65), "cpu", "resnet18"),
    ],
)
def test_auto(shape: tuple[int, ...], device: str, expected: str) -> None:
    assert nets.auto(shape, device) == expected
    assert nets.build(expected, shape, 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("preact_resnet18", 11_171_274),  # DivideMix's, with batch normalisation in the stem
        ("resnet18", 11_173_962),  # the usual counts with a stem for CIFAR-10
        ("preact_resnet34", 21_279_434),
        ("resnet34", 21_282_122),
        ("resnet50", 23_520_842),
    ],
)
def test_parameters_as_in_the_literature(name: str, expected: int) -> None:
    net = nets.build(name, (3, 32, 32), 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


def test_the_stem_depends_on_the_shorter_side() -> None:
    small, large = (nets.build("resnet18", shape, 10) for shape in ((3, 63, 64), (3, 64, 64)))
    sizes = [net.body.get_parameter("model.conv1.weight").shape[2:] for net in (small, large)]
    assert sizes == [(3, 3), (7, 7)]
    assert isinstance(small.body.get_submodule("model.maxpool"), nn.Identity)
    assert (
        sum(parameter.numel() for parameter in nets.build("resnet18", (3, 224, 224), 1000).parameters()) == 11_689_512
    )


@pytest.mark.parametrize("name", nets.names()[5:])
@pytest.mark.parametrize("side", [32, 224])
def test_large_networks_take_small_and_large_images(name: str, side: int) -> None:
    net, _ = made(name, (3, side, side))
    state = {key: value.to("meta") for key, value in net.state_dict().items()}
    features, logits = torch.func.functional_call(net, state, torch.zeros(2, 3, side, side, device="meta"))
    assert (features.shape, logits.shape) == ((2, net.head.in_features), (2, 5))


def test_channels_last_gives_the_same() -> None:
    for name in ("resnet18", "torchvision:resnet18"):
        net, x = made(name, (1, 24, 24))
        net.eval()
        expected = net(x)[1]
        net = net.to(memory_format=torch.channels_last)
        torch.testing.assert_close(net(x.to(memory_format=torch.channels_last))[1], expected, rtol=1e-4, atol=1e-5)


def test_torchvision_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys; from thresher import nets; nets.build('mlp', (4,), 2); nets.auto((3, 99, 99), 'cpu'); "
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
