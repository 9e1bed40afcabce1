"""Names are found where they stand in the files, and put in the order of the tree."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from worlds import zone

from dnsbl.zones import names as naming
from dnsbl.zones.arrays import write
from dnsbl.zones.build import Answers, no_ranges
from dnsbl.zones.contents import contents
from dnsbl.zones.inorder import known
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import EMPTY_NAME, GONE, Snapshot
from dnsbl.zones.tree import Kind, Names
from dnsbl.zones.written import name_text

DOMAIN = zone("domain", "domain")
labels = st.one_of(st.sampled_from(["a", "a-b", "ab", "a" * 8, "a" * 16, "b" * 63]), st.text("a-b0_", min_size=1))
names = st.lists(labels, min_size=1, max_size=9).map(lambda found: ".".join(found)[:255].strip(".").encode())
values = st.sampled_from([1, 1, EMPTY_NAME, GONE])


def served(base: Mapping[bytes, int], delta: Mapping[bytes, int] | None = None) -> ServedZone:
    answers = Answers(DOMAIN)
    answers.id(1)
    info = {"zone": DOMAIN.model_dump(mode="json", by_alias=True), "serial": 2, "seq": 1, "answers": answers.lists()}
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for kind, found in (("base", base), ("delta", delta)):
            if found is not None:
                paths.append(Path(directory) / f"2.{kind}")
                write(paths[-1], info, {**no_ranges(answers), **naming.index(found)})
        return ServedZone(*map(Snapshot, paths))


def names_of(view: ServedZone) -> Names:
    return contents(view).names


def all_of(held: Names) -> dict[bytes, int]:
    places = np.arange(len(held.values))
    return dict(zip((row[:-1] for row in held.rows(places)), held.values.tolist(), strict=True))


@given(st.dictionaries(names, values.filter(lambda value: value != GONE)), st.dictionaries(names, values))
def test_what_the_delta_says_counts_and_what_is_gone_is_not_there(
    base: dict[bytes, int], delta: dict[bytes, int]
) -> None:
    expected = {name: value for name, value in {**base, **delta}.items() if value != GONE}
    held = names_of(served(base, delta))
    assert all_of(held) == expected
    assert len(held) == sum(value < EMPTY_NAME for value in expected.values())


@given(st.sets(names, max_size=40))
def test_the_order_is_that_of_the_labels(found: set[bytes]) -> None:
    ordered = names_of(served(dict.fromkeys(found, 1))).ordered()
    assert list(all_of(ordered)) == sorted(found, key=lambda name: name.split(b"."))
    assert [ordered.row(place)[:-1] for place in range(len(found))] == list(all_of(ordered))


@given(st.sets(names, max_size=40))
def test_names_are_written_with_their_labels_turned(found: set[bytes]) -> None:
    held = names_of(served(dict.fromkeys(found, 1)))
    assert held.written(np.arange(len(found))) == [name_text(name) for name in all_of(held)]


@given(st.dictionaries(names, values.filter(lambda value: value != GONE), max_size=40))
def test_what_is_known_is_what_the_tree_says_of_listed_names_and_of_all_below(found: dict[bytes, int]) -> None:
    held = names_of(served(found))
    nodes = [(name_text(node.name), node.mask, node.kind) for node in held.nodes() if node.kind is not Kind.EMPTY]
    assert list(known(held)) == nodes


@given(st.sets(names, max_size=40), st.sets(names, max_size=3))
def test_names_are_left_out_with_all_below(found: set[bytes], tops: set[bytes]) -> None:
    held = names_of(served(dict.fromkeys(found, 1))).without(tops)
    stays = {name for name in found if not any((name + b".").startswith(top + b".") for top in tops)}
    assert list(all_of(held)) == sorted(stays, key=lambda name: name.split(b"."))


def test_names_that_a_file_does_not_hold_whole_are_not_there() -> None:
    """The checksum is for accidents: whoever makes a file can have it say what it likes."""
    answers = Answers(DOMAIN)
    arrays = naming.index({b"com.bad": 1})
    text = arrays["names"].astype(np.uint8)
    text[0] = 200
    info = {"zone": DOMAIN.model_dump(mode="json", by_alias=True), "serial": 2, "seq": 1, "answers": answers.lists()}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "2.base"
        write(path, info, {**no_ranges(answers), **arrays, "names": text})
        held = names_of(ServedZone(Snapshot(path)))
    assert not len(held) and not list(held.nodes()) and not list(known(held))
