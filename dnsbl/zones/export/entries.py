"""What a zone lists, for those who do not ask by DNS: firewalls, mail servers, people. Pure.

The test points (RFC 5782 section 5) are left out: a firewall has no use for 127.0.0.2, and may need it. What is exempt
is in no network; below a listed name it is an entry of its own, without codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...config import CodeDef, ZoneDef, template
from ...subjects import zone_name
from ..blocks import Blocks, deep_networks, networks
from ..contents import Contents, Kind, Names
from ..counting import LOOPBACK
from ..exact import test_points
from ..inorder import known
from ..recordset import subject_of
from ..table import Deep, Pieces, ascending, joined, merge, pieces
from ..written import network6
from .text import LINES, addresses4

__all__ = ["NOTE", "Lines", "Part", "entries", "merged", "networks6", "public", "subjects4", "told"]

NOTE = "The test points of the zone (127.0.0.2, test, ...) are not in this file."
LAST64 = 2**64 - 1

Part = str | None  # of a line: None where the subject goes


def public(held: Contents) -> Contents:
    """The contents without test points, and so without any of 127.0.0.0/8 and ::/64, where no host of others is."""
    if held.zone.kind != "ip":
        return replace(held, names=without_tests(held.zone, held.names))
    deep = [piece for piece in held.deep if piece.upper]
    return replace(held, ip4=outside(held.ip4, *LOOPBACK), ip6=outside(held.ip6, 0, 0), deep=deep)


def outside(table: Pieces, low: int, high: int) -> Pieces:
    """The pieces without what is in low..high."""
    before = np.searchsorted(table.first, np.uint64(low))  # as many begin before it; what spans it is on both sides
    after = np.searchsorted(table.last, np.uint64(high), side="right")
    left, right = slice(0, int(before)), slice(int(after), len(table))
    ahead, behind = table.where(left), table.where(right)
    if low:
        ahead = Pieces(ahead.first, np.minimum(ahead.last, np.uint64(low - 1)), ahead.mask)
    return joined([ahead, Pieces(np.maximum(behind.first, np.uint64(high + 1)), behind.last, behind.mask)])


def without_tests(zone: ZoneDef, names: Names) -> Names:
    tests = [*map(zone_name, test_points(zone))] if zone.exact else [b"test"]
    return names.without(tests)


def merged(held: Contents) -> Contents:
    """Networks alone, whatever their codes (mask 1): neighbours are one, and a /64 that is full is no longer deep."""
    whole: list[int] = []
    deep: list[Deep] = []
    for piece in held.deep:  # ascending
        before, first = deep[-1] if deep else None, piece.first
        if before and before.upper == piece.upper and before.last + 1 == piece.first:
            first = deep.pop().first
        if first == 0 and piece.last == LAST64:
            whole.append(piece.upper)
        else:
            deep.append(Deep(piece.upper, first, piece.last, 1))
    return replace(held, ip4=alike(held.ip4), ip6=alike(added(held.ip6, whole)), deep=deep)


def alike(table: Pieces) -> Pieces:
    return merge(Pieces(table.first, table.last, np.ones(len(table), dtype=np.uint64)))


def added(table: Pieces, numbers: Sequence[int]) -> Pieces:
    """The pieces, and single numbers that are in none of them."""
    return ascending(joined([table, pieces((number, number, 1) for number in numbers)]))


def entries(held: Contents) -> Iterator[Sequence[tuple[str, int]]]:
    """Every network or name as people write it, with its mask, some thousand at a time. A name with mask 0 is exempt,
    with all below it."""
    if held.zone.kind != "ip":
        yield from batches(named(held))
        return
    for blocks in networks(held.ip4, 32):
        yield list(zip(subjects4(blocks), blocks.mask.tolist(), strict=True))
    yield from batches((network6(first, prefix), mask) for first, prefix, mask in networks6(held))


ENDS4 = [f"/{prefix}" for prefix in range(32)] + [""]


def subjects4(blocks: Blocks) -> list[str]:
    """IPv4 networks as text; a host without its /32."""
    hosts = addresses4(blocks.first)
    if (blocks.prefix == 32).all():
        return hosts
    return [host + ENDS4[prefix] for host, prefix in zip(hosts, blocks.prefix.tolist(), strict=True)]


def networks6(held: Contents) -> Iterator[tuple[int, int, int]]:
    """IPv6 networks as (first address, prefix, mask): those of /64 and wider, then the narrower ones."""
    for blocks in networks(held.ip6, 64):
        rows = zip(blocks.first.tolist(), blocks.prefix.tolist(), blocks.mask.tolist(), strict=True)
        yield from ((upper << 64, prefix, mask) for upper, prefix, mask in rows)
    for piece in held.deep:
        yield from ((first, prefix, piece.mask) for first, prefix in deep_networks(piece))


def named(held: Contents) -> Iterator[tuple[str, int]]:
    kind = held.zone.kind
    for name, mask, what in known(held.names):
        if what is Kind.LISTED or what is Kind.HOLE:
            yield (subject_of(name, kind) if held.zone.exact else name), mask


def batches(rows: Iterable[tuple[str, int]]) -> Iterator[Sequence[tuple[str, int]]]:
    gathered: list[tuple[str, int]] = []
    for row in rows:
        gathered.append(row)
        if len(gathered) >= LINES:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


class Lines(dict[int, list[str]]):
    """The line of every set of codes, made when first asked for: cut where the subject goes, so that `subject.join`
    completes it."""

    def __init__(self, zone: ZoneDef, line: Callable[[list[CodeDef]], Iterable[Part]]) -> None:
        self.zone, self.line = zone, line

    def __missing__(self, mask: int) -> list[str]:
        parts = [""]
        for part in self.line([code for number, code in enumerate(self.zone.codes) if mask >> number & 1]):
            if part is None:
                parts.append("")
            else:
                parts[-1] += part
        self[mask] = parts
        return parts

    def of(self, rows: Iterable[tuple[str, int]]) -> str:
        return "".join([subject.join(self[mask]) for subject, mask in rows])


def told(text: str, escape: Callable[[str], str] = str) -> Iterator[Part]:
    """A code's text as parts of a line."""
    first, *rest = template(text)
    yield escape(first)
    for part in rest:
        yield None
        yield escape(part)
