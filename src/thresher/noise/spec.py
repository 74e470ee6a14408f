"""Noise as a user asks for it: ``NAME:RATE[:SEED]``, ``feature:TYPE:RATE[:SEED]``."""

from dataclasses import dataclass

from thresher.errors import UsageError, nearest
from thresher.noise.exact import check_rate
from thresher.noise.feature import KINDS
from thresher.noise.imbalance import check_factor

IMBALANCES = ("imbalance", "longtail")
"""The names that leave rows out, and take a factor above 1 for a rate."""

GENERATORS = (
    "asymmetric",
    "asymmetric_blocks",
    "asymmetric_inplace",
    "feature",
    "imbalance",
    "instance",
    "instance_normalised",
    "longtail",
    "pairflip",
    "swap",
    "symmetric",
    "symmetric_bernoulli",
    "symmetric_inclusive",
    "transition",
    "tridiagonal",
)
"""The names of noise."""

_ENDINGS = (".npy", ".csv")


@dataclass(frozen=True)
class NoiseSpec:
    """Noise as it is asked for.

    Attributes:
        name: one of `GENERATORS`.
        rate: in [0, 1); of class imbalance the factor, 1 or more; of a transition matrix 0, for its file has the rates.
        seed: of its draw; None leaves it to the run.
        path: of a transition matrix; None for every other name.
        kind: type of feature noise, 1 to 3; None for every other name.
    """

    name: str
    rate: float
    seed: int | None = None
    path: str | None = None
    kind: int | None = None

    def __str__(self) -> str:
        """The text that `parse` reads."""
        whole = self.name in IMBALANCES and float(self.rate).is_integer()
        amount = self.path or (int(self.rate) if whole else self.rate)
        kind = "" if self.kind is None else f":{self.kind}"
        return f"{self.name}{kind}:{amount}" + ("" if self.seed is None else f":{self.seed}")


def parse(text: str) -> NoiseSpec:
    """Read ``NAME:RATE[:SEED]``.

    Four names have a form of their own: ``feature:TYPE:RATE[:SEED]``, ``transition:FILE[:SEED]``,
    ``longtail:FACTOR[:SEED]`` and ``imbalance:RATIO[:SEED]``.

    Raises:
        UsageError: another form, an unknown name, a type of feature noise that there is not, a rate outside [0, 1), a
            factor below 1, a file that is no .npy or .csv, or a seed that is no whole number from 0.

    Example:
        >>> parse("symmetric:0.4"), str(parse("asymmetric:0.2:7"))
        (NoiseSpec(name='symmetric', rate=0.4, seed=None, path=None, kind=None), 'asymmetric:0.2:7')
        >>> parse("symetric:0.4")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no noise 'symetric': did you mean symmetric or asymmetric or \
asymmetric_blocks?
    """
    name, colon, rest = text.strip().partition(":")
    if name not in GENERATORS:
        raise UsageError(f"there is no noise {name!r}: {nearest(name, GENERATORS)}")
    if name == "transition":
        return _with_file(name, rest, text)
    if name == "feature":
        return _with_kind(name, rest, text)
    amount, *seed = rest.split(":")
    if not colon or len(seed) > 1:
        word, example = ("FACTOR", f"{name}:100") if name in IMBALANCES else ("RATE", f"{name}:0.4")
        raise UsageError(f"noise {text!r} is not NAME:{word} or NAME:{word}:SEED: write for example {example}")
    return NoiseSpec(name, _rate(name, amount, text), _seed(seed[0], text) if seed else None)


def _with_file(name: str, rest: str, whole: str) -> NoiseSpec:
    path, colon, seed = (rest, "", "") if rest.lower().endswith(_ENDINGS) else rest.rpartition(":")
    if not path.lower().endswith(_ENDINGS):
        raise UsageError(
            f"noise {whole!r} names no .npy or .csv file: write {name}:FILE or {name}:FILE:SEED, such as {name}:T.csv"
        )
    return NoiseSpec(name, 0.0, _seed(seed, whole) if colon else None, path)


def _with_kind(name: str, rest: str, whole: str) -> NoiseSpec:
    kind, *amounts = rest.split(":")
    if not 1 <= len(amounts) <= 2:
        raise UsageError(
            f"noise {whole!r} is not {name}:TYPE:RATE or {name}:TYPE:RATE:SEED: write for example {name}:1:0.35"
        )
    if kind not in map(str, KINDS):
        raise UsageError(f"noise {whole!r} has the type {kind!r}: choose 1, 2 or 3, as in {name}:1:0.35")
    seed = _seed(amounts[1], whole) if len(amounts) > 1 else None
    return NoiseSpec(name, _rate(name, amounts[0], whole), seed, kind=int(kind))


def _rate(name: str, text: str, whole: str) -> float:
    factor = name in IMBALANCES
    try:
        rate = float(text)
    except ValueError:
        what, hint = ("factor", "100 for 100 times") if factor else ("rate", "0.4 for 40 %")
        raise UsageError(f"noise {whole!r} has the {what} {text!r}, which is no number: write {hint}") from None
    if factor:
        check_factor(rate, name)
    else:
        check_rate(rate)
    return rate


def _seed(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"noise {whole!r} has the seed {text!r}: give a whole number from 0")
    return int(text)
