"""From suspects to corrected labels: six policies, the file that `train --labels` reads, and where it came from."""

from thresher.correct.files import origin, read, write
from thresher.correct.policies import POLICIES, Correction, correct

__all__ = ["POLICIES", "Correction", "correct", "origin", "read", "write"]
