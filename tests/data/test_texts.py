import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from thresher.data.texts import TextEncoder
from thresher.errors import UsageError

WORDS = np.array(
    ["the", "a", "cat", "dog", "ran", "sat", "over", "under", "big", "small", "red", "blue", "ÉCOLE", "x", "7", "mat"]
)


def sentences(count: int, seed: int = 0) -> list[str]:
    draws = np.random.default_rng(seed)
    return [" ".join(draws.choice(WORDS, draws.integers(3, 12))) for _ in range(count)]


def stored(encoder: TextEncoder) -> TextEncoder:
    facts, arrays = encoder.facts()
    return TextEncoder.from_facts(facts, {name: array.copy() for name, array in arrays.items()})


@pytest.mark.parametrize("count", [40, 150])
def test_as_scikit_learn(count: int) -> None:
    texts, new = sentences(count), [*sentences(9, seed=1), "", "unheard of"]
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        min_df=2 if count >= 100 else 1,
        token_pattern=r"(?u)\b\w+\b",  # noqa: S106
        max_features=20_000,
    )
    matrix = vectorizer.fit_transform(texts)
    svd = TruncatedSVD(min(200, min(matrix.shape) - 1), random_state=0).fit(matrix)
    encoder = TextEncoder.fit(texts, "the texts")
    assert list(encoder.words) == vectorizer.get_feature_names_out().tolist()
    np.testing.assert_allclose(encoder.idf, vectorizer.idf_, rtol=1e-6)
    ours, theirs = encoder.encode(new), svd.transform(vectorizer.transform(new))
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-4)  # single precision may flip directions
    assert not ours[9:].any()


def test_stored_gives_the_same_bits() -> None:
    encoder = TextEncoder.fit(sentences(120), "the texts")
    again = stored(encoder)
    assert again.words == encoder.words
    assert again.feature_names == encoder.feature_names
    assert again.encode(sentences(30, 1)).tobytes() == encoder.encode(sentences(30, 1)).tobytes()
    assert TextEncoder.fit(sentences(120), "t").encode(["cat"]).tobytes() == encoder.encode(["cat"]).tobytes()


def test_one_text_at_a_time_or_all() -> None:
    encoder, texts = TextEncoder.fit(sentences(50), "the texts"), sentences(8, 1)
    assert np.concatenate([encoder.encode([text]) for text in texts]).tobytes() == encoder.encode(texts).tobytes()


def test_small_ones() -> None:
    one = TextEncoder.fit(["only one text"], "the texts")
    assert one.components is None
    assert one.encode(["only one text"]).shape == (1, 5)
    np.testing.assert_allclose(np.linalg.norm(stored(one).encode(["text one"])), 1, rtol=1e-6)
    word = TextEncoder.fit(["word", "", "word"], "the texts")
    assert word.encode(["word", ""]).tolist() == [[1], [0]]
    lonely = [f"w{k}" for k in range(120)]  # no word is there twice
    assert TextEncoder.fit(lonely, "the texts").encode(lonely).shape == (120, 119)


def test_no_words() -> None:
    with pytest.raises(UsageError, match=r"the column 't' in a\.csv holds no words at all"):
        TextEncoder.fit(["", "?!", "..."], "the column 't' in a.csv")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=6), st.lists(st.text(max_size=20), max_size=3))
def test_any_text(texts: list[str], new: list[str]) -> None:
    try:
        encoder = TextEncoder.fit(texts, "the texts")
    except UsageError:
        return
    assert stored(encoder).encode(new).tobytes() == encoder.encode(new).tobytes()
    assert np.isfinite(encoder.encode(texts)).all()
