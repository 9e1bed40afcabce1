"""A zone's records as bytes, packed once when a zone is put in place, as rbldnsd does: answering is then joining.

Everything is packed by dnslib. A record without its owner ("tail": type, class, TTL, length, data) fits any
message whose names inside are written out; the owner in front is a pointer into the echoed question (RFC 1035
section 4.1.4). The records of an apex are packed against the question they answer, so their names compress.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dnslib import AAAA, NS, QTYPE, RD, RR, SOA, TXT, A, DNSBuffer, DNSLabel, DNSQuestion, DNSRecord

from .. import config
from ..config import ZoneDef
from .message import Qclass, Qtype

__all__ = [
    "TO_QUESTION", "RecordSet", "apex_sets", "code_record", "code_records", "fill", "negative_soa", "template",
    "txt_record",
]  # fmt: skip

RecordSet = tuple[int, bytes]  # how many records, and their bytes

TO_QUESTION = b"\xc0\x0c"  # the owner is the name asked for: a pointer to what follows the header
MAX_STRING = 255  # RFC 1035 section 3.3
MAX_TEXT = 4096  # octets: only a template that repeats a long name many times gets there


def tail(rtype: int, ttl: int, rdata: RD, rclass: int = Qclass.IN) -> bytes:
    """A record without its owner. `rdata` holds no compressed names."""
    buffer = DNSBuffer()
    RR(DNSLabel([]), rtype, rclass, ttl, rdata).pack(buffer)
    return bytes(buffer.data[1:])  # the root, as owner, is one octet


def label(name: str) -> DNSLabel:
    """A configured name; as labels, which keeps dnslib from treating it as a text to be internationalised."""
    return DNSLabel(name.encode("ascii").split(b"."))


def code_records(zone: ZoneDef) -> list[bytes]:
    """The A record of each code."""
    return [code_record(code.code, zone.ttl) for code in zone.codes]


def code_record(code: str, ttl: int) -> bytes:
    """An A record, owned by the name asked for."""
    return TO_QUESTION + tail(QTYPE.A, ttl, A(code))


def txt_record(text: bytes, ttl: int, rclass: int = Qclass.IN) -> bytes:
    """One TXT record, owned by the name asked for; a long text becomes several strings (RFC 1035 section 3.3.14)."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT].decode("utf-8", "ignore").encode("utf-8")
    strings = [text[at : at + MAX_STRING] for at in range(0, len(text), MAX_STRING)] or [b""]
    return TO_QUESTION + tail(QTYPE.TXT, ttl, TXT(strings), rclass)


def template(text: str) -> tuple[bytes, ...]:
    """`config.template` in the bytes that go on the wire."""
    return tuple(piece.encode("utf-8") for piece in config.template(text))


def fill(pieces: Sequence[bytes], subject: bytes) -> bytes:
    return subject.join(pieces)


def negative_soa(zone: ZoneDef, serial: int) -> bytes:
    """The SOA that goes with NXDOMAIN and NODATA, without its owner: its TTL is how long a resolver may remember
    that there is nothing (RFC 2308 section 3). Names are written out, since the owner's place moves."""
    data = DNSBuffer()
    data.encode_name_nocompress(label(zone.mname))
    data.encode_name_nocompress(label(zone.soa.rname))
    data.pack("!IIIII", *soa_numbers(zone, serial))
    return tail(QTYPE.SOA, min(zone.soa.ttl, zone.soa.minimum), RD(bytes(data.data)))


def soa_numbers(zone: ZoneDef, serial: int) -> tuple[int, int, int, int, int]:
    return serial & 0xFFFFFFFF, zone.soa.refresh, zone.soa.retry, zone.soa.expire, zone.soa.minimum


def apex_sets(zone: ZoneDef, serial: int) -> dict[int, RecordSet]:
    """The record sets at the origin by type."""
    soa = SOA(label(zone.mname), label(zone.soa.rname), soa_numbers(zone, serial))
    sets: dict[int, RecordSet] = {
        Qtype.SOA: apex_set(zone, QTYPE.SOA, zone.soa.ttl, [soa]),
        Qtype.NS: apex_set(zone, QTYPE.NS, zone.ns_ttl, (NS(label(name)) for name in dict.fromkeys(zone.ns))),
    }
    others: dict[int, list[RD]] = {
        Qtype.A: [A(str(address)) for address in zone.apex.a],
        Qtype.AAAA: [AAAA(str(address)) for address in zone.apex.aaaa],
    }
    for rtype, rdata in others.items():
        if rdata:
            sets[rtype] = apex_set(zone, rtype, zone.ttl, rdata)
    if zone.apex.txt:
        records = [txt_record(text.encode("utf-8"), zone.ttl) for text in zone.apex.txt]
        sets[Qtype.TXT] = len(records), b"".join(records)
    return sets


def apex_set(zone: ZoneDef, rtype: int, ttl: int, rdata: Iterable[RD]) -> RecordSet:
    """Records at the origin as they stand after a question for the origin: packed there, then cut out."""
    origin = label(zone.origin)
    question = DNSQuestion(origin, rtype)
    records = [RR(origin, rtype, Qclass.IN, ttl, data) for data in rdata]
    message = DNSRecord(q=question, rr=records).pack()
    return len(records), bytes(message[len(DNSRecord(q=question).pack()) :])
