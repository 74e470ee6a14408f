"""The documentation is true: its generated tables, and every block of Python in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_tables_are_what_the_results_say() -> None:
    subprocess.run([sys.executable, str(_ROOT / "benchmarks" / "tables.py"), "--check"], check=True)


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = _BLOCK.findall((_ROOT / "README.md").read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_the_readme_fits_one_screen_of_prose() -> None:
    assert len((_ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 80
