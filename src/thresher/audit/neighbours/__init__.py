"""Each sample's nearest others in feature space, and what they tell: votes, near copies, remoteness."""

from thresher.audit.neighbours.nearest import Neighbours, assembled, check, nearest

__all__ = ["Neighbours", "assembled", "check", "nearest"]
