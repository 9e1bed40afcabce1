"""What was taken from a transfer makes exactly the records that came: texts, guards and all between. That is how it is
known that nothing was lost or misread, and that the zone's file is the same here as at the primary.

The records of a whole zone are compared by a digest where they come in our own order, else by sums of their hashes,
which are keyed and need no order; which record differs is looked for only where one does. Those of differences are
compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import xxhash

from ..errors import TransferError
from ..zones.difference import Step
from ..zones.served import ServedZone
from ..zones.wire import Section, soa_record, step_sections, zone_sections
from .contents import shown
from .messages import HEADER_SIZE, SOA, TXT, A, Record, records
from .transfer import Transfer, kept

__all__ = ["check_soa", "same_differences", "same_records"]

BUCKETS = 256
ADVICE = "the zone's file here differs from the primary's"
QUESTION_END = b"\0\x06\0\x01"  # after the origin
TYPES = {A: "A", 2: "NS", SOA: "SOA", TXT: "TXT", 28: "AAAA", 63: "ZONEMD"}
MAX_SHOWN = 120  # characters of a record's data

Records = Callable[[], Iterator[Record]]


def check_soa(transfer: Transfer) -> None:
    """The SOA is what the zone's definition makes of that serial. Raises TransferError."""
    made = soa_record(transfer.zone, transfer.serial)
    (ours,) = unpacked([(1, made)], transfer.origin)
    if ours != transfer.soa:
        raise TransferError(f"the SOA record is another than the zone's definition makes; {ADVICE} ([soa], ns)")


def same_records(transfer: Transfer, view: ServedZone) -> bool:
    """Whether all that came are the records of a view."""
    digest = xxhash.xxh3_128()
    for _, packed in zone_sections(view):
        digest.update(packed)
    if digest.digest() == transfer.digest.digest():
        return True
    return sums(received(transfer)) == sums(expected(view, transfer.origin))


def misfit(transfer: Transfer, view: ServedZone) -> TransferError:
    """The sentence on the first record that differs."""
    theirs, ours = sums(received(transfer)), sums(expected(view, transfer.origin))
    bucket = next((number for number in range(BUCKETS) if theirs[number] != ours[number]), 0)
    came = {record for record in received(transfer) if hash(record) % BUCKETS == bucket}
    made = {record for record in expected(view, transfer.origin) if hash(record) % BUCKETS == bucket}
    return sentence(came, made)


def sentence(came: set[Record], made: set[Record]) -> TransferError:
    for record in sorted(came - made)[:1]:
        return TransferError(f"the primary has {text_of(record)}, which the zone's definition does not make; {ADVICE}")
    for record in sorted(made - came)[:1]:
        return TransferError(f"the primary does not have {text_of(record)}; {ADVICE}, or the zone there is another's")
    return TransferError("the primary sent records twice")


def text_of(record: Record) -> str:
    owner, rtype, ttl, data = record
    said = ".".join(map(str, data)) if rtype == A else data.decode("utf-8", "backslashreplace")[:MAX_SHOWN]
    return f"{shown(owner)} {ttl} {TYPES.get(rtype, f'TYPE{rtype}')} {said!r}"


def sums(found: Iterable[Record]) -> list[int]:
    """A sum of hashes for each bucket of records."""
    totals = [0] * BUCKETS
    for record in found:
        hashed = hash(record)
        totals[hashed % BUCKETS] += hashed
    return totals


def received(transfer: Transfer) -> Iterator[Record]:
    """The records of a whole zone as they came, from the transfer's file, without the SOA records."""
    for wire in kept(transfer.spool):
        start = HEADER_SIZE
        if int.from_bytes(wire[4:6], "big"):
            start += len(transfer.origin) + len(QUESTION_END)
        for record in records(wire, start, int.from_bytes(wire[6:8], "big"), transfer.origin):
            if record[1] != SOA:
                yield record


def expected(view: ServedZone, origin: bytes) -> Iterator[Record]:
    return unpacked(zone_sections(view), origin)


def unpacked(sections: Iterable[Section], origin: bytes) -> Iterator[Record]:
    """Packed records, as in a message behind its question."""
    head = bytes(HEADER_SIZE) + origin + QUESTION_END
    for count, packed in sections:
        yield from records(head + packed, len(head), count, origin)


def same_differences(transfer: Transfer, step: Step) -> bool:
    """Whether what differs between two contents is what came as differences."""
    removed, added = (set(unpacked(sections, transfer.origin)) for sections in step_sections(step)[:2])
    return removed - added == transfer.removed and added - removed == transfer.added
