"""A zone that ends (RFC 6471 section 3.4) lists nothing, in its snapshot and wherever it goes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import dns.name
import dns.wire
import pytest
from dns import rdatatype
from dns.rdata import from_wire_parser
from worlds import DOMAIN, IP, World, world

from dnsbl.config import ZoneDef
from dnsbl.zones.contents import contents
from dnsbl.zones.export import FORMATS, export
from dnsbl.zones.publish import Publisher
from dnsbl.zones.served import ServedZone
from dnsbl.zones.wire import zone_sections
from dnsbl.zones.zonemd import canonical

ENDS = {
    "u1": "192.0.2.1",
    "u2": "192.0.2.2",
    "u3": "192.0.2.3",
}


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def ended(w: World, zone: ZoneDef) -> ServedZone:
    """Publish a zone with listings, then its end."""
    subjects = [f"5.5.{number // 250}.{number % 250}" for number in range(1100)]
    w.listed(subjects if zone.kind == "ip" else ["bad.example"])
    w.settle()
    w.publish(zone.name)
    ending = ZoneDef.model_validate({**zone.model_dump(), "shutdown": True})
    assert Publisher(w.store, ending, w.directory).publish(w.exemptions(), w.now) is not None
    return w.served(zone.name)


@pytest.mark.parametrize("zone", [IP, DOMAIN], ids=lambda zone: zone.kind)
def test_nothing_is_listed_test_points_neither(w, zone):
    """1,100 listings leave at once, which no check may stop: the operator has said so."""
    view = ended(w, zone)
    assert not view.any4(0, 2**32 - 1)
    assert not view.any6(0, 2**128 - 1)
    assert view.lookup_name([b"test"]) == 0
    w.listed(["5.6.7.8", "worse.example"])
    w.settle()
    ending = ZoneDef.model_validate({**zone.model_dump(), "shutdown": True})
    Publisher(w.store, ending, w.directory).publish(w.exemptions(), w.now + 5)
    assert not w.served(zone.name).any4(0, 2**32 - 1)
    assert w.served(zone.name).lookup_name([b"example", b"worse"]) == 0


def test_transfers_carry_the_name_servers_addresses(w):
    view = ended(w, IP)
    found = set()
    origin = dns.name.from_text(view.zone.origin)
    for count, octets in zone_sections(view):
        question = origin.to_wire() + b"\0\6\0\1"
        parser = dns.wire.Parser(bytes(12) + question + octets)
        parser.seek(12 + len(question))
        for _ in range(count):
            owner = dns.name.from_wire_parser(parser)
            rtype, rclass, ttl, length = parser.get_struct("!HHIH")
            with parser.restrict_to(length):
                data = from_wire_parser(rclass, rtype, parser)
            found.add((owner.relativize(origin).to_text(), rdatatype.to_text(rtype), ttl, data.to_text()))
    assert {row for row in found if row[1] == "A"} == {
        (label, "A", 604_800, address) for label, address in ENDS.items()
    }
    assert {row[3] for row in found if row[1] == "NS"} == {f"{label}.{view.zone.origin}." for label in ENDS}
    owner = b"\2u1" + origin.to_wire() + struct.pack("!HHIH", 1, 1, 604_800, 4) + bytes((192, 0, 2, 1))
    assert owner in b"".join(canonical(contents(view)))


def test_no_file_for_others_lists_anything(w):
    view = ended(w, IP)
    for name, format in FORMATS.items():
        if "ip" in format.kinds:
            assert b"5.5.0" not in b"".join(export(view, name)), name
    assert b"ip.example is shut down" in b"".join(export(view, "cidr"))
