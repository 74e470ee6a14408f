"""Out of core the same labels are found as in memory, however the rows are divided and whoever computes."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thresher as th
from thresher.audit.prune import FILTERS, PRUNING
from thresher.audit.streaming import cuts, find_label_issues_in_files
from thresher.audit.streaming.passes import Chunk, Joint, Pass, State, Sums, thresholds
from thresher.audit.streaming.selection import Flags, Histograms, Ranking
from thresher.audit.streaming.workspace import Workspace

Call = Callable[..., Any]


def settings_of(filter_by: str, classes: int, draws: np.random.Generator) -> dict[str, Any]:
    if filter_by not in PRUNING:
        return {}
    found: dict[str, Any] = {
        "frac_noise": float(draws.choice([1, 0.6])),
        "min_examples_per_class": int(draws.choice([1, 9])),
    }
    if filter_by == "prune_by_class":
        found["num_to_remove_per_class"] = draws.integers(0, 5, classes).tolist()
    return found


@pytest.mark.parametrize("filter_by", FILTERS)
@pytest.mark.parametrize("held", [3, 100, 1 << 21])
def test_as_in_memory(filter_by: str, held: int, make: Call, saved: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "CANDIDATES", held)  # with few, bins are divided again and again
    monkeypatch.setattr(cuts, "_ENTRIES", 1 if held == 3 else 1 << 22)
    draws = np.random.default_rng(held)
    steps: list[str] = []
    for seed in range(4):
        classes, dtype = int(draws.integers(2, 9)), [np.float64, np.float32][seed % 2]
        labels, p = make(int(draws.integers(30, 900)), classes, seed, dtype)
        how = settings_of(filter_by, classes, draws)
        expected = th.find_label_issues(labels, p, filter_by=filter_by, **how)
        found = find_label_issues_in_files(
            *saved(labels, p),
            filter_by=filter_by,
            chunk_rows=int(draws.choice([7, 64, 10_000])),
            workers=2,
            progress=lambda step, done, of: steps.append(step),
            **how,
        )
        assert found.mask is not None
        np.testing.assert_array_equal(found.mask, expected)
        assert found.suspects == expected.sum()
    assert any(step.startswith("cuts") for step in steps) or held > 3 or filter_by not in PRUNING


def test_three_passes_are_enough_for_ordinary_data(make: Call, saved: Call) -> None:
    labels, p = make(2000, 5)
    steps: list[str] = []
    found = find_label_issues_in_files(*saved(labels, p), progress=lambda step, done, of: steps.append(step))
    assert list(dict.fromkeys(steps)) == ["thresholds", "joint", "flags"]
    np.testing.assert_allclose(found.thresholds, [p[labels == k, k].mean() for k in range(5)], rtol=1e-15)
    np.testing.assert_array_equal(found.joint, th.compute_confident_joint(labels, p))
    np.testing.assert_array_equal(found.sizes, np.bincount(labels))


def first_rows(labels: np.ndarray, p: np.ndarray, taken: np.ndarray, exact: bool) -> np.ndarray:
    """The documented tie rule as a plain loop, from the counts that the filter in memory takes per pair."""
    mask = np.zeros(len(labels), dtype=bool)
    for given, true in zip(*np.nonzero(taken), strict=True):
        if given != true and (labels == given).sum() > 1:
            rows = np.flatnonzero(labels == given)
            margins = p[rows, true] - p[rows, given]
            if not exact:
                margins = margins.round(11)
            order = np.lexsort((rows, -margins))
            mask[rows[order[: taken[given, true]]]] = True
    own = p[np.arange(len(p)), labels]
    return np.asarray(mask & (own + 1e-6 < p.max(axis=1)))


@pytest.mark.parametrize("held", [1, 1 << 21])
@pytest.mark.parametrize("places", [0, 1, 2])
def test_of_equal_values_the_first_rows_are_taken(
    places: int, held: int, make: Call, saved: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thresher.audit.prune import prune_counts

    monkeypatch.setattr(cuts, "CANDIDATES", held)
    for seed in range(4):
        labels, p = make(700, 3, seed, places=places)
        found = find_label_issues_in_files(*saved(labels, p), chunk_rows=50, workers=2)
        expected = first_rows(labels, p, prune_counts(th.compute_confident_joint(labels, p), 1), held > 1)
        np.testing.assert_array_equal(found.mask, expected)
        in_memory = th.find_label_issues(labels, p)
        assert found.mask is not None
        assert found.mask.sum() == pytest.approx(in_memory.sum(), rel=0.05, abs=3)


def divided(rows: int, draws: np.random.Generator) -> list[tuple[int, int]]:
    ends = np.unique([0, rows, *draws.integers(0, rows, 9).tolist()]).tolist()
    return list(pairwise(ends))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_states_do_not_depend_on_how_rows_are_divided(dtype: type, make: Call) -> None:
    labels, p = make(500, 4, 3, dtype)
    p[:40] = np.array([1 - 3e-9, 1e-9, 1e-9, 1e-9])
    draws = np.random.default_rng(0)
    limits = np.array([0.4, 0.5, 0.6, 0.3])
    ranking = Ranking("both", 4)
    first = cuts.upper_half(ranking.groups, 500)
    passes: list[Pass] = [
        Sums(4),
        Joint(limits),
        Histograms(ranking, first, Joint(limits)),
        Flags(ranking, first, limits),
    ]
    for what in passes:

        def part(low: int, high: int, what: Pass = what) -> State:
            middle = (low + high) // 2
            ends = [(a, b) for a, b in ((low, middle), (middle, high)) if a < b]
            state = what.partial(Chunk(a, labels[a:b], p[a:b]) for a, b in ends)
            state.pop("bits", None)
            return state

        whole = part(0, 500)
        for _ in range(5):
            parts = [part(*ends) for ends in divided(500, draws)]
            draws.shuffle(parts)
            state = parts[0]
            for other in parts[1:]:
                state = what.merge(state, other)
            for name, values in whole.items():
                np.testing.assert_array_equal(np.sort(state[name], axis=None), np.sort(values, axis=None))


def test_sums_are_exact() -> None:
    from fractions import Fraction

    p = np.random.default_rng(0).random(1000)
    rows = np.stack([p, 1 - p], axis=1)
    state = Sums(2).partial([Chunk(0, np.zeros(1000, dtype=np.int64), rows)])
    exact = sum(map(Fraction, p.tolist()), Fraction(0)) / 1000
    assert abs(Fraction(float(thresholds(state)[0])) - exact) <= Fraction(1, 2**53)
    assert thresholds(state)[1] == np.inf


@pytest.mark.parametrize("on", ["threads", "processes"])
def test_whoever_computes(on: str, make: Call, saved: Call, tmp_path: Path) -> None:
    labels, p = make(600, 3)
    found = find_label_issues_in_files(*saved(labels, p), on=on, workers=2, chunk_rows=30, out=tmp_path / "mask.npy")
    assert found.mask is None
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), th.find_label_issues(labels, p))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.npy", "p.npy", "y.npy"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")  # Ray's own, which change with every version
def test_on_ray(cluster: None, make: Call, saved: Call) -> None:
    labels, p = make(600, 3, dtype=np.float32)
    paths = saved(labels, p)
    for filter_by in ("prune_by_noise_rate", "both", "low_normalized_margin"):
        found = find_label_issues_in_files(*paths, on="ray", workers=2, chunk_rows=40, filter_by=filter_by)
        np.testing.assert_array_equal(found.mask, th.find_label_issues(labels, p, filter_by=filter_by))
    p[17] = [0.5, 0.1, 0.1]
    with pytest.raises(th.UsageError, match=r"row 17 sums to 0.7, as 1 of 600 rows do not fit"):
        find_label_issues_in_files(*saved(labels, p), on="ray", workers=2)


def test_many_classes(make: Call, saved: Call) -> None:
    labels, p = make(3000, 120, 5)
    found = find_label_issues_in_files(*saved(labels, p), chunk_rows=500)
    np.testing.assert_array_equal(found.mask, th.find_label_issues(labels, p))


def test_what_is_held_in_memory_is_as_if_it_were_on_disk(tmp_path: Path) -> None:
    for about in (None, {"search": 1}):
        place = Workspace(tmp_path / "state", about)
        place.save("part", {"name": np.array("joint"), "rows": np.array(7)})
        taken = place.load("part")
        assert taken is not None
        taken.pop("name")
        again = place.load("part")
        assert again is not None
        assert sorted(again) == ["name", "rows"]
        place.forget("part")
        assert place.load("part") is None
