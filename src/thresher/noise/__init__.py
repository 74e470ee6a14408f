"""Wrong labels on purpose: generators with exact counts, and a record of what they did."""

from thresher.noise.asymmetric import asymmetric
from thresher.noise.manifest import GENERATORS, Noise, NoiseSpec, apply, hopeless, parse
from thresher.noise.symmetric import symmetric

__all__ = ["GENERATORS", "Noise", "NoiseSpec", "apply", "asymmetric", "hopeless", "parse", "symmetric"]
