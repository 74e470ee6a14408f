"""Noise as a user asks for it: ``NAME:RATE[:SEED]``."""

from dataclasses import dataclass

from thresher.engine.options import nearest
from thresher.errors import UsageError
from thresher.noise.exact import check_rate
from thresher.noise.imbalance import check_factor

IMBALANCES = ("imbalance", "longtail")
"""The names that leave rows out, and take a factor above 1 for a rate."""

GENERATORS = (
    "asymmetric",
    "asymmetric_blocks",
    "asymmetric_inplace",
    "imbalance",
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
    """

    name: str
    rate: float
    seed: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        """The text that `parse` reads."""
        whole = self.name in IMBALANCES and float(self.rate).is_integer()
        amount = self.path or (int(self.rate) if whole else self.rate)
        return f"{self.name}:{amount}" + ("" if self.seed is None else f":{self.seed}")


def parse(text: str) -> NoiseSpec:
    """Read ``NAME:RATE[:SEED]``, ``transition:FILE[:SEED]``, ``longtail:FACTOR[:SEED]`` or ``imbalance:RATIO[:SEED]``.

    Raises:
        UsageError: another form, an unknown name, a rate outside [0, 1), a factor below 1, a file that is no .npy or
            .csv, or a seed that is no whole number from 0.

    Example:
        >>> parse("symmetric:0.4"), str(parse("asymmetric:0.2:7"))
        (NoiseSpec(name='symmetric', rate=0.4, seed=None, path=None), 'asymmetric:0.2:7')
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
