"""Columns of numbers and names as the bytes of a CSV file, without a Python object per cell.

Every column becomes a matrix of characters, one row per line, padded with zero bytes; side by side they are the lines,
once the padding is left out.
"""

from collections.abc import Sequence

import numpy as np

_ZERO = ord("0")


def lines(columns: Sequence[np.ndarray]) -> bytes:
    r"""Lines of cells.

    Args:
        columns: uint8 ``[n, width]`` each, from `whole`, `decimal` or `named`.

    Example:
        >>> lines([whole(np.array([7, 12])), decimal(np.array([0.5, -0.25]), 2)])
        b'7,0.50\n12,-0.25\n'
    """
    count = len(columns[0])
    comma, end = (np.full((count, 1), ord(sign), dtype=np.uint8) for sign in ",\n")
    parts = [part for column in columns for part in (column, comma)]
    block = np.concatenate([*parts[:-1], end], axis=1).reshape(-1)
    return bytes(block[block != 0].tobytes())


def whole(values: np.ndarray) -> np.ndarray:
    """Whole numbers of 0 or more.

    Args:
        values: integer ``[n]``.

    Returns:
        uint8 ``[n, width]``.

    Example:
        >>> whole(np.array([7, 12])).tolist()
        [[0, 55], [49, 50]]
    """
    left = values.astype(np.int64)
    width = len(str(int(left.max(initial=0))))
    digits = np.empty((len(left), width), dtype=np.uint8)
    for place in range(width - 1, -1, -1):
        left, digit = np.divmod(left, 10)
        digits[:, place] = digit + _ZERO
    leading = np.cumsum(digits != _ZERO, axis=1) == 0
    leading[:, -1] = False
    digits[leading] = 0
    return digits


def decimal(values: np.ndarray, places: int = 7) -> np.ndarray:
    """Numbers with a point, rounded.

    Args:
        values: float ``[n]``, finite.
        places: after the point.

    Returns:
        uint8 ``[n, width]``.

    Example:
        >>> decimal(np.array([-0.5]), 1).tobytes()
        b'-0.5'
    """
    scaled = np.rint(np.abs(values.astype(np.float64)) * 10**places).astype(np.int64)
    before, after = np.divmod(scaled, 10**places)
    sign = np.where((values < 0) & (scaled > 0), ord("-"), 0).astype(np.uint8)[:, None]
    point = np.full((len(values), 1), ord("."), dtype=np.uint8)
    digits = np.empty((len(values), places), dtype=np.uint8)
    for place in range(places - 1, -1, -1):
        after, digit = np.divmod(after, 10)
        digits[:, place] = digit + _ZERO
    return np.concatenate([sign, whole(before), point, digits], axis=1)


def named(numbers: np.ndarray, cells: Sequence[str]) -> np.ndarray:
    """Texts by number, in quotes where CSV wants them.

    Args:
        numbers: integer ``[n]``, places in `cells`.
        cells: the texts.

    Returns:
        uint8 ``[n, width]``.

    Example:
        >>> named(np.array([1]), ["cat", "a,b"]).tobytes()
        b'"a,b"'
    """
    return np.asarray(encoded([quoted(cell) for cell in cells])[numbers])


def encoded(cells: Sequence[str]) -> np.ndarray:
    """Texts as they are: uint8 ``[n, width]``.

    Example:
        >>> encoded(["a", "bc"]).tolist()
        [[97, 0], [98, 99]]
    """
    table = np.array([cell.encode() for cell in cells] or [b""])
    return table.astype(f"S{max(1, table.dtype.itemsize)}").view(np.uint8).reshape(len(table), -1)


def quoted(cell: str) -> str:
    """A cell of a CSV file.

    Example:
        >>> quoted("a,b"), quoted("cat")
        ('"a,b"', 'cat')
    """
    return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in ',"\r\n') else cell
