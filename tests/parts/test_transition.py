"""A transition matrix as a setting: what may be given, what is refused, and how it is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thresher.errors import UsageError
from thresher.parts.transition import as_matrix, check_idle, check_size, rows_of, tensor_of

ROWS = ((0.75, 0.25), (0.1, 0.9))


@dataclass(frozen=True)
class Correction:
    """The fields that an estimate reads."""

    matrix: tuple[tuple[float, ...], ...] = ()
    percentile: float = 0.0
    rounds: int = 1


@pytest.mark.parametrize(
    "said",
    [ROWS, [list(row) for row in ROWS], np.array(ROWS), torch.tensor(ROWS, dtype=torch.float64)],
    ids=["tuples", "lists", "numpy", "torch"],
)
def test_rows_of_anything(said: Any) -> None:
    matrix = as_matrix(said)
    assert matrix == ROWS
    assert hash(matrix)
    assert all(type(value) is float for row in matrix for value in row)


@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"T.{suffix}"
    if suffix == "npy":
        np.save(path, np.array(ROWS))
    else:
        path.write_text("0.75,0.25\n0.1,0.9\n")
    assert as_matrix(path) == as_matrix(str(path)) == ROWS


@pytest.mark.parametrize("said", [(), [], "", np.zeros((0, 0))])
def test_nothing_is_no_matrix(said: Any) -> None:
    assert as_matrix(said) == ()


def test_what_is_kept_is_kept_again() -> None:
    """A run that is resumed converts the stored values once more, and must come to the same method."""
    source = np.random.default_rng(0)
    for _ in range(50):
        matrix = as_matrix(source.dirichlet(np.ones(7), 7))
        assert as_matrix([list(row) for row in matrix]) == matrix


def test_whole_numbers_become_floats() -> None:
    assert as_matrix([[1, 0], [0, 1]]) == ((1.0, 0.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([[0.9, 0.2], [0.5, 0.5]], "row 0 of the transition matrix adds up to 1.1: each row needs the shares"),
        ([[0.5, 0.5]], r"the transition matrix has shape \[1, 2\]: give a square matrix"),
        ([0.5, 0.5], r"the transition matrix has shape \[2\]: give a square"),
        ([[1.2, -0.2], [0, 1]], "the transition matrix has -0.2 in row 0, column 1, which is negative: mend it"),
        ([[float("nan"), 1], [0, 1]], "has nan in row 0, column 0, which is not finite"),
        ([["a", "b"], ["c", "d"]], "the transition matrix has dtype <U1: give numbers"),
        ([[0.5, 0.5], [1.0]], r"the transition matrix cannot be read \(.*\): give numbers, one row per true class"),
        ([[0.0, 1.0], [0.0, 1.0]], "column 0 of the transition matrix holds only zeros, so that no sample could be"),
        ("absent.npy", "there is no transition matrix absent.npy: check the path"),
        (0.2, r"the transition matrix has shape \[\]: give a square"),
    ],
)
def test_what_is_no_matrix_is_refused(said: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        as_matrix(said)


def test_a_tensor_with_a_gradient_is_refused() -> None:
    with pytest.raises(UsageError, match="the transition matrix cannot be read"):
        as_matrix(torch.eye(2, requires_grad=True))


def test_sizes() -> None:
    check_size(ROWS, 2)
    check_size((), 7)
    with pytest.raises(UsageError, match="is for 2 classes, and there are 3: give one row for each"):
        check_size(ROWS, 3)


def test_the_tensor_has_rows_of_sum_one() -> None:
    rough = rows_of(np.array(ROWS) * (1 + 5e-7))
    assert torch.allclose(tensor_of(rough, "x").sum(1), torch.ones(2, dtype=torch.float64), atol=1e-15, rtol=0)
    with pytest.raises(UsageError, match=r"x has no transition matrix, and only a run of thresher can .* pass matrix="):
        tensor_of((), "x")
    with pytest.raises(UsageError, match=r"adds up to 0\.9"):
        tensor_of(((0.8, 0.1), (0.0, 1.0)), "x")


def test_settings_of_the_estimate_are_refused_beside_a_matrix() -> None:
    check_idle(Correction(ROWS))
    check_idle(Correction((), 97.0, 3))
    with pytest.raises(UsageError, match=r"correction\.rounds is for estimating the matrix, and correction\.matrix"):
        check_idle(Correction(ROWS, rounds=2))
    with pytest.raises(UsageError, match=r"correction\.percentile is for estimating"):
        check_idle(Correction(ROWS, percentile=97.0))
