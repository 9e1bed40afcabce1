"""The states of a removal: the moves that are drawn in the module, and no other."""

from __future__ import annotations

from itertools import product

import pytest

from dnsbl.removal.machine import (
    ASKED,
    DONE,
    GRANTED,
    OPEN,
    PERSON,
    PROVEN,
    REFUSED,
    REQUESTED,
    STATES,
    may_follow,
)  # fmt: skip

DRAWN = {
    (REQUESTED, ASKED), (REQUESTED, PROVEN), (REQUESTED, REFUSED), (REQUESTED, PERSON),
    (ASKED, PROVEN), (ASKED, REFUSED), (ASKED, PERSON),
    (PROVEN, GRANTED), (PROVEN, REFUSED), (PROVEN, PERSON), (PROVEN, ASKED),
    (PERSON, GRANTED), (PERSON, REFUSED),
    (GRANTED, DONE), (REFUSED, DONE), (REFUSED, PERSON),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_only_the_drawn_moves_are_made(before: str, after: str) -> None:
    assert may_follow(after, before) == ((before, after) in DRAWN)


def reached(start: str) -> set[str]:
    found, left = {start}, [start]
    while left:
        state = left.pop()
        new = {after for after in STATES if may_follow(after, state)} - found
        found |= new
        left += new
    return found


def test_every_state_is_reached_and_every_one_can_end() -> None:
    assert reached(REQUESTED) == set(STATES)
    assert all(DONE in reached(state) for state in STATES)


def test_a_granted_removal_is_never_taken_back() -> None:
    assert reached(GRANTED) == {GRANTED, DONE}


def test_nothing_is_granted_that_was_not_proven_or_decided_by_a_person() -> None:
    assert {before for before in STATES if may_follow(GRANTED, before)} == {PROVEN, PERSON}


def test_open_is_what_is_not_decided() -> None:
    assert set(STATES) - OPEN == {GRANTED, REFUSED, DONE}
