"""Whether a run that goes on is the run that began: the same request, methods, settings and data."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from thresher.data import Data
from thresher.engine.options import Options
from thresher.errors import UsageError
from thresher.result import read_run, records

ROWS = "rows.csv"
"""The file of a run folder that lists the rows it was trained on, to name those that have changed."""


def check_same_run(folder: Path, described: Mapping[str, Any], data: Data) -> None:
    """Compare what is asked for with the run in a folder, and take over that run's number of threads.

    Args:
        folder: of the run that goes on.
        described: what `thresher.jobs.Job.described` says of the one that was asked for.
        data: what it would be trained on.

    Raises:
        UsageError: something else was asked for, or the data have changed; it says what.
    """
    stored = read_run(folder)
    mine = json.loads(json.dumps(described))
    usual = json.loads(json.dumps(dataclasses.asdict(Options())))
    for part in ("kind", "noise", "mapping", "trusted", "cross_fit"):
        _check_same(folder, part, stored["request"].get(part), mine["request"][part])
    _check_same(folder, "model", stored["request"].get("model", "net"), mine["request"]["model"])
    _check_same(folder, "method", stored["method"], mine["method"])
    for setting, value in mine["options"].items():
        before = stored["options"].get(setting, usual[setting])  # a setting younger than the run had its default
        if setting not in ("epochs", "workers") and before != value:
            raise UsageError(
                f"{folder} was trained with {setting} {before} and not {value}: "
                "only the epochs, the device and the workers may differ at resume"
            )
    _check_data(folder, data, stored["data"], mine["data"])
    _check_same(folder, "split", stored["split"], mine["split"])
    if stored["weights"] != mine["weights"]:
        raise UsageError(f"{mine['options']['weights']} has changed since {folder} began: put the file back as it was")
    trained = len(records(folder / "metrics.jsonl"))
    if mine["options"]["epochs"] < trained:
        raise UsageError(f"{folder} has trained {trained} epochs already: give --epochs {trained} or more")
    if stored["threads"] != torch.get_num_threads():
        torch.set_num_threads(stored["threads"])  # other thread counts add in another order


def _check_same(folder: Path, part: str, old: Any, new: Any) -> None:
    if old != new:
        raise UsageError(
            f"{folder} was trained with another {part} ({_difference(old, new)}): "
            "resume with the same, or start a new run"
        )


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(key for key in {**old, **new} if old.get(key) != new.get(key))
        return f"its {key} differs"
    return f"{old} and not {new}"


def _check_data(folder: Path, data: Data, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse data that have changed since the run began, and name what has."""
    if old["fingerprint"] != new["fingerprint"] and (folder / ROWS).exists():
        before = pd.read_csv(folder / ROWS, dtype=str, keep_default_na=False).set_index("key")
        changed = _changed(before, data.marks().astype(str).set_index("key"))
        if changed:
            raise UsageError(
                f"{folder} was trained on other data: {changed}; put the data back as they were, or start a new run"
            )
    if {**old, "test": 0, "fingerprint": ""} == {**new, "test": 0, "fingerprint": ""} and old != new:
        counts = (
            f"{new['test']} rows and had {old['test']}" if old["test"] != new["test"] else "the same number of rows"
        )
        raise UsageError(
            f"the test set of {folder} has changed, it has {counts}: put it back as it was, or start a new run"
        )
    _check_same(folder, "data", dict(old), dict(new))


def _changed(before: pd.DataFrame, now: pd.DataFrame) -> str:
    """What differs between two lists of rows (given and mark by key), in a few words; empty where nothing does."""
    gone, come = before.index.difference(now.index), now.index.difference(before.index)
    both = before.index.intersection(now.index)
    inputs = both[before.loc[both, "mark"] != now.loc[both, "mark"]]
    labels = both[before.loc[both, "given"] != now.loc[both, "given"]]
    kinds = ((gone, "is gone"), (come, "is new"), (inputs, "has changed"), (labels, "has another label"))
    return "; ".join(
        f"{keys[0]} {what}" + (f", and {len(keys) - 1:,} more like it" if len(keys) > 1 else "")
        for keys, what in kinds
        if len(keys)
    )
