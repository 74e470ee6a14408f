"""A folder of images as it should be: one folder per corrected class, made of links to the images that are there."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pandas as pd

from thresher.correct.original import image_files, kind_of_data
from thresher.correct.source import Suspects
from thresher.data.columns import listed
from thresher.errors import UsageError, nearest

LINKS = ("symbolic", "hard")
"""Kinds of links; hard ones need the same file system, and outlive the original's folder."""

_LONGEST = 255  # bytes of a file name


def check_place(out: Path, suspects: Suspects, links: str) -> dict[str, Path]:
    """The image of each key, once it is sure that links to them can be made.

    Args:
        out: where the new folder is to be.
        suspects: of a run on images.
        links: one of `LINKS`.

    Raises:
        UsageError: there is no such kind of link, the data are no images in files or are gone, or `out` lies inside
            of them.
    """
    if links not in LINKS:
        raise UsageError(f"there are no {links!r} links: {nearest(links, LINKS)}")
    files = image_files(suspects)
    source = Path(str(suspects.data)).resolve()
    if kind_of_data(suspects) == "folder" and (out.parent.resolve() / out.name).is_relative_to(source):
        raise UsageError(f"{out} lies inside {source}, which is never changed: choose an --out elsewhere")
    gone = [key for key in map(str, suspects.issues["key"]) if key not in files or not files[key].is_file()]
    if gone:
        raise UsageError(f"{len(gone)} images of {suspects.data} are gone: {listed(gone)}; put them back")
    return files


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """The folder of each class: its name, percent-encoded where a folder cannot have it or would be hidden by it.

    Raises:
        UsageError: two classes need the same folder, or a name is too long.

    Example:
        >>> folder_names(["cat", "a/b", ".."])
        {'cat': 'cat', 'a/b': 'a%2Fb', '..': '%2E.'}
    """
    named = {}
    for name in classes:
        plain = name.isprintable() and "/" not in name and name == name.strip()
        folder = name if plain else quote(name, safe=" ")
        named[name] = "%2E" + folder[1:] if folder.startswith(".") else folder
        if len(os.fsencode(named[name])) > _LONGEST:
            raise UsageError(f"the class {name[:20]!r}... has too long a name for a folder: write a .csv")
    if len({folder.casefold() for folder in named.values()}) < len(named):
        places = [folder.casefold() for folder in named.values()]
        twice = [name for name, folder in named.items() if places.count(folder.casefold()) > 1]
        raise UsageError(f"the classes {listed(twice)} would have the same folder: rename them, or write a .csv")
    return named


def link(target: Path, table: pd.DataFrame, files: Mapping[str, Path], nested: bool, links: str) -> dict[str, str]:
    """Make the folder.

    A row whose label stands keeps its path. One that was moved keeps its name, with a number where that is taken.

    Args:
        target: to be made.
        table: the columns `key` and `label`; rows without a label are left out.
        files: the image of each key.
        nested: whether a key is the class folder and the path below it, as in a folder of images.
        links: one of `LINKS`.

    Returns:
        The path of every row in the new folder, by key.

    Raises:
        UsageError: a class whose name no folder can have.
    """
    kept = table[table["label"] != ""]
    folders = folder_names(sorted(set(kept["label"])))
    wanted = {}
    for key, label in zip(kept["key"], kept["label"], strict=True):
        below = PurePosixPath(*PurePosixPath(key).parts[1:]) if nested else PurePosixPath(files[key].name)
        wanted[key] = PurePosixPath(folders[label]) / below
    taken: set[str] = set()
    made = {key: _free(place, taken) for key, place in wanted.items() if str(place) == key}
    made |= {key: _free(place, taken) for key, place in wanted.items() if key not in made}
    target.mkdir()
    for key, place in made.items():
        _make(target / place, files[key], links)
    return made


def _free(wanted: PurePosixPath, taken: set[str]) -> str:
    """The wanted path, or the same with the first number that nobody has."""
    place, number = wanted, 1
    while str(place).casefold() in taken:
        number += 1
        place = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    taken.add(str(place).casefold())
    return str(place)


def _make(place: Path, original: Path, links: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if links == "hard":
        place.hardlink_to(original.resolve() if original.is_symlink() else original)
    else:
        place.symlink_to(original.absolute())
