"""What a zone holds, a stretch at a time, from snapshot files in memory or on the disk: the same pieces and names as in
`contents`, for those who take them all and keep none. Memory does not grow with the zone. Raises SnapshotError where a
file on the disk cannot be read any more, or what it has cannot be.

Pieces come ascending, as many at a time whatever the files are like: zones that answer alike come alike, however they
are layered. Names come by windows of their hashes: a window is in the order of the tree, the windows are in none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np

from ..errors import SnapshotError
from .arrays import masks_at, numbers_at
from .contents import canonical, deep_of, divided, masks_of
from .hashed import Window, bucket_bits
from .served import ServedZone
from .snapshot import Snapshot
from .table import LAST6, Deep, Pieces, Words, ascending, joined, laid_over, pieces
from .tree import Names

__all__ = ["MANY", "deep_pieces", "names_of", "pieces4", "pieces6"]

MANY = 16_384  # pieces at once
CHUNK = 65_536  # pieces of a column that are read at once: 3 MB
# Buckets of names at once, as a power of two: 131,072 to 262,144 names, some 20 MB. A Knot secondary took a million
# names, all in order, in 4.6 s, by windows of this size in 5.4 s, by windows of 65,536 names in 7.2 s, and in no order
# in 15 s; NSD did not mind (2026-11-22).
BUCKET_BITS = 16
NOTHING = pieces([])

Layer = Iterator[Pieces]  # ascending and disjoint, none of them empty but where it is the only one


def pieces4(view: ServedZone) -> Iterator[Pieces]:
    """IPv4, as in `Contents.ip4`; MANY pieces at a time, the last ones fewer."""
    yield from over_one_another(layers_of(view, "v4"))


def pieces6(view: ServedZone) -> Iterator[Pieces]:
    """IPv6, as in `Contents.ip6`."""
    cover, _ = divided(deep_of(view))
    inside = orderly(view.base, iter([cover] if len(cover) else []))
    yield from over_one_another([*layers_of(view, "v6"), inside])


def deep_pieces(view: ServedZone) -> list[Deep]:
    """What is listed inside single /64s, as in `Contents.deep`: test points, and what is beside exemptions."""
    return divided(deep_of(view))[1]


def names_of(view: ServedZone) -> Iterator[Names]:
    """All names, as in `Contents.names`; each stretch in the order of the tree."""
    bits = max(0, bucket_bits(view.base) - BUCKET_BITS)
    masks = masks_of(view)
    for number in range(1 << bits):
        yield Names.of(view, masks, Window(number, bits)).ordered()


# addresses


def layers_of(view: ServedZone, family: str) -> list[Layer]:
    """One family's pieces in the files, the base first."""
    masks = masks_of(view)
    return [layer(file, family, masks) for file in (view.base, view.delta) if file]


def layer(file: Snapshot, family: str, masks: Words) -> Layer:
    both = in_step([orderly(file, some) for some in (singles(file, family, masks), ranges(file, family, masks))])
    return (ascending(joined(tables)) for tables in both)


def singles(file: Snapshot, family: str, masks: Words) -> Iterator[Pieces]:
    for places in chunks(len(getattr(file, f"{family}one"))):
        number = numbers_at(file, family, places).astype(np.uint64)
        yield Pieces(number, number, masks_at(file, f"{family}one", places, masks))


def ranges(file: Snapshot, family: str, masks: Words) -> Iterator[Pieces]:
    low, high = getattr(file, f"{family}low"), getattr(file, f"{family}high")
    for places in chunks(len(low)):
        first, last = (np.asarray(column[places]).astype(np.uint64) for column in (low, high))
        yield Pieces(first, last, masks_at(file, family, places, masks))


def orderly(file: Snapshot, found: Iterator[Pieces]) -> Iterator[Pieces]:
    """The same. Raises SnapshotError where they are not ascending and disjoint, as in a file that is altered while it
    is read: to go through such a one in step could take for ever."""
    beyond: int = 0  # the least number that may come
    for table in found:
        backwards = (table.first > table.last).any() or (table.first[1:] <= table.last[:-1]).any()
        if backwards or table.first[0] < beyond or table.last[-1] > LAST6:
            raise SnapshotError(f"{file.path}: its pieces are out of order; build the zone again")
        beyond = int(table.last[-1]) + 1
        yield table


def chunks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def over_one_another(layers: Sequence[Layer]) -> Iterator[Pieces]:
    """The pieces that are listed, as few as they can be; what a later layer says counts."""
    rest = NOTHING
    for tables in in_step(layers):  # those that are cut where that ends go on with the next
        rest = canonical(joined([rest, reduce(laid_over, tables)]))
        while len(rest) > MANY:  # the last one may grow
            yield rest.where(slice(0, MANY))
            rest = rest.where(slice(MANY, None))
    if len(rest):
        yield rest


def in_step(sources: Sequence[Layer]) -> Iterator[list[Pieces]]:
    """What each source has up to some number, then what it has up to a higher one, until all have ended."""
    held = [NOTHING for _ in sources]
    while True:
        held = [table if len(table) else next(source, NOTHING) for table, source in zip(held, sources, strict=True)]
        ends = [table.last[-1] for table in held if len(table)]
        if not ends:
            return
        pairs = [split(table, min(ends)) for table in held]
        yield [low for low, _ in pairs]
        held = [high for _, high in pairs]


def split(table: Pieces, limit: np.uint64) -> tuple[Pieces, Pieces]:
    """The pieces up to a number, and those beyond; one that has it is cut behind it."""
    low = Pieces(table.first, np.minimum(table.last, limit), table.mask)
    high = Pieces(np.maximum(table.first, limit + np.uint64(1)), table.last, table.mask)
    return low.where(table.first <= limit), high.where(table.last > limit)
