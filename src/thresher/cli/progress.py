"""Progress on standard error: a bar on a terminal, one line per epoch otherwise, with the time still to go."""

import sys
import time
from typing import Any

from thresher.report.words import duration

_PATIENCE = 2.0  # seconds of reading that need no word
_CHANGED_MIND = 0.3  # weight of the newest epoch in the estimate of how long one takes


class Progress:
    """Shows the epochs of one training or of several.

    Args:
        epochs: of the result's own training.
        label: in front of every line.
        quiet: show nothing.
        folds: child fits named ``fold-K``, each of at most so many epochs.
    """

    def __init__(self, epochs: int, label: str = "", quiet: bool = False, folds: int = 0) -> None:
        self.epochs, self.label, self.quiet, self.folds = epochs, label, quiet, folds
        self.live = not quiet and sys.stderr.isatty()
        self._pace: float | None = None
        self._started = time.monotonic()

    def __call__(self, name: str | None, record: dict[str, Any]) -> None:
        """Show one epoch's record; `name` is a child fit's, None for the result's own training."""
        if self.quiet:
            return
        seconds = float(record["seconds"])
        self._pace = seconds if self._pace is None else (1 - _CHANGED_MIND) * self._pace + _CHANGED_MIND * seconds
        if name is None:
            left = f", {duration(self._pace * (self.epochs - record['epoch']))} to go"
            line = f"{self.label}epoch {record['epoch']}/{self.epochs}{_figures(record)}{left}"
        else:
            line = f"{self.label}{name}: epoch {record['epoch']}{_figures(record)}{self._folds_left(name, record)}"
        print(f"\r\x1b[2K{line}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def _folds_left(self, name: str, record: dict[str, Any]) -> str:
        """The time that the folds can still take; they may stop early."""
        number = name.removeprefix("fold-")
        if not (self.folds and number.isdecimal() and self._pace):
            return ""
        epochs = (self.folds - int(number)) * self.epochs - record["epoch"]
        return f", at most {duration(self._pace * epochs)} to go"

    def done(self) -> None:
        """End the live line."""
        if self.live:
            print(f"\r\x1b[2K{self.label}{duration(time.monotonic() - self._started)}", file=sys.stderr, flush=True)


class Reads:
    """Shows how many images have been read, where that takes a while.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet, self.live = quiet, not quiet and sys.stderr.isatty()
        self._next = time.monotonic() + _PATIENCE
        self._shown = False

    def __call__(self, done: int, of: int) -> None:
        """Show the number done and of all, now and then."""
        if self.quiet or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (_PATIENCE / 10 if self.live else 5 * _PATIENCE)
        self._shown = True
        line = f"read {done:,} of {of:,} images"
        print(f"\r\x1b[2K{line}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def done(self) -> None:
        """End the live line."""
        if self.live and self._shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def _figures(record: dict[str, Any]) -> str:
    shown = [("loss", "loss", ".3f"), ("valid", "noisy validation", ".1%"), ("test", "test", ".1%")]
    parts = [f"{text} {record[key]:{form}}" for key, text, form in shown if record.get(key) is not None]
    return "  " + ", ".join(parts)
