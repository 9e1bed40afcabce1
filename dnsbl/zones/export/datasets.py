"""Single data sets for rbldnsd(8), for those who join them with others of their own: ORIGIN:TYPE:FILE.

    $SOA $NS $TTL
    :CODE:TEXT          what answers with a code, for each code
    192.0.2.0/24

An ip4set and a dnset give every value of the entries that match best, so the pieces are cut alike for all codes. A trie
has one value for each network: with several codes, the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..blocks import deep_networks, networks
from ..contents import Contents, Kind
from ..inorder import subtrees
from ..table import Pieces, Words
from ..written import name_text
from .rbldnsd import NOTES_EXACT, NOTES_NAMES, entry6, specials, value
from .text import chunked, header, name_lines, networks4

__all__ = ["dnset_lines", "ip4set_lines", "ip4trie_lines", "ip6trie_lines"]

NOTES = (
    "Serve it with: rbldnsd ... {origin}:{kind}:FILE",
    "What rbldnsd does otherwise: names above a listed one are NXDOMAIN, not empty; a text is cut at 255 bytes;",
    "a reply holds 512 bytes; the apex has no records but SOA and NS. Export format `rbldnsd` has all in one file.",
)
NOTE_IP4 = "Not in it: IPv6, and sublists. Listed addresses are also listed as ::ffff:a.b.c.d."
NOTE_IP6 = "Not in it: IPv4, and sublists."
NOTE_TRIE = "A network has one code only: the first of those that it has."


def ip4set_lines(held: Contents) -> Iterator[str]:
    yield head(held, "ip4set", NOTE_IP4)
    table = held.ip4
    yield from by_code(held, lambda code: lines4(table.where(table.mask & np.uint64(1 << code) != 0)))


def ip4trie_lines(held: Contents) -> Iterator[str]:
    yield head(held, "ip4trie", NOTE_IP4, NOTE_TRIE)
    table = held.ip4
    yield from by_code(held, lambda code: lines4(table.where(lowest(table.mask) == np.uint64(1 << code))))


def ip6trie_lines(held: Contents) -> Iterator[str]:
    yield head(held, "ip6trie", NOTE_IP6, NOTE_TRIE)
    yield from by_code(held, lambda code: chunked(lines6(held, code)))


def dnset_lines(held: Contents) -> Iterator[str]:
    """A name has all its codes, for the best match alone answers; what is exempt is excluded once."""
    exact = held.zone.exact
    yield head(held, "dnset", *(NOTES_EXACT if exact else NOTES_NAMES))
    dot = "" if exact else "."
    yield from by_code(held, lambda code: name_lines(held.names, code, dot))
    yield from chunked(f"!.{name_text(node.name)}\n" for node in subtrees(held.names).nodes() if node.kind is Kind.HOLE)


def head(held: Contents, kind: str, *more: str) -> str:
    notes = [note.format(origin=held.zone.origin, kind=kind) for note in NOTES]
    return header(held, "#", [*notes, *more]) + specials(held.zone, held.serial)


def by_code(held: Contents, lines: Callable[[int], Iterator[str]]) -> Iterator[str]:
    for number, code in enumerate(held.zone.codes):
        yield value(code)
        yield from lines(number)


def lowest(masks: Words) -> Words:
    """The first code of each mask, by itself."""
    return masks & (~masks + np.uint64(1))


def lines4(table: Pieces) -> Iterator[str]:
    return map(networks4, networks(table, 32))


def lines6(held: Contents, code: int) -> Iterator[str]:
    first = np.uint64(1 << code)
    for blocks in networks(held.ip6.where(lowest(held.ip6.mask) == first), 64):
        for upper, prefix in zip(blocks.first.tolist(), blocks.prefix.tolist(), strict=True):
            yield entry6(upper << 64, prefix)
    for piece in held.deep:
        if piece.mask & -piece.mask == 1 << code:
            yield from (entry6(number, prefix) for number, prefix in deep_networks(piece))
