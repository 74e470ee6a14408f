"""The map as a person writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.noise.confusions import class_map

CLASSES = ("cat", "dog", "red deer", "Übung", "7")


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("cat>dog", {0: 1}),
        ("cat>dog,dog>cat", {0: 1, 1: 0}),
        ("cat<>dog", {0: 1, 1: 0}),
        (" dog <> cat , red deer > Übung ", {1: 0, 0: 1, 2: 3}),
        ("7>cat,cat>7", {4: 0, 0: 4}),
    ],
)
def test_reads(text: str, mapping: dict[int, int]) -> None:
    found = class_map(text, CLASSES)
    assert list(found.items()) == list(mapping.items())  # in the order of the text


@given(st.dictionaries(st.integers(0, 4), st.integers(0, 4), min_size=1))
def test_reads_every_map_that_is_one(mapping: dict[int, int]) -> None:
    mapping = {a: b if a != b else (b + 1) % 5 for a, b in mapping.items()}
    assert class_map(",".join(f"{CLASSES[a]}>{CLASSES[b]}" for a, b in mapping.items()), CLASSES) == mapping


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the map has '', which is not A>B or A<>B"),
        ("cat", "the map has 'cat', which is not A>B"),
        ("cat>dog,", "the map has '', which is not"),
        ("cat>", "the map has 'cat>', which is not"),
        ("cat>dog>cat", "the map has 'cat>dog>cat', which is not"),
        ("cat<>dog>7", "there is no class 'dog>7'"),
        ("cat<dog", "the map has 'cat<dog', which is not"),
        ("cat>dgo", "the map has 'cat>dgo', and there is no class 'dgo': did you mean dog"),
        ("Cat>dog", "there is no class 'Cat': did you mean cat"),
        ("cat>x", "there is no class 'x': known are 7, cat, dog"),
        ("cat>cat", "the map leads 'cat' to itself"),
        ("cat>dog,cat>7", "the map leads 'cat' twice, to 'dog' and '7'"),
        ("cat<>dog,dog>7", "the map leads 'dog' twice, to 'cat' and '7'"),
        ("cat>dog,cat>dog", "the map leads 'cat' twice, to 'dog' and 'dog'"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        class_map(text, CLASSES)
