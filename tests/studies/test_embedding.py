import numpy as np
import pandas as pd
import pytest

from thresher.studies import _classes as common
from thresher.studies import embedding
from thresher.studies.lab import Lab, some


def test_it_runs_through(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    data = some(common.halved(lab.data()), 60)
    monkeypatch.setattr(common, "data", lambda lab: data)
    outcome = embedding.study(lab)
    assert len(outcome.claims) == 2
    assert len(outcome.tables["silhouette"]) == 4 * 10
    assert len(outcome.tables["places"]) == 4 * 60
    assert outcome.tables["places"][["x", "y"]].std().min() > 0
    assert outcome.tables["silhouette"]["silhouette"].between(-1, 1).all()


def test_a_silhouette_by_hand() -> None:
    values = embedding.silhouettes(np.array([[0.0], [1.0], [4.0], [4.0]]), np.array([0, 0, 1, 1]))
    # row 0: a = 1, b = 4; row 1: a = 1, b = 3; rows 2 and 3: a = 0, b = 3.5
    assert np.allclose(values, [(3 / 4 + 2 / 3) / 2, 1.0])


def test_hard_classes_and_the_others_are_told_apart() -> None:
    apart = pd.DataFrame({"method": "CE", "noise": 0.0, "class": [0, 1, 2], "silhouette": [0.1, 0.2, 0.6]})
    assert np.isclose(embedding.mean_of(apart, "CE", 0.0, [0, 1]), 0.15)
    assert np.isclose(embedding.mean_of(apart, "CE", 0.0, [0, 1], others=True), 0.6)
