"""The pages of docs/methods/ are what the code says, their links lead somewhere, and what they show runs."""

import doctest
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from thresher import methods

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "methods"
SCRIPT = ROOT / "docs" / "pages.py"
NAMES = methods.names()


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("method_pages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(name), re.MULTILINE | re.DOTALL)


def test_the_pages_are_what_the_code_says() -> None:
    subprocess.run([sys.executable, str(SCRIPT), "--check"], check=True)


def test_a_page_that_differs_is_named(pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FOLDER", tmp_path / "methods")
    monkeypatch.setattr(sys, "argv", ["pages.py"])
    pages.main()
    (tmp_path / "methods" / "gce.md").write_text("by hand")
    (tmp_path / "methods" / "gone.md").write_text("of a method that is no more")
    monkeypatch.setattr(sys, "argv", ["pages.py", "--check"])
    with pytest.raises(SystemExit, match=r"^gce\.md, gone\.md in docs/methods: not what the code says"):
        pages.main()
    monkeypatch.setattr(sys, "argv", ["pages.py"])
    pages.main()
    assert sorted(path.stem for path in (tmp_path / "methods").glob("*.md")) == ["README", *NAMES]


@pytest.mark.parametrize("name", ["README", *NAMES])
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text(name)))
    assert links
    for link in links:
        assert link.startswith("https://") or (FOLDER / link).exists(), link


def test_the_index_names_every_page() -> None:
    assert sorted(re.findall(r"\]\((\w+)\.md\)", text("README"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_tables_have_as_many_cells_in_every_row(name: str) -> None:
    for found in re.findall(r"(?:^\|.*\|\n)+", text(name), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in found.splitlines()}) == 1, found


@pytest.mark.parametrize("name", NAMES)
def test_code_runs(name: str) -> None:
    for block in blocks(name, "python"):
        logits = torch.zeros(2, 10, requires_grad=True)
        labels, index = torch.tensor([1, 2]), torch.tensor([7, 5])
        given = {"inputs": torch.zeros(2, 3), "logits": logits, "labels": labels, "index": index}
        exec(block.replace("=...", "=torch.eye(10)"), {"torch": torch, "net": torch.nn.Linear(3, 2), **given})


@pytest.mark.parametrize("name", [name for name in NAMES if blocks(name, "pycon")])
def test_examples_run(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for block in blocks(name, "pycon"):
        test = doctest.DocTestParser().get_doctest(block, {}, name, None, 0)
        runner.run(test)
    assert not runner.failures


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_understood(name: str, thresher: Callable[..., Any]) -> None:
    (block,) = blocks(name, "bash")
    program, *words = block.split()
    assert program == "thresher"
    said = thresher(*words, "--dry-run")
    assert said.code == 0, said.err


def test_what_has_a_meaning_in_markdown_is_escaped(pages: ModuleType) -> None:
    assert pages.escaped("|g*w| < 1, `a*b | c`") == r"\|g\*w\| \< 1, `a*b | c`"
    assert pages.paragraphs("one\nline, x\n* y") == r"one line, x \* y"
    assert pages.paragraphs("* a `b`\n  c\n* d * e") == "* a `b` c\n* d \\* e"
    assert pages.paragraphs("    kept\n    as it is") == "    kept\n    as it is"
