"""What people decide about suspects: records, the file they are appended to, and what they amount to."""

from thresher.decisions.decision import ACTIONS, VERSION, Decision, decide, parse
from thresher.decisions.folding import State, fold
from thresher.decisions.log import NAME, Log, merge, read, waiting

__all__ = [
    "ACTIONS",
    "NAME",
    "VERSION",
    "Decision",
    "Log",
    "State",
    "decide",
    "fold",
    "merge",
    "parse",
    "read",
    "waiting",
]
