"""Tables against the plainest way to say the same: a dictionary with a line for every number of a tiny space."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES

from dnsbl.subjects import bounds, parse
from dnsbl.zones.table import Pieces, columns4, columns6, flatten, laid_over, merge, overlay, pieces

SPACE = 24
number = st.integers(0, SPACE - 1)
masks = st.integers(0, 7)


@st.composite
def ranges(draw: st.DrawFn, mask: st.SearchStrategy[int] = masks) -> list[tuple[int, int, int]]:
    rows = draw(st.lists(st.tuples(number, number, mask), max_size=8))
    return [(min(a, b), max(a, b), m) for a, b, m in rows]


@st.composite
def apart(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Disjoint ranges, as a table has them."""
    edges = sorted(draw(st.sets(number, max_size=12)))
    rows = [(a, b - 1) for a, b in itertools.pairwise(edges)]
    return [(a, b, draw(masks)) for a, b in rows if draw(st.booleans())]


def table(rows: list[tuple[int, int, int]]) -> Pieces:
    """Ranges as they come: in any order, overlapping."""
    made = np.array(rows, dtype=np.uint64).reshape(-1, 3)
    return Pieces(made[:, 0].copy(), made[:, 1].copy(), made[:, 2].copy())


def points(made: Pieces) -> dict[int, int]:
    """A table as a dictionary; checks that it is one: ascending, disjoint, no range turned round."""
    found: dict[int, int] = {}
    before = -1
    for first, last, mask in zip(made.first.tolist(), made.last.tolist(), made.mask.tolist(), strict=True):
        assert before < first <= last
        before = last
        found.update(dict.fromkeys(range(first, last + 1), mask))
    return found


def assert_merged(made: Pieces) -> None:
    rows = list(zip(made.first.tolist(), made.last.tolist(), made.mask.tolist(), strict=True))
    for (_, last, mask), (first, _, other) in itertools.pairwise(rows):
        assert last + 1 < first or mask != other, "neighbours that are one"


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(ranges(), ranges())
def test_flatten_joins_masks_and_cuts_holes(
    listed: list[tuple[int, int, int]], holes: list[tuple[int, int, int]]
) -> None:
    expected = {}
    for point in range(SPACE):
        mask = 0
        for first, last, own in listed:
            mask |= own if first <= point <= last else 0
        if mask and not any(first <= point <= last for first, last, _ in holes):
            expected[point] = mask
    made = flatten(table(listed), table(holes))
    assert points(made) == expected
    assert_merged(made)


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(ranges(), ranges(), ranges())
def test_flatten_of_regions_says_all_of_them_and_nothing_else(
    listed: list[tuple[int, int, int]], holes: list[tuple[int, int, int]], regions: list[tuple[int, int, int]]
) -> None:
    whole = {p: m for p, m in points(flatten(table(listed), table(holes))).items() if m}
    expected = {
        point: whole.get(point, 0)
        for point in range(SPACE)
        if any(first <= point <= last for first, last, _ in regions)
    }
    made = flatten(table(listed), table(holes), table(regions))
    assert points(made) == expected
    assert_merged(made)


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(apart(), apart())
def test_overlay_is_the_upper_one_where_it_says_anything(
    under: list[tuple[int, int, int]], over: list[tuple[int, int, int]]
) -> None:
    made = overlay(pieces(under), pieces(over))
    assert points(made) == points(pieces(under)) | points(pieces(over))


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(apart(), apart())
def test_what_is_laid_over_a_large_table_is_an_overlay(
    under: list[tuple[int, int, int]], over: list[tuple[int, int, int]]
) -> None:
    made = laid_over(pieces(under), pieces(over))
    assert points(made) == points(pieces(under)) | points(pieces(over))


@given(apart())
def test_merge_changes_no_answer(rows: list[tuple[int, int, int]]) -> None:
    made = merge(pieces(rows))
    assert points(made) == points(pieces(rows))
    assert_merged(made)


@given(apart(), st.randoms())
def test_pieces_come_sorted_from_any_order(rows: list[tuple[int, int, int]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert points(pieces(shuffled)) == points(pieces(rows))


@pytest.mark.parametrize("subject", ["1.2.3.4", "1.2.3.0/24", "128.0.0.0/1", "0.0.0.0/0", "255.255.255.255"])
def test_columns4_are_the_bounds_of_the_key(subject: str) -> None:
    made = columns4([parse(subject)], np.array([5], dtype=np.uint64))
    assert (int(made.first[0]), int(made.last[0]), int(made.mask[0])) == (*bounds(parse(subject)), 5)


@pytest.mark.parametrize("subject", ["2001:db8:0:1::/64", "2000::/3", "2a00::/63", "::/64", "4000::/2"])
def test_columns6_are_the_upper_halves_of_the_bounds(subject: str) -> None:
    made = columns6([parse(subject)], np.array([5], dtype=np.uint64))
    first, last = bounds(parse(subject))
    assert (int(made.first[0]), int(made.last[0]), int(made.mask[0])) == (first >> 64, last >> 64, 5)


def test_no_keys_are_an_empty_table() -> None:
    none = np.array([], dtype=np.uint64)
    assert len(columns4([], none)) == len(columns6([], none)) == len(flatten(pieces([]), pieces([]))) == 0


@pytest.mark.parametrize("subject", ["::/0", "8000::/1", "fe00::/7"])
def test_a_network_that_reaches_the_last_address_is_still_listed(subject: str) -> None:
    """Its end plus one would not be a number of 64 bits; the very last /64 itself is multicast."""
    made = flatten(columns6([parse(subject)], np.array([1], dtype=np.uint64)), pieces([(5, 5, 0)]))
    first, last = bounds(parse(subject))
    size = sum(int(b) - int(a) + 1 for a, b in zip(made.first, made.last, strict=True))
    holes = 1 if first == 0 else 0
    assert size == (last >> 64) - (first >> 64) - holes
    assert set(made.mask.tolist()) == {1}
