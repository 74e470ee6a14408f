"""Randomness as a pure function of where the run stands, so that no generator has to be saved or restored."""

import torch

_WORD = (1 << 64) - 1


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
