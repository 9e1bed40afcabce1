"""Tables: a zone's listings as flat, disjoint, sorted pieces with their codes. Pure; numpy, no object an entry.

Codes are bits of a 64-bit mask (bit n: the zone's code n). All listings that cover an address contribute; holes
(exemptions) take away. The pieces of a delta may have mask 0: what the base lists there is not listed any more.

IPv6 is listed by /64 or wider, so its pieces are ranges of the upper 64 bits; only a hole narrower than a /64, or a
test point, needs the lower half: those /64s are in `Deep`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Deep", "Pieces", "Words", "ascending", "columns4", "columns6", "distinct", "flatten", "joined", "laid_over",
    "merge", "overlay", "pieces",
]  # fmt: skip

Words = NDArray[np.uint64]

TOP4 = np.uint64(0xFFFFFFFF)
ALL_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
LAST6 = np.uint64(0xFFFFFFFFFFFFFFFE)  # beyond is multicast; and an end plus one must be a number


@dataclass(slots=True, frozen=True)
class Pieces:
    """Disjoint inclusive ranges, ascending, with their masks: three columns of equal length."""

    first: Words
    last: Words
    mask: Words

    def __len__(self) -> int:
        return len(self.first)

    def where(self, wanted: NDArray[np.bool_] | slice) -> Pieces:
        return Pieces(self.first[wanted], self.last[wanted], self.mask[wanted])


@dataclass(slots=True, frozen=True)
class Deep:
    """One piece inside one /64: the upper half, first and last of the lower half, the mask."""

    upper: int
    first: int
    last: int
    mask: int


def pieces(rows: Iterable[tuple[int, int, int]]) -> Pieces:
    """Pieces from (first, last, mask) in any order; they must be disjoint already."""
    table = np.array(sorted(rows), dtype=np.uint64).reshape(-1, 3)
    return Pieces(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())


def columns4(keys: Sequence[bytes], masks: Words) -> Pieces:
    """IPv4 subject keys as ranges, in the order given; they may overlap."""
    table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 6)
    first = np.ascontiguousarray(table[:, 1:5]).view(">u4").ravel().astype(np.uint64)
    return Pieces(first, first | (TOP4 >> table[:, 5].astype(np.uint64)), masks)


def columns6(keys: Sequence[bytes], masks: Words) -> Pieces:
    """IPv6 subject keys, /64 or wider, as ranges of the upper 64 bits; they may overlap."""
    table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 18)
    first = np.ascontiguousarray(table[:, 1:9]).view(">u8").ravel().astype(np.uint64)
    prefix = table[:, 17].astype(np.uint64)
    host = np.where(prefix >= 64, np.uint64(0), ALL_ONES >> np.minimum(prefix, np.uint64(63)))
    return Pieces(first, np.minimum(first | host, LAST6), masks)


def flatten(listed: Pieces, holes: Pieces, regions: Pieces | None = None) -> Pieces:
    """Overlapping listings as disjoint pieces: masks joined, holes cut out, equal neighbours merged.

    With `regions` only what lies within them is given, and gaps there are given with mask 0. No range may end at
    the very last number (no address there is ever listed).
    """
    if regions is not None:
        return cut(listed, holes, regions)
    if not listed.mask.all():  # codes that the zone no longer has
        listed = listed.where(listed.mask != 0)
    listed, holes = ascending(listed), ascending(holes)
    alone = isolated(listed) & ~touching(listed, holes)
    if alone.all():
        return merge(listed)
    crowd = cut(listed.where(~alone), holes, None)
    rest = listed.where(alone)
    return merge(ascending(joined([rest, crowd])))


def joined(tables: Iterable[Pieces]) -> Pieces:
    """One after the other."""
    some = [table for table in tables if len(table)]
    if len(some) < 2:
        return some[0] if some else pieces([])
    columns = zip(*((table.first, table.last, table.mask) for table in some), strict=True)
    return Pieces(*map(np.concatenate, columns))


def ascending(table: Pieces) -> Pieces:
    if not (table.first[1:] < table.first[:-1]).any():
        return table
    order = np.argsort(table.first, kind="stable")
    return Pieces(table.first[order], table.last[order], table.mask[order])


def distinct(values: Words) -> Words:
    """The values ascending, each once. numpy's own `unique` hashes, which takes five times as long."""
    values = np.sort(values)
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = values[1:] != values[:-1]
    return values[new]


def isolated(listed: Pieces) -> NDArray[np.bool_]:
    """Which ranges overlap no other: most do not, and need no cutting."""
    alone = np.ones(len(listed), dtype=np.bool_)
    reach = np.maximum.accumulate(listed.last)
    overlaps = listed.first[1:] <= reach[:-1]
    alone[1:] &= ~overlaps
    alone[:-1] &= ~overlaps
    return alone


def touching(listed: Pieces, holes: Pieces) -> NDArray[np.bool_]:
    """Which ranges a hole takes something from."""
    if not len(holes):
        return np.zeros(len(listed), dtype=np.bool_)
    place = np.searchsorted(holes.first, listed.last, side="right").astype(np.int64) - 1
    reach = np.maximum.accumulate(holes.last)
    return np.asarray((place >= 0) & (reach[np.maximum(place, 0)] >= listed.first))


def cut(listed: Pieces, holes: Pieces, regions: Pieces | None) -> Pieces:
    """`flatten` by cutting everything at every edge."""
    sides = [listed, holes] if regions is None else [listed, holes, regions]
    edges = distinct(np.concatenate([e for side in sides for e in (side.first, side.last + np.uint64(1))]))
    if len(edges) < 2:
        return Pieces(edges[:0], edges[:0], edges[:0])
    mask = np.zeros(len(edges) - 1, dtype=np.uint64)
    used = int(np.bitwise_or.reduce(listed.mask)) if len(listed) else 0
    for bit in range(used.bit_length()):
        if used >> bit & 1:
            has = (listed.mask >> np.uint64(bit)) & np.uint64(1) == 1
            mask |= covered(edges, listed.where(has)).astype(np.uint64) << np.uint64(bit)
    if len(holes):
        mask[covered(edges, holes)] = 0
    wanted = mask != 0 if regions is None else covered(edges, regions)
    return merge(Pieces(edges[:-1], edges[1:] - np.uint64(1), mask).where(wanted))


def covered(edges: Words, ranges: Pieces) -> NDArray[np.bool_]:
    """For each stretch between two edges, whether any of the ranges covers it."""
    size = len(edges)
    opens = np.bincount(np.searchsorted(edges, ranges.first), minlength=size)
    closes = np.bincount(np.searchsorted(edges, ranges.last + np.uint64(1)), minlength=size)
    return np.asarray(np.cumsum(opens - closes)[:-1] > 0)


def merge(table: Pieces) -> Pieces:
    """Neighbours that touch and have the same mask, as one."""
    if len(table) < 2:
        return table
    new = np.ones(len(table), dtype=np.bool_)
    new[1:] = (table.first[1:] != table.last[:-1] + np.uint64(1)) | (table.mask[1:] != table.mask[:-1])
    lasts = np.append(np.flatnonzero(new)[1:], len(table)) - 1
    return Pieces(table.first[new], table.last[lasts], table.mask[new])


def overlay(under: Pieces, over: Pieces) -> Pieces:
    """Both together; where both have a piece, the upper one counts. Masks 0 are kept."""
    if not len(under) or not len(over):
        return over if len(over) else under
    edges = distinct(np.concatenate([under.first, under.last + np.uint64(1), over.first, over.last + np.uint64(1)]))
    starts = edges[:-1]
    below, is_below = at(under, starts)
    above, is_above = at(over, starts)
    both = Pieces(starts, edges[1:] - np.uint64(1), np.where(is_above, above, below))
    return merge(both.where(is_above | is_below))


def laid_over(under: Pieces, over: Pieces) -> Pieces:
    """`overlay` where the upper table is small: what it does not touch stays as it is, merged with nothing."""
    before = np.searchsorted(over.last, under.first, side="left")  # pieces of `over` that end before each piece
    touched = before < np.searchsorted(over.first, under.last, side="right")
    return ascending(joined([under.where(~touched), overlay(under.where(touched), over)]))


def at(table: Pieces, points: Words) -> tuple[Words, NDArray[np.bool_]]:
    """The mask of the piece that holds each point, and whether there is one."""
    place = np.searchsorted(table.first, points, side="right").astype(np.int64) - 1
    safe = np.maximum(place, 0)
    inside = (place >= 0) & (table.last[safe] >= points)
    return np.where(inside, table.mask[safe], np.uint64(0)), inside
