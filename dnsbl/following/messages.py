"""Transfer messages (RFC 5936) taken apart. Every octet is a stranger's: what cannot be read, or is not in the zone,
is refused with TransferError, and nothing here takes longer than the message is.

A record comes as (owner, type, TTL, data). The owner is on the wire without the origin, lower case: b"" is the origin
itself. Data are as they came, but for the names in NS, CNAME, PTR and SOA, which are written out, lower case.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import TransferError

__all__ = [
    "HEADER_SIZE", "SOA", "TXT", "A", "Header", "Record", "header", "name_at", "question", "rcode_name", "records",
    "soa_numbers",
]  # fmt: skip

A, NS, CNAME, SOA, PTR, TXT = 1, 2, 5, 6, 12, 16
IN = 1
HEADER_SIZE = 12
MAX_NAME = 255  # octets on the wire; RFC 1035 section 3.1
MAX_LABEL = 63
MAX_HOPS = 127  # pointers in one name: no more than it can have labels
POINTER = 0xC0
NAMES = {NS: 1, CNAME: 1, PTR: 1, SOA: 2}  # types whose data begin with names, and how many
RCODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}

FIXED = struct.Struct("!HHIH")
HEAD = struct.Struct("!HHHHHH")
SOA_NUMBERS = struct.Struct("!IIIII")

Record = tuple[bytes, int, int, bytes]


class Header(NamedTuple):
    """What a reply's header says, and where its answers begin."""

    rcode: int
    answers: int
    truncated: bool
    start: int


def question(id: int, origin: bytes, qtype: int) -> bytes:
    """A query without more. `origin` on the wire."""
    return HEAD.pack(id, 0, 1, 0, 0, 0) + origin + struct.pack("!HH", qtype, IN)


def header(wire: bytes, id: int, origin: bytes, qtype: int) -> Header:
    """The header of a reply to that question. Raises TransferError where it is none."""
    if len(wire) < HEADER_SIZE:
        raise TransferError(f"a message of {len(wire)} octets is no DNS message")
    found, flags, questions, answers, _, _ = HEAD.unpack_from(wire)
    if found != id or not flags & 0x8000 or flags & 0x7800:
        raise TransferError("a message that is no reply to what was asked")
    start = HEADER_SIZE
    if questions:
        asked = origin + struct.pack("!HH", qtype, IN)
        start += len(asked)
        if questions != 1 or wire[HEADER_SIZE:start].lower() != asked.lower():
            raise TransferError("a reply to another question")
    return Header(flags & 0xF, answers, bool(flags & 0x0200), start)


def rcode_name(rcode: int) -> str:
    return RCODES.get(rcode, f"rcode {rcode}")


def records(wire: bytes, start: int, count: int, origin: bytes) -> Iterator[Record]:
    """The answers of a message, in turn. `origin` on the wire, lower case. Raises TransferError."""
    suffixes: dict[int, bytes] = {}  # what pointers point to, without the origin
    unpack, end, room = FIXED.unpack_from, len(wire), MAX_NAME - len(origin)
    at = start
    try:
        for _ in range(count):
            begin = at
            while 0 < (size := wire[at]) <= MAX_LABEL:
                at += size + 1
            above = suffixes.get((size & 0x3F) << 8 | wire[at + 1]) if size >= POINTER else None
            if above is not None:
                owner = wire[begin:at].lower() + above
                at += 2
            else:
                owner, at = other_owner(wire, begin, at, origin, suffixes)
            rtype, rclass, ttl, length = unpack(wire, at)
            at += FIXED.size + length
            if at > end or rclass != IN or len(owner) > room:
                raise TransferError("a record that is cut, of another class than IN, or with too long a name")
            data = wire[at - length : at]
            yield owner, rtype, ttl, data if rtype not in NAMES else written_out(wire, at - length, at, NAMES[rtype])
    except (IndexError, struct.error) as error:
        raise TransferError("a message that ends within a record") from error


def other_owner(wire: bytes, begin: int, at: int, origin: bytes, suffixes: dict[int, bytes]) -> tuple[bytes, int]:
    """An owner that ends otherwise than those before, and where it ends. `at`: after its own labels."""
    name, end = name_at(wire, begin)
    owner = without(name, origin)
    if owner is None:
        raise TransferError("a record whose name is outside the zone")
    if wire[at] and len(owner) >= at - begin:  # not where the pointer leads to a part of the origin
        suffixes[(wire[at] & 0x3F) << 8 | wire[at + 1]] = owner[at - begin :]
    return owner, end


def name_at(wire: bytes, start: int) -> tuple[bytes, int]:
    """A name written out, lower case, and where it ends. Pointers lead back, each further than the one before (RFC 1035
    section 4.1.4). Raises TransferError, IndexError."""
    parts: list[bytes] = []
    at = first = start
    end = size = hops = 0
    while label := wire[at]:
        if label >= POINTER:
            end = end or at + 2
            at = (label & 0x3F) << 8 | wire[at + 1]
            hops += 1
            if not HEADER_SIZE <= at < first or hops > MAX_HOPS:
                raise TransferError("a name with a pointer that does not lead back, or with too many of them")
            first = at
            continue
        size += label + 1
        if label > MAX_LABEL or size >= MAX_NAME:
            raise TransferError("a name that is too long, or with a label of no known kind")
        parts.append(wire[at : at + label + 1])
        at += label + 1
    return b"".join(parts).lower() + b"\0", end or at + 1


def without(name: bytes, origin: bytes) -> bytes | None:
    """A name without the origin it ends in; None where it does not."""
    cut = len(name) - len(origin)
    at = 0
    while at < cut:
        at += name[at] + 1
    return name[:cut] if at == cut and name[cut:] == origin else None


def written_out(wire: bytes, at: int, end: int, names: int) -> bytes:
    """Data that begin with names."""
    parts = []
    for _ in range(names):
        name, at = name_at(wire, at)
        parts.append(name)
    if at > end:
        raise TransferError("a record whose data end within a name")
    return b"".join(parts) + wire[at:end]


def soa_numbers(data: bytes) -> tuple[int, int, int, int, int]:
    """Serial, refresh, retry, expire, minimum of an SOA's data. Raises TransferError."""
    names, numbers = data[: -SOA_NUMBERS.size], data[-SOA_NUMBERS.size :]
    if not names or len(numbers) != SOA_NUMBERS.size:
        raise TransferError("an SOA record that is cut")
    serial, refresh, retry, expire, minimum = SOA_NUMBERS.unpack(numbers)
    return serial, refresh, retry, expire, minimum
