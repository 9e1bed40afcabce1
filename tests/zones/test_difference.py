"""The records of one serial, less those of what left, with those of what came, are the records of the other."""

from __future__ import annotations

import itertools

import pytest
from differences import ZONES, check, listed, publish
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES, World, bucketed, thresholds, world

from dnsbl.hashing import email_hash
from dnsbl.subjects import parse, text
from dnsbl.zones.contents import Contents, Kind, Node, contents
from dnsbl.zones.difference import difference
from dnsbl.zones.journal import Journal
from dnsbl.zones.publish import zone_directory
from dnsbl.zones.served import ServedZone

SUBJECTS = {
    "ip": [
        "9.1.0.0/16", "9.1.2.0/24", "9.1.2.0/25", "9.1.2.128/25", "9.1.2.3", "9.1.2.4", "9.1.3.0/24", "9.1.4.0",
        "2.0.0.0/24", "2.0.0.5", "2.0.0.0/16", "2a00:1::/32", "2a00:1:2::/48", "2a00:1:2:3::/64", "2a00:1:2:4::/64",
    ],
    "domain": ["a.com", "b.a.com", "c.b.a.com", "x.y.a.com", "z.x.y.a.com", "y.a.com", "a-b.com", "a.b.d.net", "d.net"],
    "phone": ["+4930123456", "+49301234567", "+493012345678", "+49301234568"],
    "hash": [text(email_hash(f"{name}@a.com")) for name in "abc"],
}  # fmt: skip
NARROW = [
    "9.1.2.3", "9.1.2.0/26", "2a00:1:2:3::7", "2a00:1:2:3::6", "2a00:1:2:3::/80", "2a00:1:2:3:8000::/65",
    "2a00:1:2:3::/65", "2a00:1:2:3::/64",
]  # fmt: skip
SETS = [sum(1 << number for number in chosen) for chosen in ([0], [1], [0, 1], [0, 1, 2])]
Turn = tuple[dict[str, int], set[str], set[str], bool]


def turns(name: str) -> st.SearchStrategy[list[Turn]]:
    """What is listed with which codes, what is exempt, what is exempt alone; and whether all is built anew."""
    subjects = st.sampled_from(SUBJECTS[name])
    exempt = st.sampled_from([*SUBJECTS[name], *(NARROW if name == "ip" else [])])
    listed = st.dictionaries(subjects, st.sampled_from(SETS), max_size=6)
    turn = st.tuples(listed, st.sets(exempt, max_size=2), st.sets(subjects, max_size=1), st.booleans())
    return st.lists(turn, min_size=2, max_size=4)


def apply(made: World, name: str, turn: Turn) -> ServedZone:
    """Let it be the whole truth, and publish it."""
    wanted, exempt, alone, whole = turn
    made.now += 1
    made.store.replace_exemptions("some", [parse(subject) for subject in exempt], "a reason", made.now)
    names = [parse(subject) for subject in alone if name == "domain"]
    made.store.replace_exemptions("alone", names, "a reason", made.now, exact=True)
    listed(made, name, wanted)
    return publish(made, name, whole)


def same(one: Contents, other: Contents) -> bool:
    def known(held: Contents) -> list[Node]:
        return [node for node in held.names.nodes() if node.kind is not Kind.EMPTY]

    alike = all(
        getattr(getattr(one, table), column).tolist() == getattr(getattr(other, table), column).tolist()
        for table in ("ip4", "ip6")
        for column in ("first", "last", "mask")
    )
    return alike and one.deep == other.deep and known(one) == known(other)


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_the_difference_is_what_the_records_differ_by(name: str) -> None:
    """From each serial to each later one, across deltas and whole builds; as found now, and as the journal has it."""

    @settings(max_examples=12 * EXAMPLES, deadline=None)
    @given(turns(name), thresholds)
    def prove(steps: list[Turn], threshold: int) -> None:
        with bucketed(threshold), world([ZONES[name]]) as made:
            seen = [apply(made, name, turn) for turn in steps]
            assert same(contents(seen[-1]), contents(made.fresh(name)))
            journal = Journal(zone_directory(made.directory, name))
            for old, new in itertools.combinations(seen, 2):
                if old.serial != new.serial:
                    check(old, new, difference(old, new))
                    check(old, new, journal.between(old.serial, new.serial))

    prove()
