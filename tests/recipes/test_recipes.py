"""Every recipe resolves, is named after what it does, and says where its figure is from; every method has one."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from thresher import data as sources
from thresher import methods, nets, noise, recipes
from thresher.cli.settings import request
from thresher.engine.combine import Combination
from thresher.engine.options import Options, resolve
from thresher.errors import UsageError

NAMES = recipes.names()
SHORT = {
    "symmetric": "sym",
    "symmetric_bernoulli": "sym",
    "symmetric_inclusive": "sym",
    "asymmetric": "asym",
    "asymmetric_inplace": "asym",
    "pairflip": "pair",
    "instance": "inst",
}
CLASSES = {"mnist": 10, "cifar10": 10, "cifar100": 100}


def asked(name: str) -> dict[str, Any]:
    """What `thresher run` hands on, without anything typed."""
    return request(recipes.read(name), {}, (), {})


def family(data: str) -> str:
    """The data set whose images a name stands for."""
    return {"cifar10n": "cifar10", "cifar100n": "cifar100"}.get(data.partition(":")[0], data)


def test_they_ship_with_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "recipes/*.toml" in project["tool"]["setuptools"]["package-data"]["thresher"]


@pytest.mark.parametrize("method", methods.names())
def test_every_method_has_a_recipe(method: str) -> None:
    assert any(recipes.read(name)["method"] == method for name in NAMES)


@pytest.mark.parametrize("method", ["cross_entropy", "gce", "elr", "co_teaching", "dividemix"])
def test_the_baselines_have_a_recipe_for_human_labels(method: str) -> None:
    assert f"{method}-cifar10n-worse" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_what_it_does(name: str) -> None:
    settings = recipes.read(name)
    kinds = [noise.parse(text) for text in settings.get("noise", ())]
    tags = [f"{SHORT[kind.name]}{100 * kind.rate:.0f}" for kind in kinds]
    assert name == "-".join([settings["method"], settings["data"].replace(":", "-"), *tags])


@pytest.mark.parametrize("name", NAMES)
def test_it_says_all_that_matters(name: str) -> None:
    settings = recipes.read(name)
    wanted = {"method", "data", "net", "epochs", "batch", "valid", "optimizer", "schedule"}
    assert wanted <= set(settings) <= wanted | {"noise", "trusted", settings["method"]}
    assert {"name", "lr", "weight_decay"} <= set(settings["optimizer"])
    assert settings["schedule"]["name"] != "multistep" or settings["schedule"]["milestones"]


@pytest.mark.parametrize("name", NAMES)
def test_it_resolves(name: str) -> None:
    arguments = asked(name)
    options = resolve(arguments["settings"])
    combination = Combination(methods.parse(arguments["method"]))
    assert arguments["data"] in sources.NAMES
    assert combination.needs_trusted == ("trusted" in arguments)
    assert all(milestone < options.epochs for milestone in options.schedule.milestones)
    data = family(arguments["data"])
    shape = (1, 28, 28) if data == "mnist" else (3, 32, 32)
    with torch.device("meta"):
        net = nets.build(options.net, shape, CLASSES[data] + combination.extra_classes)
    assert sum(p.numel() for p in net.parameters()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_a_method_is_told_of_the_noise_is_true(name: str) -> None:
    settings = recipes.read(name)
    told = settings.get(settings["method"], {}).get("noise_rate")
    if told is not None:
        rate = noise.parse(settings["noise"][0]).rate if "noise" in settings else 0.4
        assert told == rate


@pytest.mark.parametrize("name", NAMES)
def test_the_paper_is_named_and_its_figure_is_a_fraction(name: str) -> None:
    reported = recipes.paper(name)
    assert reported.source.strip()
    assert reported.protocol.endswith(".")
    assert reported.metric is None or reported.metric in recipes.METRICS
    if reported.value is None:
        assert reported.metric is None
        assert reported.protocol.startswith("No figure is quoted")
    else:
        assert 0 < reported.value < 1


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_held_out_where_the_figure_needs_them(name: str) -> None:
    held, metric = recipes.read(name)["valid"], recipes.paper(name).metric
    assert (held > 0) or metric in ("last", "last10") or recipes.paper(name).value is None
    assert metric != "selected" or held == 0.1


def test_an_unknown_name_names_the_nearest() -> None:
    for ask in (recipes.read, recipes.paper, recipes.text):
        with pytest.raises(
            UsageError, match=r"^there is no recipe 'elr-cifar10-sym4': did you mean elr-cifar10-sym40 or "
        ):
            ask("elr-cifar10-sym4")


@pytest.mark.parametrize("name", ["../recipes/elr-cifar10-sym40", "elr-cifar10-sym40.toml", "", "__init__"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(UsageError, match="there is no recipe"):
        recipes.read(name)


def test_what_is_read_may_be_changed() -> None:
    recipes.read("elr-cifar10-sym40")["elr"]["strength"] = 9
    assert recipes.read("elr-cifar10-sym40")["elr"]["strength"] == 3.0


def test_the_command_line_wins_over_the_recipe_wins_over_the_default() -> None:
    typed = {"epochs": 2, "seed": 7, "root": None}
    arguments = request(recipes.read("elr-cifar10-sym40"), typed, ["elr.strength=9", "optimizer.lr=0.5"], {})
    options = resolve(arguments["settings"])
    assert arguments["method"] == [methods.method("elr", strength=9, momentum=0.7)]
    assert (options.epochs, options.seed, options.schedule.period) == (2, 7, 10)
    assert (options.optimizer.lr, options.optimizer.weight_decay) == (0.5, 1e-3)
    assert options.patience == Options().patience
