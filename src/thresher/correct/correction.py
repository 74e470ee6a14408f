"""Corrected labels, and what is different in them."""

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

CHANGES = ("key", "given", "label", "p_suggested", "label_quality", "action")
"""The columns of a table of changes."""

_SHOWN = 5
_MOVES = ("relabel", "accept")  # the actions that replace one class by another


@dataclass(frozen=True, eq=False)
class Correction:
    """Corrected labels, and what is different in them.

    Attributes:
        policy: one of `thresher.correct.POLICIES`.
        min_confidence: the `p_suggested` from which a suspect was changed; None where the policy does not read it.
        table: to be written as a file: `key` and `label` first, then what the policy adds; every key once.
        changes: one row per sample that is treated differently, in the columns of `CHANGES`, worst first. The action is
            the policy's name, or that of a person's decision.
        counts: `rows`, `suspects` and `changed`.
        then: what was done with suspects that nobody decided, or None.
        max_per_class: the most labels of each given class, or the largest share, that the policy could change; or None.
        people: how many samples people `decided`, and of these how many labels they `moved` to another class, rows they
            left `out`, labels they `split` between classes; None without decisions.
    """

    policy: str
    min_confidence: float | None
    table: pd.DataFrame
    changes: pd.DataFrame
    counts: dict[str, int] = field(default_factory=dict)
    then: str | None = None
    max_per_class: float | None = None
    people: dict[str, int] | None = None

    @property
    def listing(self) -> bool:
        """Whether it is a list for a person to edit, and not a correction."""
        return self.policy == "review" and self.people is None

    @property
    def soft(self) -> bool:
        """Whether it has weights or soft labels, which not every kind of file can hold."""
        return not self.listing and len(self.table.columns) > 2

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """Given class, new class and how many, for the labels that were replaced; the most frequent first."""
        moved = self.changes[self.changes["action"].isin(_MOVES)]
        found = Counter(zip(moved["given"], moved["label"], strict=True))
        return [(given, label, count) for (given, label), count in found.most_common()]

    def summary(self) -> str:
        """What was done, in a few lines for people."""
        lines = [self._by_policy()]
        if self.people is not None:
            nouns = {"decided": "decision", "moved": "label", "out": "row", "split": "label"}
            decided, moved, out, split = (_count(self.people[name], noun) for name, noun in nouns.items())
            done = f"applied {decided}: changed {moved}, left {out} out, split {split}"
            lines = [f"{done} between classes", *(["then " + lines[0]] if self.then else [])]
        return "\n".join([*lines, *(f"  {given} -> {label}: {count:,}" for given, label, count in self.pairs[:_SHOWN])])

    def _by_policy(self) -> str:
        by_people = 0 if self.people is None else sum(self.people[name] for name in ("moved", "out", "split"))
        rows, suspects = (f"{self.counts[name]:,}" for name in ("rows", "suspects"))
        changed = f"{self.counts['changed'] - by_people:,}"
        told = f"suspects: {suspects}"
        if self.min_confidence is not None:
            told += f", changed where p_suggested is {self.min_confidence:g} or more"
        if self.max_per_class is not None:
            most = self.max_per_class
            told += f", at most {f'{most:.3g} of the rows' if isinstance(most, float) else most} of each class"
        done = {
            "keep": f"kept all {rows} labels as given",
            "relabel": f"changed {changed} of {rows} labels",
            "drop": f"left {changed} of {rows} rows out",
            "weight": f"kept all {rows} labels, and gave {changed} of them their label quality as weight",
            "soften": f"split {changed} of {rows} labels between the given and the suggested class",
            "review": f"listed {rows} rows, suspects first: edit the column label, then train on the file",
        }[self.then or self.policy]
        return f"{done} ({told})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
