"""Every pair of slots works together: one pair of methods each, ours where they fill the slot and may be combined."""

from itertools import combinations, combinations_with_replacement, product

import pytest
from tests.contract.toys import BY_SLOT, SECOND
from tests.contract.vetted import vetted

from thresher.engine.combine import check_legal
from thresher.engine.method import SLOTS, Method, filled_slots, name_of
from thresher.errors import UsageError
from thresher.methods import names
from thresher.testing.contract import CHECKS, check_ranks, check_resume, check_trains


def is_legal(*methods: Method) -> bool:
    try:
        check_legal(methods)
    except UsageError:
        return False
    return True


def fillers(slot: str) -> list[Method]:
    ours = [vetted(name) for name in names()]
    return [method for method in ours if slot in filled_slots(method)] + [BY_SLOT[slot], *SECOND.get(slot, ())]


def pair(first: str, second: str) -> tuple[Method, Method] | None:
    """Two methods for two slots, as different from one another as the slots are."""
    both = [two for two in product(fillers(first), fillers(second)) if is_legal(*two)]
    return min(both, key=lambda two: sum(len(filled_slots(m)) for m in two), default=None)


SLOT_PAIRS = [two for two in combinations_with_replacement(SLOTS, 2) if two[0] != two[1] or SLOTS[two[0]] != "one"]


@pytest.mark.parametrize("slot", BY_SLOT)
@pytest.mark.parametrize("check", CHECKS)
def test_toy(slot: str, check: str) -> None:
    CHECKS[check](BY_SLOT[slot])


@pytest.mark.parametrize(("first", "second"), SLOT_PAIRS, ids=lambda slot: slot)
def test_pair_of_slots(first: str, second: str) -> None:
    methods = pair(first, second)
    assert methods is not None
    check_trains(*methods)
    check_resume(*methods)
    check_ranks(*methods)


def test_all_toys_at_once() -> None:
    check_trains(*BY_SLOT.values())
    check_resume(*BY_SLOT.values())
    check_ranks(*BY_SLOT.values())


LEGAL = [two for two in combinations([vetted(name) for name in names()], 2) if is_legal(*two)]


@pytest.mark.slow
@pytest.mark.parametrize("methods", LEGAL, ids=lambda two: "-".join(map(name_of, two)))
def test_legal_pair(methods: tuple[Method, Method]) -> None:
    check_trains(*methods)
    check_resume(*methods)
    check_ranks(*methods)
