"""The guides are true: every block in them runs, and prints what stands below it.

One page is one namespace in one new folder. Python blocks run there, and so do the ``thresher`` lines of bash blocks; a
text block that follows is what they print, with ``...`` for anything. A comment on the line before a block says what is
special about it: ``not run: REASON``; ``realdata``, it needs the official data files; ``needs: PACKAGE``, it runs where
that is installed; ``file: NAME``, it is written to that file; and, before a text block, ``numbers vary``: its numbers
are those of one machine, and only its words are compared.
"""

import contextlib
import importlib.util
import io
import os
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

import pytest
import torch

_ROOT = Path(__file__).parents[1]
_GUIDES = sorted((_ROOT / "docs" / "guide").glob("*.md"))
_PAGES = pytest.mark.parametrize("page", _GUIDES, ids=[path.stem for path in _GUIDES])
_BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<content>.*?)^```$", re.DOTALL | re.M)
_LINK = re.compile(r"\]\(([^)#]*)(#[^)]*)?\)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_RUNS = ("python", "bash")
_NOTES = ("realdata", "numbers vary", "not run: ", "needs: ", "file: ")

Thresher = Callable[..., Any]


@dataclass(frozen=True)
class Block:
    """A block of a page, with the note before it, and the text block that directly follows it."""

    language: str
    content: str
    line: int
    note: str = ""
    prints: "Block | None" = None


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    blocks: list[Block] = []
    ended = -1
    for found in _BLOCK.finditer(page):
        line = page[: found.start("content")].count("\n") + 1
        block = Block(found["language"], found["content"], line, found["note"] or "")
        if block.language == "text" and blocks and not page[ended : found.start()].strip():
            last = blocks.pop()
            block = Block(last.language, last.content, last.line, last.note, block)
        blocks.append(block)
        ended = found.end()
    return blocks


def is_run(block: Block, official: bool) -> bool:
    """Whether a block runs: here, or where the official data are."""
    if block.language not in _RUNS or block.note.startswith("not run: "):
        return False
    if block.note.startswith("needs: "):
        return importlib.util.find_spec(block.note.removeprefix("needs: ").strip()) is not None
    return official or block.note != "realdata"


def run_page(page: Path, thresher: Thresher, official: bool = False) -> int:
    """Run the blocks of a page in the current folder; how many there were."""
    names: dict[str, Any] = {"__name__": "guide"}
    run = [block for block in blocks_of(page.read_text(encoding="utf-8")) if is_run(block, official)]
    for block in run:
        where = f"{page.name}, line {block.line}"
        if block.note.startswith("file: "):
            Path(block.note.removeprefix("file: ")).write_text(block.content, encoding="utf-8")
            continue
        with warnings.catch_warnings():
            if block.note.startswith("needs: "):
                warnings.simplefilter("ignore")  # what other people's packages warn of is theirs
            said = printed(block, names, where) if block.language == "python" else answered(block, thresher, where)
        if block.prints is not None:
            compare(block.prints, said, where)
    return len(run)


def printed(block: Block, names: dict[str, Any], where: str) -> str:
    """What a python block prints."""
    heard = io.StringIO()
    program = compile("\n" * (block.line - 1) + block.content, where, "exec")  # errors name the line of the page
    with contextlib.redirect_stdout(heard):
        exec(program, names)
    return heard.getvalue()


def answered(block: Block, thresher: Thresher, where: str) -> str:
    """What the commands of a bash block answer; a refusal is an answer where the page shows it."""
    heard = []
    for line in block.content.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "thresher", f"{where}: only thresher is run, and this is {line!r}: mark the block not run"
        said = thresher(*words[1:])
        shown = block.prints is not None and "thresher: " in block.prints.content
        assert said.code == 0 or shown, f"{where}: {line!r} ended with {said.code}: {said.err}"
        heard.append(said.out if said.code == 0 else said.err)
    return "".join(heard)


def compare(prints: Block, said: str, where: str) -> None:
    """Fail unless a block printed what the page says."""
    wanted, got = (tidy(text, prints.note == "numbers vary") for text in (prints.content, said))
    if not OutputChecker().check_output(wanted, got, ELLIPSIS):
        raise AssertionError(f"{where} prints:\n{said}\nand the page says:\n{prints.content}")


def tidy(text: str, masked: bool) -> str:
    """Without spaces at the ends of lines; masked, with 0 for every number and one space for many."""
    text = "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
    return re.sub(r" +", " ", _NUMBER.sub("0", text)) if masked else text


@pytest.fixture
def fresh_start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages are read from a fresh start, find the files they write, and leave nothing behind."""
    monkeypatch.syspath_prepend(workplace)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@_PAGES
@pytest.mark.usefixtures("fresh_start")
def test_the_page_runs(page: Path, thresher: Thresher) -> None:
    assert run_page(page, thresher)


@pytest.mark.realdata
@pytest.mark.skipif("THRESHER_DATA" not in os.environ, reason="THRESHER_DATA names no folder")
@_PAGES
@pytest.mark.usefixtures("fresh_start")
def test_the_page_runs_on_official_data(page: Path, thresher: Thresher) -> None:
    assert run_page(page, thresher, official=True)


@_PAGES
def test_every_note_is_one_of_those_that_mean_something(page: Path) -> None:
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    shown = [block for one in blocks for block in (one, one.prints) if block is not None]
    assert [block for block in shown if block.note and not block.note.startswith(_NOTES)] == []


@_PAGES
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    targets = [found[1] for found in _LINK.finditer(page.read_text(encoding="utf-8"))]
    inside = [target for target in targets if target and "://" not in target]
    assert [target for target in inside if not (page.parent / target).exists()] == []


# ---- the tests of the test


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "page.md"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", "line 2 prints:\n2"),
        ("```bash\nthresher methods nonsense\n```\n", "ended with 2: thresher: there is no method 'nonsense'"),
        ("```bash\nthresher methods gce\n```\n```text\nNothing.\n```\n", "prints:\nGeneralised cross-entropy"),
        ("```bash\nls\n```\n", "only thresher is run"),
        ('```python\nprint("a 1")\n```\n<!-- numbers vary -->\n```text\nb 2\n```\n', "prints:\na 1"),
    ],
)
def test_what_is_not_true_fails(page: Callable[[str], Path], thresher: Thresher, text: str, words: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(words)):
        run_page(page(text), thresher)


@pytest.mark.parametrize(
    "text",
    [
        "```python\na = 1\n```\nand\n```python\nprint(a, 23)\n```\n```text\n1 ...\n```\n",
        "```bash\nthresher methods nonsense\n```\n```text\nthresher: there is no method 'nonsense'...\n```\n",
        "<!-- not run: it would never end -->\n```python\nwhile True: ...\n```\n```python\n```\n",
        "<!-- needs: no_such_package -->\n```python\nimport no_such_package\n```\n```python\n```\n",
        "<!-- realdata -->\n```bash\nthresher train mnist\n```\n```python\n```\n",
        '```python\nprint("took 1,234.5 s")\n```\n<!-- numbers vary -->\n```text\ntook 7 s\n```\n',
        "```toml\nseed = 1\n```\n```python\n```\n",
    ],
)
def test_what_is_true_or_marked_passes(page: Callable[[str], Path], thresher: Thresher, text: str) -> None:
    assert run_page(page(text), thresher)


def test_a_text_block_after_a_sentence_is_nobodys_output(page: Callable[[str], Path], thresher: Thresher) -> None:
    assert run_page(page("```python\nprint(1)\n```\n\nA file looks so:\n\n```text\n2\n```\n"), thresher)
