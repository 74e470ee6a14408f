"""From texts to labels: every name, chains, class imbalance first, and where the map of asymmetric noise comes from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thresher import noise as th_noise
from thresher.errors import UsageError
from thresher.noise import GENERATORS, Noise, apply, asymmetric, generator_text, hopeless, symmetric
from thresher.noise.superclasses import next_inside

CLEAN = np.repeat(np.arange(3), 50)
NAMES = ("cat", "dog", "Übung: ≥ 3")
MAP = {0: 1, 1: 0}
SUPER = np.array([0, 1, 0])
PIXELS = np.random.default_rng(0).integers(0, 256, (150, 1, 4, 4)).astype(np.uint8)
POSTERIOR = np.random.default_rng(0).dirichlet(np.ones(3), 150)


def made(*texts: str, seed: int = 0) -> Noise:
    return apply(texts, CLEAN, NAMES, seed=seed, confusions=MAP)


def test_apply_one() -> None:
    noise = made("symmetric:0.3", seed=7)
    assert np.array_equal(noise.labels, symmetric(CLEAN, 0.3, 7, 3))
    assert np.array_equal(noise.clean, CLEAN)
    assert (noise.generator, noise.seed, noise.nominal) == ("symmetric:0.3:7", 7, 0.3)
    assert noise.realised == 0.3
    np.testing.assert_allclose(np.diag(noise.matrix), 0.7)


def test_apply_takes_the_seed_of_the_text_first() -> None:
    noise = made("asymmetric:0.4:3", seed=7)
    assert (noise.generator, noise.seed) == ("asymmetric:0.4:3", 3)
    assert np.array_equal(noise.labels, asymmetric(CLEAN, 0.4, 3, MAP, 3))
    np.testing.assert_allclose(noise.matrix, np.array([[0.6, 0.4, 0], [0.4, 0.6, 0], [0, 0, 1]]))


def test_several_are_chained_and_clean_is_the_original() -> None:
    noise = made("asymmetric:0.2", "symmetric:0.5:9", seed=7)
    assert np.array_equal(noise.labels, symmetric(asymmetric(CLEAN, 0.2, 7, MAP, 3), 0.5, 9, 3))
    assert np.array_equal(noise.clean, CLEAN)
    assert (noise.generator, noise.seed, noise.nominal) == ("asymmetric:0.2:7 + symmetric:0.5:9", 7, 0.6)


@pytest.mark.parametrize("name", ["symmetric_bernoulli", "symmetric_inclusive", "symmetric", "pairflip"])
def test_chained_noises_without_seeds_draw_apart(name: str) -> None:
    labels = np.arange(30_000) % 10
    both = apply([f"{name}:0.4", f"{name}:0.2"], labels, list("abcdefghij"), seed=3, confusions={})
    assert both.generator == f"{name}:0.4:3 + {name}:0.2:4"
    apart = apply([f"{name}:0.4:11", f"{name}:0.2:90"], labels, list("abcdefghij"), seed=3, confusions={})
    assert both.realised == pytest.approx(apart.realised, abs=0.01)


def test_clean_is_a_copy() -> None:
    labels = CLEAN.copy()
    noise = apply(["symmetric:0"], labels, NAMES, seed=0, confusions={})
    labels[:] = 0
    assert noise.realised == 0
    assert np.array_equal(noise.clean, CLEAN)


def test_apply_refuses_no_noise_and_a_missing_map() -> None:
    with pytest.raises(UsageError, match="no noise is named"):
        made()
    with pytest.raises(UsageError, match="asymmetric noise needs a map"):
        apply(["asymmetric:0.4"], CLEAN, NAMES, seed=0, confusions={})


@pytest.fixture
def matrix_file(tmp_path: Path) -> str:
    np.save(tmp_path / "T.npy", np.array([[0.6, 0.4, 0], [0, 0.8, 0.2], [0, 0, 1]]))
    return str(tmp_path / "T.npy")


def test_every_name_makes_what_its_generator_makes(matrix_file: str) -> None:
    matrix = np.load(matrix_file)
    expected = {
        "asymmetric": th_noise.asymmetric(CLEAN, 0.4, 3, next_inside(SUPER)),
        "asymmetric_blocks": th_noise.asymmetric_blocks(CLEAN, 0.4, 3),
        "asymmetric_inplace": th_noise.asymmetric_inplace(CLEAN, 0.4, 3, next_inside(SUPER)),
        "feature": th_noise.feature(CLEAN, POSTERIOR, 2, 0.4, 3),
        "imbalance": CLEAN[th_noise.imbalance(CLEAN, 10, 3)],
        "instance": th_noise.instance(CLEAN, PIXELS, 0.4, 3),
        "instance_normalised": th_noise.instance_normalised(CLEAN, PIXELS, 0.4, 3),
        "longtail": CLEAN[th_noise.longtail(CLEAN, 10, 3)],
        "pairflip": th_noise.pairflip(CLEAN, 0.4, 3),
        "swap": th_noise.swap(CLEAN, 0.4, 3, SUPER),
        "symmetric": th_noise.symmetric(CLEAN, 0.4, 3),
        "symmetric_bernoulli": th_noise.symmetric_bernoulli(CLEAN, 0.4, 3),
        "symmetric_inclusive": th_noise.symmetric_inclusive(CLEAN, 0.4, 3),
        "transition": th_noise.transition(CLEAN, matrix, 3),
        "tridiagonal": th_noise.tridiagonal(CLEAN, 0.4, 3),
    }
    assert sorted(expected) == sorted(GENERATORS)
    amounts = {"transition": matrix_file, "imbalance": "10", "longtail": "10", "feature": "2:0.4"}
    given: dict[str, Any] = {"inputs": PIXELS.__getitem__, "posterior": lambda: POSTERIOR}
    for name, labels in expected.items():
        amount = amounts.get(name, "0.4")
        noise = apply([f"{name}:{amount}"], CLEAN, NAMES, seed=3, confusions={}, superclasses=SUPER, **given)
        assert np.array_equal(noise.labels, labels), name
        assert noise.generator == f"{name}:{amount}:3"
        assert hasattr(th_noise, name)


def test_every_name_is_exported() -> None:
    assert set(GENERATORS) <= set(th_noise.__all__)


def test_imbalance_comes_first_and_the_noise_is_that_of_the_rows_kept() -> None:
    noise = made("longtail:25", "symmetric:0.4", seed=2)
    rows = th_noise.longtail(CLEAN, 25, 2)
    assert noise.rows is not None
    assert np.array_equal(noise.rows, rows)
    assert np.array_equal(noise.clean, CLEAN[rows])
    assert np.bincount(noise.clean).tolist() == [50, 10, 2]
    assert np.array_equal(noise.labels, symmetric(CLEAN[rows], 0.4, 2, 3))
    assert (noise.generator, noise.nominal) == ("longtail:25:2 + symmetric:0.4:2", 0.4)
    assert noise.realised == 25 / 62


def test_imbalance_alone_leaves_labels_right() -> None:
    noise = made("imbalance:10:5")
    assert noise.rows is not None
    assert np.array_equal(noise.labels, CLEAN[noise.rows])
    assert (noise.realised, noise.nominal, noise.seed) == (0, 0, 5)
    assert isinstance(noise.nominal, float)
    assert hopeless(noise) is None


def test_imbalance_twice_is_that_of_what_was_kept() -> None:
    noise = made("imbalance:5", "longtail:25")
    assert noise.rows is not None
    assert (np.diff(noise.rows) > 0).all()
    assert np.bincount(CLEAN[noise.rows]).tolist() == [50, 10, 2]


@pytest.mark.parametrize("text", ["symmetric:0.4", "longtail:1"])
def test_rows_are_none_where_all_were_kept(text: str) -> None:
    assert made(text).rows is None


@pytest.mark.parametrize("name", ["longtail", "imbalance"])
def test_imbalance_after_a_noise_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} comes after symmetric, .* list it before the noise"):
        made(f"{name}:10", "symmetric:0.4", f"{name}:10")


def test_a_long_tail_can_be_hopeless() -> None:
    assert hopeless(made("longtail:50", "symmetric:0.4")) is not None


def test_rate_of_a_matrix_is_what_it_makes_wrong(matrix_file: str) -> None:
    noise = made(f"transition:{matrix_file}:4")
    assert (noise.nominal, noise.realised, noise.seed) == (0.2, 0.2, 4)
    np.testing.assert_allclose(noise.matrix, np.load(matrix_file))


def test_matrix_for_other_classes_is_refused(matrix_file: str) -> None:
    with pytest.raises(UsageError, match=r"T\.npy is for 3 classes, and the data has 4: give one row for each class"):
        apply([f"transition:{matrix_file}"], CLEAN, "abcd", seed=0, confusions={})


@pytest.mark.parametrize("name", ["asymmetric", "asymmetric_inplace"])
def test_whose_map(name: str) -> None:
    def mistakes(superclasses: np.ndarray | None, map_text: str | None) -> list[list[int]]:
        noise = apply(
            [f"{name}:0.4"], CLEAN, NAMES, seed=0, confusions={0: 1}, superclasses=superclasses, map_text=map_text
        )
        found: list[list[int]] = np.argwhere(noise.counts - np.diag(np.diag(noise.counts))).tolist()
        return found

    assert mistakes(None, None) == [[0, 1]]
    assert mistakes(SUPER, None) == [[0, 2], [2, 0]]
    assert mistakes(SUPER, "dog>cat, Übung: ≥ 3>dog") == [[1, 0], [2, 1]]


def test_map_that_nothing_asks_for() -> None:
    with pytest.raises(UsageError, match="the map 'cat>dog' is for asymmetric and asymmetric_inplace noise: ask for"):
        apply(["symmetric:0.4"], CLEAN, NAMES, seed=0, confusions=MAP, map_text="cat>dog")


def test_superclasses_for_other_classes_and_none_for_swap() -> None:
    with pytest.raises(UsageError, match="there are 2 superclasses for 3 classes"):
        apply(["swap:0.4"], CLEAN, NAMES, seed=0, confusions={}, superclasses=SUPER[:2])
    with pytest.raises(UsageError, match="swap noise needs superclasses, and this data has none"):
        made("swap:0.4")
    with pytest.raises(UsageError, match="asymmetric noise needs a map"):
        apply(["asymmetric:0.4"], CLEAN, NAMES, seed=0, confusions={}, superclasses=np.arange(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instance:0.4", "instance noise depends on more than labels, and there are no inputs: give inputs="),
        ("instance_normalised:0.4", "instance_normalised noise depends on more than labels"),
        ("feature:1:0.4", "feature noise depends on more than labels, and there are no class probabilities: give post"),
    ],
)
def test_noise_that_needs_what_is_not_there(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made(text)


def test_inputs_and_posterior_are_those_of_the_rows_kept() -> None:
    rows = th_noise.longtail(CLEAN, 25, 2)
    given: dict[str, Any] = {"inputs": PIXELS.__getitem__, "posterior": lambda: POSTERIOR}
    for text, expected in (
        ("instance:0.4", th_noise.instance(CLEAN[rows], PIXELS[rows], 0.4, 2, 3)),
        ("instance_normalised:0.4", th_noise.instance_normalised(CLEAN[rows], PIXELS[rows], 0.4, 2, 3)),
        ("feature:3:0.4", th_noise.feature(CLEAN[rows], POSTERIOR[rows], 3, 0.4, 2)),
    ):
        noise = apply(["longtail:25", text], CLEAN, NAMES, seed=2, confusions={}, **given)
        assert np.array_equal(noise.labels, expected)


def test_nothing_is_trained_for_unless_it_is_asked_for() -> None:
    def never() -> np.ndarray:
        raise AssertionError

    apply(["symmetric:0.4"], CLEAN, NAMES, seed=0, confusions={}, inputs=lambda rows: never(), posterior=never)


def test_noise_on_top_of_labels_that_are_wrong_already() -> None:
    human = symmetric(CLEAN, 0.2, 5)
    noise = apply(["symmetric:0.5"], human, NAMES, seed=1, confusions={}, clean=CLEAN, source="photos:worse")
    assert np.array_equal(noise.labels, symmetric(human, 0.5, 1))
    assert np.array_equal(noise.clean, CLEAN)
    assert (noise.generator, noise.nominal) == ("photos:worse + symmetric:0.5:1", 0.6)
    assert noise.realised == np.mean(noise.labels != CLEAN)
    assert 0.5 < noise.realised < 0.6  # some labels are right again by chance


def test_imbalance_goes_by_true_labels_where_others_are_given() -> None:
    human = symmetric(CLEAN, 0.2, 5)
    known: dict[str, Any] = {"clean": CLEAN, "source": "photos"}
    noise = apply(["longtail:25", "pairflip:0.5"], human, NAMES, seed=2, confusions={}, **known)
    rows = th_noise.longtail(CLEAN, 25, 2)
    assert noise.rows is not None
    assert np.array_equal(noise.rows, rows)
    assert np.bincount(noise.clean).tolist() == [50, 10, 2]
    assert np.array_equal(noise.labels, th_noise.pairflip(human[rows], 0.5, 2, 3))
    assert noise.nominal == pytest.approx(1 - (1 - np.mean(human[rows] != CLEAN[rows])) * 0.5)
    alone = apply(["longtail:25"], human, NAMES, seed=2, confusions={}, **known)
    assert alone.nominal == pytest.approx(alone.realised) == np.mean(human[rows] != CLEAN[rows])


def test_true_labels_for_other_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="there are 149 true labels for 150 labels: give one for each"):
        apply(["symmetric:0.5"], CLEAN, NAMES, seed=1, confusions={}, clean=CLEAN[1:])


def test_the_text_of_the_record_is_known_before() -> None:
    texts = ["longtail:25", "feature:1:0.2:9"]
    noise = apply(texts, CLEAN, NAMES, seed=4, confusions={}, posterior=lambda: POSTERIOR)
    assert noise.generator == generator_text(texts, 4) == "longtail:25:4 + feature:1:0.2:9"
