"""Texts as numbers: which words and pairs of words they hold, brought down to a few hundred features."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from thresher.errors import UsageError

_RARE = 100  # texts from which on words must be in two of them
_WORDS = 20_000
_FEATURES = 200
_SHOWN = 3  # words that name a feature
_CHUNK = 10_000  # texts encoded at a time, for their words take more memory than their features


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """Latent semantic analysis: TF-IDF of words and pairs of words, and a truncated SVD of it.

    Deerwester et al., "Indexing by Latent Semantic Analysis", JASIS 1990, with scikit-learn's TF-IDF (1 + log of the
    counts, smooth idf, rows of length 1). Words are runs of letters, digits and underscores, in lower case; languages
    that are written without spaces between words need another encoding. A text without a known word is all zeros.

    Attributes:
        words: V words and pairs.
        idf: their inverse document frequencies, float32 ``[V]``.
        components: the right singular vectors, float32 ``[F, V]``; None where TF-IDF itself is the encoding, for
            there are too few texts or words.

    Example:
        >>> encoder = TextEncoder.fit(["good day", "bad day"], "the texts")
        >>> encoder.words
        ('bad', 'bad day', 'day', 'good', 'good day')
        >>> encoder.encode(["good day", "bad day", ""]).shape
        (3, 1)
    """

    words: tuple[str, ...]
    idf: np.ndarray
    components: np.ndarray | None

    @classmethod
    def fit(cls, texts: Sequence[str], what: str) -> "TextEncoder":
        """Choose words (at most 20,000, the most frequent) and features (at most 200).

        One thread does it, so that the numbers do not depend on how many there are.

        Args:
            texts: one per sample.
            what: their name in messages.

        Raises:
            UsageError: no text holds a word.
        """
        vectorizer = _vectorizer(max_features=_WORDS, min_df=2 if len(texts) >= _RARE else 1)
        try:
            matrix = vectorizer.fit_transform(texts)
        except ValueError:  # no word is in two texts
            vectorizer = _vectorizer(max_features=_WORDS)
            try:
                matrix = vectorizer.fit_transform(texts)
            except ValueError as error:
                raise UsageError(f"{what} holds no words at all: name the column of texts with --text") from error
        components = None
        if (width := min(_FEATURES, min(matrix.shape) - 1)) > 0:
            with threadpool_limits(1), np.errstate(invalid="ignore"):  # a share of no variance, if all are equal
                components = TruncatedSVD(width, random_state=0).fit(matrix).components_.astype(np.float32)
        return cls(tuple(vectorizer.get_feature_names_out()), vectorizer.idf_.astype(np.float32), components)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One per feature: the words that weigh most in it."""
        if self.components is None:
            return self.words
        most = np.argsort(-np.abs(self.components), axis=1, kind="stable")[:, :_SHOWN]
        return tuple(f"{k + 1}: {', '.join(self.words[j] for j in row)}" for k, row in enumerate(most.tolist()))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The features of new texts, float32 ``[n, F]``, or ``[n, V]`` without components."""
        vectorizer = _vectorizer(vocabulary=self.words)
        vectorizer.idf_ = self.idf
        projection = None if self.components is None else np.ascontiguousarray(self.components.T)
        width = len(self.words) if projection is None else projection.shape[1]
        result = np.empty((len(texts), width), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK):
            part = vectorizer.transform(texts[start : start + _CHUNK])
            result[start : start + _CHUNK] = part.toarray() if projection is None else part @ projection
        return result

    def facts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `from_facts` needs; the words as bytes, for an array of texts would be as wide as the longest."""
        words = np.frombuffer(json.dumps(self.words).encode(), dtype=np.uint8)
        known = {"words": words, "idf": self.idf}
        return {}, known if self.components is None else {**known, "components": self.components}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "TextEncoder":
        """The encoder that `facts` described."""
        return cls(tuple(json.loads(arrays["words"].tobytes())), arrays["idf"], arrays.get("components"))


def _vectorizer(**options: Any) -> TfidfVectorizer:
    usual = {"sublinear_tf": True, "ngram_range": (1, 2), "token_pattern": r"\b\w+\b", "dtype": np.float32}
    return TfidfVectorizer(**usual, **options)
