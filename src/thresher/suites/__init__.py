"""Suites: tables of methods, data and noise that are trained with one command, one TOML file each.

Discovery is the folder: the name people type is the file stem. A file has a `title`, a `protocol` in words, `seeds`,
`noise`, a table `[methods.LABEL]` for each row (the fields of the method, and `method` where the label is not its name;
a `noise_rate` that is left out is the share of wrong labels that was drawn, ``nominal`` the rate in the noise's name)
and a `[[block]]` for each data set: `data`, `rows` (as many of each class; all if it is left out), `trusted` (for the
methods that need some), `seeds`, `noise` and `[block.methods.LABEL]` where they differ, and any settings of
`thresher.fit`.
`[[published]]` are figures of others for the same cells: `data`, `noise`, `method`, `value`, `metric`, `source`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from thresher import shelf

_OF_BLOCK = ("data", "rows", "trusted", "seeds", "noise", "methods")


@dataclass(frozen=True)
class Cell:
    """One training of a suite.

    Attributes:
        data: as `thresher.data.load` takes it.
        rows: how many training rows, as many of each true class; None for all.
        label: of the table's row.
        method: its name.
        fields: its hyper-parameters that differ from the defaults.
        noise: ``NAME:RATE``, or None for labels as they are.
        seed: of the training and the noise.
        trusted: as ``--trusted`` takes it, for methods that need it.
        settings: further keyword arguments of `thresher.fit`.
    """

    data: str
    rows: int | None
    label: str
    method: str
    fields: Mapping[str, Any]
    noise: str | None
    seed: int
    trusted: str | None
    settings: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Data, noise, label and seed: what makes it one cell of a table."""
        return self.data, self.noise or self.data, self.label, self.seed


@dataclass(frozen=True)
class Suite:
    """A suite's file.

    Attributes:
        name: its stem.
        title: in a few words.
        protocol: in a few sentences: what is trained how, and which choices were made.
        blocks: one mapping per data set.
        methods: label -> fields.
        noise: of every block that names none.
        seeds: of every block that names none.
        published: figures of others.
    """

    name: str
    title: str
    protocol: str
    blocks: tuple[Mapping[str, Any], ...]
    methods: Mapping[str, Mapping[str, Any]]
    noise: tuple[str, ...]
    seeds: tuple[int, ...]
    published: tuple[Mapping[str, Any], ...] = ()

    def cells(self) -> Iterator[Cell]:
        """Every training, seed by seed, so that a run that is stopped leaves whole tables."""
        for seed in dict.fromkeys(seed for block in self.blocks for seed in block.get("seeds", self.seeds)):
            for block in self.blocks:
                if seed in block.get("seeds", self.seeds):
                    yield from self._cells(block, seed)

    def _cells(self, block: Mapping[str, Any], seed: int) -> Iterator[Cell]:
        settings = {key: value for key, value in block.items() if key not in _OF_BLOCK}
        for noise in block.get("noise", self.noise) or (None,):
            for label, shared in self.methods.items():
                fields = {**shared, **block.get("methods", {}).get(label, {})}
                yield Cell(
                    block["data"], block.get("rows"), label, fields.pop("method", label), fields, noise, seed,
                    block.get("trusted"), settings,
                )  # fmt: skip


def names() -> list[str]:
    """Every suite's name, sorted.

    Example:
        >>> "robust-losses" in names()
        True
    """
    return shelf.names(__name__)


def read(name: str) -> Suite:
    """A suite by name.

    Raises:
        UsageError: there is no such suite; the sentence names the nearest ones.

    Example:
        >>> next(read("robust-losses").cells()).key
        ('fashion_mnist', 'symmetric:0.2', 'cross_entropy', 0)
    """
    content = tomllib.loads(shelf.text(__name__, name, "suite"))
    return Suite(
        name,
        content["title"],
        " ".join(content["protocol"].split()),
        tuple(content["block"]),
        content["methods"],
        tuple(content.get("noise", ())),
        tuple(content["seeds"]),
        tuple(content.get("published", ())),
    )
