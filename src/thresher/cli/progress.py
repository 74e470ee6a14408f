"""Progress on standard error: a bar on a terminal, one line per epoch otherwise, with the time still to go."""

import sys
import time
from typing import Any

_CHANGED_MIND = 0.3  # weight of the newest epoch in the estimate of how long one takes


def clock(seconds: float) -> str:
    """A duration in words.

    Example:
        >>> clock(5), clock(75), clock(7300)
        ('5 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Shows the epochs of one training or of several.

    Args:
        epochs: of the result's own training.
        label: in front of every line.
        quiet: show nothing.
    """

    def __init__(self, epochs: int, label: str = "", quiet: bool = False) -> None:
        self.epochs, self.label, self.quiet = epochs, label, quiet
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
            left = f", {clock(self._pace * (self.epochs - record['epoch']))} to go"
            line = f"{self.label}epoch {record['epoch']}/{self.epochs}{_figures(record)}{left}"
        else:
            line = f"{self.label}{name}: epoch {record['epoch']}{_figures(record)}"
        print(f"\r\x1b[2K{line}" if self.live else line, end="" if self.live else "\n", file=sys.stderr, flush=True)

    def done(self) -> None:
        """End the live line."""
        if self.live:
            print(f"\r\x1b[2K{self.label}{clock(time.monotonic() - self._started)}", file=sys.stderr, flush=True)


def _figures(record: dict[str, Any]) -> str:
    shown = [("loss", "loss", ".3f"), ("valid", "noisy validation", ".1%"), ("test", "test", ".1%")]
    parts = [f"{text} {record[key]:{form}}" for key, text, form in shown if record.get(key) is not None]
    return "  " + ", ".join(parts)
