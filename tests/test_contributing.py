"""The example of CONTRIBUTING.md does what it says: a method in two files, found, tested and held to the contract."""

import re
import runpy
from pathlib import Path

import pytest

import thresher.methods as zoo
from thresher.testing import check_method

_GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
_FILE = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The guide's files, written out, with the method's folder joined to the methods'."""
    written = {}
    for name, text in _FILE.findall(_GUIDE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written[path.name] = path
    monkeypatch.setattr(zoo, "__path__", [*zoo.__path__, str(written["poly.py"].parent)])
    return written


def test_the_guide_adds_two_files(files: dict[str, Path]) -> None:
    assert sorted(files) == ["poly.py", "test_poly.py"]


def test_the_method_is_found_and_keeps_the_contract(files: dict[str, Path]) -> None:
    assert "poly" in zoo.names()
    check_method(zoo.method("poly"), ranks=False)


def test_its_own_tests_pass(files: dict[str, Path]) -> None:
    tests = runpy.run_path(str(files["test_poly.py"]))
    for name, test in tests.items():
        if name.startswith("test_"):
            test()
