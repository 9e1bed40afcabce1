"""The states of a removal, and which follows which. Pure.

    requested ──> proof-asked ──> proven ──> granted ──> done
        │   │        │   │          │  │                  ^
        │   │        │   │          │  └───> refused ─────┤   (no more can be asked after some days)
        │   │        │   │          v           │         │
        │   └────────┼───┴──> to-person <───────┘         │   (an appeal: once)
        │            │            └──> granted, refused ──┘
        └────────────┴──> proven, refused

    requested    it was asked for; the next state is found at once
    proof-asked  the requester is to show that the subject is theirs; without that it is refused in the end
    proven       they have; the rules of the zones decide at once (`rules`), and ask for more where more is needed now
    to-person    somebody at the desk decides
    granted      the exemption is in the store, from the same transaction on; DNS has still to follow
    refused      with the reasons, and when asking again makes sense
    done         granted: DNS no longer answers it. Refused: the time for an appeal is over

A move happens once: the store changes a state only from the one that was read, so that of two people who decide at the
same time the second is told so. Crash: a move is one transaction with all that belongs to it; `Removals.advance` takes
up what is left.
"""

from __future__ import annotations

__all__ = [
    "ASKED", "DONE", "GRANTED", "OPEN", "PERSON", "PROVEN", "REFUSED", "REQUESTED", "STATES", "may_follow",
]  # fmt: skip

REQUESTED = "requested"
ASKED = "proof-asked"
PROVEN = "proven"
GRANTED = "granted"
REFUSED = "refused"
PERSON = "to-person"
DONE = "done"

FOLLOWS: dict[str, frozenset[str]] = {
    REQUESTED: frozenset((ASKED, PROVEN, REFUSED, PERSON)),
    ASKED: frozenset((PROVEN, REFUSED, PERSON)),
    PROVEN: frozenset((GRANTED, REFUSED, PERSON, ASKED)),
    PERSON: frozenset((GRANTED, REFUSED)),
    GRANTED: frozenset((DONE,)),
    REFUSED: frozenset((PERSON, DONE)),
    DONE: frozenset(),
}
STATES = tuple(FOLLOWS)
OPEN = frozenset((REQUESTED, ASKED, PROVEN, PERSON))  # nothing is decided yet


def may_follow(state: str, after: str) -> bool:
    """Whether `state` may come next after `after`."""
    return state in FOLLOWS[after]
