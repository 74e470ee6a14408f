"""Wrong labels on purpose: every generator in use in the literature, class imbalance, and a record of what was done.

Each generator is a function from correct labels to new ones; `apply` does several by name, one after the other, and
returns the `Noise` with its realised rate and transition matrix.
"""

from thresher.noise.asymmetric import asymmetric, asymmetric_inplace
from thresher.noise.draw import apply, generator_text
from thresher.noise.feature import feature
from thresher.noise.hopeless import hopeless
from thresher.noise.imbalance import imbalance, longtail
from thresher.noise.instance import instance, instance_normalised
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
    "feature",
    "generator_text",
    "hopeless",
    "imbalance",
    "instance",
    "instance_normalised",
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
