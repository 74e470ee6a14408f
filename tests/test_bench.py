"""Suites are trained row by row, gone on with, narrowed, and summed up."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thresher import bench
from thresher import data as sources
from thresher.errors import UsageError
from thresher.suites import Suite


@pytest.fixture
def suite(npz: str) -> Suite:
    """Two methods, two noises, two seeds, on a file of points."""
    block = {"data": npz, "rows": 60, "epochs": 2, "batch": 16, "net": "mlp"}
    published = {"data": npz, "noise": "symmetric:0.2", "method": "gce", "value": 0.5, "metric": "last", "source": "me"}
    return Suite(
        "toy", "Toy", "Two epochs.", (block,), {"gce": {}, "small": {"method": "small_loss", "ramp": 1.0}},
        ("symmetric:0.2", "pairflip:0.3"), (0, 1), (published,),
    )  # fmt: skip


def trained(suite: Suite, out: Path, **settings: Any) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """The document, and the keys of the rows that were new."""
    new: list[tuple[Any, ...]] = []
    document = bench.run(
        suite, out, command="test", device="cpu",
        progress=lambda row, done, of: new.append((row["noise"], row["method"], row["seed"])), **settings,
    )  # fmt: skip
    return document, new


def test_every_cell_is_trained_and_told_the_share_of_wrong_labels(suite: Suite, workplace: Path) -> None:
    document, new = trained(suite, workplace / "toy.json")
    assert len(new) == len(document["rows"]) == 8
    assert json.loads((workplace / "toy.json").read_text()) == document
    told = {row["settings"] for row in document["rows"] if row["method"] == "small" and row["noise"] == "pairflip:0.3"}
    assert told == {"SmallLoss(noise_rate=0.3, ramp=1.0)"}
    assert all(0 <= row["last"] <= 1 and row["realised"] in (0.2, 0.3) for row in document["rows"])


def test_told_the_nominal_rate_or_that_of_a_map(suite: Suite, workplace: Path) -> None:
    block = {**suite.blocks[0], "mapping": "0>1", "noise": ["asymmetric:0.3"]}
    fields = {"method": "small_loss", "ramp": 1.0}
    mapped = replace(
        suite, blocks=(block,), seeds=(0,), methods={"as drawn": fields, "named": {**fields, "noise_rate": "nominal"}}
    )
    document, _ = trained(mapped, workplace / "toy.json")
    told = {row["method"]: (row["settings"], row["realised"]) for row in document["rows"]}
    assert told["as drawn"] == ("SmallLoss(noise_rate=0.1, ramp=1.0)", 0.1)
    assert told["named"] == ("SmallLoss(noise_rate=0.3, ramp=1.0)", 0.1)


def test_a_stopped_one_goes_on_and_trains_nothing_twice(suite: Suite, workplace: Path) -> None:
    out = workplace / "toy.json"
    first, _ = trained(bench.narrowed(suite, labels=["gce"], seeds=[0]), out)
    assert len(first["rows"]) == 2
    whole, new = trained(suite, out)
    assert len(new) == 6
    assert ("symmetric:0.2", "gce", 0) not in new
    assert trained(suite, out)[1] == []
    kept = [row for row in whole["rows"] if (row["method"], row["seed"]) == ("gce", 0)]
    assert kept == first["rows"]


def test_two_processes_give_the_figures_of_one(suite: Suite, workplace: Path) -> None:
    small = bench.narrowed(suite, labels=["gce"], seeds=[0])
    alone, _ = trained(small, workplace / "one.json")
    pair, _ = trained(small, workplace / "two.json", jobs=2)
    for mine, theirs in zip(alone["rows"], pair["rows"], strict=True):
        assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"benchmark": "toy", "blocks": [], "rows": []}'])
def test_a_file_of_something_else_is_left_alone(suite: Suite, workplace: Path, content: str) -> None:
    out = workplace / "notes.json"
    out.write_text(content)
    with pytest.raises(UsageError, match="name another file with --out"):
        trained(suite, out)
    assert out.read_text() == content


def test_other_settings_are_not_mixed_into_one_file(suite: Suite, workplace: Path) -> None:
    trained(bench.narrowed(suite, labels=["gce"], seeds=[0]), workplace / "toy.json")
    with pytest.raises(UsageError, match="other settings"):
        trained(bench.narrowed(suite, epochs=3), workplace / "toy.json")
    other = replace(suite, methods={**suite.methods, "gce": {"power": 0.5}})
    with pytest.raises(UsageError, match="other settings"):
        trained(other, workplace / "toy.json")


def test_settings_that_json_writes_differently_are_the_same(suite: Suite, workplace: Path) -> None:
    matrix = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))
    given = replace(suite, seeds=(0,), methods={"forward": {"method": "forward_correction", "matrix": matrix}})
    assert len(trained(given, workplace / "toy.json")[1]) == 2
    assert trained(given, workplace / "toy.json")[1] == []


def test_a_place_that_is_not_there_is_refused_before_training(suite: Suite, workplace: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        trained(suite, workplace / "nowhere" / "toy.json")


def test_an_unknown_row_is_refused(suite: Suite) -> None:
    with pytest.raises(UsageError, match="toy has no row 'gec': its rows are gce; small"):
        bench.narrowed(suite, labels=["gec"])


def test_too_few_rows_of_a_class(suite: Suite, workplace: Path) -> None:
    with pytest.raises(UsageError, match="has not 100 rows of each"):
        trained(bench.narrowed(suite, rows=300), workplace / "toy.json")


def test_the_summary_averages_over_seeds_and_compares(suite: Suite, workplace: Path) -> None:
    document, _ = trained(suite, workplace / "toy.json")
    lines = {(line["noise"], line["method"]): line for line in bench.summary(document)}
    assert len(lines) == 4
    line = lines["symmetric:0.2", "gce"]
    values = [row["last"] for row in document["rows"] if (row["noise"], row["method"]) == ("symmetric:0.2", "gce")]
    assert line["last"] == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert line["difference"] == pytest.approx(np.mean(values) - 0.5)
    assert lines["pairflip:0.3", "gce"]["difference"] is None


def test_balanced_rows_are_as_many_of_each_true_class(make_arrays: Callable[..., Any], workplace: Path) -> None:
    arrays = make_arrays(rows=90)
    np.savez(workplace / "p.npz", allow_pickle=False, **{**arrays, "y": np.sort(arrays["y"])})
    data = bench.balanced(sources.load("p.npz"), 30)
    assert np.bincount(data.train.labels.numpy()).tolist() == [10, 10, 10]
    assert bench.balanced(data, None) is data


def test_a_suite_without_noise_trains_on_labels_as_they_are(suite: Suite, workplace: Path) -> None:
    plain = replace(suite, noise=(), seeds=(0,), methods={"gce": {}}, published=())
    document, _ = trained(plain, workplace / "toy.json")
    (row,) = document["rows"]
    assert (row["noise"], row["realised"], row["detector"]) == (row["data"], None, None)
