"""Noise by name, and the manifest that says exactly what was drawn."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.engine.options import nearest
from thresher.errors import UsageError
from thresher.noise.asymmetric import asymmetric
from thresher.noise.rates import check_rate
from thresher.noise.symmetric import symmetric

NAMES = ("symmetric", "asymmetric")
VERSION = 1
"""Of the generators: it grows when the same seed gives other labels than before."""


@dataclass(frozen=True)
class NoiseSpec:
    """Noise as typed: ``NAME:RATE[:SEED]``.

    Attributes:
        name: of the generator.
        rate: in [0, 1).
        seed: None takes the run's.
    """

    name: str
    rate: float
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class Noise:
    """Wrong labels and how they were made.

    Attributes:
        labels: noisy labels, int64 ``[N]``.
        clean: true labels, int64 ``[N]``.
        classes: class names.
        generator: as typed, with seeds, for instance ``symmetric:0.4:0``; several are joined by a plus sign.
        version: of the generators.
        seed: of the first draw.
        nominal: the rate asked for; of the last generator when there are several.
    """

    labels: np.ndarray
    clean: np.ndarray
    classes: tuple[str, ...]
    generator: str
    version: int
    seed: int
    nominal: float

    @property
    def realised(self) -> float:
        """The fraction of labels that are wrong."""
        return float((self.labels != self.clean).mean())

    @property
    def matrix(self) -> np.ndarray:
        """Realised transition matrix, float64 ``[K, K]``: row = true class, column = given label, rows sum to 1."""
        count = len(self.classes)
        joint = np.bincount(self.clean * count + self.labels, minlength=count**2).reshape(count, count)
        return np.asarray(joint / np.maximum(joint.sum(1, keepdims=True), 1))

    def save(self, path: str | Path) -> None:
        """Write the manifest as ``.npz``; nothing in it can run code."""
        facts = {
            "generator": self.generator,
            "version": self.version,
            "seed": self.seed,
            "nominal": self.nominal,
            "classes": self.classes,
            "realised": self.realised,
        }
        np.savez_compressed(path, labels=self.labels, clean=self.clean, matrix=self.matrix, facts=json.dumps(facts))

    @classmethod
    def load(cls, path: str | Path) -> "Noise":
        """Read a manifest.

        Raises:
            UsageError: the file is none.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                labels, clean = stored["labels"].astype(np.int64), stored["clean"].astype(np.int64)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} is no noise manifest ({error}): write one with Noise.save") from error
        named = {name: facts[name] for name in ("generator", "version", "seed", "nominal")}
        return cls(labels, clean, tuple(facts["classes"]), **named)


def parse(text: str) -> NoiseSpec:
    """Read ``NAME:RATE[:SEED]``.

    Raises:
        UsageError: an unknown name, a rate outside [0, 1), or something that is no number.

    Example:
        >>> parse("symmetric:0.4")
        NoiseSpec(name='symmetric', rate=0.4, seed=None)
    """
    name, _, rest = text.partition(":")
    if name not in NAMES:
        raise UsageError(f"there is no noise {name!r}: {nearest(name, NAMES)}")
    rate, _, seed = rest.partition(":")
    try:
        spec = NoiseSpec(name, float(rate), int(seed) if seed else None)
    except ValueError:
        raise UsageError(f"noise {text!r} is not understood: write {name}:RATE or {name}:RATE:SEED, as {name}:0.4") from None
    check_rate(spec.rate)
    return spec


def apply(
    specs: Sequence[str], labels: np.ndarray, classes: Sequence[str], *, seed: int, confusions: Mapping[int, int]
) -> Noise:
    """Put noise into labels, one generator after the other.

    Args:
        specs: at least one, as `parse` reads them.
        labels: true labels, integer ``[N]``.
        classes: class names.
        seed: for specs without one.
        confusions: the data set's map for asymmetric noise.

    Example:
        >>> noise = apply(["symmetric:0.5"], np.repeat([0, 1], 10), ["a", "b"], seed=3, confusions={})
        >>> noise.generator, noise.realised
        ('symmetric:0.5:3', 0.5)
    """
    if not specs:
        raise UsageError("no noise was named: write NAME:RATE, for instance symmetric:0.4")
    clean = np.asarray(labels, dtype=np.int64)
    noisy, said, first = clean, [], seed
    for number, text in enumerate(specs):
        spec = parse(text)
        used = seed if spec.seed is None else spec.seed
        first = used if number == 0 else first
        if spec.name == "symmetric":
            noisy = symmetric(noisy, spec.rate, used, len(classes))
        else:
            noisy = asymmetric(noisy, spec.rate, used, confusions, len(classes))
        said.append(f"{spec.name}:{spec.rate:g}:{used}")
    return Noise(noisy, clean, tuple(classes), "+".join(said), VERSION, first, spec.rate)


def hopeless(noise: Noise) -> str | None:
    """A warning when no method can survive the noise: when some class's given labels are mostly of another true class.

    Then the wrong label is the better-supported one, and nothing in the data speaks for the right one.

    Example:
        >>> hopeless(apply(["symmetric:0.6"], np.repeat([0, 1], 10), ["a", "b"], seed=0, confusions={}))[:31]
        "of the samples labelled 'a' mos"
    """
    count = len(noise.classes)
    joint = np.bincount(noise.clean * count + noise.labels, minlength=count**2).reshape(count, count)
    lost = np.flatnonzero(joint.max(0) > joint.diagonal())
    if not len(lost):
        return None
    label = noise.classes[lost[0]]
    source = noise.classes[int(joint[:, lost[0]].argmax())]
    return (
        f"of the samples labelled {label!r} most are truly {source!r}: no method can learn this class from such labels, "
        "lower the noise rate"
    )
