"""A correction as a Hugging Face data set on disk (extra ``hf``)."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thresher.correct.original import image_files, kind_of_data, read_arrays, read_rows
from thresher.correct.source import Suspects
from thresher.data.reading import Reading
from thresher.errors import UsageError


def library() -> Any:
    """The package `datasets`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise UsageError("a Hugging Face data set needs the package datasets: pip install 'thresher[hf]'") from error
    return datasets


def save(path: Path, table: pd.DataFrame, classes: Sequence[str], suspects: Suspects) -> None:
    """Write ``datasets.Dataset.save_to_disk``: the inputs where they are in files, and the corrected labels.

    Columns: `key`; those of a table, `image` for a folder of images, `x` for a .npz file; the column of labels (its
    name in the table, or `label`) as `ClassLabel`; `weight` and `probabilities` (float32 ``[K]``) where there are any.
    Rows without a label are left out.

    Args:
        path: of the new folder.
        table: `key`, `label` and what the policy adds.
        classes: the class names.
        suspects: what was corrected.

    Raises:
        UsageError: the package is not installed, or the data are gone.
    """
    datasets = library()
    kept = table[table["label"] != ""].reset_index(drop=True)
    name = (suspects.read_as or Reading()).label
    columns: dict[str, Any] = {"key": kept["key"].tolist()}
    columns.update(_inputs(kept["key"], suspects, name))
    label = name if kind_of_data(suspects) == "table" else "label"
    columns[label] = kept["label"].tolist()
    if "weight" in kept:
        columns["weight"] = kept["weight"].to_numpy(dtype=np.float32)
    if f"p_{classes[0]}" in kept:
        columns["probabilities"] = _soft(kept, classes).tolist()
    with _without_bars(datasets):
        made = datasets.Dataset.from_dict(columns)
        made = made.cast_column(label, datasets.ClassLabel(names=list(classes)))
        if kind_of_data(suspects) == "folder":
            made = made.cast_column("image", datasets.Image())
        made.save_to_disk(str(path))


@contextlib.contextmanager
def _without_bars(datasets: Any) -> Iterator[None]:
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _inputs(keys: pd.Series, suspects: Suspects, label: str) -> dict[str, Any]:
    """What the data have for each key, by column."""
    kind = kind_of_data(suspects)
    if kind == "folder":
        files = image_files(suspects)
        return {"image": [str(files[key].resolve()) for key in keys]}
    if kind == "npz":
        arrays, known = read_arrays(suspects)
        rows = pd.Index(known).get_indexer(pd.Index(keys))
        return {"x": list(arrays["x"][rows])}
    if kind == "table":
        table, known = read_rows(suspects)
        rows = pd.Index(known).get_indexer(pd.Index(keys))
        names = [name for name in table.columns if name not in (label, "key", "weight", "probabilities")]
        return {name: table[name].iloc[rows].tolist() for name in names}
    return {}


def _soft(kept: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Soft labels: float32 ``[n, K]``, one-hot where the label simply stands."""
    soft = kept[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float32)
    hard = (kept["label"].to_numpy(dtype=object)[:, None] == np.array(classes, dtype=object)).astype(np.float32)
    return np.asarray(np.where(np.isnan(soft).all(1, keepdims=True), hard, soft))
