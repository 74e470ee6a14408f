"""The data that a run was trained on, for exports that hold more than labels; only ever read."""

from pathlib import Path

import numpy as np
import pandas as pd

from thresher.correct.source import Suspects
from thresher.data.arrays import KEYS
from thresher.data.columns import names, row_keys
from thresher.data.delimited import TABLES, read_table
from thresher.data.reading import Reading
from thresher.data.roles import keys_of, texts_of
from thresher.errors import UsageError


def kind_of_data(suspects: Suspects) -> str | None:
    """``folder``, ``table`` or ``npz``; None where the data are no file: arrays in memory, a known name, unknown.

    Raises:
        UsageError: the file is not there any more.
    """
    if suspects.data is None:
        return None
    path = Path(suspects.data)
    if path.is_dir():
        return "folder"
    named = path.name.lower()
    kind = "npz" if named.endswith(".npz") else "table" if named.endswith(TABLES) else None
    if kind is not None and not path.is_file():
        raise UsageError(f"the data of {suspects.run} are gone, there is no {path}: put them back to export them")
    return kind


def read_arrays(suspects: Suspects) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The arrays of a .npz file, and the key of each row (object ``[N]``).

    Raises:
        UsageError: it cannot be read.
    """
    path = Path(str(suspects.data))
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files if name in KEYS}
        rows = len(found["x"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UsageError(f"{path} cannot be read any more ({error}): put it back as it was") from error
    return found, names(found["id"], "id") if "id" in found else row_keys(rows)


def read_rows(suspects: Suspects) -> tuple[pd.DataFrame, np.ndarray]:
    """The table of the data, and the key of each row (object ``[N]``).

    Raises:
        UsageError: it cannot be read.
    """
    path, reading = Path(str(suspects.data)), suspects.read_as or Reading()
    table = read_table(path)
    return table, keys_of(table, reading.id, path.name)


def image_files(suspects: Suspects) -> dict[str, Path]:
    """The image of each key.

    Returns:
        Paths by key; for a folder, of the keys in the table of issues only.

    Raises:
        UsageError: the data are no images in files, or a key leads out of their folder.
    """
    kind, reading = kind_of_data(suspects), suspects.read_as or Reading()
    if kind == "table" and reading.path is not None:
        table, keys = read_rows(suspects)
        base = Path(str(suspects.data)).parent
        paths = texts_of(table, reading.path, Path(str(suspects.data)).name)
        return {key: base / path for key, path in zip(keys, paths, strict=True)}
    if kind != "folder":
        raise UsageError(
            "a folder of links needs a run on a folder of images, or on a table with --path: write a .csv instead"
        )
    wanted = [str(key) for key in suspects.issues["key"]]
    for key in wanted:
        parts = key.split("/")
        if len(parts) < 2 or {"", ".", ".."} & set(parts):
            raise UsageError(f"the key {key!r} is no class folder and file below it: the table of issues was changed")
    base = Path(str(suspects.data))
    if not (base / wanted[0]).is_file():
        base = base / "train"
    return {key: base / key for key in wanted}
