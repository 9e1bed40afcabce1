"""Records to what a zone holds: which addresses and names have which codes. Of the records only those are looked at
that say so, an A record each code; what else there must be is checked afterwards, by making the records of it again.

A network is a wildcard at the label where it ends, and stands again below the label of each sublist; zones.export.bind
says how. Differences are applied in the same way: what a network loses, it loses as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from ..errors import TransferError
from ..zones.names import above
from ..zones.snapshot import EMPTY_NAME, HOLE
from ..zones.table import LAST6, Deep, Pieces, Words, ascending, at, distinct, flatten, joined, merge, pieces

__all__ = ["Addresses", "Blocks", "Place", "named", "place_of", "with_empty"]

OCTETS = {str(octet).encode(): octet for octet in range(256)}  # no other way of writing one is a name
NIBBLES = {b"%x" % nibble: nibble for nibble in range(16)}
DIGITS = range(10)
LEAST6 = 4  # labels of an IPv6 network; fewer are octets
BATCH = 65_536  # owners held as text before they are numbers
LOW64 = 0xFFFFFFFFFFFFFFFF
LABEL = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


class Place(NamedTuple):
    """A block of addresses: of IPv4, or of IPv6 with whole addresses."""

    six: bool
    first: int
    prefix: int

    @property
    def last(self) -> int:
        return self.first | (1 << ((128 if self.six else 32) - self.prefix)) - 1


def shown(owner: bytes) -> str:
    """An owner for people, whatever it is."""
    return ".".join(label.decode("ascii", "backslashreplace") for label in labels_of(owner)) or "@"


def labels_of(owner: bytes) -> list[bytes]:
    found, place = [], 0
    while place < len(owner):
        found.append(owner[place + 1 : place + 1 + owner[place]])
        place += owner[place] + 1
    return found


# addresses


@cache
def halves() -> tuple[dict[bytes, int], dict[bytes, int]]:
    """`4.3` and `2.1` of 4.3.2.1 on the wire, as the lower and the upper half of the address."""
    packed = [bytes((len(text),)) + text for text in OCTETS]
    low = {two + one: high << 8 | number for high, one in enumerate(packed) for number, two in enumerate(packed)}
    return low, {text: number << 16 for text, number in low.items()}


def place_of(owner: bytes) -> Place:
    """The block that an owner in an ip zone stands for. Raises TransferError where it is none."""
    labels = labels_of(owner)
    wild = labels[:1] == [b"*"]
    labels = labels[wild:]
    if len(labels) <= LEAST6 - wild and all(label in OCTETS for label in labels) and (wild or len(labels) == LEAST6):
        octets = bytes(OCTETS[label] for label in reversed(labels))
        return Place(False, int.from_bytes(octets.ljust(4, b"\0"), "big"), 8 * len(octets))
    if LEAST6 <= len(labels) <= 32 - wild and all(label in NIBBLES for label in labels) and (wild or len(labels) == 32):
        prefix = 4 * len(labels)
        return Place(True, int(b"".join(reversed(labels)), 16) << (128 - prefix), prefix)
    raise TransferError(f"{shown(owner)}: stands for no address or network of an ip zone")


class Blocks:
    """Blocks with codes, gathered: millions of single addresses as numbers, and the few others each by itself."""

    def __init__(self) -> None:
        self.hosts: dict[int, list[bytes]] = defaultdict(list)  # by code: owners that are not numbers yet
        self.numbers: dict[int, list[Words]] = defaultdict(list)
        self.places: set[tuple[Place, int]] = set()

    def add(self, owner: bytes, code: int) -> None:
        """`owner` is outside all sublists."""
        owners = self.hosts[code]
        owners.append(owner)
        if len(owners) >= BATCH:
            self.count(code)

    def count(self, code: int) -> None:
        """Make numbers of the owners of a code. Raises TransferError."""
        low, high = halves()
        found: list[int] = []
        for owner in self.hosts.pop(code, ()):
            cut = owner[0] + 1
            cut += owner[cut] + 1 if cut < len(owner) else 0
            lower, upper = low.get(owner[:cut]), high.get(owner[cut:])
            if lower is None or upper is None:
                self.places.add((place_of(owner), code))
            else:
                found.append(upper | lower)
        self.numbers[code].append(np.array(found, dtype=np.uint64))

    def done(self) -> Blocks:
        for code in list(self.hosts):
            self.count(code)
        return self

    def listed4(self) -> Pieces:
        """All of IPv4; flat."""
        rows = [(place.first, place.last, 1 << code) for place, code in self.places if not place.six]
        parts = [pieces_of(rows)]
        for code, chunks in self.numbers.items():
            one = np.concatenate(chunks)
            parts.append(Pieces(one, one, np.full(len(one), 1 << code, dtype=np.uint64)))
        return flat(parts)

    def listed6(self) -> Pieces:
        """The whole /64s, by their upper halves; flat. Raises TransferError."""
        wide = [(place, code) for place, code in self.places if place.six and place.prefix <= 64]
        if any(place.last >> 64 > LAST6 for place, _ in wide):
            raise TransferError("an IPv6 network that ends where none can be listed")
        return flat([pieces_of((place.first >> 64, place.last >> 64, 1 << code) for place, code in wide)])

    def deep(self) -> list[Deep]:
        """What is listed within single /64s, in no order; pieces may overlap."""
        narrow = ((place, code) for place, code in self.places if place.six and place.prefix > 64)
        return [Deep(place.first >> 64, place.first & LOW64, place.last & LOW64, 1 << code) for place, code in narrow]


def pieces_of(rows: Iterable[tuple[int, int, int]]) -> Pieces:
    """As `pieces`, which may overlap."""
    return pieces(rows)


def flat(parts: Iterable[Pieces]) -> Pieces:
    return flatten(joined(parts), pieces([]))


class Addresses(NamedTuple):
    """What an ip zone holds, canonical: neighbours merged, a /64 either whole or in `deep`."""

    ip4: Pieces
    ip6: Pieces
    deep: list[Deep]

    def changed(self, removed: Blocks, added: Blocks) -> Addresses:
        """After differences. Raises TransferError."""
        for place, code in kept_guards(removed):
            added.places.add((place, code))
        return Addresses(
            changed(self.ip4, removed.listed4(), added.listed4()),
            changed(self.ip6, removed.listed6(), added.listed6()),
            changed_deep(self.deep, removed.deep(), added.deep()),
        )


def kept_guards(removed: Blocks) -> Iterator[tuple[Place, int]]:
    """Below a network whose octets are nibbles, too, ten narrower ones have names of their own (zones.export.bind). One
    that is listed on when the network goes is in no difference, for its records stay the same."""
    gone = {(place.first, place.prefix, code) for place, code in removed.places if not place.six}
    for code, chunks in removed.numbers.items():
        gone |= {(number, 32, code) for chunk in chunks for number in chunk.tolist()}
    for first, prefix, code in gone:
        octets = first.to_bytes(4, "big")[: prefix // 8]
        if prefix < 32 and max(octets) in DIGITS:
            for digit in DIGITS:
                child = first | digit << (24 - prefix)
                if (child, prefix + 8, code) not in gone:
                    yield Place(False, child, prefix + 8), code


def changed(table: Pieces, removed: Pieces, added: Pieces) -> Pieces:
    """A table without some codes and with others. What is not touched stays as it is."""
    if not len(removed) and not len(added):
        return table
    touched = touching(table, removed) | touching(table, added)
    part = table.where(touched)
    edges = distinct(
        np.concatenate([e for side in (part, removed, added) for e in (side.first, side.last + np.uint64(1))])
    )
    starts = edges[:-1]
    mask = masks_at(part, starts) & ~masks_at(removed, starts) | masks_at(added, starts)
    new = Pieces(starts, edges[1:] - np.uint64(1), mask).where(mask != 0)
    return merge(ascending(joined([table.where(~touched), new])))


def masks_at(table: Pieces, points: Words) -> Words:
    return at(table, points)[0] if len(table) else np.zeros(len(points), dtype=np.uint64)


def touching(table: Pieces, others: Pieces) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which pieces any of the others, flat, overlaps."""
    before = np.searchsorted(others.last, table.first, side="left")
    return np.asarray(before < np.searchsorted(others.first, table.last, side="right"))


def changed_deep(deep: Iterable[Deep], removed: Iterable[Deep], added: Iterable[Deep]) -> list[Deep]:
    """The same within single /64s, in plain numbers: there are few."""
    by_upper: dict[int, tuple[list[Deep], list[Deep], list[Deep]]] = defaultdict(lambda: ([], [], []))
    for place, group in enumerate((deep, removed, added)):
        for piece in group:
            by_upper[piece.upper][place].append(piece)
    return [piece for upper in sorted(by_upper) for piece in within(upper, *by_upper[upper])]


def within(upper: int, deep: list[Deep], removed: list[Deep], added: list[Deep]) -> Iterator[Deep]:
    """The pieces of one /64, ascending, equal neighbours merged."""
    events: dict[int, list[tuple[int, int, int]]] = defaultdict(
        list
    )  # at an edge: which group, which codes, up or down
    for number, group in enumerate((deep, removed, added)):
        for piece in group:
            events[piece.first].append((number, piece.mask, 1))
            events[piece.last + 1].append((number, piece.mask, -1))
    counts: list[dict[int, int]] = [defaultdict(int) for _ in range(3)]
    last: Deep | None = None
    edges = sorted(events)
    for edge, following in zip(edges, [*edges[1:], LOW64 + 1], strict=True):
        for number, mask, step in events[edge]:
            for bit in bits_of(mask):
                counts[number][bit] += step
        held, gone, new = (sum(1 << bit for bit, count in group.items() if count) for group in counts)
        mask = held & ~gone | new
        if last and last.mask == mask and last.last + 1 == edge:
            last = Deep(upper, last.first, following - 1, mask)
            continue
        if last:
            yield last
        last = Deep(upper, edge, following - 1, mask) if mask and edge < following else None
    if last:
        yield last


def bits_of(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


# names


def named(owner: bytes) -> bytes:
    """An owner as text from the top label. Raises TransferError where no listing has such a name."""
    labels = labels_of(owner)
    if not all(label and LABEL.issuperset(label) for label in labels):
        raise TransferError(f"{shown(owner)}: no name that can be listed")
    labels.reverse()
    return b".".join(labels)


def with_empty(found: dict[bytes, int]) -> dict[bytes, int]:
    """Names with their values, and the empty ones above them. The order is of no matter."""
    empty: dict[bytes, int] = {}
    for name, value in found.items():
        if value != HOLE:
            for upper in above(name):
                if upper in empty:  # and so are those above it
                    break
                if upper not in found:
                    empty[upper] = EMPTY_NAME
    return {**empty, **found}
