"""Instance-dependent noise (PTD): the wrong class follows from what is in the picture, through weights by chance."""

import math
from collections.abc import Callable

import numpy as np

from thresher.errors import UsageError
from thresher.noise.exact import check_labels, check_rate, check_two

Inputs = Callable[[np.ndarray], np.ndarray]
"""The inputs of some rows (int64 ``[n]``) as numbers ``[n, ...]``; asked for piece by piece."""

_DEVIATION = 0.1
_PIECE = 1024  # rows whose inputs are numbers at a time
_MOST = 10**10  # weights to draw: some minutes
_LARGEST = 1e30
_SEEDS = 2**32


def instance(labels: np.ndarray, images: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Flip each label with a probability of its own, to a class that random weights choose by the image.

    Sample i is wrong with a probability q_i from a normal distribution around the rate, with deviation 0.1, cut off
    to [0, 1]; the wrong class is drawn from the softmax of ``x_i W[y_i]`` without y_i, where each class has weights
    ``[D, K]`` from a standard normal distribution. Source: Xia et al., "Part-dependent label noise", NeurIPS 2020,
    algorithm 2, as their code (PTD) and that of CDR and PES do it: raw pixels, so that the softmax has in effect one
    class, and the random numbers of `numpy.random.RandomState` in the order q, W, choices. The labels are those that
    the published code draws with this seed, but for rows where two classes tie within its float32.

    Cutting off raises the mean of q at low rates: of a rate of 0.1 about 12.9 % of the labels are wrong, of 0.2 20.5 %,
    and from 0.3 to 0.5 what was asked for. Deviation: a rate of 0 changes nothing (theirs flips 8 %).

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        images: numbers ``[N, ...]``, used as they are and flattened in that order: for the published labels raw
            uint8 pixels, channels first. Features ``[N, D]`` serve as well.
        rate: mean of the probabilities before they are cut off, in [0, 1).
        seed: of the draw, 0 to 4294967295; the same arguments always give the same labels.
        classes: K; None takes the largest label plus one.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate or a seed out of range, no whole numbers, labels out of range, a single class, images that
            are no finite numbers, of another number of rows, or so large that the weights would take hours to draw.

    Example:
        >>> clean = np.repeat(np.arange(4), 500)
        >>> images = np.random.default_rng(0).integers(0, 256, (2000, 1, 4, 4)).astype(np.uint8)
        >>> round(float(np.mean(instance(clean, images, 0.4, seed=0) != clean)), 2)
        0.41
    """
    return part_dependent(labels, _reader(images, len(np.asarray(labels))), rate, seed, classes)


def instance_normalised(
    labels: np.ndarray, images: np.ndarray, rate: float, seed: int, classes: int | None = None
) -> np.ndarray:
    """Like `instance`, from images brought to mean 0 and deviation 1 per channel, or features each by itself.

    The draws are those of `instance`; only what the weights are multiplied by differs, so that the same rows are
    wrong up to few, but not with the same classes. The softmax is softer, though still mostly one class.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        images: numbers ``[N, C, H, W]``, or features ``[N, D]``.
        rate: as for `instance`.
        seed: as for `instance`.
        classes: K; None takes the largest label plus one.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: as for `instance`.

    Example:
        >>> clean = np.repeat(np.arange(4), 500)
        >>> images = np.random.default_rng(0).integers(0, 256, (2000, 1, 4, 4)).astype(np.uint8)
        >>> noisy = instance_normalised(clean, images, 0.4, seed=0)
        >>> round(float(np.mean(noisy != clean)), 2), bool((noisy == instance(clean, images, 0.4, seed=0)).all())
        (0.41, False)
    """
    size = len(np.asarray(labels))
    return part_dependent(labels, _reader(images, size), rate, seed, classes, normalised=True)


def part_dependent(
    labels: np.ndarray, read: Inputs, rate: float, seed: int, classes: int | None, *, normalised: bool = False
) -> np.ndarray:
    """What `instance` does, with inputs that are read piece by piece, class after class.

    Beside the inputs it holds the chances ``[N, K]`` and the weights of one class ``[D, K]``, both float64: sums in
    float32 would depend on the number of threads.

    Args:
        labels: as for `instance`.
        read: gives the inputs of some rows.
        rate: as for `instance`.
        seed: as for `instance`.
        classes: K; None takes the largest label plus one.
        normalised: bring inputs to mean 0 and deviation 1 first.

    Raises:
        UsageError: as for `instance`.

    Example:
        >>> x = np.eye(4)
        >>> part_dependent(np.array([0, 1, 0, 1]), x.__getitem__, 0.6, 0, 2).tolist()
        [0, 1, 1, 0]
    """
    from scipy.stats import truncnorm  # takes a second to import, which only those pay who use it

    check_rate(rate)
    clean, count = check_labels(labels, classes)
    check_two(count, "instance")
    draws = _draws(seed)
    if rate == 0 or not len(clean):
        return clean
    cut = (-rate / _DEVIATION, (1 - rate) / _DEVIATION)
    flips = truncnorm.rvs(*cut, loc=rate, scale=_DEVIATION, size=len(clean), random_state=draws)
    width = _width(read, count)
    mean, scale = _moments(read, len(clean)) if normalised else (0.0, 1.0)
    chances = np.empty((len(clean), count))
    for label in range(count):
        weights = draws.randn(width, count).astype(np.float32).astype(np.float64)  # theirs are float32
        for rows in _pieces(np.flatnonzero(clean == label)):
            inputs = (_numbers(read, rows) - mean) / scale
            chances[rows] = _chances(inputs.reshape(len(rows), -1) @ weights, label, flips[rows])
    # One uniform number per row in the order of the rows, looked up in the sums: what np.random.choice(K, p=) does.
    np.cumsum(chances, axis=1, out=chances)
    chances /= chances[:, -1:].copy()
    picked: np.ndarray = (chances <= draws.random_sample(len(clean))[:, None]).sum(1)
    return picked


def _reader(images: np.ndarray, size: int) -> Inputs:
    """The rows of an array."""
    array = np.asarray(images)
    if array.dtype.kind not in "iufb" or array.ndim < 2 or len(array) != size:
        raise UsageError(
            f"the images of instance noise have shape {list(array.shape)} and dtype {array.dtype}: give numbers "
            f"[N, ...], for {size} labels {size} rows"
        )
    return array.__getitem__


def _draws(seed: int) -> np.random.RandomState:
    if seed < 0:
        raise UsageError(f"the seed of noise is {seed}: give a whole number from 0")
    if seed >= _SEEDS:
        raise UsageError(f"the seed of instance noise is {seed}, and its random numbers take 0 to {_SEEDS - 1}")
    return np.random.RandomState(seed)


def _width(read: Inputs, classes: int) -> int:
    """Numbers per input, without reading one."""
    width = math.prod(read(np.arange(0)).shape[1:])
    if classes * width * classes > _MOST:
        raise UsageError(
            f"instance noise needs {classes} x {width:,} x {classes} random weights here, which would take very long: "
            "use smaller images (--size), or another noise"
        )
    return width


def _pieces(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE)]


def _numbers(read: Inputs, rows: np.ndarray) -> np.ndarray:
    """The inputs of some rows as float64."""
    inputs = read(rows).astype(np.float64)
    fine = (np.abs(inputs) < _LARGEST).reshape(len(rows), -1).all(1)
    if fine.all():
        return inputs
    bad = int(rows[~fine][0])
    raise UsageError(f"the images of instance noise hold values in row {bad} that are not finite or too large: mend it")


def _moments(read: Inputs, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per channel or feature, ``[1, C, 1, 1]`` or ``[1, D]``; a constant one has the deviation 1."""
    sums: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0
    each = 1.0
    for rows in _pieces(np.arange(size)):
        inputs = _numbers(read, rows)
        axes = (0, *range(2, inputs.ndim))
        sums, squares = sums + inputs.sum(axes, keepdims=True), squares + (inputs**2).sum(axes, keepdims=True)
        each = math.prod(inputs.shape[2:])
    mean = np.asarray(sums / (size * each))
    variance = squares / (size * each) - mean**2
    return mean, np.sqrt(np.where(variance > 1e-12 * (1 + mean**2), variance, 1.0))


def _chances(logits: np.ndarray, label: int, flips: np.ndarray) -> np.ndarray:
    """The chance of every label, float64 ``[n, K]``: `flips` in all for the classes other than `label`."""
    logits[:, label] = -np.inf
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits *= (flips / logits.sum(1))[:, None]
    logits[:, label] = 1 - flips
    return logits
