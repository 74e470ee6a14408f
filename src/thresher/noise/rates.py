"""The one check that every generator of noise makes."""

from thresher.errors import UsageError


def check_rate(rate: float) -> None:
    """Refuse a rate outside [0, 1).

    Raises:
        UsageError: naming the rate.

    Example:
        >>> check_rate(0.4)
    """
    if not 0 <= rate < 1:
        raise UsageError(f"a noise rate of {rate} means nothing: it is a fraction, from 0 up to but not including 1")
