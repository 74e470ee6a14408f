"""Studies: the sources' own experiments, each in one file, with their claims answered.

Discovery is the folder: a study is a file with one public function, ``study(lab: Lab) -> Outcome``, and a docstring
whose first line is its title; the question, the source and the settings follow. `lab` trains and measures, `page`
writes what came out, and names with a leading underscore are helpers. People type a study's name with hyphens.
"""

import ast
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from thresher.errors import UsageError, nearest

if TYPE_CHECKING:
    from thresher.studies.lab import Lab
    from thresher.studies.page import Outcome

_FRAME = ("lab", "page")


def names() -> list[str]:
    """The studies, as people type them.

    Example:
        >>> "early-stopping" in names()
        True
    """
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return sorted(name.replace("_", "-") for name in found if name not in _FRAME and not name.startswith("_"))


def title(name: str) -> str:
    """The first line of a study's docstring, without its full stop; nothing is imported.

    Example:
        >>> title("early-stopping")[:15]
        'Early stopping:'
    """
    source = (Path(__path__[0]) / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].removesuffix(".")


def find(name: str) -> "Callable[[Lab], Outcome]":
    """The function of a study.

    Args:
        name: with hyphens or underscores.

    Raises:
        UsageError: there is no such study.

    Example:
        >>> find("early-stoping")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no study 'early-stoping': did you mean early-stopping?
    """
    typed = name.replace("_", "-")
    if typed not in names():
        raise UsageError(f"there is no study {name!r}: {nearest(typed, names())}")
    found: Callable[[Lab], Outcome] = importlib.import_module(f"{__name__}.{typed.replace('-', '_')}").study
    return found
