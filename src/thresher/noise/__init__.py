"""Wrong labels on purpose: generators with exact counts, and a record of what they did."""

from thresher.noise.asymmetric import asymmetric, asymmetric_inplace
from thresher.noise.draw import apply
from thresher.noise.hopeless import hopeless
from thresher.noise.imbalance import imbalance, longtail
from thresher.noise.manifest import VERSION, Noise
from thresher.noise.neighbours import pairflip, tridiagonal
from thresher.noise.spec import GENERATORS, NoiseSpec, parse
from thresher.noise.superclasses import asymmetric_blocks, swap
from thresher.noise.symmetric import symmetric, symmetric_bernoulli, symmetric_inclusive
from thresher.noise.transition import transition

__all__ = [
    "GENERATORS",
    "VERSION",
    "Noise",
    "NoiseSpec",
    "apply",
    "asymmetric",
    "asymmetric_blocks",
    "asymmetric_inplace",
    "hopeless",
    "imbalance",
    "longtail",
    "pairflip",
    "parse",
    "swap",
    "symmetric",
    "symmetric_bernoulli",
    "symmetric_inclusive",
    "transition",
    "tridiagonal",
]
