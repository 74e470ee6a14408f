"""What is said of the methods is what their code says and does."""

import json

import pytest
import torch

import thresher as th
from thresher import catalogue, methods
from thresher.engine.combine import check_legal
from thresher.engine.method import SLOTS, hyperparameters
from thresher.errors import UsageError

NAMES = methods.names()


def test_every_slot_and_law_is_explained() -> None:
    assert list(catalogue.SLOTS_IN_WORDS) == list(SLOTS)
    assert set(catalogue.LAWS_IN_WORDS) == set(SLOTS.values())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_whole_and_fits_into_json(name: str) -> None:
    told = catalogue.describe(name)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert catalogue.citation(told["paper"])
    assert all(field["meaning"] for field in told["fields"])
    assert all(th.method(name, preset=preset) for preset in told["presets"])
    assert told["recipes"]


@pytest.mark.parametrize("name", NAMES)
def test_drop_in_lines_run(name: str) -> None:
    told = catalogue.describe(name)
    line = told["drop_in_line"]
    if told["drop_in"] is None:
        assert "cannot be a loss: it " in line
        return
    net = torch.nn.Linear(4, 10)
    for field in told["drop_in_with"]:
        line = line.replace(f"{field}=...", f"{field}=torch.eye(10)")
    made = eval(line, {"th": th, "torch": torch, "net": net})  # noqa: S307
    logits, labels, index = net(torch.randn(2, 4)), torch.tensor([1, 2]), torch.tensor([7, 5])
    if told["drop_in"] == "loss":
        if "inputs" in told["slots"]:
            _, labels = made.mix(torch.randn(2, 4), labels)
        made(logits, labels, index).backward()
    else:
        torch.nn.functional.cross_entropy(logits, labels).backward()
        made.step()


@pytest.mark.parametrize("name", NAMES)
def test_combinations_are_all_the_others(name: str) -> None:
    told = catalogue.describe(name)
    refused = [other for reason in told["refused"] for other in reason["methods"]]
    assert sorted([*told["combines"], *refused, name]) == NAMES
    if told["combines"]:
        check_legal([th.method(name), th.method(told["combines"][0])])
    for other in refused:
        with pytest.raises(UsageError):
            check_legal([th.method(name), th.method(other)])


def test_names_inside_other_names_stay_whole() -> None:
    (reason,) = [one for one in catalogue.describe("gce")["refused"] if "truncated_gce" in one["methods"]]
    assert reason["why"].startswith("gce and the other both fill the slot 'loss'")
    (reason,) = [one for one in catalogue.describe("truncated_gce")["refused"] if "gce" in one["methods"]]
    assert reason["why"].startswith("truncated_gce and the other both fill the slot 'loss'")


def test_what_a_loop_has_to_bring_is_named() -> None:
    told = catalogue.describe("forward_correction")
    assert (told["drop_in"], told["drop_in_with"]) == ("loss", ["matrix"])
    assert 'th.method("forward_correction", matrix=...)' in told["drop_in_line"]
    assert catalogue.describe("truncated_gce")["by_hand"] == ["between"]


def test_meanings_are_read_over_several_lines() -> None:
    class Long:
        """What it is.

        Attributes:
            one: begins here
                and ends here.
            two: is short.

        Example:
            three: is none.
        """

    assert catalogue.attributes(Long) == {"one": "begins here and ends here.", "two": "is short."}


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ('Ng, "Feature selection, L1", ICML 2004; others', "Ng, ICML 2004"),
        ('Ghosh, Kumar and Sastry, "Robust", AAAI 2017', "Ghosh, Kumar and Sastry, AAAI 2017"),
        ('It learns (Zhang et al., "Deep", ICLR 2017).', "Zhang et al., ICLR 2017"),
        ('Pereyra et al., "Penalizing", ICLR 2017 (workshop)', "Pereyra et al., ICLR 2017"),
        ("No paper at all.", ""),
    ],
)
def test_citations(text: str, cited: str) -> None:
    assert catalogue.citation(text) == cited


def test_bounds_are_told() -> None:
    (q,) = catalogue.describe("gce")["fields"]
    (parameter,) = hyperparameters(methods.load("gce"))
    assert (q["least"], q["most"]) == parameter.bounds
