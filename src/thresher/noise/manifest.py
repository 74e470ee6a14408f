"""Noise as a user asks for it, and a record of what was really done to the labels."""

import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thresher.engine.options import nearest
from thresher.errors import UsageError
from thresher.noise.asymmetric import asymmetric
from thresher.noise.exact import check_rate
from thresher.noise.symmetric import symmetric

GENERATORS = ("asymmetric", "symmetric")
"""The names of noise."""

VERSION = 1
"""Of the generators: raised whenever the same name, rate and seed would give other labels."""

_FACTS = {"generator": str, "version": int, "seed": int, "nominal": float, "classes": list}
# What zipfile, zlib, json and numpy's header parser raise on files that are cut off or altered.
_DAMAGED: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error, SyntaxError)
_DAMAGED += (ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class NoiseSpec:
    """Noise as it is asked for.

    Attributes:
        name: one of `GENERATORS`.
        rate: in [0, 1).
        seed: of its draw; None leaves it to the run.
    """

    name: str
    rate: float
    seed: int | None = None

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.name}:{self.rate}" + ("" if self.seed is None else f":{self.seed}")


def parse(text: str) -> NoiseSpec:
    """Read ``NAME:RATE[:SEED]``.

    Raises:
        UsageError: another form, an unknown name, a rate outside [0, 1), or a seed that is no whole number from 0.

    Example:
        >>> parse("symmetric:0.4"), str(parse("asymmetric:0.2:7"))
        (NoiseSpec(name='symmetric', rate=0.4, seed=None), 'asymmetric:0.2:7')
        >>> parse("symetric:0.4")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no noise 'symetric': did you mean symmetric or asymmetric?
    """
    name, *numbers = text.strip().split(":")
    if name not in GENERATORS:
        raise UsageError(f"there is no noise {name!r}: {nearest(name, GENERATORS)}")
    if len(numbers) not in (1, 2):
        raise UsageError(f"noise {text!r} is not NAME:RATE or NAME:RATE:SEED: write for example {name}:0.4")
    return NoiseSpec(name, _rate(numbers[0], text), _seed(numbers[1], text) if len(numbers) == 2 else None)


def _rate(text: str, whole: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise UsageError(f"noise {whole!r} has the rate {text!r}, which is no number: write 0.4 for 40 %") from None
    check_rate(rate)
    return rate


def _seed(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"noise {whole!r} has the seed {text!r}: give a whole number from 0")
    return int(text)


@dataclass(frozen=True, eq=False)
class Noise:
    """Labels that were made wrong on purpose, and how.

    Attributes:
        labels: with the noise, int64 ``[N]``.
        clean: as they were, int64 ``[N]``.
        generator: what was asked for, as text with every seed, such as ``symmetric:0.4:0``; several are
            joined by " + ".
        version: of the generators.
        seed: of the first draw.
        nominal: the rate asked for; of several, the share that they would touch together if each touched every class.
        classes: class names; label ``k`` means ``classes[k]``.

    Example:
        >>> noise = Noise(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), "by hand", 1, 0, 0.25, ("cat", "dog"))
        >>> noise.realised, noise.matrix.tolist()
        (0.25, [[0.5, 0.5], [0.0, 1.0]])
    """

    labels: np.ndarray
    clean: np.ndarray
    generator: str
    version: int
    seed: int
    nominal: float
    classes: tuple[str, ...]

    @cached_property
    def counts(self) -> np.ndarray:
        """Rows by true class (first axis) and label (second), int64 ``[K, K]``."""
        size = len(self.classes)
        return np.bincount(self.clean * size + self.labels, minlength=size * size).reshape(size, size)

    @cached_property
    def realised(self) -> float:
        """The share of labels that are wrong; 0 without rows."""
        return float(np.mean(self.labels != self.clean)) if len(self.clean) else 0.0

    @cached_property
    def matrix(self) -> np.ndarray:
        """The realised transitions, float64 ``[K, K]``: each true class (row) adds up to 1.

        A class without rows keeps its label, so that the matrix stays one of probabilities.
        """
        totals = self.counts.sum(1, keepdims=True)
        return np.where(totals > 0, self.counts / np.maximum(totals, 1), np.eye(len(self.classes)))

    def save(self, path: str | Path) -> None:
        """Write a .npz file without pickled objects, under exactly that path.

        Its arrays are `labels`, `clean`, `matrix`, and `about`: a JSON text of everything else, `realised` included.

        Raises:
            UsageError: the folder does not exist, or cannot be written to.
        """
        facts = {name: getattr(self, name) for name in (*_FACTS, "realised")}
        about = np.array(json.dumps(facts, ensure_ascii=False))
        try:
            with Path(path).open("wb") as file:  # by name, numpy would append .npz to any other ending
                np.savez_compressed(file, labels=self.labels, clean=self.clean, matrix=self.matrix, about=about)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written ({error.strerror}): name a file in a folder of yours"
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> "Noise":
        """Read what `save` wrote. Pickled objects are refused, for they could run code.

        Raises:
            UsageError: no such file, pickled objects in it, a damaged file, or one that does not hold noise.

        Example:
            >>> Noise.load("absent.npz")
            Traceback (most recent call last):
            ...
            thresher.errors.UsageError: there is no noise file absent.npz: check the path
        """
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"there is no noise file {path}: check the path")
        try:
            # Opened here, because numpy leaves the file of a damaged archive open.
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in ("labels", "clean", "about")}
            facts = json.loads(str(arrays["about"]))
            return _checked(arrays["labels"], arrays["clean"], facts)
        except _DAMAGED as error:
            raise UsageError(_unreadable(path, error)) from error


def _checked(labels: np.ndarray, clean: np.ndarray, facts: dict[str, Any]) -> Noise:
    """Noise of what a file held; raises a ValueError, LookupError or TypeError if it was something else."""
    known = {name: facts[name] for name in _FACTS}
    if not all(isinstance(known[name], kind) for name, kind in _FACTS.items()):
        raise TypeError("a fact of another type")
    known["classes"] = tuple(map(str, known["classes"]))
    for column in (labels, clean):
        if column.dtype != np.int64 or column.ndim != 1 or len(column) != len(clean):
            raise ValueError("labels of another kind")
        if len(column) and not 0 <= column.min() <= column.max() < len(known["classes"]):
            raise ValueError("labels out of range")
    return Noise(labels=labels, clean=clean, **known)


def _unreadable(path: Path, error: Exception) -> str:
    if "allow_pickle" in str(error):
        return f"{path} holds pickled Python objects, which could run code: make it again with Noise.save"
    return f"{path} is damaged, or no noise file: make it again with Noise.save"


def apply(
    specs: Sequence[str], labels: np.ndarray, classes: Sequence[str], *, seed: int, confusions: Mapping[int, int]
) -> Noise:
    """Make labels wrong as asked: several kinds of noise one after the other, each on the labels the last one left.

    Args:
        specs: texts ``NAME:RATE[:SEED]``, one or more.
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        classes: the K class names.
        seed: of every kind of noise that names none.
        confusions: the map of asymmetric noise, from class to class; may be empty if there is no asymmetric noise.

    Returns:
        The noise; its `clean` are `labels`, however many kinds there are.

    Raises:
        UsageError: no noise at all, or whatever `parse` and the generators refuse.

    Example:
        >>> noise = apply(["symmetric:0.4"], np.repeat([0, 1], 10), ["cat", "dog"], seed=3, confusions={})
        >>> noise.generator, noise.realised
        ('symmetric:0.4:3', 0.4)
    """
    asked = [parse(text) for text in specs]
    if not asked:
        raise UsageError("no noise is named: give at least one NAME:RATE, for example symmetric:0.4")
    seeds = [seed if one.seed is None else one.seed for one in asked]
    noisy = labels
    for one, own_seed in zip(asked, seeds, strict=True):
        noisy = _generate(one, own_seed, noisy, len(classes), confusions)
    return Noise(
        labels=noisy,
        clean=np.array(labels, dtype=np.int64),
        generator=" + ".join(str(replace(one, seed=own)) for one, own in zip(asked, seeds, strict=True)),
        version=VERSION,
        seed=seeds[0],
        # Rounded, because 1 - (1 - 0.3) is not 0.3.
        nominal=round(1 - math.prod(1 - one.rate for one in asked), 12),
        classes=tuple(classes),
    )


def _generate(
    spec: NoiseSpec, seed: int, labels: np.ndarray, classes: int, confusions: Mapping[int, int]
) -> np.ndarray:
    if spec.name == "symmetric":
        return symmetric(labels, spec.rate, seed, classes)
    return asymmetric(labels, spec.rate, seed, confusions, classes)


def hopeless(noise: Noise) -> str | None:
    """A warning, in one sentence, of noise that no method can survive; None if there is hope.

    The criterion: among the rows that carry some class's label, another true class is more frequent than the class
    itself (a tie still leaves hope), or none of its own rows kept its label. Then the labels by themselves point to the
    wrong class, and only clean examples could tell.

    Example:
        >>> labels = np.repeat([0, 1], 10)
        >>> hopeless(apply(["asymmetric:0.4"], labels, ["cat", "dog"], seed=0, confusions={0: 1, 1: 0}))
        >>> hopeless(apply(["asymmetric:0.6"], labels, ["cat", "dog"], seed=0, confusions={0: 1, 1: 0}))
        "of the 10 rows labelled 'cat', 6 are truly 'dog' and only 4 'cat' (classes like this: 2 of 2): no method can \
learn from such labels, so use a lower rate"
    """
    own = np.diag(noise.counts)
    others = noise.counts - np.diag(own)
    lost = np.flatnonzero((others.max(0) > own) | ((own == 0) & (noise.counts.sum(1) > 0)))
    if not len(lost):
        return None
    label = lost[0]
    rows, worst = noise.counts[:, label].sum(), others[:, label].argmax()
    name, other = noise.classes[label], noise.classes[worst]
    found = f"no row is labelled {name!r} any more"
    if rows:
        counts = f"{others[worst, label]} are truly {other!r} and only {own[label]} {name!r}"
        found = f"of the {rows} rows labelled {name!r}, {counts}"
    share = f"classes like this: {len(lost)} of {len(noise.classes)}"
    return f"{found} ({share}): no method can learn from such labels, so use a lower rate"
