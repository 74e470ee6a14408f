"""The one kind of error a user sees: a single sentence that says what is wrong, where, and what to do about it."""

import difflib
from collections.abc import Iterable


class ThresherError(Exception):
    """Something went wrong that the user can mend; the message is one sentence, without a traceback (exit code 1).

    Example:
        >>> raise ThresherError("labels.csv has no column 'label': name it with --label")
        Traceback (most recent call last):
        ...
        thresher.errors.ThresherError: labels.csv has no column 'label': name it with --label
    """

    exit_code = 1
    alone = False
    """Whether the other processes of the run are gone, so that this one must not wait for them on its way out."""


class UsageError(ThresherError):
    """The request itself is wrong: an unknown name, a value out of range, an illegal combination (exit code 2)."""

    exit_code = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known ones, or all of them.

    Example:
        >>> nearest("elrr", ["elr", "gce"])
        'did you mean elr?'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"
