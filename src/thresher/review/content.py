"""What there is to see of a sample: an image, a text, the cells of a table row; by key, and nothing else by name."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from thresher import data as sources
from thresher.data import Data, Reading
from thresher.data.cells import as_text
from thresher.data.columns import listed
from thresher.data.delimited import TABLES, read_table
from thresher.data.roles import keys_of, labels, texts_of
from thresher.errors import ThresherError, UsageError
from thresher.review.pictures import Picture

_FIELDS = 60  # columns of a row that are shown
_LOOKED_AT = 200  # keys that decide where a folder's classes lie
_LONG = 20_000  # characters of a text that are shown


@dataclass(frozen=True, eq=False)
class Content:
    """Samples by key.

    Attributes:
        kind: what they are: ``image``, ``text``, ``table`` or ``none``, where nothing is known but keys and labels.
        places: by key, the place of a sample in what follows.
        folder: of image files, each named by its key, or None.
        paths: of image files by place, or None.
        data: whose images are pixels, or None.
        table: what a person sees of each sample by place, or None.
        text: the column of `table` that holds the text, or None.
    """

    kind: str = "none"
    places: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None
    paths: Sequence[Path] | None = None
    data: Data | None = None
    table: pd.DataFrame | None = None
    text: str | None = None

    def picture(self, key: str) -> Picture:
        """The image of a sample.

        Raises:
            ThresherError: there is none.
        """
        if self.folder is not None:
            return _inside(self.folder, key)
        place = self.places.get(key)
        if place is None or (self.paths is None and self.data is None):
            raise ThresherError(f"the data has no image of {key!r}: check that it is the data of these labels")
        if self.paths is not None:
            return self.paths[place]
        assert self.data is not None  # noqa: S101 - said above
        image: np.ndarray = self.data.train.dense(torch.tensor([place]))[0].numpy()
        return image

    def words(self, key: str) -> str | None:
        """The text of a sample, or None."""
        place = self.places.get(key)
        if self.table is None or self.text is None or place is None:
            return None
        return as_text(self.table[self.text].iat[place])[:_LONG]

    def cells(self, key: str) -> list[tuple[str, str]] | None:
        """Name and value of the other columns of a sample, or None where there is no table."""
        place = self.places.get(key)
        if self.table is None or place is None:
            return None
        columns = [j for j, name in enumerate(self.table.columns) if name != self.text][:_FIELDS]
        return [(str(self.table.columns[j]), as_text(self.table.iat[place, j])[:_LONG]) for j in columns]

    def excerpt(self, key: str, length: int = 160) -> str:
        """A sample in one line of at most so many characters; empty where there are no words."""
        text = self.words(key)
        if text is None:
            text = ", ".join(f"{name} {value}" for name, value in (self.cells(key) or [])[:8])
        line = " ".join(text[: 4 * length].split())
        return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def of_run(run: Path, stored: Mapping[str, Any], root: str | Path | None, keys: np.ndarray) -> Content:
    """What there is to see of the rows of a run; nothing, and a warning, where its data cannot be had any more.

    Args:
        run: the folder.
        stored: its ``run.json``.
        root: the folder of official data files.
        keys: of the rows, object ``[M]``.

    Warns:
        UserWarning: the data is gone, or has changed since.
    """
    asked, source = stored["request"], stored["request"]["source"]
    if source is None:
        return _nothing("the run was made from arrays in Python: save them as .npz and name that with --data")
    reading = Reading(**asked["reading"])
    # The path is the key of an image, and an id that of a row: no need to read all of the data and compare.
    named = os.path.isdir(source) or (source.lower().endswith(TABLES) and reading.id is not None)
    try:
        if named:
            return of_data(source, reading, root, keys)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", UserWarning)
            from thresher.jobs import reloaded

            data = reloaded(run, root)
        if data is None:
            said = str(heard[-1].message).partition("for the data ")[2] if heard else "is gone"
            return _nothing(f"the data {said}")
    except ThresherError as error:
        return _nothing(str(error))
    return _of_loaded(data, reading, Path(source).parent)


def of_data(
    source: str, reading: Reading, root: str | Path | None, keys: np.ndarray, given: np.ndarray | None = None
) -> Content:
    """What there is to see of rows whose data is named.

    Args:
        source: a folder of images, a table, a .npz file, a known name.
        reading: the columns of a table.
        root: the folder of official data files.
        keys: of the rows, object ``[M]``.
        given: their labels as class names, object ``[M]``, to be compared with those of the data; None is not to.

    Raises:
        UsageError: it cannot be read, or does not have these keys.
        ThresherError: likewise.

    Warns:
        UserWarning: labels differ, so that it may be other data.
    """
    if os.path.isdir(source):
        return Content("image", folder=_classes_folder(Path(source), keys))
    if source.lower().endswith(TABLES):
        found, theirs = _of_table(Path(source), reading)
    else:
        data = sources.load(source, root=root, reading=replace(reading, labels=None, test=None))
        found = _of_loaded(data, reading, Path(source).parent)
        theirs = np.asarray(data.classes, dtype=object)[data.train.labels.numpy()]
    _check_keys(found, keys, source)
    if given is not None and theirs is not None:
        _compare(found, keys, given, theirs, source)
    return found


def _of_table(path: Path, reading: Reading) -> tuple[Content, np.ndarray | None]:
    """A table as it is in its file, and its labels where it has such a column."""
    table = read_table(path)
    keys = keys_of(table, reading.id, path.name)
    theirs = None
    if reading.label in table.columns:
        theirs = np.array([as_text(one) for one in labels(table, reading.label, path.name)], dtype=object)
    for column, option in ((reading.text, "--text"), (reading.path, "--path")):
        if column is not None and column not in table.columns:
            raise UsageError(f"{path.name} has no column {column!r}: name the column with {option}")
    beside = [name for name in table.columns if name not in {reading.label, reading.id} - {reading.text}]
    places = {key: place for place, key in enumerate(keys)}
    shown = table[[name for name in beside if name != reading.path]]
    if reading.path is not None:
        paths = [path.parent / one for one in texts_of(table, reading.path, path.name)]
        return Content("image", places, paths=paths, table=shown), theirs
    return Content("table" if reading.text is None else "text", places, table=shown, text=reading.text), theirs


def _of_loaded(data: Data, reading: Reading, base: Path) -> Content:
    """Data that has been read: the image files where a table names them, its pixels otherwise."""
    places = {key: place for place, key in enumerate(data.train.keys)}
    if not data.is_image:
        kind = "none" if data.table is None else "table" if data.shown is None else "text"
        return Content(kind, places, table=data.table, text=data.shown)
    if data.table is None or reading.path is None:
        return Content("image", places, data=data, table=data.table)
    paths = [base / str(one) for one in data.table[reading.path]]
    return Content("image", places, paths=paths, table=data.table.drop(columns=reading.path))


def _nothing(why: str) -> Content:
    warnings.warn(f"the page shows keys and labels only, for {why}", stacklevel=3)
    return Content()


def _inside(folder: Path, key: str) -> Path:
    """The file that a key names; never one outside of the folder, whatever a table of issues says."""
    path = Path(os.path.normpath(folder / key))
    if "\0" in key or not path.is_relative_to(os.path.normpath(folder)):
        raise ThresherError(f"the key {key!r} leads out of {folder}: it is not shown")
    return path


def _classes_folder(folder: Path, keys: np.ndarray) -> Path:
    """The folder that the keys are relative to: of the classes, or ``train/`` in it."""
    looked = [str(key) for key in keys[:_LOOKED_AT]]
    for base in (folder, folder / "train"):
        for key in looked:
            try:
                if _inside(base, key).is_file():
                    return base
            except (ThresherError, OSError):  # a key that leads out of it, or that no file can have as its name
                continue
    raise UsageError(
        f"{folder} has no file {listed(looked[:1])}, nor any of the next: give the folder that holds the class folders"
    )


def _check_keys(content: Content, keys: np.ndarray, source: str) -> None:
    missing = [str(key) for key in keys if key not in content.places]
    if missing:
        raise UsageError(
            f"{source} has no row with the key {listed(missing)}: give the data that these labels are of, and the "
            "column of keys with --id where they have one"
        )


def _compare(content: Content, keys: np.ndarray, given: np.ndarray, theirs: np.ndarray, source: str) -> None:
    """Warn where labels differ: keys that are only row numbers fit any table that is long enough."""
    same = theirs[[content.places[key] for key in keys]] == given
    if not same.all():
        first = keys[int(np.argmin(same))]
        warnings.warn(
            f"{int((~same).sum())} of {len(keys)} given labels differ from those in {source}, the first is that of "
            f"{first!r}: check that it is the data of these labels",
            stacklevel=3,
        )
