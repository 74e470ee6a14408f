"""Generators of wrong labels, for benchmarks and tests, and their manifests."""

from thresher.noise.asymmetric import asymmetric
from thresher.noise.manifest import NAMES, Noise, NoiseSpec, apply, hopeless, parse
from thresher.noise.symmetric import symmetric

__all__ = ["NAMES", "Noise", "NoiseSpec", "apply", "asymmetric", "hopeless", "parse", "symmetric"]
