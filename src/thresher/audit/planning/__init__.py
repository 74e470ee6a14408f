"""What a review is expected to give, what it has given so far, and what it missed."""

from thresher.audit.planning.expectation import Curve, Plan, expected, plan, stopping_point

__all__ = ["Curve", "Plan", "expected", "plan", "stopping_point"]
