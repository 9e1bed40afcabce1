"""Transfers as a server like ours sends them, without a server: the messages of a zone, and of differences; and a
follower that takes them from a world of tests/zones."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from dnsbl.config import ZoneDef
from dnsbl.errors import TransferError
from dnsbl.following.asking import Line, Primary
from dnsbl.following.taking import Taking
from dnsbl.following.transfer import AXFR, origin_of
from dnsbl.zones.difference import difference
from dnsbl.zones.served import ServedZone
from dnsbl.zones.wire import Section, soa_record, step_sections, zone_sections


def message(zone: ZoneDef, id: int, qtype: int, sections: Iterable[Section]) -> bytes:
    found = list(sections)
    head = struct.pack("!HHHHHH", id, 0x8400, 1, sum(count for count, _ in found), 0, 0)
    return head + origin_of(zone) + struct.pack("!HH", qtype, 1) + b"".join(packed for _, packed in found)


def whole(view: ServedZone, id: int, qtype: int = AXFR) -> Iterator[bytes]:
    """AXFR, or IXFR answered by all of the zone."""
    soa = (1, soa_record(view.zone, view.serial))
    yield message(view.zone, id, qtype, [soa])
    for section in zone_sections(view):
        yield message(view.zone, id, qtype, [section])
    yield message(view.zone, id, qtype, [soa])


def differences(steps: Iterable[tuple[ServedZone, ServedZone]], id: int, qtype: int) -> Iterator[bytes]:
    """IXFR, step by step."""
    pairs = list(steps)
    zone, last = pairs[-1][1].zone, (1, soa_record(pairs[-1][1].zone, pairs[-1][1].serial))
    yield message(zone, id, qtype, [last])
    for old, new in pairs:
        removed, added, _ = step_sections(difference(old, new))
        yield message(zone, id, qtype, [(1, soa_record(zone, old.serial))])
        for section in removed:
            yield message(zone, id, qtype, [section])
        yield message(zone, id, qtype, [(1, soa_record(zone, new.serial))])
        for section in added:
            yield message(zone, id, qtype, [section])
    yield message(zone, id, qtype, [last])


class FakeLine(Line):
    """What a primary says, made here. `views`: its serials, the newest last."""

    def __init__(self, views: list[ServedZone]) -> None:
        super().__init__()
        self.views = views
        self.asked: list[int] = []
        self.altered: Callable[[bytes], bytes] = lambda wire: wire

    def serial(self, primary: Primary, origin: bytes) -> int:
        return self.views[-1].serial

    def transfer(self, primary: Primary, query: bytes, take: Callable[[bytes], bool]) -> None:
        id, qtype = struct.unpack("!H", query[:2])[0], query[12 + len(origin_of(self.views[-1].zone)) + 1]
        self.asked.append(qtype)
        for wire in self.messages(id, qtype, query):
            if take(self.altered(wire)):
                return
        raise TransferError("cut")

    def messages(self, id: int, qtype: int, query: bytes) -> Iterator[bytes]:
        if qtype != AXFR:
            have = struct.unpack("!I", query[-20:-16])[0]
            known = [number for number, view in enumerate(self.views) if view.serial == have]
            if known:
                later = self.views[known[0] :]
                return differences(pairwise(later), id, qtype)
        return whole(self.views[-1], id, qtype)


def taking(zone: ZoneDef, directory: Path, views: list[ServedZone]) -> tuple[Taking, FakeLine]:
    taker = Taking(zone, directory, [Primary("192.0.2.1", 53)])
    taker.line = line = FakeLine(views)
    return taker, line
