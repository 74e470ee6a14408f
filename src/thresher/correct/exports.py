"""A correction as bytes and files: CSV, lines of JSON, and arrays."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thresher.correct.original import read_arrays
from thresher.correct.source import Suspects
from thresher.data.columns import column
from thresher.data.delimited import as_csv

_ROWS = ("x", "y", "id", "group")  # the arrays with a value per training row


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """A table as UTF-8 text with a header."""
    path.write_bytes(as_csv(table).encode())


def write_jsonl(path: Path, table: pd.DataFrame, classes: Sequence[str]) -> None:
    """One JSON object per row: the columns, null where a cell is empty, soft labels as ``"probabilities": {...}``."""
    soft = [f"p_{one}" for one in classes]
    soft = soft if set(soft) <= set(table.columns) else []  # of a listing, p_suggested is no class's
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in table.to_dict("records"):
            plain: dict[str, Any] = {str(name): _plain(value) for name, value in record.items() if name not in soft}
            if soft:
                shares = {one: _plain(record[f"p_{one}"]) for one in classes}
                plain["probabilities"] = None if None in shares.values() else shares
            file.write(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """A value that JSON has."""
    if value == "" or value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def write_labels(path: Path, table: pd.DataFrame, classes: Sequence[str]) -> None:
    """Arrays without inputs: `key` and `label` as text (empty: left out), `classes`, and weights or soft labels.

    `weight` is float32 ``[N]``, `probabilities` float32 ``[N, K]`` in the order of `classes`; rows whose label simply
    stands have it as one-hot probabilities, rows that are left out have zeros.
    """
    arrays = {name: np.array(table[name].tolist(), dtype=str) for name in ("key", "label")}
    arrays["classes"] = np.array(classes, dtype=str)
    if "weight" in table:
        arrays["weight"] = table["weight"].to_numpy(dtype=np.float32)
    if f"p_{classes[0]}" in table:
        soft = table[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float32)
        hard = (arrays["label"][:, None] == arrays["classes"]).astype(np.float32)
        arrays["probabilities"] = np.where(np.isnan(soft).all(1, keepdims=True), hard, soft)
    _save(path, arrays)


def write_arrays(path: Path, table: pd.DataFrame, suspects: Suspects) -> None:
    """The run's own .npz file with corrected `y`, as ``thresher train`` reads it.

    Rows without a label are left out, and `id` is added where keys are row numbers, so that they stay the same; a test
    set stays as it is.

    Args:
        path: of the new file.
        table: the columns `key` and `label`.
        suspects: of a run on a .npz file.

    Raises:
        UsageError: the file cannot be read any more.
    """
    arrays, keys = read_arrays(suspects)
    label = dict(zip(table["key"], table["label"], strict=True))
    kept = np.array([row for row, key in enumerate(keys) if label.get(key)], dtype=np.int64)
    given = column(arrays["y"], "y")
    known = {str(value): value for value in np.unique(given).tolist()}
    found = {name: array[kept] if name in _ROWS else array for name, array in arrays.items()}
    found["y"] = np.array([known.get(label[keys[row]], label[keys[row]]) for row in kept])
    found["id"] = np.array(keys[kept].tolist(), dtype=str)
    _save(path, found)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:  # given a name, numpy would add an ending
        np.savez_compressed(file, allow_pickle=False, **arrays)
