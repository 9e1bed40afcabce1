"""The names of a zone in canonical order (RFC 4034 section 6.1): by their labels from the right. Pure, numpy.

In a zone of addresses the labels next to the origin are sublists, first octets and first nibbles, in the order of their
text (`1`, `10`, `100`, `11`), with `*` before them all; below each it is the same again. So a zone goes by these
labels, one after the other, and memory holds the networks of one. IPv6 names have that order by themselves, as their
labels are single digits and no network is inside another. They come among IPv4 names by their first four labels.

Other names are put in this order (zones/tree.py), each with its wildcard right behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import chain, groupby, islice

import numpy as np
from numpy.typing import NDArray

from .blocks import Blocks, joined
from .contents import Contents
from .inorder import Stretch, stretches
from .packed import Group, gathered, hosts
from .packed_names import lone
from .recordset import (
    ITSELF,
    LETTERS,
    NO_ADDRESS,
    Part,
    Row,
    blocks4,
    blocks6,
    deep_rows,
    name_rows,
    parts,
    rows4,
    rows6,
    shared,
)
from .table import Pieces, Words
from .tree import TO_ROW, Names

__all__ = ["Batch", "batches"]

SOME = 16_384  # names at once
OCTETS = [str(octet) for octet in range(256)]
LABELS = sorted([*OCTETS, *LETTERS])  # of addresses; in the order of their text
RANK = {label: place for place, label in enumerate(["*", *LABELS], start=1)}  # 0: no label
OCTET_RANK = np.array([RANK[label] for label in OCTETS], dtype=np.uint64)
OTHER_RANK = np.array([RANK[label] for label in ["*", *LETTERS]], dtype=np.uint64)  # by `Names4.other`
RANK_BITS = 9

# A part of the zone, and names of it in groups; each group says where among these names its own are.
Batch = tuple[Part, Iterable[Group]]


def batches(held: Contents) -> Iterator[Batch]:
    """All names but the origin, some at a time."""
    whole, *sublists = parts(held.zone)
    if held.zone.kind != "ip":
        yield from name_batches(held, whole)
        return
    by_label = {part.sublist: part for part in sublists}
    for label in sorted([*LABELS, *by_label]):
        if label in by_label:
            for below in LABELS:
                yield from under(held, by_label[label], below)
        else:
            yield from under(held, whole, label)


def under(held: Contents, part: Part, label: str) -> Iterator[Batch]:
    """The names of addresses that end in a label."""
    names = Names4.of(held, part, int(label)) if label.isdigit() else Names4.none()
    done = 0
    for end, rows in groupby(names6(held, part, int(label, 16)) if len(label) == 1 else (), four_labels):
        upto = int(np.searchsorted(names.keys, key6(end), side="right"))
        yield from names.batches(part, done, upto)
        yield from row_batches(part, rows)
        done = upto
    yield from names.batches(part, done, len(names.keys))


def name_batches(held: Contents, part: Part) -> Iterator[Batch]:
    """The names of a zone that is not of addresses; a long subtree by itself."""
    names = held.names.ordered()
    for stretch in stretches(names):
        cut = len(stretch.trees) - stretch.ends_long(SOME)
        yield part, in_order(held, names, Stretch(stretch.alone, stretch.trees[:cut]))
        long = Stretch(stretch.alone[:0], stretch.trees[cut:])
        yield from row_batches(part, name_rows(long.below(names).nodes(), held.zone))


def in_order(held: Contents, names: Names, stretch: Stretch) -> Iterator[Group]:
    """Names that are alone and those of subtrees, with their places among one another."""
    alone = stretch.alone
    named = [(node.name, row) for node in stretch.below(names).nodes() for row in name_rows([node], held.zone)]
    keys = [row.translate(TO_ROW) for row in names.rows(alone)]
    keys += [name.translate(TO_ROW) + b"\0" for name, _ in named]
    places = np.empty(len(keys), dtype=np.intp)
    places[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    for group in lone(names, alone, held.zone):
        yield replace(group, place=places[group.place])
    for group in gathered(row for _, row in named):
        yield replace(group, place=places[len(alone) + group.place])


def row_batches(part: Part, rows: Iterable[Row]) -> Iterator[Batch]:
    rows = iter(rows)
    while some := list(islice(rows, SOME)):
        yield part, gathered(some)


def names6(held: Contents, part: Part, nibble: int) -> Iterator[Row]:
    """The names of IPv6 networks that begin with a nibble, in order."""
    wide = clipped(held.ip6, nibble << 60, (nibble + 1 << 60) - 1)
    deep = (piece for piece in held.deep if piece.upper >> 60 == nibble)
    return merge(
        chain.from_iterable(map(rows6, blocks6(wide, part))), deep_rows(deep, part), key=lambda row: row[2][::-1]
    )


def four_labels(row: Row) -> str:
    """The last four labels of an IPv6 name."""
    return row[2][-7:]


def key6(labels: str) -> int:
    """The key of four labels among those of IPv4 names."""
    key = 0
    for label in reversed(labels.split(".")):
        key = key << RANK_BITS | RANK[label]
    return key


@dataclass(slots=True, frozen=True)
class Names4:
    """The names of IPv4 networks in order, a row each. `keys`: the ranks of four labels. `other`: of what is wider than
    an address, the label behind its octets: `*`, or a letter, which has no address."""

    keys: Words
    blocks: Blocks
    other: NDArray[np.intp]

    @classmethod
    def of(cls, held: Contents, part: Part, octet: int) -> Names4:
        found = list(blocks4(clipped(held.ip4, octet << 24, (octet + 1 << 24) - 1), part))
        above = [shared(blocks) for blocks in found]
        letters = [blocks for blocks in above for _ in LETTERS]
        other = [np.zeros(len(blocks), dtype=np.intp) for blocks in found]
        other += [np.full(len(blocks), place + 1) for blocks in above for place in range(len(LETTERS))]
        return cls.sorted(joined([*found, *letters]), np.concatenate(other)) if found else cls.none()

    @classmethod
    def sorted(cls, blocks: Blocks, other: NDArray[np.intp]) -> Names4:
        keys = keys4(blocks, other)
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], blocks.where(order), other[order])

    @classmethod
    def none(cls) -> Names4:
        nothing = np.zeros(0, dtype=np.uint64)
        return cls(nothing, Blocks(nothing, nothing.astype(np.int64), nothing), nothing.astype(np.intp))

    def batches(self, part: Part, start: int, end: int) -> Iterator[Batch]:
        for first in range(start, end, SOME):
            some = np.arange(first, min(first + SOME, end))
            yield part, self.groups(self.blocks.where(some), self.other[some])

    def groups(self, blocks: Blocks, other: NDArray[np.intp]) -> Iterator[Group]:
        single = blocks.prefix == 32
        for alone, found in (
            (single, hosts(blocks.where(single))),
            (~single, gathered(map(with_letter, rows4(blocks.where(~single)), other[~single].tolist()))),
        ):
            places = np.flatnonzero(alone)
            yield from (replace(group, place=places[group.place]) for group in found)


def with_letter(row: Row, other: int) -> Row:
    return (NO_ADDRESS, ITSELF, f"{LETTERS[other - 1]}.{row[2]}", "") if other else row


def keys4(blocks: Blocks, other: NDArray[np.intp]) -> Words:
    """The ranks of the labels from the top, in one number."""
    keys = np.zeros(len(blocks), dtype=np.uint64)
    for place, shift in enumerate((24, 16, 8, 0)):
        octet = (blocks.first >> np.uint64(shift)).astype(np.intp) & 0xFF
        ends = np.where(blocks.prefix == 8 * place, OTHER_RANK[other], np.uint64(0))
        keys = keys << np.uint64(RANK_BITS) | np.where(blocks.prefix > 8 * place, OCTET_RANK[octet], ends)
    return keys


def clipped(table: Pieces, low: int, high: int) -> Pieces:
    """What of a table is between two numbers."""
    least, most = np.uint64(low), np.uint64(high)
    part = slice(
        int(np.searchsorted(table.last, least, side="left")), int(np.searchsorted(table.first, most, side="right"))
    )
    return Pieces(np.maximum(table.first[part], least), np.minimum(table.last[part], most), table.mask[part])
