"""Every study of the folder, whoever wrote it: a docstring that says what it is, and a tiny form that runs through."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from thresher import studies
from thresher.errors import UsageError


@pytest.mark.parametrize("name", studies.names())
def test_a_study_says_what_it_is(name: str) -> None:
    module = importlib.import_module(f"thresher.studies.{name.replace('-', '_')}")
    text = inspect.getdoc(module) or ""
    assert text.partition("\n")[0].endswith(".")
    for word in ("Question: ", "Source: "):
        assert word in text, word
    assert len(studies.title(name)) > 10
    assert list(inspect.signature(studies.find(name)).parameters) == ["lab"]


@pytest.mark.parametrize("name", studies.names())
def test_a_study_makes_its_claims(name: str) -> None:
    source = Path(studies.__path__[0]) / f"{name.replace('-', '_')}.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert {"Claim", "Outcome"} <= called


def test_helpers_are_no_studies() -> None:
    assert not {"lab", "page"} & set(studies.names())
    assert not [name for name in studies.names() if name.startswith(("-", "_"))]


def test_both_spellings_are_found() -> None:
    assert studies.find("early_stopping") is studies.find("early-stopping")


@pytest.mark.parametrize("name", ["lab", "page", "_figures", "nothing", ""])
def test_what_is_no_study_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="there is no study"):
        studies.find(name)
