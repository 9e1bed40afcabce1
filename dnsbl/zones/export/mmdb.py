"""MaxMind DB files (its specification, version 2.0), which firewalls, web servers and log tools read: a binary tree
over addresses, and for each set of codes one map.

    {"zone": "bl.example", "codes": ["127.0.0.2"], "texts": ["$ sends spam"]}

IPv4 is the part ::/96 of the tree, as readers expect. A node is two records: the number of the node below, that of no
node (the count of all: nothing is listed), or more: where in the data section the map is.

Networks come in ascending order and none is inside another, so the tree need not be built to be known. Between two
neighbours the first `common` bits are alike; a network has nodes of its own at the depths from there to its end. So a
level after the other is written from three columns, and nodes are numbered as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DnsblError
from ..blocks import deep_networks, networks
from ..contents import Contents
from ..table import Words, distinct
from .entries import NOTE, public
from .text import about

__all__ = ["chunks"]

Numbers = NDArray[np.int64]

NOTES = (NOTE, "Not in it: sublists. In a text, $ is the address asked for, and $$ a dollar.")
LOW64 = 2**64 - 1
V4_AT = 96  # the depth of ::/96
BETWEEN = bytes(16)  # zeros between the tree and the data
METADATA = b"\xab\xcd\xefMaxMind.com"
RECORD_SIZES = (24, 32)  # bits; with 28 some files would be an eighth smaller
STRING, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11  # types of the data section


def chunks(held: Contents) -> Iterator[bytes]:
    """The file. Raises DnsblError where a zone is larger than the format can be."""
    held = public(held)
    data, places = maps(held)
    v4 = tree4(held, places)
    v6 = tree6(held, places, bool(len(v4)))
    in_v6 = v6.nodes()
    count = in_v6 + v4.nodes()
    size = record_size(count + len(BETWEEN) + len(data))
    for tree, start in ((v6, 0), (v4, in_v6)):
        for level in tree.levels(start, count):
            yield packed(level, size)
    yield BETWEEN + data + METADATA + metadata(held, count, size)


def record_size(largest: int) -> int:
    for size in RECORD_SIZES:
        if largest < 1 << size:
            return size
    raise DnsblError("the zone is too large for a MaxMind DB, which has 2^32 nodes at most; use export format `cidr`")


def packed(records: Numbers, size: int) -> bytes:
    octets = records.astype(">u4")
    return octets.tobytes() if size == 32 else octets.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


# the tree

NOTHING, IPV4 = -1, -2  # values that are no place in the data section: no node, and the node of ::/96


@dataclass(slots=True)
class Tree:
    """Networks in ascending order, none inside another: their bits, left-aligned, and what each has as its value."""

    upper: Words
    lower: Words
    prefix: Numbers
    values: Numbers  # places in the data section
    common: Numbers  # the bits that are alike in a network and the one before; -1 for the first

    def __len__(self) -> int:
        return len(self.upper)

    def nodes(self) -> int:
        return int((self.prefix - self.common - 1).sum())

    def levels(self, start: int, count: int) -> Iterator[Numbers]:
        """The records of each depth, two a node. `start`: the number of the first node, `count`: that of none."""
        values = np.where(self.values >= 0, self.values + count + len(BETWEEN), count)
        values[self.values == IPV4] = start + self.nodes()  # IPv4 follows
        first = self.common < 0
        for depth in range(int(self.prefix.max(initial=0))):
            nodes = int(first.sum())
            place = 2 * (np.cumsum(first) - 1)
            start += nodes
            first = (self.common <= depth) & (self.prefix > depth + 1)  # who has a node of its own at the next depth
            records = np.full(2 * nodes, count, dtype=np.int64)
            opens, ends = np.flatnonzero(first), np.flatnonzero(self.prefix == depth + 1)
            records[place[opens] + self.bits(opens, depth)] = start + np.arange(len(opens))
            records[place[ends] + self.bits(ends, depth)] = values[ends]
            yield records

    def bits(self, rows: Numbers, depth: int) -> Numbers:
        half, shift = (self.upper, 63 - depth) if depth < 64 else (self.lower, 127 - depth)
        return (half[rows] >> np.uint64(shift) & np.uint64(1)).astype(np.int64)


def tree(upper: Words, lower: Words, prefix: Numbers, values: Numbers) -> Tree:
    common = np.full(len(upper), -1, dtype=np.int64)
    differ = upper[1:] ^ upper[:-1]
    common[1:] = np.where(differ != 0, leading_zeros(differ), 64 + leading_zeros(lower[1:] ^ lower[:-1]))
    return Tree(upper, lower, prefix, values, common)


def leading_zeros(numbers: Words) -> Numbers:
    """Of 64 bits. By halves: a double holds 53 bits."""
    high = numbers >> np.uint64(32)
    upper = np.frexp(high.astype(np.float64))[1].astype(np.int64)  # as many bits as it takes
    lower = np.frexp((numbers & np.uint64(0xFFFFFFFF)).astype(np.float64))[1].astype(np.int64)
    return np.where(high != 0, 32 - upper, 64 - lower)


def tree4(held: Contents, places: Places) -> Tree:
    parts = list(networks(held.ip4, 32))
    upper = joined([part.first << np.uint64(32) for part in parts])
    prefix = joined([part.prefix for part in parts])
    return tree(upper, np.zeros_like(upper), prefix, places.of(joined([part.mask for part in parts])))


def tree6(held: Contents, places: Places, with_ipv4: bool) -> Tree:
    """With ::/96, which leads to IPv4, as its first network: nothing else is so far in front."""
    parts = list(networks(held.ip6, 64))
    deep = [(first, prefix, piece.mask) for piece in held.deep for first, prefix in deep_networks(piece)]
    wide = sum(map(len, parts))
    upper = joined([words([0]), *(part.first for part in parts), words([first >> 64 for first, _, _ in deep])])
    lower = joined([np.zeros(1 + wide, dtype=np.uint64), words([first & LOW64 for first, _, _ in deep])])
    ends = np.array([prefix for _, prefix, _ in deep], dtype=np.int64)
    prefix = joined([np.array([V4_AT]), *(part.prefix for part in parts), ends])
    masks = joined([*(part.mask for part in parts), words([mask for _, _, mask in deep])])
    values = np.concatenate([[IPV4 if with_ipv4 else NOTHING], places.of(masks)])
    order = np.lexsort((lower, upper)) if deep else slice(None)
    return tree(upper[order], lower[order], prefix[order], values[order])


def words(numbers: list[int]) -> Words:
    return np.array(numbers, dtype=np.uint64)


def joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else words([])


# the data section


class Places:
    """Where in the data section the map of each mask is."""

    def __init__(self, masks: Words, places: Numbers) -> None:
        self.masks, self.places = masks, places

    def of(self, masks: Words) -> Numbers:
        return self.places[np.searchsorted(self.masks, masks)]


def maps(held: Contents) -> tuple[bytes, Places]:
    """A map for each set of codes that occurs."""
    masks = distinct(np.concatenate([held.ip4.mask, held.ip6.mask, words([piece.mask for piece in held.deep])]))
    data, places = b"", []
    for mask in masks.tolist():
        codes = [code for number, code in enumerate(held.zone.codes) if mask >> number & 1]
        places.append(len(data))
        data += value(
            {
                "zone": held.zone.origin,
                "codes": [code.code for code in codes],
                "texts": [code.text for code in codes if code.text],
            }
        )
    return data, Places(masks, np.array(places, dtype=np.int64))


def metadata(held: Contents, count: int, size: int) -> bytes:
    said = {
        "database_type": f"dnsbl-{held.zone.name}",
        "description": {"en": "; ".join(about(held, NOTES))},
        "languages": [],
    }
    numbers = {
        "binary_format_major_version": number(UINT16, 2),
        "binary_format_minor_version": number(UINT16, 0),
        "build_epoch": number(UINT64, held.made_at),
        "ip_version": number(UINT16, 6),
        "node_count": number(UINT32, count),
        "record_size": number(UINT16, size),
    }
    fields = {**{key: value(each) for key, each in said.items()}, **numbers}
    return control(MAP, len(fields)) + b"".join(value(key) + fields[key] for key in sorted(fields))


def value(given: object) -> bytes:
    """Strings, and lists and maps of them."""
    if isinstance(given, dict):
        return control(MAP, len(given)) + b"".join(value(key) + value(each) for key, each in given.items())
    if isinstance(given, list):
        return control(ARRAY, len(given)) + b"".join(map(value, given))
    octets = str(given).encode()
    return control(STRING, len(octets)) + octets


def number(kind: int, given: int) -> bytes:
    octets = given.to_bytes((given.bit_length() + 7) // 8, "big")
    return control(kind, len(octets)) + octets


def control(kind: int, size: int) -> bytes:
    """The type and size in front of a field. Types from 8 on are in an octet of their own, which comes second."""
    if size < 29:
        length, more = size, b""
    elif size < 285:
        length, more = 29, (size - 29).to_bytes(1, "big")
    else:
        length, more = 30, (size - 285).to_bytes(2, "big")  # a text has some thousand octets at most
    return (bytes([kind << 5 | length]) if kind < 8 else bytes([length, kind - 7])) + more
