"""From suspects and people's decisions to corrected labels: six policies, exports, undo, and where they came from."""

from thresher.correct.correction import Correction
from thresher.correct.files import undo, write
from thresher.correct.manifest import generations, origin
from thresher.correct.policies import POLICIES, correct
from thresher.correct.source import Suspects, read

__all__ = [
    "POLICIES",
    "Correction",
    "Suspects",
    "correct",
    "generations",
    "origin",
    "read",
    "undo",
    "write",
]
