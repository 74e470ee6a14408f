"""Every suite can be trained: its methods, settings, noise and nets exist, and what it stands beside has a source."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from thresher import methods, nets, noise, suites
from thresher.api import parted
from thresher.engine.combine import Combination
from thresher.engine.method import check_options
from thresher.engine.options import resolve
from thresher.errors import UsageError
from thresher.recipes import METRICS

NAMES = suites.names()


def test_they_ship_with_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "suites/*.toml" in project["tool"]["setuptools"]["package-data"]["thresher"]


def test_an_unknown_one_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no suite 'cdr-table': did you mean cdr-table1"):
        suites.read("cdr-table")


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_can_be_trained(name: str) -> None:
    built: dict[str, Any] = {}
    for cell in suites.read(name).cells():
        text = repr((cell.method, cell.fields, cell.settings))
        if text not in built:
            settings: dict[str, Any] = {**cell.settings}
            settings.pop("mapping", None)
            options = resolve(parted(settings)[1])
            told = {"noise_rate": 0.2} if cell.fields.get("noise_rate") == "nominal" else {}
            built[text] = methods.method(cell.method, **{**cell.fields, **told})
            Combination([built[text]])
            check_options(built[text], options)
            assert options.net in nets.names()
        assert cell.noise is None or 0 < noise.parse(cell.noise).rate < 1


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_comes_twice(name: str) -> None:
    keys = [cell.key for cell in suites.read(name).cells()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", NAMES)
def test_published_figures_belong_to_a_cell_and_name_their_source(name: str) -> None:
    suite = suites.read(name)
    keys = {cell.key[:3] for cell in suite.cells()}
    for one in suite.published:
        assert (one["data"], one["noise"], one["method"]) in keys
        assert 0 < one["value"] < 1
        assert one["metric"] in METRICS
        assert len(one["source"]) > 10


def test_a_block_and_a_row_of_it_can_differ() -> None:
    cells = list(suites.read("sce-tables").cells())
    sce = {cell.data: cell.fields for cell in cells if cell.label == "sce"}
    assert sce == {"cifar10": {"preset": "cifar10"}, "cifar100": {"alpha": 6.0, "beta": 1.0}}
    assert {cell.noise for cell in cells if cell.data == "cifar100"} >= {None, "swap:0.4"}


def test_seeds_come_one_after_the_other() -> None:
    seeds = [cell.seed for cell in suites.read("robust-losses").cells()]
    assert seeds == sorted(seeds)
