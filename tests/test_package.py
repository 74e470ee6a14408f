"""What the package exports, and what importing it costs."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import thresher as th

ROOT = Path(__file__).parents[1]


def test_every_public_name_is_there() -> None:
    assert dir(th) == sorted(th.__all__)
    for name in th.__all__:
        assert getattr(th, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = th.fitt


def test_it_is_typed_and_knows_its_version() -> None:
    assert (Path(th.__file__).parent / "py.typed").exists()
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert importlib.metadata.version("thresher") == stated


def test_importing_it_imports_nothing_slow() -> None:
    slow = "{'torch', 'numpy', 'pandas', 'matplotlib', 'sklearn'}"
    code = f"import sys, thresher, thresher.cli; sys.exit(', '.join({slow} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
