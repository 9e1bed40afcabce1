"""The index of names: every name is found, and a delta over any base says what a whole index says."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from unittest import mock

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES

from dnsbl.errors import PublishRefused
from dnsbl.zones import names as naming
from dnsbl.zones.names import above, changed, index, records, values
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


texts = st.binary(min_size=1, max_size=255)


@settings(max_examples=200 * EXAMPLES, deadline=None)
@given(st.dictionaries(st.sampled_from(EVERY) | texts, st.integers(0, 0xFFFF), max_size=60))
def test_the_index_holds_every_name_in_the_bucket_of_its_hash(found: dict[bytes, int]) -> None:
    made = index(found)
    offsets, text = made["nidx"].tolist(), made["names"].tobytes()
    bits = max(0, len(found).bit_length() - 2)
    assert len(offsets) == 2**bits + 1
    assert (offsets[0], offsets[-1]) == (0, len(text))
    read = []
    for bucket, (start, end) in enumerate(itertools.pairwise(offsets)):
        rows = list(records(memoryview(text)[start:end]))
        hashes = [xxhash.xxh3_64_intdigest(name) for name, _ in rows]
        assert hashes == sorted(hashes)
        assert all(hashed >> 64 - bits == bucket for hashed in hashes)
        read += rows
    assert len(read) == len(found)
    assert dict(read) == found
    assert list(records(memoryview(text))) == read


@given(st.permutations([b"com.a", b"com.b", b"com", b"com.ab", b"net"]))
def test_the_same_names_make_the_same_file_even_where_hashes_are_equal(order: list[bytes]) -> None:
    with mock.patch("xxhash.xxh3_64_intdigest", lambda name: len(name)):
        made = index({name: len(name) for name in order})
    assert [name for name, _ in records(memoryview(made["names"].tobytes()))] == sorted(
        order, key=lambda name: (len(name), name)
    )


def test_more_names_than_offsets_can_tell_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {b"com.a": 1, b"com.b": 2}
    monkeypatch.setattr(naming, "MAX_BYTES", 16)
    assert index(found)["nidx"].tolist() == [0, 16]
    monkeypatch.setattr(naming, "MAX_BYTES", 15)
    with pytest.raises(PublishRefused, match="16 bytes, and a snapshot holds 15"):
        index(found)


def test_a_name_whose_length_is_no_byte_is_refused() -> None:
    with pytest.raises(PublishRefused):
        index({b"x" * 256: 1})


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
