"""The index of names: every name is found, and a delta over any base says what a whole index says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES

from dnsbl.zones.names import above, changed, index, values
from dnsbl.zones.snapshot import EMPTY_NAME, GONE, HOLE

LABELS = (b"a", b"b", b"a-b")  # "-" sorts before the dot
NAMES = (
    [b"com." + x for x in LABELS] + [b"com." + x + b"." + y for x in LABELS for y in LABELS] + [b"com.a.a.a", b"net.a"]
)
EVERY = sorted({*NAMES, b"com", b"net", b"com.c", b"com.a.c"})

listed = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), max_size=6)
exempt = st.sets(st.sampled_from(NAMES), max_size=3)


def test_above_is_every_name_above_nearest_first() -> None:
    assert list(above(b"com.example.www")) == [b"com.example", b"com"]
    assert list(above(b"com")) == []


def covered(name: bytes, holes: Iterable[bytes]) -> bool:
    return any(name == hole or name.startswith(hole + b".") for hole in holes)


def expected(name: bytes, masks: Mapping[bytes, int], holes: Iterable[bytes]) -> int | None:
    """The codes of a name, 0 for none, None for an empty one: from the definition."""
    if covered(name, holes):
        return 0
    union = 0
    for other, mask in masks.items():
        if name == other or name.startswith(other + b"."):
            union |= mask
    standing = any(other.startswith(name + b".") and not covered(other, holes) for other in masks)
    return union or (None if standing else 0)


def asked(name: bytes, found: Mapping[bytes, int]) -> int | None:
    """A reader's walk from the top, as zones.view tells it."""
    answer, empty, path = 0, False, b""
    for label in name.split(b"."):
        path = path + b"." + label if path else label
        value = found.get(path, GONE)
        empty = value == EMPTY_NAME
        if value < EMPTY_NAME:
            answer = value
        elif value == HOLE:
            answer = 0
    return answer or (None if empty else 0)


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(listed, exempt)
def test_values_say_what_the_listings_say(masks: dict[bytes, int], holes: set[bytes]) -> None:
    found = values(masks, holes, lambda mask: mask)
    for name in EVERY:
        assert asked(name, found) == expected(name, masks, holes), name


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(EVERY), st.integers(0, 0xFFFF)))
def test_the_index_holds_every_name_by_its_hash(found: dict[bytes, int]) -> None:
    made = index(found)
    hashes, offsets, text = made["nhash"].tolist(), made["noff"].tolist(), made["names"].tobytes()
    assert hashes == sorted(hashes)
    assert len(offsets) == len(found) + 1
    read = {}
    for place, value in enumerate(made["nval"].tolist()):
        name = text[offsets[place] : offsets[place + 1]]
        assert xxhash.xxh3_64_intdigest(name) == hashes[place]
        read[name] = value
    assert read == found


class Around:
    """Listings and exemptions as they are now."""

    def __init__(self, masks: Mapping[bytes, int], holes: set[bytes]) -> None:
        self.listed = {name: mask for name, mask in masks.items() if not covered(name, holes)}
        self.exempted = holes

    def masks(self, names: Iterable[bytes]) -> Mapping[bytes, int]:
        return {name: self.listed[name] for name in names if name in self.listed}

    def listed_inside(self, name: bytes) -> Iterable[bytes]:
        return [other for other in self.listed if other.startswith(name + b".")]

    def any_inside(self, name: bytes) -> bool:
        return bool(self.listed_inside(name))

    def exempt(self, name: bytes) -> bool:
        return covered(name, self.exempted)

    def holes_inside(self, name: bytes) -> Iterable[bytes]:
        return [hole for hole in self.exempted if hole.startswith(name + b".")]


@settings(max_examples=400 * EXAMPLES, deadline=None)
@given(st.lists(st.tuples(listed, exempt), min_size=2, max_size=4))
def test_deltas_step_by_step_say_what_a_whole_index_says(steps: list[tuple[dict[bytes, int], set[bytes]]]) -> None:
    (masks, holes), later = steps[0], steps[1:]
    base = values(masks, holes, lambda mask: mask)
    carried: dict[bytes, int] = {}
    for now_masks, now_holes in later:
        before = Around(masks, holes).listed
        after = Around(now_masks, now_holes)
        names = {n for n in {*before, *after.listed} if before.get(n) != after.listed.get(n)} | (holes ^ now_holes)
        carried = changed(names, carried, after, lambda mask: mask)
        masks, holes = now_masks, now_holes
        for name in EVERY:
            assert asked(name, base | carried) == expected(name, masks, holes), name
