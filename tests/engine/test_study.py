"""Several trainings as one study: what is done once, what is loaded, and what is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.contract.toys import BY_SLOT
from tests.engine.jobs import trained

import thresher as th
from thresher.engine.combine import Combination
from thresher.engine.study import Study, use_best
from thresher.errors import ThresherError, UsageError
from thresher.testing.toy import TOY_OPTIONS, toy, toy_study


def study(*methods: Any, folder: Path | None = None) -> tuple[Study, list[tuple[str | None, int]]]:
    """A study, and the fits and epochs it reports."""
    reports: list[tuple[str | None, int]] = []
    report = lambda name, record: reports.append((name, record["epoch"]))  # noqa: E731
    return Study(Combination(methods), TOY_OPTIONS, toy(), folder=folder, report=report), reports


def test_a_finished_fit_is_loaded_and_not_trained_again(tmp_path: Path) -> None:
    first, reports = study(BY_SLOT["fits"], folder=tmp_path)
    run = first.run()
    assert reports == [("toy-half", 1), (None, 1), (None, 2)]
    assert (tmp_path / "fits" / "toy-half" / "metrics.jsonl").is_file()
    again, more = study(BY_SLOT["fits"], folder=tmp_path)
    assert torch.equal(again.run().nets[0].head.weight, run.nets[0].head.weight)  # type: ignore[arg-type,union-attr]
    assert more == []


def test_a_fit_starts_from_what_it_was_given() -> None:
    made = toy_study(BY_SLOT["fits"])
    run = made.run()
    half = made.runs["toy-half"]
    assert (half.epochs, run.epochs) == (1, 2)
    assert half.kept is not None
    assert torch.equal(run.table("toy_first").full()[::2] >= 0, torch.ones(26, dtype=torch.bool))
    assert run.value("toy_level", torch.zeros(())) == 0.5
    assert torch.equal(run.given, toy().labels)
    assert not torch.equal(run.labels.full(), run.given)


def test_the_fits_method_is_not_among_the_rest() -> None:
    made, _ = study(BY_SLOT["fits"], th.method("gce"))
    assert made.rest == (th.method("gce"),)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean epochs"):
        study()[0].fit(None, epoch=3)


def test_without_trusted_samples_a_method_that_needs_them_says_so() -> None:
    without = Study(Combination([th.method("l2rw")]), TOY_OPTIONS, replace(toy(), trusted=None))
    with pytest.raises(ThresherError, match="l2rw learns from trusted samples and got none"):
        without.run()


def test_metrics_have_one_line_per_epoch_and_are_cut_back_at_resume(tmp_path: Path) -> None:
    trained(epochs=2, folder=tmp_path)
    path = tmp_path / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"epoch": 3}\n{"epo')
    trained(epochs=4, folder=tmp_path)
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    straight, _ = trained(epochs=2)
    trained(epochs=2, folder=tmp_path)
    (tmp_path / "checkpoints" / "2" / "weights.safetensors").write_bytes(b"nothing")
    said: list[str] = []
    made, _ = study(folder=tmp_path)
    made.warn = said.append
    run = made.run()
    assert len(said) == 1
    assert "is damaged (weights.safetensors)" in said[0]
    assert torch.equal(run.nets[0].head.weight, straight.nets[0].head.weight)  # type: ignore[arg-type,union-attr]


def test_the_best_weights_are_those_of_the_selected_epoch(tmp_path: Path) -> None:
    run, judge = trained(epochs=6, folder=tmp_path)
    best = judge.best_epoch
    assert best is not None
    assert run.best_weights is not None
    assert (tmp_path / "best").resolve().name == str(best)
    weight = run.best_weights["net0/head.weight"].clone()
    assert torch.equal(use_best(run).nets[0].head.weight, weight)  # type: ignore[arg-type,union-attr]


def test_early_stopping_ends_the_run_and_a_finished_run_stays_finished(tmp_path: Path) -> None:
    run, judge = trained(epochs=30, stop="patience", patience=2, folder=tmp_path)
    assert judge.stopped
    assert run.epoch == len(judge.history) < 30
    again, later = trained(epochs=30, stop="patience", patience=2, folder=tmp_path)
    assert (again.epoch, len(later.history)) == (run.epoch, len(judge.history))
