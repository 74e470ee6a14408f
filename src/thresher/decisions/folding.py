"""What a sequence of decisions amounts to: the current one of every key and person, versions, undo and redo."""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable

from thresher.decisions.decision import Decision


class State:
    """The fold of decisions, one record after the other; a record takes constant time, but for long histories of a key.

    A decision stands until an undo names it, and stands again when that undo is undone (a redo). What counts for a
    person and a key is the last of that person's decisions that stand; for a key, the last of these over all people,
    where a skip counts only if nobody decided. Records with an id that is there already change nothing.

    Attributes:
        records: every record, in order.
    """

    def __init__(self) -> None:
        self.records: list[Decision] = []
        self._place: dict[str, int] = {}
        self._roots: dict[str, tuple[Decision, bool]] = {}  # by undo: the decision behind it, and whether that stands
        self._standing: dict[str, dict[str, list[int]]] = defaultdict(dict)  # key, annotator: places in records
        self._touched: Counter[str] = Counter()
        self._done: dict[str, list[str]] = defaultdict(list)  # by annotator: ids of decisions that stand
        self._undone: dict[str, list[str]] = defaultdict(list)  # by annotator: ids of undos that a redo may take back

    @property
    def version(self) -> int:
        """The number of records."""
        return len(self.records)

    def key_version(self, key: str) -> int:
        """The number of records about a key: who saw another number has not seen the newest decision."""
        return self._touched[key]

    def __contains__(self, identity: str) -> bool:
        """Whether a record with this id is there."""
        return identity in self._place

    def add(self, record: Decision) -> None:
        """Take one more record."""
        if record.id in self._place:
            return
        place = self._place[record.id] = len(self.records)
        self.records.append(record)
        if record.action == "undo":
            self._undo(record)
            return
        self._touched[record.key] += 1
        self._standing[record.key].setdefault(record.annotator, []).append(place)
        self._done[record.annotator].append(record.id)
        self._undone[record.annotator].clear()  # what was undone before cannot be redone after a new decision

    def _undo(self, record: Decision) -> None:
        """Let the decision behind an undo fall or stand; one that is not known, or is so already, stays as it is."""
        target = str(record.undoes)
        if target not in self._place:
            return
        root, stood = self._roots.get(target, (self.records[self._place[target]], True))
        self._roots[record.id] = root, not stood
        self._touched[root.key] += 1
        places = self._standing[root.key].setdefault(root.annotator, [])
        place = self._place[root.id]
        at = bisect_left(places, place)
        stands = at < len(places) and places[at] == place
        if stands and stood:
            places.pop(at)
            _remove(self._done[root.annotator], root.id)
            self._undone[root.annotator].append(record.id)
        if not stands and not stood:
            insort(places, place)
            _remove(self._undone[root.annotator], target)
            self._done[root.annotator].append(root.id)

    def current(self, key: str) -> Decision | None:
        """What counts for a key, or None."""
        found = [places[-1] for places in self._standing.get(key, {}).values() if places]
        firm = [place for place in found if self.records[place].action != "skip"]
        return self.records[max(firm or found)] if found else None

    def of(self, key: str) -> dict[str, Decision]:
        """What counts for a key, by annotator."""
        known = self._standing.get(key, {})
        return {name: self.records[places[-1]] for name, places in known.items() if places}

    def all_current(self) -> dict[str, Decision]:
        """What counts for every key with a decision that stands, skips too; keys in the order they were first met."""
        found = {key: self.current(key) for key in self._standing}
        return {key: decision for key, decision in found.items() if decision is not None}

    def decided(self) -> dict[str, Decision]:
        """As `all_current`, without skips."""
        return {key: decision for key, decision in self.all_current().items() if decision.action != "skip"}

    def history(self, key: str) -> list[Decision]:
        """Every record about a key, undos too, oldest first."""
        return [one for one in self.records if one.key == key]

    def annotators(self) -> tuple[str, ...]:
        """Whoever made a record, in sorted order."""
        return tuple(sorted({one.annotator for one in self.records}))

    def to_undo(self, annotator: str, count: int = 1) -> list[Decision]:
        """The person's latest decisions that stand, the latest first; at most `count`."""
        return [self.records[self._place[one]] for one in reversed(self._done[annotator][-count:])] if count > 0 else []

    def to_redo(self, annotator: str, count: int = 1) -> list[Decision]:
        """The person's latest undos after which nothing was decided, the latest first; at most `count`."""
        if count < 1:
            return []
        return [self.records[self._place[one]] for one in reversed(self._undone[annotator][-count:])]


def _remove(names: list[str], name: str) -> None:
    """Take a name out of a list, nearly always its last."""
    for place in range(len(names) - 1, -1, -1):
        if names[place] == name:
            names.pop(place)
            return


def fold(decisions: Iterable[Decision]) -> State:
    """What a sequence of records amounts to.

    Args:
        decisions: in the order in which they were made.

    Example:
        >>> from thresher.decisions.decision import decide
        >>> first = decide("a.png", "accept", given="cat", suggested="dog", annotator="ann")
        >>> second = decide("a.png", "keep", given="cat", suggested="dog", annotator="ann")
        >>> fold([first, second]).current("a.png").label
        'cat'
        >>> fold([first, second, second.undone_by("ann")]).current("a.png").label
        'dog'
    """
    state = State()
    for one in decisions:
        state.add(one)
    return state
