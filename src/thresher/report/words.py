"""Numbers and names for people, and what a list of suspects comes to. Needs neither matplotlib nor torch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from thresher.audit.issues import worth_a_look
from thresher.audit.scores import interval

UNKNOWN = "\N{EN DASH}"
_NAME_LENGTH = 40
_WITNESSES = {
    "combined": "all evidence together",
    "confident": "a model that never saw the label",
    "neighbours": "nearest neighbours",
    "loss": "loss over training",
    "margin": "margin over training",
    "model": "the trained model",
    "annotators": "the annotators",
}


def percent(fraction: float | None, digits: int = 1) -> str:
    r"""A fraction as percent for people, a dash for the unknown.

    Example:
        >>> percent(0.953), percent(None) == UNKNOWN
        ('95.3\xa0%', True)
    """
    return UNKNOWN if fraction is None or np.isnan(fraction) else f"{fraction * 100:.{digits}f}\xa0%"


def share(part: int, whole: int) -> str:
    r"""A part of a whole as percent, with as many digits as tell something.

    Example:
        >>> share(120, 1000), share(312, 10000), share(1, 100000), share(0, 0) == UNKNOWN
        ('12\xa0%', '3.1\xa0%', 'under 0.1\xa0%', True)
    """
    if not whole:
        return UNKNOWN
    if 0 < part / whole < 0.001:
        return "under 0.1\xa0%"
    return percent(part / whole, 1 if 0 < part / whole < 0.0995 else 0)


def between(fraction: float | None, n: int | None) -> str:
    """The 95 % interval of a fraction of `n`, in percent without the sign; empty where either is unknown.

    Example:
        >>> between(0.95, 360), between(0.95, None)
        ('92.2 to 96.8', '')
    """
    if fraction is None or np.isnan(fraction) or not n:
        return ""
    low, high = interval(fraction * n, n)
    return f"{low * 100:.1f} to {high * 100:.1f}"


def measured(part: int, whole: int) -> str:
    r"""A share with its 95 % interval, for a sentence.

    Example:
        >>> measured(95, 100)
        '95.0\xa0%, 95\xa0% interval 88.8 to 97.8'
    """
    return f"{percent(part / whole)}, 95\xa0% interval {between(part / whole, whole)}" if whole else UNKNOWN


def roughly(fraction: float, n: int | None) -> str:
    r"""A fraction of `n` with its 95 % interval behind it, where there is one.

    Example:
        >>> roughly(0.95, 360), roughly(0.95, None)
        ('95.0\xa0% (92.2 to 96.8)', '95.0\xa0%')
    """
    ends = between(fraction, n)
    return f"{percent(fraction)} ({ends})" if ends else percent(fraction)


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(4.25), duration(42.4), duration(75), duration(7320)
        ('4.2 s', '42 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(n: int, thing: str, things: str = "") -> str:
    """A number with its noun.

    Example:
        >>> count(1, "label"), count(1437, "label"), count(10, "class", "classes")
        ('1 label', '1,437 labels', '10 classes')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def likely(p_wrong: float) -> str:
    r"""How probable it is that a label is wrong; nobody is told that it is certain.

    Example:
        >>> likely(0.974), likely(1.0), likely(0.001)
        ('97\xa0% likely wrong', '99\xa0% likely wrong', '1\xa0% likely wrong')
    """
    return f"{percent(min(max(p_wrong, 0.01), 0.99), 0)} likely wrong"


def witness(name: str) -> str:
    """What a witness is called where people read it; those without another name keep theirs, which is a method's.

    Example:
        >>> witness("combined"), witness("elr")
        ('all evidence together', 'elr')
    """
    return _WITNESSES.get(name, name)


def listed(items: Sequence[str]) -> str:
    """Items as one reads them out.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


def shorten(name: str, length: int = _NAME_LENGTH) -> str:
    r"""A name that fits where it stands: control characters out, the end cut off.

    Example:
        >>> shorten("a very long name of a class", 12), shorten("a\x1b[2Jb\n")
        ('a very long…', 'a [2Jb ')
    """
    plain = "".join(c if c.isprintable() else " " for c in str(name))
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def both_ends(name: str, length: int) -> str:
    """A name that fits where it stands, cut in its middle: of many classes, names often differ at the end only.

    Example:
        >>> both_ends("class number 7", 11), both_ends("cat", 11)
        ('class…ber 7', 'cat')
    """
    plain = shorten(name, len(name) + 1)
    return plain if len(plain) <= length else f"{plain[: length // 2]}…{plain[len(plain) - (length - 1) // 2 :]}"


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """How often each pair of labels occurs, most frequent first, ties by name: ``given, suggested, count``.

    Args:
        table: one row per label, with the columns ``given, suggested``.

    Example:
        >>> table = pd.DataFrame({"given": ["cat", "dog", "cat"], "suggested": ["dog", "cat", "dog"]})
        >>> pairs(table).to_dict("records")[0]
        {'given': 'cat', 'suggested': 'dog', 'count': 2}
    """
    counted = table.groupby(["given", "suggested"], sort=True, observed=True).size().reset_index(name="count")
    return counted.sort_values("count", ascending=False, kind="stable", ignore_index=True)


def summary(issues: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    r"""What was found, in plain sentences: how many labels, of which class, mistaken for what.

    Args:
        issues: the columns ``given, suggested, is_label_issue`` of ``issues.csv``.
        classes: class names.

    Returns:
        One to four sentences. Control characters in names become spaces, so that a terminal can show them.

    Example:
        >>> given = ["Shirt"] * 6 + ["T-shirt"] * 4 + ["Coat"] * 10
        >>> suggested = ["T-shirt"] * 3 + ["Shirt"] * 4 + given[7:]
        >>> issues = pd.DataFrame({"given": given, "suggested": suggested})
        >>> issues["is_label_issue"] = issues["given"] != issues["suggested"]
        >>> for sentence in summary(issues, ["T-shirt", "Coat", "Shirt"]):
        ...     print(sentence.replace("\xa0", " "))
        4 of 20 labels (20 %) look wrong.
        Most of them are labelled Shirt (3 of 6, 50 %).
        The most frequent mistake: Shirt that should be T-shirt (3).
    """
    if not len(issues):
        return ["There are no labels to judge."]
    found = issues.loc[issues["is_label_issue"].to_numpy(dtype=bool), ["given", "suggested"]]
    if not len(found):
        return [f"None of {count(len(issues), 'label')} looks wrong."]
    verb = "looks" if len(found) == 1 else "look"
    first = f"{len(found):,} of {count(len(issues), 'label')} ({share(len(found), len(issues))}) {verb} wrong."
    top = pairs(found)
    if len(found) == 1:
        return [first, f"It is labelled {shorten(top['given'][0])} and should be {shorten(top['suggested'][0])}."]
    sizes = issues["given"].value_counts()
    where = (
        [_both_ways(top, sizes)]
        if len(classes) == 2
        else [_worst_class(found["given"].value_counts(), sizes, len(found)), _worst_pair(top)]
    )
    return [first, *where, *_to_review(issues)]


def _to_review(issues: pd.DataFrame) -> list[str]:
    """What a review of the first labels is expected to give, where there are probabilities."""
    plan = worth_a_look(issues)
    if plan is None or plan["count"] < 2:
        return []
    wrong, low, high = (f"{plan[name]:,.0f}" for name in ("expected", "low", "high"))
    return [f"Of these {plan['count']:,}, about {wrong} are expected to be wrong ({low} to {high})."]


def _both_ways(top: pd.DataFrame, sizes: pd.Series) -> str:
    """Of two classes: how many of each should be the other."""
    parts = [
        f"{n:,} of {sizes[given]:,} labelled {shorten(given)} should be {shorten(suggested)} ({share(n, sizes[given])})"
        for given, suggested, n in top.itertuples(index=False)
    ]
    return listed(parts) + "."


def _worst_class(doubted: pd.Series, sizes: pd.Series, found: int) -> str:
    n = int(doubted.max())
    name = min(str(one) for one in doubted.index[doubted == n])
    part = f"({n:,} of {sizes[name]:,}, {share(n, int(sizes[name]))})"
    if n == found:
        return f"All of them are labelled {shorten(name)} {part}."
    if n > found / 2:
        return f"Most of them are labelled {shorten(name)} {part}."
    return f"The label doubted most often is {shorten(name)} {part}."


def _worst_pair(top: pd.DataFrame) -> str:
    given, suggested, n = shorten(top["given"][0]), shorten(top["suggested"][0]), int(top["count"][0])
    if n == 1:
        return f"No mistake is made twice; one is {given} that should be {suggested}."
    return f"The most frequent mistake: {given} that should be {suggested} ({n:,})."
