"""A zone's records as they go on the wire in a transfer: all of them (RFC 5936), or what a step takes away and brings
(RFC 1995). Packed in sections that fit a message each, as they are asked for. Pure, but that a view's files may be on
the disk.

Owners end in a pointer to octet 12 of the message, where the origin stands in the question. So every message of a
transfer has the question, and a section goes anywhere behind it. Other names are not compressed: what a pointer to the
owner before would save in TXT records, a tenth, would tie a section to its place and to the first 16 KB of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from .apex import Record, apex_records, host_records, soa, zonemd_record
from .blocks import Blocks, joined
from .nodes import Unlisted
from .packed import Group, Octets, Rows, gathered, hosts, record, wire_name
from .packed_names import listed
from .recordset import Part, Row, blocks4, blocks6, deep_rows, letters, name_rows, parts, rows4, rows6
from .served import ServedZone
from .stretches import deep_pieces, names_of, pieces4, pieces6

if TYPE_CHECKING:
    from .difference import Change, Step

__all__ = ["ROOM", "Section", "StepSections", "soa_record", "step_sections", "zone_sections"]

Section = tuple[int, bytes]  # how many records, and their bytes
Run = tuple[int, Octets]  # records of a row, and rows

ORIGIN = b"\xc0\x0c"  # a pointer to octet 12 (RFC 1035 section 4.1.4)
# Octets of a section: a message of 65,535 without header (12), question (259), two SOA (544 each: two names written
# out) and TSIG (620: two names, times and the longest digest).
ROOM = 63_488
HOSTS = 16_384  # addresses at once: some MB, and rows that lie alike are many
NAMES = 16_384  # names at once
NOTHING = Blocks(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.uint64))


def soa_record(zone: ZoneDef, serial: int) -> bytes:
    return packed(soa(zone, serial))


def packed(found: Record) -> bytes:
    rtype, ttl, data = found
    return record(ORIGIN, rtype, ttl, data)


# a whole zone


def zone_sections(view: ServedZone) -> Iterator[Section]:
    """All records of a zone but its SOA. Memory does not grow with the zone, where the view's files are on the disk;
    then raises SnapshotError where one cannot be read any more, and does not see what was altered in it (`ondisk`)."""
    apex = (single(packed(found)) for found in apex_records(view.zone, view.serial, view.zonemd))
    hosts_there = (
        single(record(wire_name(label.decode()) + ORIGIN, *found)) for label, found in host_records(view.zone)
    )
    return sections(chain(apex, hosts_there, *(part_runs(view, part) for part in parts(view.zone))))


def part_runs(view: ServedZone, part: Part) -> Iterator[Run]:
    rows = Rows(view.zone, part, ORIGIN, ROOM)
    for table in pieces4(view):
        for blocks in blocks4(table, part, HOSTS):
            yield from runs(rows, hosts(blocks.where(blocks.prefix == 32)))
            yield from row_runs(rows, chain(rows4(blocks.where(blocks.prefix < 32)), letters(blocks)))
    for table in pieces6(view):
        yield from row_runs(rows, chain.from_iterable(map(rows6, blocks6(table, part))))
    yield from row_runs(rows, deep_rows(deep_pieces(view), part))
    if view.zone.kind != "ip":
        yield from name_runs(view, rows)


def name_runs(view: ServedZone, rows: Rows) -> Iterator[Run]:
    unlisted = Unlisted(view)
    for names in names_of(view):
        yield from runs(rows, listed(names, view.zone))
        yield from row_runs(rows, name_rows(unlisted.between(names), view.zone))
        del names  # before the next ones are made
    yield from row_runs(rows, name_rows(unlisted.rest(), view.zone))


def row_runs(rows: Rows, found: Iterator[Row]) -> Iterator[Run]:
    while some := list(islice(found, NAMES)):
        yield from runs(rows, gathered(some))


def runs(rows: Rows, groups: Iterable[Group]) -> Iterator[Run]:
    return chain.from_iterable(map(rows.of, groups))


def single(octets: bytes) -> Run:
    return 1, np.frombuffer(octets, dtype=np.uint8).reshape(1, -1)


def sections(found: Iterable[Run]) -> Iterator[Section]:
    """Rows cut into sections, each as full as whole rows make it."""
    held: list[bytes] = []
    count = size = 0
    for records, rows in found:
        width, start = rows.shape[1], 0
        while start < len(rows):
            if size + width > ROOM:
                yield count, b"".join(held)
                held, count, size = [], 0, 0
            some = rows[start : start + (ROOM - size) // width]
            held.append(some.tobytes())
            start, count, size = start + len(some), count + records * len(some), size + some.size
    if held:
        yield count, b"".join(held)


# a step


class StepSections(NamedTuple):
    """The records that a step takes away, and those that it brings; neither has the SOA. `kept`: of how many names
    records stay, while others come or go."""

    removed: Iterator[Section]
    added: Iterator[Section]
    kept: int


def step_sections(step: Step) -> StepSections:
    """A step as records. What a name has before and after, the very same, is on neither side."""
    zone, kept = step.zone, 0
    removed, added = digest_run(zone, step.old, step.zonemd_old), digest_run(zone, step.new, step.zonemd_new)
    for part in parts(zone):
        old, new = Side(zone, step.removed, part), Side(zone, step.added, part)
        cancel(old, new)
        kept += names_kept(old, new)
        removed.append(old.runs())
        added.append(new.runs())
    return StepSections(sections(chain.from_iterable(removed)), sections(chain.from_iterable(added)), kept)


def digest_run(zone: ZoneDef, serial: int, digest: bytes) -> list[Iterable[Run]]:
    return [[single(packed(zonemd_record(zone, serial, digest)))]] if digest else []


class Side:
    """One side of a step in a part of its zone: single IPv4 addresses, and all other names."""

    def __init__(self, zone: ZoneDef, change: Change, part: Part) -> None:
        self.rows = Rows(zone, part, ORIGIN, ROOM)
        found = list(blocks4(change.ip4, part, HOSTS))
        self.hosts = joined([NOTHING, *(blocks.where(blocks.prefix == 32) for blocks in found)])
        self.others: dict[Row, None] = dict.fromkeys(
            chain(
                chain.from_iterable(rows4(blocks.where(blocks.prefix < 32)) for blocks in found),
                chain.from_iterable(map(letters, found)),
                chain.from_iterable(map(rows6, blocks6(change.ip6, part))),
                deep_rows(change.deep, part),
                name_rows(change.names, zone),
            )
        )

    def runs(self) -> Iterator[Run]:
        for start in range(0, len(self.hosts), HOSTS):
            yield from runs(self.rows, hosts(self.hosts.where(slice(start, start + HOSTS))))
        yield from row_runs(self.rows, iter(self.others))


def cancel(old: Side, new: Side) -> None:
    """Forget what is on both sides."""
    for row in old.others.keys() & new.others.keys():
        del old.others[row], new.others[row]
    left, right = both(old.hosts, new.hosts)
    old.hosts, new.hosts = old.hosts.where(~left), new.hosts.where(~right)


def names_kept(old: Side, new: Side) -> int:
    """How many names have a code before and after, and were not cancelled."""
    _, left, right = np.intersect1d(old.hosts.first, new.hosts.first, assume_unique=True, return_indices=True)
    before = {name: mask for mask, _, name, _ in old.others if mask >= 0}
    found = (len(forms) for mask, forms, name, _ in new.others if mask >= 0 and mask & before.get(name, 0))
    return int(np.count_nonzero(old.hosts.mask[left] & new.hosts.mask[right])) + sum(found)


def both(old: Blocks, new: Blocks) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which hosts of each are in the other with the same codes."""
    _, left, right = np.intersect1d(old.first, new.first, assume_unique=True, return_indices=True)
    same = old.mask[left] == new.mask[right]
    found = np.zeros(len(old), dtype=np.bool_), np.zeros(len(new), dtype=np.bool_)
    found[0][left[same]] = found[1][right[same]] = True
    return found
