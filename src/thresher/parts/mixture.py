"""A mixture of two normal distributions over one number per sample: the small losses and the large ones."""

from dataclasses import dataclass

import numpy as np

_FLOOR = 5e-4
_NO_SPAN = 1e-100  # its square is still a number


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two normal components, the one with the smaller mean first.

    Attributes:
        means: float64 ``[2]``, in the units of the values.
        variances: float64 ``[2]``.
        weights: float64 ``[2]``, sum 1.
    """

    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray

    def posterior(self, values: np.ndarray) -> np.ndarray:
        """Probability that each value comes from the component with the smaller mean, float64 ``[N]``.

        Beyond the two means the nearer component has at least the share it has at its mean: a wide component would
        otherwise claim the far end of the narrow one's side.
        """
        values = np.asarray(values, dtype=np.float64)
        lower = self._responsibilities(values)[0]
        at_low, at_high = self._responsibilities(self.means)[0]
        lower = np.where(values <= self.means[0], np.maximum(lower, at_low), lower)
        result: np.ndarray = np.where(values >= self.means[1], np.minimum(lower, at_high), lower)
        return result

    def _responsibilities(self, values: np.ndarray) -> np.ndarray:
        log_density = (
            np.log(self.weights)[:, None]
            - 0.5 * np.log(2 * np.pi * self.variances)[:, None]
            - (values - self.means[:, None]) ** 2 / (2 * self.variances[:, None])
        )
        log_density -= log_density.max(0)
        density = np.exp(log_density)
        return np.asarray(density / density.sum(0))


def fit(values: np.ndarray, iterations: int = 50, tolerance: float = 1e-4) -> Mixture:
    """Fit two components by expectation and maximisation, from the best split of the sorted values into two groups.

    Values are brought to [0, 1] first, where a variance is at least 5e-4, as DivideMix does (Li et al., ICLR 2020).
    Values that are all equal, or too few, give two equal components: their posterior is one half.

    Args:
        values: finite float ``[N]``.
        iterations: at most so many.
        tolerance: stop when the means move less, in units of the range.

    Example:
        >>> found = fit(np.array([0.1, 0.2, 0.15, 4.0, 4.2]))
        >>> found.means.round(2).tolist(), (found.posterior(np.array([0.0, 4.1])) > 0.5).tolist()
        ([0.15, 4.1], [True, False])
    """
    values = np.asarray(values, dtype=np.float64)
    low, span = (values.min(), np.ptp(values)) if len(values) else (0.0, 0.0)
    if span <= _NO_SPAN:
        return Mixture(np.full(2, low), np.full(2, _FLOOR), np.full(2, 0.5))
    unit = (values - low) / span
    lower = (unit <= _cut(unit)).astype(np.float64)
    found = _maximise(unit, np.stack([lower, 1 - lower]))
    for _ in range(iterations):
        before = found.means
        found = _maximise(unit, found._responsibilities(unit))
        if np.abs(found.means - before).max() < tolerance:
            break
    order = np.argsort(found.means)
    return Mixture(low + span * found.means[order], span**2 * found.variances[order], found.weights[order])


def _cut(unit: np.ndarray) -> float:
    """The value that splits into two groups with the smallest squared distances to their means (exact in 1-D)."""
    ordered = np.sort(unit)
    count = np.arange(1, len(ordered))
    total = np.cumsum(ordered)
    between = total[:-1] ** 2 / count + (total[-1] - total[:-1]) ** 2 / (len(ordered) - count)
    return float(ordered[np.argmax(between)])


def _maximise(unit: np.ndarray, responsibilities: np.ndarray) -> Mixture:
    mass = responsibilities.sum(1) + 1e-10
    means = (responsibilities @ unit) / mass
    variances = np.stack([r @ (unit - m) ** 2 for r, m in zip(responsibilities, means, strict=True)]) / mass
    return Mixture(means, np.maximum(variances, _FLOOR), mass / mass.sum())
