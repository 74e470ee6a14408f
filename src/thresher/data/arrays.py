"""Arrays, tensors and .npz files as data; every check of what a user may get wrong in them."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thresher.data.columns import encode, lookup, names, row_keys, to_numpy
from thresher.data.reading import Lazy, Reading
from thresher.data.samples import Data, Samples
from thresher.errors import UsageError

KEYS = ("x", "y", "x_test", "y_test", "id", "group")
"""The arrays of a data set: inputs and labels, of a test set too, and of the training rows their ids and groups."""

_SMALLEST_AUGMENTED = 24  # pixels; a crop that shifts by 4 would cut away too much of a smaller image
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error, SyntaxError),
    *(ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError),
)
"""What zipfile, zlib and numpy's header parser raise on files that are cut off or altered."""


def from_arrays(arrays: Mapping[str, object], name: str = "arrays", where: str = "") -> Data:
    """Check arrays and make a data set of them.

    Args:
        arrays: by the names of `KEYS`; `x` and `y` must be there. Images are ``[N, H, W]`` (grey) or ``[N, H, W, C]``,
            uint8 or floats in 0..1; features are ``[N, D]`` numbers. Labels are whole numbers, true/false or text.
        name: of the data set.
        where: put behind the array's name in messages, for example ``" in photos.npz"``.

    Raises:
        UsageError: anything wrong with them, in one sentence.

    Example:
        >>> data = from_arrays({"x": np.zeros((4, 2)), "y": ["cat", "dog", "cat", "dog"]})
        >>> data.classes, data.train.labels.tolist(), data.train.inputs.dtype
        (('cat', 'dog'), [0, 1, 0, 1], torch.float32)
    """
    _check_keys(arrays, where)
    inputs = read_inputs(arrays["x"], f"x{where}")
    codes, classes = encode(_matching(arrays["y"], f"y{where}", len(inputs)), f"y{where}")
    groups = _texts(arrays, "group", len(inputs), where) if _given(arrays, "group") else None
    train = Samples(inputs, torch.tensor(codes), _ids(arrays, len(inputs), where), groups=groups)
    test = _test_set(arrays, inputs, classes, where) if _given(arrays, "x_test") else None
    return Data(name=name, train=train, test=test, classes=classes, augment=augment(inputs))


@dataclass(frozen=True)
class ArrayReader:
    """Reads more samples of one shape: arrays, .npz and .npy files, and images where the shape is a square.

    Attributes:
        shape: of one sample as the network has it, ``(C, H, W)`` or ``(D,)``.

    Example:
        >>> ArrayReader((2,)).read([[1.0, 2.0]], Reading())
        (tensor([[1., 2.]]), array(['0'], dtype=object))
    """

    shape: tuple[int, ...]

    def read(self, source: object, reading: Reading) -> tuple[Tensor | Lazy, np.ndarray]:
        """Inputs and keys; see `thresher.data.reading.Reader.read`."""
        if isinstance(source, str | Path):
            if not str(source).lower().endswith((".npz", ".npy")):
                return self._images(source, reading)
            arrays: dict[str, Any] = dict(_load_npz(Path(source), ("x",)))
        else:
            arrays = dict(source) if isinstance(source, Mapping) else {"x": source}
        inputs = read_inputs(arrays.get("x"), "x")
        if tuple(inputs.shape[1:]) != self.shape:
            raise UsageError(
                f"x has samples of the shape {tuple(inputs.shape[1:])}, and the run was trained on {self.shape}: "
                "bring them to that shape first"
            )
        return inputs, _ids(arrays, len(inputs), "")

    def _images(self, source: object, reading: Reading) -> tuple[Tensor | Lazy, np.ndarray]:
        if len(self.shape) == 3 and self.shape[1] == self.shape[2]:
            from thresher.data.images import ImageReader

            return ImageReader(self.shape[1], self.shape[0]).read(source, reading)
        raise UsageError(f"{source} cannot be read: the run was trained on arrays, so give a .npz file with x")

    def facts(self) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """What to store; see `thresher.data.reading.Reader.facts`."""
        return {"kind": "arrays", "shape": list(self.shape)}, {}


def from_npz(path: str | Path, name: str | None = None) -> Data:
    """Read a .npz file with the arrays of `KEYS`. Pickled objects in it are refused, for they could run code.

    Args:
        path: of the file.
        name: of the data set; default the file's name without its ending.

    Raises:
        UsageError: no such file, a damaged one, pickled objects, or anything that `from_arrays` refuses.

    Example:
        >>> from_npz("absent.npz")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no file absent.npz: check the path
    """
    path = Path(path)
    return from_arrays(_load_npz(path, ("x", "y")), name or path.stem, f" in {path.name}")


def _load_npz(path: Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Every array of a file; a single one (.npy) is `x`."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path")
    try:
        with path.open("rb") as stream:  # numpy itself leaves a damaged file open
            return _arrays(np.load(stream, allow_pickle=False), path, needed)
    except DAMAGED as error:
        raise UsageError(_unreadable(path, error)) from error


def read_inputs(values: object, what: str) -> Tensor:
    """Images or features as Thresher keeps them; always a copy.

    Args:
        values: array-like; images ``[N, H, W]`` or ``[N, H, W, C]``, features ``[N, D]``.
        what: its name in messages.

    Returns:
        Images uint8 ``[N, C, H, W]`` or features float32 ``[N, D]``.

    Raises:
        UsageError: another shape or dtype, no rows, NaN or infinite values, images out of range.

    Example:
        >>> read_inputs(np.full((1, 2, 2), 0.5), "x").shape, read_inputs([[1, 2.5]], "x")
        (torch.Size([1, 1, 2, 2]), tensor([[1.0000, 2.5000]]))
    """
    array = _numeric(values, what)
    shape = list(array.shape)
    if array.ndim not in (2, 3, 4):
        raise UsageError(f"{what} has shape {shape}: images are [N, H, W] or [N, H, W, C], features [N, D]")
    if array.size == 0:
        raise UsageError(f"{what} is empty, its shape is {shape}: give at least one row and one column")
    if array.ndim == 2:
        return torch.from_numpy(_finite(array, what))
    if array.ndim == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3, 4):
        raise UsageError(f"{what} has shape {shape}, channels first: give [N, H, W, C], by x.transpose(0, 2, 3, 1)")
    images = _bytes(array, what)
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.array(images, order="C"))


def augment(inputs: Tensor | Lazy) -> tuple[str, ...]:
    """The parts of the weak view that suit inputs: crops and mirror images suit photographs; grey ones are often signs.

    Example:
        >>> augment(torch.zeros(1, 3, 32, 32)), augment(torch.zeros(1, 1, 28, 28)), augment(torch.zeros(1, 5))
        (('crop', 'flip'), (), ())
    """
    photographs = inputs.ndim == 4 and inputs.shape[1] == 3 and min(inputs.shape[2:]) >= _SMALLEST_AUGMENTED
    return ("crop", "flip") if photographs else ()


def _given(arrays: Mapping[str, object], key: str) -> bool:
    return arrays.get(key) is not None


def _check_keys(arrays: Mapping[str, object], where: str, needed: tuple[str, ...] = ("x", "y")) -> None:
    """Refuse missing and unknown names: a misspelt `x_test` would otherwise go unused without a word."""
    unknown = [str(key) for key in arrays if key not in KEYS]
    if unknown:
        raise UsageError(f"unknown array {unknown[0]!r}{where}: the names are {', '.join(KEYS)}")
    for key in needed:
        if not _given(arrays, key):
            raise UsageError(f"there is no array {key!r}{where}: x (inputs) and y (labels) are needed")
    if "y" in needed and _given(arrays, "x_test") != _given(arrays, "y_test"):
        raise UsageError(f"only one of x_test and y_test is given{where}: give both, or neither")


def _arrays(file: object, path: Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Every array of an opened file, once its names are known to be right."""
    if isinstance(file, np.ndarray) and needed == ("x",):
        return {"x": file}
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise UsageError(f"{path} holds a single array and no names: save it with numpy.savez(path, x=.., y=..)")
    _check_keys(dict.fromkeys(file.files, True), f" in {path.name}", needed)
    return {key: file[key] for key in file.files}


def _unreadable(path: Path, error: Exception) -> str:
    if "Object arrays" in str(error):
        return f"{path} holds pickled Python objects, which could run code: save plain arrays of numbers or text"
    return f"{path} cannot be read as a .npz file, it is damaged or something else: write it again with numpy.savez"


def _matching(values: object, what: str, rows: int, inputs: str = "x") -> np.ndarray:
    """The values as an array, if there is one per row of the inputs."""
    array = to_numpy(values, what)
    count = len(array) if array.ndim else 1
    if count != rows:
        raise UsageError(f"{what} has {count} values and {inputs} has {rows} rows: give exactly one per row")
    return array


def _texts(arrays: Mapping[str, object], key: str, rows: int, where: str) -> np.ndarray:
    return names(_matching(arrays[key], f"{key}{where}", rows), f"{key}{where}")


def _ids(arrays: Mapping[str, object], rows: int, where: str) -> np.ndarray:
    """The key of each training row; by default its number."""
    if not _given(arrays, "id"):
        return row_keys(rows)
    keys = _texts(arrays, "id", rows, where)
    present, counts = np.unique(keys, return_counts=True)
    if len(present) < rows:
        twice = present[counts > 1]
        raise UsageError(
            f"id{where} must be unique, and {twice[0]!r} is there {counts.max()} times: mend {len(twice)} ids"
        )
    return keys


def _test_set(arrays: Mapping[str, object], inputs: Tensor, classes: tuple[str, ...], where: str) -> Samples:
    shown = read_inputs(arrays["x_test"], f"x_test{where}")
    if shown.shape[1:] != inputs.shape[1:]:
        raise UsageError(
            f"a row of x_test{where} has shape {list(shown.shape[1:])} and one of x {list(inputs.shape[1:])}: "
            "both sets need the same"
        )
    labels = _matching(arrays["y_test"], f"y_test{where}", len(shown), "x_test")
    return Samples(shown, torch.tensor(lookup(labels, classes, f"y_test{where}")), row_keys(len(shown)))


def _numeric(values: object, what: str) -> np.ndarray:
    try:
        array = np.asarray(values) if isinstance(values, list | tuple) else to_numpy(values, what)
    except (ValueError, TypeError) as error:  # a ragged list
        raise UsageError(f"{what} is no regular array, its rows differ in shape: give rows of one shape") from error
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{what} has dtype {array.dtype}: give numbers, as a dense array")
    return array


def _finite(array: np.ndarray, what: str) -> np.ndarray:
    """A float32 copy; refuses what is NaN or infinite in it."""
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float32, order="C")
    bad = ~np.isfinite(result).reshape(len(result), -1)
    if bad.any():
        rows = np.flatnonzero(bad.any(1))
        raise UsageError(
            f"{what} has {np.count_nonzero(bad)} values that are NaN, infinite or beyond float32, in {len(rows)} of "
            f"{len(result)} rows, the first is row {rows[0]}: remove or fill them"
        )
    return result


def _bytes(array: np.ndarray, what: str) -> np.ndarray:
    """Pixels as uint8, of the same shape."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind in "iu":
        if array.min() < 0 or array.max() > 255:
            raise UsageError(f"{what} has pixels from {array.min()} to {array.max()}: images need 0 to 255, as uint8")
        return array.astype(np.uint8)
    pixels = _finite(array, what)
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        raise UsageError(
            f"{what} is {list(array.shape)} of floats from {low:.4g} to {high:.4g}, and floats must lie in 0 to 1 for "
            "images: scale them, or pass uint8, or features as [N, D]"
        )
    result: np.ndarray = np.rint(pixels * 255).astype(np.uint8)
    return result
