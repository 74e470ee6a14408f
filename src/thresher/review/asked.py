"""What the page sends, checked: nothing in it is taken for granted."""

from collections.abc import Mapping
from typing import Any

from thresher.errors import UsageError
from thresher.review.session import MOST, Asked

_FIELDS = {"row", "action", "label", "labels", "seen"}
_LARGEST = 2**53  # what JavaScript can hold


def decisions(body: Any) -> list[Asked]:
    """The decisions of a request.

    Args:
        body: ``{"decisions": [{"row", "action", "seen", "label"?, "labels"?}]}``, as JSON has it.

    Raises:
        UsageError: it is anything else; the sentence says where.

    Example:
        >>> decisions({"decisions": [{"row": 3, "action": "keep", "seen": 0}]})
        [Asked(row=3, action='keep', seen=0, label=None, labels=())]
    """
    if not isinstance(body, Mapping) or set(body) != {"decisions"} or not isinstance(body["decisions"], list):
        raise UsageError('the request must be {"decisions": [...]}: load the page again')
    found = body["decisions"]
    if not 0 < len(found) <= MOST:
        raise UsageError(f"there are {len(found)} decisions in the request: send 1 to {MOST:,}")
    return [_decision(one, place) for place, one in enumerate(found)]


def nothing(body: Any) -> None:
    """Refuse a request that says anything.

    Raises:
        UsageError: it is not ``{}``.
    """
    if body != {}:
        raise UsageError("the request must be {}: load the page again")


def _decision(one: Any, place: int) -> Asked:
    if not isinstance(one, Mapping) or not {"row", "action", "seen"} <= set(one) <= _FIELDS:
        raise UsageError(f"decision {place} must have row, action and seen, and may have label and labels")
    if not isinstance(one["action"], str):
        raise UsageError(f"action of decision {place} must be text")
    labels = one.get("labels")
    if labels is not None and not isinstance(labels, list):
        raise UsageError(f"labels of decision {place} must be a list of class numbers")
    label = one.get("label")
    return Asked(
        _whole(one["row"], "row", place),
        one["action"],
        _whole(one["seen"], "seen", place),
        None if label is None else _whole(label, "label", place),
        tuple(_whole(k, "labels", place) for k in labels or ()),
    )


def _whole(value: Any, name: str, place: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        raise UsageError(f"{name} of decision {place} must be a whole number")
    return value
