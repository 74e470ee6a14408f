"""Recipes: settings of published experiments, one TOML file each, with the paper's figure to stand beside ours.

Discovery is the folder: the name people type is the file stem, method-data-noise.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thresher import shelf

METRICS: Mapping[str, str] = {"last": "last", "last10": "last10", "selected": "selected", "best (leaks)": "oracle"}
"""What a paper's figure may be, and the accuracy of ours to put beside it, a key of ``thresher train --json``.

last: after the last epoch; last10: mean of the last ten; selected: at the epoch that held-out rows with given labels
choose; best (leaks): the best test accuracy of any epoch, which nobody could have chosen without the test labels.
"""


@dataclass(frozen=True)
class Paper:
    """What a paper reports for a recipe.

    Attributes:
        protocol: how the figure came about, and what differs here.
        source: the paper, and its table where that is known.
        value: test accuracy, a fraction; None where no figure could be checked.
        metric: which accuracy it is, a key of `METRICS`; None where the source does not say.
    """

    protocol: str
    source: str
    value: float | None = None
    metric: str | None = None


def names() -> list[str]:
    """Every recipe's name, sorted.

    Example:
        >>> "dividemix-cifar10-sym50" in names()
        True
    """
    return shelf.names(__name__)


def text(name: str) -> str:
    """A recipe's file as it is.

    Raises:
        UsageError: there is no such recipe; the sentence names the nearest ones.

    Example:
        >>> text("elr-cifar10-sym40").splitlines()[1]
        'method = "elr"'
    """
    return shelf.text(__name__, name, "recipe")


def read(name: str) -> dict[str, Any]:
    """A recipe's settings, nested as in a TOML file for ``thresher train -c``.

    Raises:
        UsageError: there is no such recipe.

    Example:
        >>> settings = read("elr-cifar10-sym40")
        >>> settings["noise"], settings["elr"]
        (['symmetric_inclusive:0.4'], {'strength': 3.0, 'momentum': 0.7})
    """
    content = tomllib.loads(text(name))
    del content["paper"]
    return content


def paper(name: str) -> Paper:
    """What the paper reports for a recipe.

    Raises:
        UsageError: there is no such recipe.

    Example:
        >>> reported = paper("dividemix-cifar10-sym50")
        >>> reported.value, reported.metric
        (0.944, 'last10')
    """
    return Paper(**tomllib.loads(text(name))["paper"])
