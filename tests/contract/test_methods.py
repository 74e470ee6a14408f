"""Every method in the folder keeps every rule of the contract."""

from dataclasses import replace

import pytest
import torch
from tests.contract.vetted import vetted

import thresher as th
from thresher.methods import names
from thresher.testing.contract import CHECKS, check_neutral, check_resume, check_tables
from thresher.testing.toy import CLASSES, WIDTH, ToyNet, toy_study


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", names())
def test_method(name: str, check: str) -> None:
    CHECKS[check](vetted(name))


def a_row_stands_alone() -> bool:
    """Whether this processor computes a row of the toy's network to the same bits whatever rows stand beside it."""
    with torch.no_grad():
        torch.manual_seed(0)
        net, x = ToyNet(CLASSES).eval(), torch.randn(48, WIDTH)
        whole = net(x)[1]
        return all(
            torch.equal(net(part)[1], whole[k : k + len(part)])
            for n in (8, 24)
            for k in (0, 8)
            for part in [x[k : k + n]]
        )


@pytest.mark.parametrize("name", names())
def test_tables_of_two_processes_are_exact(name: str) -> None:
    if not a_row_stands_alone():
        pytest.skip("on this processor a row's matrix product depends on the rows beside it; near is tested above")
    check_tables(vetted(name), exact=True)


@pytest.mark.parametrize(
    "name", [n for n in names() if "neutral" in vars(th.methods.load(n)) and th.methods.load(n)().neutral]
)
def test_neutral_values_are_not_the_defaults(name: str) -> None:
    method = th.method(name)
    assert replace(method, **method.neutral) != method
    check_neutral(method)


@pytest.mark.parametrize("settings", [{"score": "finite_difference"}, {"clean_batch": 4}, {"normalise": False}])
def test_l2rw_in_its_other_forms(settings: dict[str, object]) -> None:
    check_resume(th.method("l2rw", **settings))


def test_dividemix_with_a_memory_of_losses() -> None:
    check_resume(th.method("dividemix", warm_up=0, memory=3, unsupervised=25.0))


def test_every_vetted_method_trains_on_all_classes() -> None:
    run = toy_study(vetted("cross_entropy")).run()
    assert run.classes == CLASSES
    assert len(run.labels.full().unique()) == CLASSES
