"""What training itself tells about the labels: memorisation, changes of mind, margins and losses.

The fractions of `memorisation` are those of the memorisation figures in Liu et al., "Early-Learning Regularization
Prevents Memorization of Noisy Labels", NeurIPS 2020. Margins over training: Pleiss et al., "Identifying Mislabeled
Data using the Area Under the Margin Ranking", NeurIPS 2020. Losses as two groups: Arazo et al., "Unsupervised Label
Noise Modeling and Loss Correction", ICML 2019.
"""

import math
from typing import Protocol

import numpy as np

from thresher.audit.evidence import Evidence
from thresher.audit.scores import ratio


def memorisation(predicted: np.ndarray, given: np.ndarray, clean: np.ndarray) -> dict[str, float | None]:
    """Split the training predictions by what the model has learned, when the true labels are known.

    Args:
        predicted: predicted classes of the training samples, integer ``[N]``.
        given: given labels, integer ``[N]``.
        clean: true labels, integer ``[N]``.

    Returns:
        Fractions 0..1: of the rightly labelled ``clean_right`` and ``clean_wrong``; of the wrongly labelled
        ``wrong_right`` (the true class is predicted), ``wrong_memorised`` (the wrong label is) and ``wrong_other``.
        None where there are no such samples.

    Example:
        >>> fractions = memorisation(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 0]), np.array([0, 0, 0, 1]))
        >>> fractions["clean_right"], fractions["wrong_memorised"], fractions["wrong_other"]
        (0.5, 0.5, 0.5)
    """
    right, wrong = given == clean, given != clean
    n_right, n_wrong = int(right.sum()), int(wrong.sum())
    true, memorised = predicted == clean, predicted == given
    return {
        "clean_right": ratio(int((right & true).sum()), n_right),
        "clean_wrong": ratio(int((right & ~true).sum()), n_right),
        "wrong_right": ratio(int((wrong & true).sum()), n_wrong),
        "wrong_memorised": ratio(int((wrong & memorised).sum()), n_wrong),
        "wrong_other": ratio(int((wrong & ~true & ~memorised).sum()), n_wrong),
    }


def agreement(predicted: np.ndarray, given: np.ndarray) -> float | None:
    """The fraction of samples that are predicted as they are labelled; None for no samples.

    Example:
        >>> agreement(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]))
        0.75
    """
    return ratio(int((predicted == given).sum()), len(given))


def changes(before: np.ndarray, after: np.ndarray) -> float | None:
    """The fraction of predictions that differ between two epochs (integer ``[N]`` each); None for no samples.

    Example:
        >>> changes(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]))
        0.25
    """
    return ratio(int((before != after).sum()), len(after))


def flips(predicted: np.ndarray) -> np.ndarray:
    """How often each sample's prediction changed from one epoch to the next.

    Args:
        predicted: predicted classes, integer ``[T, N]``, one row per epoch.

    Returns:
        int64 ``[N]``, 0..T-1.

    Example:
        >>> flips(np.array([[0, 1], [0, 2], [0, 1]]))
        array([0, 2])
    """
    return np.asarray((predicted[1:] != predicted[:-1]).sum(axis=0, dtype=np.int64))


def margin_evidence(margins: np.ndarray, *, threshold: float = 0.0, suggested: np.ndarray | None = None) -> Evidence:
    """Evidence from margins over training: wrong if the mean margin of the given label lies below a threshold.

    Args:
        margins: mean over the epochs of the given class's logit minus the largest other logit, float ``[N]`` (the area
            under the margin); NaN for samples that were never visited.
        threshold: the margin below which a label is called wrong; 0 = on average another class leads.
        suggested: class probabilities of the true label, float ``[N, K]``, if some are at hand.

    Returns:
        Evidence named ``margin`` with score = threshold - margin.

    Example:
        >>> margin_evidence(np.array([2.0, -1.5])).flagged
        array([False,  True])
    """
    reason = "margin over training is negative" if threshold == 0 else f"margin over training is below {threshold:.3g}"
    return Evidence("margin", threshold - np.asarray(margins, dtype=np.float64), suggested, reason=reason)


class TwoGroups(Protocol):
    """Two normal distributions with their shares, as `thresher.parts.mixture` fits them; sorted by mean."""

    @property
    def means(self) -> np.ndarray:
        """Centres, float ``[2]``, ascending, in the units of the data."""

    @property
    def variances(self) -> np.ndarray:
        """Squared widths, float ``[2]``."""

    @property
    def weights(self) -> np.ndarray:
        """Shares, float ``[2]``, the sum is 1."""


def loss_evidence(losses: np.ndarray, groups: TwoGroups, *, suggested: np.ndarray | None = None) -> Evidence:
    """Evidence from losses: wrong if the loss lies on the upper side of the line between its two groups.

    Args:
        losses: mean loss of each sample for its given label, float ``[N]``; NaN for samples that were never visited.
        groups: the two-component fit of these losses.
        suggested: class probabilities of the true label, float ``[N, K]``, if some are at hand.

    Returns:
        Evidence named ``loss`` with score = loss - `boundary` of the groups, so in the units of the loss.

    Example:
        >>> from types import SimpleNamespace
        >>> groups = SimpleNamespace(means=np.array([0.0, 4.0]), variances=np.ones(2), weights=np.full(2, 0.5))
        >>> loss_evidence(np.array([0.5, 5.0]), groups).score
        array([-1.5,  3. ])
    """
    score = np.asarray(losses, dtype=np.float64) - boundary(groups)
    return Evidence("loss", score, suggested, reason="loss is in the high group")


def boundary(groups: TwoGroups) -> float:
    """Where, between the two means, a sample is as likely of one group as of the other.

    Returns:
        A value in the units of the data. Where one group outweighs the other all the way, the mean of the outweighed
        one, so that its tail is not called by the other's name.

    Example:
        >>> from types import SimpleNamespace
        >>> boundary(SimpleNamespace(means=np.array([1.0, 3.0]), variances=np.ones(2), weights=np.full(2, 0.5)))
        2.0
    """
    (m0, m1), (v0, v1), (w0, w1) = groups.means, groups.variances, groups.weights
    # log-density difference is a x^2 + b x + c; it is zero on the line.
    a = (1 / v0 - 1 / v1) / 2
    b = m1 / v1 - m0 / v0
    c = (m0 * m0 / v0 - m1 * m1 / v1) / 2 + math.log(max(w1, 1e-300) / max(w0, 1e-300)) - math.log(v1 / v0) / 2
    roots = np.roots([a, b, c] if abs(a) > 1e-12 else [b, c]) if abs(a) + abs(b) > 1e-12 else np.empty(0)
    inside = [float(r.real) for r in roots if abs(r.imag) < 1e-9 and m0 <= r.real <= m1]
    if inside:
        return inside[0]
    return float(m1) if a * m1 * m1 + b * m1 + c < 0 else float(m0)
