"""A test of the house rules: what every method file has, and that every public name says what it is."""

import ast
import dataclasses
import importlib
import math
import re
from pathlib import Path

import pytest

import thresher
from thresher import methods
from thresher.engine.combine import Combination
from thresher.engine.method import FAMILIES, filled_slots, hyperparameters

HERE = Path(__file__).parent
SOURCE = Path(next(iter(thresher.__path__)))
VENUE = r"(NeurIPS|ICML|ICLR|CVPR|ICCV|ECCV|AAAI|IJCAI|BMVC|UAI|AISTATS|JAIR|JMLR|TMLR|PAMI|Pattern Recognition)"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
NAMES = methods.names()


def test_there_are_methods() -> None:
    assert len(NAMES) >= 13


@pytest.mark.parametrize("name", NAMES)
def test_has_a_test_file(name: str) -> None:
    assert (HERE / f"test_{name}.py").exists()


@pytest.mark.parametrize("name", NAMES)
def test_cites_its_paper_and_says_where_it_deviates(name: str) -> None:
    text = " ".join((importlib.import_module(f"thresher.methods.{name}").__doc__ or "").split())
    assert re.search(r"[A-Z][a-z]+ (et al\.|and [A-Z][a-z]+|, )", text), "an author"
    assert re.search(rf"{VENUE} (19|20)\d\d", text), "a venue and a year"
    assert re.search(r'"[A-Za-z][^"]{10,}"', text), "a title"
    assert "Deviations" in text


@pytest.mark.parametrize("name", NAMES)
def test_is_one_frozen_dataclass_of_a_known_family(name: str) -> None:
    cls = methods.load(name)
    assert cls.__dataclass_params__.frozen
    assert cls.family in FAMILIES
    assert cls.__bases__ == (object,)
    assert filled_slots(cls)
    Combination([cls()])


@pytest.mark.parametrize("name", NAMES)
def test_fields_have_ranges(name: str) -> None:
    cls = methods.load(name)
    for parameter in hyperparameters(cls):
        default = parameter.default
        if isinstance(default, bool) or parameter.convert is not None:
            continue
        if parameter.choices is not None:
            assert default in parameter.choices
            continue
        low, high = parameter.bounds
        assert low > -math.inf or high < math.inf, parameter.name
        assert low <= default <= high
        if parameter.search is not None:
            assert low <= parameter.search[0] < parameter.search[1] <= high
    letters = [p.letter for p in hyperparameters(cls) if p.letter is not None]
    assert len(letters) == len(set(letters))


@pytest.mark.parametrize("name", NAMES)
def test_docstring_explains_every_field(name: str) -> None:
    cls = methods.load(name)
    explained = cls.__doc__ or ""
    for field in dataclasses.fields(cls):
        assert re.search(rf"^\s+{field.name}: ", explained, re.MULTILINE), field.name


@pytest.mark.parametrize("name", NAMES)
def test_repr_evaluates_back_and_objects_hash(name: str) -> None:
    cls = methods.load(name)
    method = cls()
    again = eval(repr(method), {cls.__name__: cls})  # noqa: S307
    assert again == method
    assert hash(again) == hash(method)
    neutral = getattr(cls, "neutral", {})
    assert set(neutral) <= {field.name for field in dataclasses.fields(cls)}
    Combination([cls(**neutral)])


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions, classes and methods without a docstring; members of protocols only state a shape."""
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list):
            continue  # a signature for the type checker; the function itself follows
        if ast.get_docstring(node) is None:
            found.append(node.name)
        protocol = isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
        for member in [] if protocol or not isinstance(node, ast.ClassDef) else node.body:
            if not isinstance(member, ast.FunctionDef) or member.name.startswith("_"):
                continue
            if ast.get_docstring(member) is None:
                found.append(f"{node.name}.{member.name}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring(module: str) -> None:
    assert undocumented(ast.parse((SOURCE / module).read_text())) == []


@pytest.mark.parametrize("folder", ["engine", "parts", "data", "nets", "audit"])
def test_no_other_room_names_a_method(folder: str) -> None:
    """The engine and its helpers may mention methods in examples, never in code."""
    for path in (SOURCE / folder).glob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) thresher\.methods\.(\w+)", path.read_text(), re.MULTILINE)
        assert not imported, path.name
