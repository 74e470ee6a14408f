"""Judging rows of features by scikit-learn's classifiers: seconds instead of minutes, and no network to choose."""

from collections.abc import Callable
from typing import Any

import numpy as np

from thresher.errors import UsageError, nearest

_LEAF = 5  # samples: with some labels wrong, a leaf of one repeats its label


def names() -> list[str]:
    """The classifiers that `make` knows.

    Example:
        >>> names()
        ['boosting', 'forest', 'logistic']
    """
    return sorted(_MAKERS)


def make(name: str, seed: int, rarest: int = 2) -> Any:
    """A new pipeline of scikit-learn with `fit` and `predict_proba`.

    Args:
        name: ``logistic`` (regression with L2, on standardised features), ``forest`` (500 trees whose leaves hold five
            samples or more) or ``boosting`` (histogram gradient boosting, stopped early).
        seed: of its random draws.
        rarest: members of the smallest class. Stopping early needs two, one to learn from and one to watch.

    Raises:
        UsageError: another name.

    Example:
        >>> make("forrest", 0)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no model 'forrest': did you mean forest?
    """
    if name not in _MAKERS:
        raise UsageError(f"there is no model {name!r}: {nearest(name, names())}")
    return _MAKERS[name](seed, rarest)


def out_of_sample(
    name: str, x: np.ndarray, labels: np.ndarray, fold: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """Class probabilities of every row by a classifier that never saw its fold.

    Args:
        name: as for `make`.
        x: features, float ``[N, D]``.
        labels: given labels, integer ``[N]``, values 0..K-1.
        fold: the fold of each row, integer ``[N]``; -1 for a row that none learns from, which gets the mean of all.
        classes: K.
        seed: of the classifiers' random draws.

    Returns:
        float32 ``[N, K]``; 0 for a class that no other fold has.

    Raises:
        UsageError: an unknown name, or folds whose others hold one class only.

    Example:
        >>> x = np.repeat([[-1.0], [1.0]], 20, axis=0)
        >>> p = out_of_sample("logistic", x, np.repeat([0, 1], 20), np.arange(40) % 2, 2, seed=0)
        >>> p.shape, p.argmax(1)[[0, 39]]
        ((40, 2), array([0, 1]))
    """
    result = np.zeros((len(x), classes), dtype=np.float32)
    outside, count = fold < 0, int(fold.max()) + 1
    for k in range(count):
        learn = (fold >= 0) & (fold != k)
        present = np.unique(labels[learn])
        if len(present) < 2:
            raise UsageError(f"without fold {k}, all labels are the same: give more folds, or more rows of each class")
        rarest = int(np.bincount(labels[learn])[present].min())
        fitted = make(name, seed + k, rarest).fit(x[learn], labels[learn])
        own = fold == k
        result[np.ix_(own, present)] = fitted.predict_proba(x[own])
        if outside.any():
            result[np.ix_(outside, present)] += fitted.predict_proba(x[outside]) / count
    return result


def _logistic(seed: int, rarest: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, random_state=seed))


def _forest(seed: int, rarest: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(500, min_samples_leaf=_LEAF, random_state=seed)


def _boosting(seed: int, rarest: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(early_stopping=rarest > 1, min_samples_leaf=4 * _LEAF, random_state=seed)


_MAKERS: dict[str, Callable[[int, int], Any]] = {"logistic": _logistic, "forest": _forest, "boosting": _boosting}
