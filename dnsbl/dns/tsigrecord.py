"""The TSIG record (RFC 8945 section 4): read, taken off, put on, and the MACs over what it signs. Pure.

Untrusted: every message that is read. Nothing here says whether it is to be believed; `tsig` does.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import TsigError

__all__ = [
    "FUDGE", "Key", "Record", "find", "legal", "mac_of", "started", "timers", "unsigned", "variables", "wire_name",
    "with_record", "without",
]  # fmt: skip

FUDGE = 300  # seconds that two clocks may differ; RFC 8945 section 10
LEAST_MAC = 10  # octets; RFC 8945 section 5.2.2.1: and half of the whole MAC
MAX_NAME = 255  # RFC 1035 section 2.3.4
MAX_LABEL = 63
POINTER = 0xC0
HEADER_SIZE = 12
ARCOUNT = 10  # where it stands in the header
TSIG, ANY = 250, 255  # RFC 8945 section 4.2
ALGORITHMS = {"hmac-sha256": "sha256", "hmac-sha384": "sha384", "hmac-sha512": "sha512"}
SIZES = {"hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64}  # octets of a whole MAC
TIME_SIZE = 6  # octets: seconds since 1970 in 48 bits

COUNTS = struct.Struct("!4H")
QUESTION_SIZE = 4
RECORD = struct.Struct("!HHIH")
SIGNED = struct.Struct("!HIHH")  # time (16 and 32 bits), fudge, size of the MAC
LENGTH = struct.Struct("!H")
ENDING = struct.Struct("!HHH")  # original id, error, size of the other data


@dataclass(frozen=True, slots=True)
class Key:
    """A key shared with another server. `name` is on the wire, lower case; `algorithm` as in ALGORITHMS."""

    name: bytes
    algorithm: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.name!r}, {self.algorithm})"  # never its secret

    @property
    def room(self) -> int:
        """Octets of the record that signs a message, with the server's time as other data."""
        algorithm = len(self.algorithm) + 2
        return len(self.name) + RECORD.size + algorithm + SIGNED.size + SIZES[self.algorithm] + ENDING.size + TIME_SIZE


class Record(NamedTuple):
    """A TSIG record as it came."""

    start: int  # where it begins in the message
    name: bytes
    algorithm: bytes
    time: int
    fudge: int
    mac: bytes
    original_id: bytes
    error: int
    other: bytes

    def variables(self) -> bytes:
        """RFC 8945 section 4.3.3."""
        return variables(self.name, self.algorithm, self.time, self.fudge, self.error, self.other)


def wire_name(name: str) -> bytes:
    """A configured name on the wire, lower case."""
    labels = name.lower().encode("ascii").split(b".")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def find(wire: bytes) -> Record | None:
    """The TSIG record of a message; None where it has none. Raises TsigError for one that is malformed, or not the very
    last record."""
    try:
        questions, *records = COUNTS.unpack_from(wire, 4)
        at = HEADER_SIZE
        for _ in range(questions):
            at = skip_name(wire, at) + QUESTION_SIZE
        total = sum(records)
        for number in range(1, total + 1):
            start = at
            at = skip_name(wire, at)
            rtype, rclass, ttl, length = RECORD.unpack_from(wire, at)
            at += RECORD.size + length
            if rtype == TSIG:
                if number != total or not records[-1] or rclass != ANY or ttl or at > len(wire):
                    raise TsigError("a TSIG record that is not the last one, or no whole one (RFC 8945 section 5.2)")
                return read(wire, start, at - length, at)
    except (IndexError, struct.error) as error:
        raise TsigError("no whole DNS message") from error
    return None


def read(wire: bytes, start: int, at: int, end: int) -> Record:
    name = name_at(wire, start)
    algorithm = name_at(wire, at)
    at = skip_name(wire, at)
    high, low, fudge, size = SIGNED.unpack_from(wire, at)
    at += SIGNED.size
    mac = wire[at : at + size]
    at += size
    _, error, other = ENDING.unpack_from(wire, at)
    original = wire[at : at + 2]
    at += ENDING.size
    if at + other != end:
        raise TsigError("a TSIG record whose sizes do not fit (RFC 8945 section 4.2)")
    return Record(start, name, algorithm, high << 32 | low, fudge, mac, original, error, wire[at:end])


def skip_name(wire: bytes, at: int) -> int:
    """Where a name ends; a pointer ends it too (RFC 1035 section 4.1.4)."""
    while length := wire[at]:
        if length >= POINTER:
            return at + 2
        if length > MAX_LABEL:
            raise TsigError("no whole DNS message")
        at += 1 + length
    return at + 1


def name_at(wire: bytes, at: int) -> bytes:
    """A name written out, lower case. Each pointer leads backwards, so that they end."""
    found, limit = bytearray(), at
    while length := wire[at]:
        if length >= POINTER:
            at = (length & 0x3F) << 8 | wire[at + 1]
            if at >= limit:
                raise TsigError("no whole DNS message")
            limit = at
            continue
        if length > MAX_LABEL or len(found) + length + 2 > MAX_NAME:
            raise TsigError("no whole DNS message")
        found += wire[at : at + 1 + length]
        at += 1 + length
    return bytes(found).lower() + b"\0"  # a length octet is 63 at most: no letter


def without(wire: bytes, record: Record) -> bytes:
    """The message before the record was added; what comes behind it was never signed."""
    (count,) = LENGTH.unpack_from(wire, ARCOUNT)
    return wire[:ARCOUNT] + LENGTH.pack(count - 1) + wire[HEADER_SIZE : record.start]


def unsigned(message: bytes, record: Record) -> bytes:
    """The message as it was signed: with the id it had then (RFC 8945 section 4.3.2)."""
    return record.original_id + message[2:]


def with_record(
    message: bytes, name: bytes, algorithm: bytes, time: int, fudge: int, mac: bytes, error: int, other: bytes = b""
) -> bytes:
    """A message and its TSIG record (RFC 8945 section 4.2)."""
    (count,) = LENGTH.unpack_from(message, ARCOUNT)
    data = algorithm + SIGNED.pack(time >> 32, time & 0xFFFFFFFF, fudge, len(mac)) + mac + message[:2]
    data += struct.pack("!HH", error, len(other)) + other
    head = message[:ARCOUNT] + LENGTH.pack(count + 1)
    return head + message[HEADER_SIZE:] + name + RECORD.pack(TSIG, ANY, 0, len(data)) + data


def legal(mac: bytes, key: Key) -> bool:
    """Whether a MAC may have this length (RFC 8945 section 5.2.2.1)."""
    whole = SIZES[key.algorithm]
    return max(LEAST_MAC, whole // 2) <= len(mac) <= whole


def mac_of(key: Key, before: bytes, message: bytes, what: bytes) -> bytes:
    digest = started(key, before)
    digest.update(message)
    digest.update(what)
    return digest.digest()


def started(key: Key, before: bytes) -> hmac.HMAC:
    """A MAC begun with the one before it: of the request, or of the message before (sections 4.3.1, 5.3.1)."""
    digest = hmac.new(key.secret, digestmod=ALGORITHMS[key.algorithm])
    if before:
        digest.update(LENGTH.pack(len(before)) + before)
    return digest


def variables(name: bytes, algorithm: bytes, time: int, fudge: int, error: int, other: bytes) -> bytes:
    """RFC 8945 section 4.3.3."""
    head = name + struct.pack("!HI", ANY, 0) + algorithm
    return head + timers(time, fudge) + struct.pack("!HH", error, len(other)) + other


def timers(time: int, fudge: int) -> bytes:
    return struct.pack("!HIH", time >> 32, time & 0xFFFFFFFF, fudge)
