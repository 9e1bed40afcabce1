"""Records as dnspython reads them, from a master file and from sections of a transfer: (owner, type, TTL, data)."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable

import dns.message
import dns.name
import dns.rdatatype
import dns.zone

from dnsbl.zones.contents import Contents
from dnsbl.zones.export.bind import lines
from dnsbl.zones.wire import Section

ORIGIN = b"\xc0\x0c"
Record = tuple[str, str, int, str]
MESSAGE = 65_535


def file_zone(held: Contents) -> dns.zone.Zone:
    """The master file of some contents."""
    return dns.zone.from_text("".join(lines(held)), held.zone.origin, relativize=False)


def file_records(held: Contents) -> set[Record]:
    """The records of the master file but the SOA."""
    return {
        (str(owner), dns.rdatatype.to_text(data.rdtype), ttl, data.to_text())
        for owner, ttl, data in file_zone(held).iterate_rdatas()
        if data.rdtype != dns.rdatatype.SOA
    }


def wire_records(origin: str, sections: Iterable[Section]) -> set[Record]:
    """The records of sections, each as the answer of a message; none is there twice."""
    found: Counter[Record] = Counter()
    name = dns.name.from_text(origin).to_wire()
    for count, octets in sections:
        message = struct.pack("!HHHHHH", 1, 0x8400, 1, count, 0, 0) + name + struct.pack("!HH", 252, 1) + octets
        assert count > 0 and len(message) < MESSAGE
        parsed = dns.message.from_wire(message, one_rr_per_rrset=True)
        assert len(parsed.answer) == count
        for one in parsed.answer:
            found[str(one.name), dns.rdatatype.to_text(one.rdtype), one.ttl, one[0].to_text()] += 1
    assert not [record for record, times in found.items() if times > 1]
    return set(found)


def raw_records(sections: Iterable[Section]) -> set[bytes]:
    """The records of sections as octets, of which none is there twice."""
    found: list[bytes] = []
    for count, octets in sections:
        start, before = 0, len(found)
        while start < len(octets):
            at = start
            while octets[at : at + 2] != ORIGIN:
                at += 1 + octets[at]
            end = at + 12 + int.from_bytes(octets[at + 10 : at + 12], "big")
            found.append(octets[start:end])
            start = end
        assert start == len(octets) and len(found) - before == count
    assert len(set(found)) == len(found)
    return set(found)
