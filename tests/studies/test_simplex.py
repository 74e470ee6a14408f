import numpy as np
import pytest
import torch

from thresher.data import load
from thresher.studies import _elr as common
from thresher.studies import simplex
from thresher.studies.lab import Lab, some
from thresher.studies.page import write


@pytest.fixture
def tiny(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Two epochs on 50 digits of each of three classes."""
    data = some(load("digits"), 500)
    monkeypatch.setattr(Lab, "data", lambda lab, **names: data)
    return lab


def test_it_runs_through(tiny: Lab) -> None:
    outcome = simplex.study(tiny)
    assert len(outcome.claims) == 4
    assert outcome.claims[0].holds is True
    assert [figure.name for figure in outcome.figures] == ["paths", "density-clean", "density-wrong"]
    shares = outcome.tables["shares"]
    assert len(shares) == 2 * 2 * 3
    assert shares.filter(like="nearest").sum(axis=1).to_numpy() == pytest.approx(1)
    paths = outcome.tables["paths"]
    assert paths.groupby(["method", "kind", "curve"]).size().to_list() == [3, 3, 3, 2, 3, 2]
    assert paths[["true", "given_or_next", "third"]].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-3)
    densities = outcome.tables["densities"]
    drawn = densities.groupby(["method", "kind", "epoch"])["samples"].sum()
    assert drawn.groupby("kind").nunique().to_list() == [1, 1]  # every epoch of every method shows all samples
    assert "given label" in write(outcome, tiny.folder, quick=True, made={}).read_text()


def test_corners_are_true_given_and_third(tiny: Lab) -> None:
    data = simplex.first_classes(tiny.data(), 3)
    settings = common.settings(tiny, batch=32)
    trained = tiny.train(
        "one", "elr", data=data, noise="symmetric:0.4", probes=(simplex.Triangle(followed=5),), **settings
    )
    run, last = trained.run, trained.history.iloc[-1]
    shown = next(iter(run.source.open([run.rows], ("plain",), 0)))
    p = torch.softmax(run.predict(0, *shown.values()).logits, 1).tolist()
    clean, given = data.train.labels[run.rows].tolist(), run.given.tolist()
    wrong = [i for i in range(run.size) if clean[i] != given[i]][:5]
    third = [({0, 1, 2} - {clean[i], given[i]}).pop() for i in wrong]
    expected = [[p[i][clean[i]], p[i][given[i]], p[i][k]] for i, k in zip(wrong, third, strict=True)]
    assert np.allclose(last["wrong_path"], expected, atol=1e-4)
    right = [i for i in range(run.size) if clean[i] == given[i]][:5]
    expected = [[p[i][(clean[i] + k) % 3] for k in range(3)] for i in right]
    assert np.allclose(last["clean_path"], expected, atol=1e-4)
    assert sum(last["wrong_cells"]) + sum(last["clean_cells"]) == run.size
    assert np.allclose(np.sum(last["wrong_target"], axis=1), 1, atol=1e-3)


def test_what_was_before_training_is_told_once(tiny: Lab) -> None:
    data = simplex.first_classes(tiny.data(), 3)
    settings = common.settings(tiny, batch=32)
    trained = tiny.train("one", "elr", data=data, noise="symmetric:0.4", probes=(simplex.Triangle(),), **settings)
    before = trained.history["wrong_cells_before"]
    assert isinstance(before[0], list)
    assert not isinstance(before[1], list)
    plain = tiny.train("two", "elr", data=data, noise="symmetric:0.4", **settings)
    assert plain.history["loss"].tolist() == trained.history["loss"].tolist()  # the probe leaves the run as it found it


def test_points_are_counted_in_the_cell_they_lie_in() -> None:
    points = np.random.default_rng(0).dirichlet([1, 1, 1], 300)
    corners = simplex.triangles(7)
    for point in points:
        cell = int(simplex.counts(point[None], 7).argmax())
        inside = np.linalg.solve(corners[cell].T, point)  # its own shares in the small triangle
        assert inside.min() > -1e-9, (point, cell)
    assert simplex.counts(np.eye(3), 7).sum() == 3
    assert simplex.counts(points, 7).sum() == 300


def test_shares_of_corners() -> None:
    points = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.1, 0.8, 0.1], [0.34, 0.33, 0.33]])
    density = simplex.counts(points, 12)
    assert simplex.nearest_corner(density)[1] == pytest.approx(0.5)
    assert simplex.undecided(density) == pytest.approx(0.25)


def test_only_the_first_classes_stay() -> None:
    three = simplex.first_classes(load("digits"), 3)
    assert three.train.labels.unique().tolist() == [0, 1, 2]
    assert three.test is not None
    assert three.test.labels.unique().tolist() == [0, 1, 2]
    assert not three.confusions
