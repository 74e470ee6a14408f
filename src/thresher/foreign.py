"""Files that other programs wrote as pickles or with torch, read so that nothing in them can run code.

Nothing that a file names is imported or called. The few names that an array needs stand for `_Array` and `_Kind`, which
only keep what they are given; every other name is refused.
"""

import codecs
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thresher.errors import ThresherError

_CODES = ("u1", "i4", "i8", "f4", "f8")  # the arrays that are read: bytes, whole numbers, floats


def read_pickle(path: Path, advice: str) -> dict[str, Any]:
    """Read a pickled dictionary of plain values and numpy arrays, written by Python 2 or 3 and any numpy.

    Args:
        path: of the file, which is there.
        advice: the end of the sentence if it cannot be read.

    Returns:
        The dictionary; arrays in it are read-only.

    Raises:
        ThresherError: a damaged file, one that names code, or one that holds no dictionary.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "batch"
        ...     _ = path.write_bytes(pickle.dumps({"labels": np.array([6, 9])}, protocol=2))
        ...     read_pickle(path, "fetch it again")
        {'labels': array([6, 9])}
    """
    try:
        with path.open("rb") as file:
            found = _Restricted(file, encoding="latin1").load()  # latin1: text of Python 2 may be bytes
    except _Refused as error:
        raise ThresherError(_names_code(path, str(error), advice)) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise ThresherError(_damaged(path, error, advice)) from error
    return _plain(path, found, advice)


def read_torch(path: Path, advice: str) -> dict[str, Any]:
    """Read a dictionary of tensors, numpy arrays and plain values that torch.save wrote.

    Args:
        path: of the file, which is there.
        advice: the end of the sentence if it cannot be read.

    Returns:
        The dictionary, tensors on the CPU; arrays in it are read-only.

    Raises:
        ThresherError: a damaged file, one that names code, or one that holds no dictionary.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save({"w": torch.ones(2)}, Path(folder) / "net.pt")
        ...     read_torch(Path(folder) / "net.pt", "save it again")
        {'w': tensor([1., 1.])}
    """
    allowed: list[Any] = [(stand_in, name) for name, stand_in in _STAND_INS.items()]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's word on programs in the place of weights, refused right after
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ThresherError(_names_code(path, named[1], advice) if named else _damaged(path, error, advice)) from error
    return _plain(path, found, advice)


class _Kind:
    """Stands for a dtype: its name, such as ``u1``, and its byte order."""

    def __init__(self, name: str, *_: object) -> None:
        self.name, self.order = name, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands for an array, and for the function that makes one: keeps what numpy would be given."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The array that numpy would have made, for the kinds of `_CODES`."""
        _, shape, kind, by_column, content = self.state
        if kind.name not in _CODES or kind.order not in ("|", "<", ">"):
            raise ValueError(f"an array of {kind.order}{kind.name}")
        raw = content.encode("latin1") if isinstance(content, str) else content
        flat: np.ndarray = np.frombuffer(raw, dtype=f"{kind.order}{kind.name}")
        return flat.reshape(shape, order="F" if by_column else "C")


_STAND_INS: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": _Array,  # as numpy 1 writes it
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.core.multiarray.scalar": _Array,  # a single number beside the weights; nobody asks for it
    "numpy._core.multiarray.scalar": _Array,
    "numpy.ndarray": _Array,
    "numpy.dtype": _Kind,
    "_codecs.encode": codecs.encode,  # how Python 3 writes bytes in old formats
}


class _Refused(Exception):
    """The name that a pickle may not have."""


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; nothing is imported."""
        full = f"{module}.{name}"
        if full not in _STAND_INS:
            raise _Refused(full)
        return _STAND_INS[full]


def _plain(path: Path, found: object, advice: str) -> dict[str, Any]:
    """The dictionary with its arrays made real."""
    if not isinstance(found, dict):
        raise ThresherError(f"{path} holds no dictionary but {type(found).__name__}: {advice}")
    try:
        arrays = {key: value.array() for key, value in found.items() if isinstance(value, _Array) and value.state}
    except Exception as error:  # the parts of an array are whatever the file says
        raise ThresherError(_damaged(path, error, advice)) from error
    return {**found, **arrays}


def _names_code(path: Path, name: str, advice: str) -> str:
    return f"{path} names {name}, which could run code, so it was not read: {advice}"


def _damaged(path: Path, error: Exception, advice: str) -> str:
    said = re.split(r"\. |\n", str(error))[0]  # torch goes on to say how to run the code after all
    reason = said if " " in said else type(error).__name__
    return f"{path} cannot be read, it is damaged or something else ({reason}): {advice}"
