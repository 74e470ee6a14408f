"""Dropout before the head: in every network, only in training, exact on resume, the same wherever a net is built."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher import nets
from thresher.engine.options import Options, resolve
from thresher.errors import UsageError
from thresher.nets.blocks import Net
from thresher.testing.compare import difference_of_studies
from thresher.testing.toy import Stopped, ToyStudy, toy, toy_study

Arrays = dict[str, np.ndarray]
SHAPES = {
    "linear": (400,), "mlp": (7,), "small_cnn": (1, 8, 8), "lenet": (1, 28, 28), "cnn8": (3, 16, 16),
    "preact_resnet18": (3, 8, 8), "resnet18": (3, 8, 8), "torchvision:mobilenet_v3_small": (3, 33, 32),
}  # fmt: skip


def built(name: str, dropout: float) -> Net:
    torch.manual_seed(0)
    return nets.build(name, SHAPES[name], 5, dropout)


def into_the_head(net: Net, x: Tensor) -> tuple[Tensor, Tensor]:
    """The features that a network gives, and those that its head sees."""
    seen: list[Tensor] = []
    hook = net.head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    features, _ = net(x)
    hook.remove()
    return features, seen[0]


@pytest.mark.parametrize("name", SHAPES)
def test_features_are_left_out_in_training_only(name: str) -> None:
    net, x = built(name, 0.4), torch.randn(32, *SHAPES[name])
    features, seen = into_the_head(net.train(), x)
    kept = seen != 0
    alive = features != 0
    assert (~kept & alive).sum() / alive.sum() == pytest.approx(0.4, abs=0.05)
    torch.testing.assert_close(seen[kept], features[kept] / 0.6)
    features, seen = into_the_head(net.eval(), x)
    assert torch.equal(features, seen)


@pytest.mark.parametrize("name", SHAPES)
def test_weights_and_their_names_are_those_without(name: str) -> None:
    plain, dropping = built(name, 0.0), built(name, 0.5)
    assert list(plain.state_dict()) == list(dropping.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), dropping.parameters(), strict=True))
    x = torch.randn(4, *SHAPES[name])
    assert torch.equal(plain.eval()(x)[1], dropping.eval()(x)[1])


def test_switched_off_it_draws_nothing() -> None:
    net, x = built("mlp", 0.0).train(), torch.randn(4, 7)
    before = torch.random.get_rng_state()
    features, seen = into_the_head(net, x)
    assert torch.equal(features, seen)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 2, math.nan])
def test_a_chance_without_meaning_is_refused(dropout: float) -> None:
    said = r"^dropout is .*: it is a chance from 0 up to but not including 1$"
    with pytest.raises(UsageError, match=said):
        nets.build("mlp", (7,), 5, dropout)
    with pytest.raises(UsageError, match=said):
        Options(dropout=dropout)


def test_a_word_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^dropout is 'half': it must be of type float"):
        resolve({"dropout": "half"})


def study(*methods: str, folder: Path | None = None, stop_after: int = 0) -> ToyStudy:
    material = replace(toy(), factory=lambda outputs: nets.build("mlp", (8,), outputs, 0.4))
    return toy_study(*map(th.method, methods), material=material, folder=folder, stop_after=stop_after)


@pytest.mark.parametrize("methods", [("elr", "l2"), ("co_teaching",), ("l2rw",), ("mixup", "cdr")])
def test_stopped_and_resumed_equals_straight_through(methods: tuple[str, ...], tmp_path: Path) -> None:
    straight = study(*methods)
    straight.run()
    stops = 0
    with mock.patch("os.fsync"):
        while True:
            broken = study(*methods, folder=tmp_path, stop_after=1)
            try:
                broken.run()
                break
            except Stopped:
                stops += 1
    assert stops > 4
    assert difference_of_studies(straight, broken) is None


def test_it_changes_a_training() -> None:
    plain = toy_study(material=replace(toy(), factory=lambda outputs: nets.build("mlp", (8,), outputs))).run()
    one, other = (run.nets[0].state_dict()["head.weight"] for run in (plain, study().run()))
    assert not torch.equal(one, other)


@pytest.fixture
def fitted(arrays: Arrays, workplace: Path) -> Callable[..., th.Result]:
    """A training of two epochs, into the folder ``run``."""
    data = (arrays["x"], arrays["y"], arrays["x_test"], arrays["y_test"])
    return lambda **options: th.fit(data, "gce", **{"epochs": 2, "batch": 16, "out": "run", **options})


def test_training_loading_and_predicting_agree(fitted: Callable[..., th.Result], arrays: Arrays) -> None:
    first = fitted(dropout=0.3)
    again = th.load("run")
    model = again.model
    assert isinstance(model, nn.Module)
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.3]
    seen = first.predict_proba(arrays["x_test"])
    assert np.array_equal(seen, again.predict_proba(arrays["x_test"]))
    assert np.array_equal(seen, again.predict_proba(arrays["x_test"]))  # nothing is left out when it predicts
    assert (seen.argmax(1) == arrays["y_test"]).mean() == pytest.approx(first.selected)
    program = torch.export.load(again.export("model.pt2")).module()
    assert np.array_equal(program(torch.from_numpy(arrays["x_test"])).detach().numpy(), seen)


def test_on_a_frozen_network_the_features_are_left_out(workplace: Path) -> None:
    torch.save(nets.build("lenet", (1, 12, 12), 2).state_dict(), "lenet.pt")
    draws = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = draws.integers(0, 120, (60, 12, 12), dtype=np.uint8) + (100 * y[:, None, None]).astype(np.uint8)
    how: dict[str, Any] = {"epochs": 1, "batch": 16, "net": "lenet", "weights": "lenet.pt", "frozen": True}
    result = th.fit((x, y), "gce", out="run", dropout=0.3, **how)
    chances = {name: module.p for name, module in result.model.named_modules() if isinstance(module, nn.Dropout)}
    assert [p for name, p in chances.items() if name.startswith("nets.0")] == [0.3]
    assert not any(p for name, p in chances.items() if not name.startswith("nets.0"))


def test_a_run_goes_on_with_its_own_dropout_only(fitted: Callable[..., th.Result]) -> None:
    fitted(dropout=0.3)
    with pytest.raises(UsageError, match=r"^run was trained with dropout 0\.3 and not 0\.2"):
        fitted(dropout=0.2, resume=True, epochs=3)
    assert len(fitted(dropout=0.3, resume=True, epochs=3).history) == 3


def test_on_the_command_line_and_in_a_file(npz: str, thresher: Callable[..., object]) -> None:
    said = str(thresher("train", npz, "--bs", 16, "--set", "dropout=0.3", "--dry-run", "--json"))
    assert '"dropout": 0.3' in said
    Path("settings.toml").write_text("dropout = 0.25\n[optimizer]\nlr = 0.1\n")
    assert '"dropout": 0.25' in str(thresher("train", npz, "--bs", 16, "-c", "settings.toml", "--dry-run", "--json"))
    assert "dropout is 1.0" in str(thresher("train", npz, "--set", "dropout=1"))
    assert not Path("runs").exists()
