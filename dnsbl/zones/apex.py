"""The records at a zone's origin, as octets: type, TTL and data of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from struct import pack

from ..config import ZoneDef
from .packed import TXT, A, text_data, wire_name

__all__ = ["NS", "SHA384", "SIMPLE", "SOA", "Record", "apex_records", "host_records", "soa", "zonemd_record"]

NS, SOA, AAAA, ZONEMD = 2, 6, 28, 63
SIMPLE, SHA384 = 1, 1  # RFC 8976 sections 5.2 and 5.3

Record = tuple[int, int, bytes]  # type, TTL, data


def soa(zone: ZoneDef, serial: int) -> Record:
    own = zone.soa
    numbers = pack("!IIIII", serial, own.refresh, own.retry, own.expire, own.minimum)
    return SOA, own.ttl, name_data(zone.mname) + name_data(own.rname) + numbers


def apex_records(zone: ZoneDef, serial: int, zonemd: bytes) -> Iterator[Record]:
    """All but the SOA, none twice. `zonemd`: the digest; empty where there is none."""
    for name in {name.lower(): name for name in zone.ns}.values():
        yield NS, zone.ns_ttl, name_data(name)
    for address4 in dict.fromkeys(zone.apex.a):
        yield A, zone.ttl, address4.packed
    for address6 in dict.fromkeys(zone.apex.aaaa):
        yield AAAA, zone.ttl, address6.packed
    for text in dict.fromkeys(zone.apex.txt):
        yield TXT, zone.ttl, text_data([text.encode("utf-8")], 0)[1]
    if zonemd:
        yield zonemd_record(zone, serial, zonemd)


def host_records(zone: ZoneDef) -> Iterator[tuple[bytes, Record]]:
    """The label and the record of each name server of a zone that ends, in canonical order; other zones have none."""
    for label, address in sorted(zone.hosts.items()):
        yield label.encode("ascii"), (A, zone.ns_ttl, IPv4Address(address).packed)


def zonemd_record(zone: ZoneDef, serial: int, digest: bytes) -> Record:
    """RFC 8976 section 2.2; the TTL is the SOA's (section 3.1)."""
    return ZONEMD, zone.soa.ttl, pack("!IBB", serial, SIMPLE, SHA384) + digest


def name_data(name: str) -> bytes:
    """A name in the data of a record, written out."""
    return wire_name(name) + b"\0"
