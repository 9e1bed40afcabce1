"""The catalog zone (RFC 9432): which zones there are, so that secondaries take and drop them by themselves.

    data_dir/catalog.json      {"origin": …, "serial": …, "members": [origin, …]}

The file holds what was last told, so that the serial rises when membership changes, and only then, across restarts. A
member's unique label is a hash of its origin: it stays while the member does, and a zone that comes back is the same
(section 4.1). Lost, the serial begins at the time of day, which is later than any before.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from ..files import replacing
from .message import HEADER_SIZE, Qclass, Qtype, Query, Rcode
from .records import RecordSet
from .tsig import wire_name

__all__ = ["Catalog", "kept"]

log = logging.getLogger("dnsbl.dns")

TTL = 0  # RFC 9432 section 4.2: nobody caches it
PTR = 12
LABEL_DIGITS = 32  # hex digits of a member's unique label: 128 bits
VERSION = b"\x012"  # RFC 9432 section 4.2.1, as a string of TXT
TO_QUESTION = b"\xc0\x0c"
INVALID = wire_name("invalid")  # RFC 9432 section 4.2: who serves a catalog is nobody's business
NUMBERS = (300, 60, 2_147_483_646, 0)  # refresh, retry, expire, minimum: seconds; it should not expire
RECORD = struct.Struct("!HHIH")


class Catalog:
    """The catalog at one serial. `members` are origins."""

    def __init__(self, origin: str, serial: int, members: Iterable[str]) -> None:
        self.origin, self.serial = origin.lower(), serial
        self.members = sorted(members)
        self.labels = self.origin.encode("ascii").split(b".")
        self.sets = dict(self.names())
        self.between = {path[number:] for path in self.sets for number in range(1, len(path))} - self.sets.keys()

    def holds(self, labels: list[bytes]) -> bool:
        return labels[-len(self.labels) :] == self.labels

    def names(self) -> Iterator[tuple[tuple[bytes, ...], dict[int, bytes]]]:
        """Each name below the origin, by its labels, with its record data by type."""
        yield (), {Qtype.SOA: self.soa_data(), Qtype.NS: INVALID}
        yield (b"version",), {Qtype.TXT: VERSION}
        for member in self.members:
            label = hashlib.sha256(member.encode("ascii")).hexdigest()[:LABEL_DIGITS]
            yield (label.encode("ascii"), b"zones"), {PTR: wire_name(member)}

    def soa_data(self) -> bytes:
        return INVALID + INVALID + struct.pack("!5I", self.serial, *NUMBERS)

    def soa(self) -> RecordSet:
        """The SOA, owned by the name asked for, which is the origin."""
        return 1, TO_QUESTION + record(Qtype.SOA, self.soa_data())

    def find(self, query: Query) -> tuple[Rcode, int, int, bytes]:
        """Rcode, number of answers and of authorities, and these records."""
        path = tuple(query.labels[: -len(self.labels)])
        found = self.sets.get(path)
        wanted = {query.qtype} if query.qtype != Qtype.ANY else set(list(found or ())[:1])  # RFC 8482 section 4.1
        if found and (kinds := wanted & found.keys()):
            (kind,) = kinds
            return Rcode.NOERROR, 1, 0, TO_QUESTION + record(kind, found[kind])
        at = 0xC000 | HEADER_SIZE + query.name_size - len(self.origin) - 2
        soa = at.to_bytes(2, "big") + record(Qtype.SOA, self.soa_data())
        there = found is not None or path in self.between
        return Rcode.NOERROR if there else Rcode.NXDOMAIN, 0, 1, soa

    def sections(self) -> list[RecordSet]:
        """All records of a transfer, the SOA first and last, each by itself."""
        made = []
        for path, found in self.sets.items():
            owner = b"".join(bytes((len(label),)) + label for label in path) + TO_QUESTION
            made += [(1, owner + record(kind, data)) for kind, data in found.items()]
        return [*made, self.soa()]


def record(kind: int, data: bytes) -> bytes:
    """A record without its owner."""
    return RECORD.pack(kind, Qclass.IN, TTL, len(data)) + data


def kept(path: Path, origin: str, members: Iterable[str]) -> Catalog:
    """The catalog with these members: as it was told last, or with a new serial where they are others. What cannot be
    kept is told all the same."""
    wanted = sorted(members)
    try:
        told = orjson.loads(path.read_bytes())
        serial = int(told["serial"]) & 0xFFFFFFFF
        if told["origin"] == origin and told["members"] == wanted:
            return Catalog(origin, serial, wanted)
    except (OSError, ValueError, KeyError, TypeError):
        serial = 0  # there is none yet, or it is not readable: it is written anew
    serial = max(serial + 1, int(time.time())) & 0xFFFFFFFF
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(orjson.dumps({"origin": origin, "serial": serial, "members": wanted}))
    except OSError as error:
        log.error("%s cannot be written (%s); the catalog zone is told with a new serial at each start", path, error)
    return Catalog(origin, serial, wanted)
