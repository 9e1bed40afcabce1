"""One transfer as it comes in (RFC 5936, RFC 1995): the whole zone, or differences from the serial we have.

Of a whole zone it is gathered what is listed; the records themselves are too many to keep, and are in a file until what
was made of them is checked. Differences are kept in memory, one sequence after the other come to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import IO

import xxhash

from ..config import ZoneDef
from ..dns.transfer import newer
from ..errors import TransferError
from .contents import shown
from .gathered import Gathered
from .messages import SOA, Header, Record, header, rcode_name, records, soa_numbers

__all__ = ["AXFR", "IXFR", "ZONEMD", "Transfer", "kept", "origin_of"]

AXFR, IXFR = 252, 251
ZONEMD = 63
MAX_RECORDS = 200_000_000  # of a whole zone
MAX_BYTES = 16 * 2**30  # of a whole zone, which is kept in a file until it is checked
MAX_DIFFERENCES = 4_000_000  # records of differences, which are kept in memory; the whole zone is taken instead
POINTER = b"\xc0\x0c"  # to the question's name, the origin
FIXED = len(POINTER) + 10  # octets of a record whose owner is the origin, before its data
ZONEMD_FIXED = 6  # octets before the digest; RFC 8976 section 2.2
ZONEMD_SIMPLE_SHA384 = b"\1\1"
LENGTH = 2  # octets before each message in the file


class Mode(Enum):
    START = 0  # nothing was read yet
    FIRST = 1  # the new SOA was
    WHOLE = 2
    DELETED = 3  # of differences
    ADDED = 4


def origin_of(zone: ZoneDef) -> bytes:
    """The origin on the wire."""
    return b"".join(bytes((len(label),)) + label.encode("ascii") for label in zone.origin.split(".")) + b"\0"


class Transfer:
    """Takes the messages of one transfer in turn; `done` once the last was. Raises TransferError for what is none.

    `have` is the serial that differences may start from. `spool` takes the messages of a whole zone.
    """

    def __init__(self, zone: ZoneDef, id: int, qtype: int, have: int | None, spool: IO[bytes]) -> None:
        self.zone, self.id, self.qtype, self.have, self.spool = zone, id, qtype, have, spool
        self.origin = origin_of(zone)
        self.mode = Mode.START
        self.done = False
        self.soa: Record = (b"", SOA, 0, b"")
        self.serial = self.at_serial = 0
        self.gathered = Gathered(zone)
        self.zonemd = b""
        self.removed: set[Record] = set()
        self.added: set[Record] = set()
        self.count = self.size = 0
        self.digest = xxhash.xxh3_128()  # of the records as they are packed, but the SOA at both ends
        self.packed_soa = b""

    @property
    def whole(self) -> bool:
        return self.mode is Mode.WHOLE

    @property
    def current(self) -> bool:
        """There is nothing newer than what we have."""
        return self.mode is Mode.FIRST

    def message(self, wire: bytes) -> None:
        """The next message, without its signature. Raises TransferError, and OSError for the file."""
        head = header(wire, self.id, self.origin, self.qtype)
        if head.rcode or head.truncated:
            raise TransferError(f"the primary answers {rcode_name(head.rcode) if head.rcode else 'with a cut message'}")
        if self.done or not head.answers:
            raise TransferError("a message without records, or after the last one")
        first = self.mode is Mode.START
        self.keep(wire, head.answers)
        add = self.gathered.add
        for record in records(wire, head.start, head.answers, self.origin):
            if self.mode is Mode.WHOLE and record[0] and record[1] != SOA and not self.done:
                add(record)
            else:
                self.record(record)
        if self.mode is Mode.FIRST and not self.done and self.have is not None and head.answers == 1:
            self.done = not newer(self.serial, self.have)
        self.digested(wire, head, first)

    def keep(self, wire: bytes, answers: int) -> None:
        self.count += answers
        self.size += len(wire) + LENGTH
        if self.count > MAX_RECORDS or self.size > MAX_BYTES:
            raise TransferError(f"more than {MAX_RECORDS:,} records or {MAX_BYTES // 2**30} GiB; it was given up")
        if self.mode in (Mode.START, Mode.FIRST, Mode.WHOLE):
            self.spool.write(len(wire).to_bytes(LENGTH, "big") + wire)

    def record(self, record: Record) -> None:
        """Any record but those below the origin of a whole zone."""
        if self.done:
            raise TransferError("records after the end of the transfer")
        if record[1] == SOA:
            if record[0]:
                raise TransferError(f"{shown(record[0])}: an SOA record that is not at the origin")
            self.turn(record)
            return
        if self.mode is Mode.FIRST:
            self.mode = Mode.WHOLE
        if self.mode is Mode.WHOLE:
            self.gathered.add(record)
        elif self.mode is Mode.DELETED:
            self.change(record, self.added, self.removed)
        elif self.mode is Mode.ADDED:
            self.change(record, self.removed, self.added)
        else:
            raise TransferError("a transfer that does not begin with the SOA record")
        if record[1] == ZONEMD and not record[0] and self.mode is not Mode.DELETED:
            self.zonemd = digest_in(record[3])

    def turn(self, record: Record) -> None:
        """An SOA record: where something begins or ends."""
        serial = soa_numbers(record[3])[0]
        if self.mode is Mode.START:
            self.soa, self.serial, self.mode = record, serial, Mode.FIRST
        elif self.mode is Mode.FIRST and self.have is not None and serial == self.have != self.serial:
            self.mode = Mode.DELETED
        elif self.mode is Mode.DELETED:
            self.mode, self.at_serial = Mode.ADDED, serial
        elif self.mode is Mode.ADDED and serial == self.at_serial != self.serial:
            self.mode = Mode.DELETED
        elif record[3] == self.soa[3] and (self.mode is Mode.WHOLE or self.at_serial == self.serial):
            self.done = True
        else:
            raise TransferError(f"an SOA record with serial {serial} where none can be; the zone changed meanwhile?")

    def change(self, record: Record, undone: set[Record], done: set[Record]) -> None:
        """A record of differences."""
        if record in undone:
            undone.remove(record)
        elif record in done:
            raise TransferError(f"{shown(record[0])}: the differences delete or add a record twice")
        else:
            done.add(record)
        if len(done) > MAX_DIFFERENCES:
            raise TransferError(f"more than {MAX_DIFFERENCES:,} records of differences")

    def digested(self, wire: bytes, head: Header, first: bool) -> None:
        """Add a message's records to the digest. Only of messages packed as ours are it is of any use."""
        start, end = head.start, len(wire)
        if first and wire.startswith(POINTER, start):
            length = int.from_bytes(wire[start + FIXED - 2 : start + FIXED], "big")
            self.packed_soa = wire[start : start + FIXED + length]
            start += len(self.packed_soa)
        if self.done and self.packed_soa and wire.endswith(self.packed_soa):
            end -= len(self.packed_soa)
        self.digest.update(memoryview(wire)[start:end])


def digest_in(data: bytes) -> bytes:
    """The digest of a ZONEMD record of the kind that we make; of another: none."""
    return data[ZONEMD_FIXED:] if data[4:ZONEMD_FIXED] == ZONEMD_SIMPLE_SHA384 else b""


def kept(spool: IO[bytes]) -> Iterator[bytes]:
    """The messages in a transfer's file."""
    spool.seek(0)
    while head := spool.read(LENGTH):
        yield spool.read(int.from_bytes(head, "big"))
