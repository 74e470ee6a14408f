"""From what a user asks for to labels: the kinds of noise by name, one after the other."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thresher.errors import UsageError
from thresher.noise.asymmetric import asymmetric, asymmetric_inplace
from thresher.noise.confusions import class_map
from thresher.noise.exact import check_labels
from thresher.noise.feature import feature
from thresher.noise.imbalance import imbalance, longtail
from thresher.noise.instance import Inputs, part_dependent
from thresher.noise.manifest import VERSION, Noise
from thresher.noise.neighbours import pairflip, tridiagonal
from thresher.noise.spec import IMBALANCES, NoiseSpec, parse
from thresher.noise.superclasses import asymmetric_blocks, next_inside, swap
from thresher.noise.symmetric import symmetric, symmetric_bernoulli, symmetric_inclusive
from thresher.noise.transition import read_matrix, transition

_MAPPED = ("asymmetric", "asymmetric_inplace")
_BY_INPUTS = ("feature", "instance", "instance_normalised")
_BY_CLASSES: Mapping[str, Callable[[np.ndarray, float, int, int], np.ndarray]] = {
    "asymmetric_blocks": asymmetric_blocks,
    "imbalance": imbalance,
    "longtail": longtail,
    "pairflip": pairflip,
    "symmetric": symmetric,
    "symmetric_bernoulli": symmetric_bernoulli,
    "symmetric_inclusive": symmetric_inclusive,
    "tridiagonal": tridiagonal,
}


Posterior = Callable[[], np.ndarray]
"""Makes the class probabilities ``[N, K]`` of all rows, when they are needed: it may have to train for them."""


@dataclass(frozen=True)
class _Field:
    """What is known about the classes (how many, which are confused, the superclass of each) and the inputs."""

    classes: int
    confusions: Mapping[int, int]
    superclasses: np.ndarray | None
    inputs: Inputs | None
    posterior: Posterior | None


def apply(
    specs: Sequence[str],
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    seed: int,
    confusions: Mapping[int, int],
    superclasses: np.ndarray | None = None,
    map_text: str | None = None,
    inputs: Inputs | None = None,
    posterior: Posterior | None = None,
    clean: np.ndarray | None = None,
    source: str = "",
) -> Noise:
    """Make labels wrong as asked: several kinds of noise one after the other, each on the labels the last one left.

    Class imbalance comes first: it chooses rows by their correct labels, and the noise then is that of the rows kept.
    Labels that are wrong already, as people made them, can get noise on top: it goes by the labels as they are, and
    the record compares with the true ones.

    Args:
        specs: texts ``NAME:RATE[:SEED]``, one or more.
        labels: correct labels (but for `clean`), whole numbers ``[N]`` in 0..K-1; left as they are.
        classes: the K class names.
        seed: of class imbalance and of the first noise that name none; a second noise that names none has the next.
        confusions: the map of asymmetric noise, from class to class; may be empty if there is no asymmetric noise.
        superclasses: the superclass of each class, whole numbers ``[K]``, or None; with them, asymmetric noise leads
            each class to the next one of its superclass, and `swap` needs them.
        map_text: a map of the user's own by class names, ``cat>dog,dog>cat`` or ``cat<>dog``, in place of both.
        inputs: gives the inputs of some rows (int64 ``[n]``) as numbers ``[n, ...]``; instance noise needs it.
        posterior: gives the class probabilities ``[N, K]`` of all rows; feature noise needs it.
        clean: the true labels, whole numbers ``[N]``, where `labels` are not.
        source: the data's name, to stand first in `generator` where `labels` are wrong already.

    Returns:
        The noise; its `clean` are `labels` or `clean` (of the rows kept), however many kinds there are.

    Raises:
        UsageError: no noise at all, imbalance after a noise, a map that nothing asks for, noise that depends on inputs
            that are not given, or whatever `parse`, `class_map` and the generators refuse.

    Example:
        >>> noise = apply(["symmetric:0.4"], np.repeat([0, 1], 10), ["cat", "dog"], seed=3, confusions={})
        >>> noise.generator, noise.realised
        ('symmetric:0.4:3', 0.4)
        >>> noise = apply(["imbalance:5", "symmetric:0.5"], np.repeat([0, 1], 10), "ab", seed=0, confusions={})
        >>> noise.rows.tolist(), noise.realised
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 19], 0.5)
    """
    asked = _asked(specs, seed)
    _check_order(asked, map_text)
    given, count = check_labels(labels, len(classes))
    true = given if clean is None else check_labels(clean, count)[0]
    if len(true) != len(given):
        raise UsageError(f"there are {len(true)} true labels for {len(given)} labels: give one for each")
    known = _known(count, classes, confusions, superclasses, map_text)
    rows = np.arange(len(given))
    for one in (one for one in asked if one.name in IMBALANCES):
        rows = rows[_generate(one, true[rows], known)]
    known, noisy, true = _of_rows(known, rows, inputs, posterior), given[rows], true[rows]
    right = [float(np.mean(noisy == true))] if len(rows) else []
    for one in (one for one in asked if one.name not in IMBALANCES):
        right.append(1 - _nominal(one, noisy, known))
        noisy = _generate(one, noisy, known)
    return Noise(
        labels=noisy,
        clean=true,
        generator=_text(asked, "" if clean is None else source),
        version=VERSION,
        seed=asked[0].seed or 0,
        # Rounded, because 1 - (1 - 0.3) is not 0.3.
        nominal=round(1 - math.prod(right, start=1.0), 12),
        classes=tuple(classes),
        rows=rows if len(rows) < len(given) else None,
    )


def generator_text(specs: Sequence[str], seed: int, source: str = "") -> str:
    """What `apply` puts into the record as `generator`, for the same arguments.

    Example:
        >>> generator_text(["longtail:10", "symmetric:0.4:7"], seed=3)
        'longtail:10:3 + symmetric:0.4:7'
    """
    return _text(_asked(specs, seed), source)


def _asked(specs: Sequence[str], seed: int) -> list[NoiseSpec]:
    """Every noise with its seed: those that name none have `seed` and those after it, for equal draws go together."""
    later = itertools.count(seed)
    given = ((one, one.seed is None and one.name not in IMBALANCES) for one in map(parse, specs))
    return [replace(one, seed=next(later) if own else seed if one.seed is None else one.seed) for one, own in given]


def _text(asked: Sequence[NoiseSpec], source: str) -> str:
    return " + ".join([*([source] if source else []), *map(str, asked)])


def _check_order(asked: Sequence[NoiseSpec], map_text: str | None) -> None:
    if not asked:
        raise UsageError("no noise is named: give at least one NAME:RATE, for example symmetric:0.4")
    for before, after in itertools.pairwise(asked):
        if after.name in IMBALANCES and before.name not in IMBALANCES:
            raise UsageError(
                f"{after.name} comes after {before.name}, and would go by wrong labels: list it before the noise"
            )
    if map_text is not None and not any(one.name in _MAPPED for one in asked):
        raise UsageError(f"the map {map_text!r} is for {' and '.join(_MAPPED)} noise: ask for one of them, or drop it")


def _known(
    count: int,
    classes: Sequence[str],
    confusions: Mapping[int, int],
    superclasses: np.ndarray | None,
    map_text: str | None,
) -> _Field:
    """The user's own map wins over superclasses, and these over the map that comes with the data."""
    if superclasses is not None and len(superclasses) != count:
        raise UsageError(f"there are {len(superclasses)} superclasses for {count} classes: give one for each class")
    if map_text is not None:
        confusions = class_map(map_text, classes)
    elif superclasses is not None:
        confusions = next_inside(superclasses)
    return _Field(count, confusions, superclasses, None, None)


def _of_rows(known: _Field, rows: np.ndarray, inputs: Inputs | None, posterior: Posterior | None) -> _Field:
    """What is known, with the inputs and the posterior of the rows kept."""
    if inputs is not None:
        known = replace(known, inputs=lambda index: inputs(rows[index]))
    if posterior is not None:
        known = replace(known, posterior=lambda: np.asarray(posterior())[rows])
    return known


def _generate(spec: NoiseSpec, labels: np.ndarray, known: _Field) -> np.ndarray:
    """The new labels; of class imbalance, the rows to keep."""
    seed = spec.seed or 0
    if spec.path is not None:
        return transition(labels, read_matrix(spec.path, known.classes), seed)
    if spec.name == "swap":
        if known.superclasses is None:
            raise UsageError("swap noise needs superclasses, and this data has none: use asymmetric noise with a map")
        return swap(labels, spec.rate, seed, known.superclasses)
    if spec.name in _MAPPED:
        make = asymmetric if spec.name == "asymmetric" else asymmetric_inplace
        return make(labels, spec.rate, seed, known.confusions, known.classes)
    if spec.name in _BY_INPUTS:
        return _by_inputs(spec, labels, known)
    return _BY_CLASSES[spec.name](labels, spec.rate, seed, known.classes)


def _by_inputs(spec: NoiseSpec, labels: np.ndarray, known: _Field) -> np.ndarray:
    seed = spec.seed or 0
    if spec.name == "feature" and known.posterior is not None:
        return feature(labels, known.posterior(), spec.kind or 0, spec.rate, seed)
    if spec.name != "feature" and known.inputs is not None:
        normalised = spec.name == "instance_normalised"
        return part_dependent(labels, known.inputs, spec.rate, seed, known.classes, normalised=normalised)
    what = "class probabilities: give posterior=" if spec.name == "feature" else "inputs: give inputs="
    raise UsageError(f"{spec.name} noise depends on more than labels, and there are no {what}")


def _nominal(spec: NoiseSpec, labels: np.ndarray, known: _Field) -> float:
    """The rate asked for; of a matrix, the share of these labels that it makes wrong."""
    if spec.path is None:
        return spec.rate
    kept = np.diag(read_matrix(spec.path, known.classes))[labels]
    return float(1 - kept.mean()) if len(kept) else 0.0
