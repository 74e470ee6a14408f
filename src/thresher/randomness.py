"""Randomness as a pure function of where a run stands, so that no generator has to be saved or restored.

`seed_default` and `generator` draw for a batch; `uniform` and `normal` for a row, whatever else is in its batch.
"""

import math

import torch
from torch import Tensor

_WORD = (1 << 64) - 1


def _signed(word: int) -> int:
    """The int64 with the bits of an unsigned 64-bit constant; tensors wrap around as unsigned words do."""
    return word - (1 << 64)


_STEP = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)
_BITS = 24  # a float32 holds every whole number below 2**24, so the draws are exact and equal on every device


def mix(*parts: int) -> int:
    """Hash integers into one seed of 63 bits (the finaliser of splitmix64, applied once per part).

    Example:
        >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
        (True, False)
    """
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = ((state ^ (part & _WORD)) + 0x9E3779B97F4A7C15) & _WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state >> 1


def seed_default(device: torch.device, *parts: int) -> None:
    """Seed the generators that torch draws from when none is named, on the CPU and on `device`.

    Set directly: `torch.manual_seed` visits every device and costs 0.1 ms on CUDA builds.
    """
    seed = mix(*parts)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)


def generator(*parts: int) -> torch.Generator:
    """A CPU generator of its own, seeded by the given integers."""
    return torch.Generator().manual_seed(mix(*parts))


def uniform(seed: int, rows: Tensor, stream: int) -> Tensor:
    """One number in [0, 1) per row: the output function of splitmix64, with the row as its counter.

    The same on the CPU and on CUDA, and whatever else is in the batch. Source: Steele, Lea and Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014 (constants: Stafford's variant 13).

    Args:
        seed: of the pass or the view.
        rows: row numbers, int64 of any shape.
        stream: which of several independent numbers of the same row.

    Returns:
        float32 of the shape and on the device of `rows`, multiples of 2**-24.

    Example:
        >>> rows = torch.tensor([3, 4, 3])
        >>> draws = uniform(0, rows, stream=1)
        >>> bool(draws[0] == draws[2]), bool(draws[0] == draws[1]), bool(draws[0] == uniform(0, rows, stream=2)[0])
        (True, False, False)
    """
    words = (rows * _STEP).add_(mix(seed, stream))
    words.bitwise_xor_(_shifted(words, 30)).mul_(_FIRST)
    words.bitwise_xor_(_shifted(words, 27)).mul_(_SECOND)
    # splitmix64's last xor-shift reaches only bits below the 24 highest, which are the ones taken here.
    return _shifted(words, 64 - _BITS).to(torch.float32).mul_(2.0**-_BITS)


def normal(seed: int, rows: Tensor, stream: int) -> Tensor:
    """One standard normal number per row, by the method of Box and Muller from two numbers of `uniform`.

    Args:
        seed: as in `uniform`.
        rows: row numbers, int64 of any shape.
        stream: as in `uniform`; it uses that function's streams ``2 * stream`` and ``2 * stream + 1``.

    Returns:
        float32 of the shape and on the device of `rows`.

    Example:
        >>> draws = normal(0, torch.arange(100_000), stream=0)
        >>> abs(draws.mean().item()) < 0.01, abs(draws.std().item() - 1) < 0.01
        (True, True)
    """
    radius = torch.sqrt(-2 * torch.log1p(-uniform(seed, rows, 2 * stream)))
    return radius * torch.cos(2 * math.pi * uniform(seed, rows, 2 * stream + 1))


def _shifted(words: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros, where int64's own shift repeats the sign."""
    return (words >> bits).bitwise_and_((1 << (64 - bits)) - 1)
