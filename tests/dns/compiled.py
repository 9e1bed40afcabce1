"""Zones as they are served: what `fake` describes in words, compiled to snapshot files, and both paths over them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path

import numpy as np
import pytest

from dnsbl import native
from dnsbl.config import DnsConfig, ZoneDef
from dnsbl.dns.answer import Answerer
from dnsbl.dns.native import Native
from dnsbl.zones import arrays, exact
from dnsbl.zones import names as naming
from dnsbl.zones.build import Answers, ip_arrays, no_ranges
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import GONE, Snapshot
from dnsbl.zones.table import Deep, Pieces, flatten, pieces

needs_native = pytest.mark.skipif(native.module is None, reason=f"the native path is {native.why}")

Networks = Mapping[str, Iterable[int]]
LOW64 = (1 << 64) - 1
SERIAL = 2026010100


def mask_of(codes: Iterable[int]) -> int:
    return sum(1 << code for code in set(codes))


def ranges(rows: Sequence[tuple[int, int, int]], empty_too: bool) -> Pieces:
    """Flat pieces; where `empty_too`, those without a code stay, as in a delta."""
    if not rows:
        return pieces([])
    table = Pieces(*(np.array(column, dtype=np.uint64) for column in zip(*sorted(rows), strict=True)))
    regions = flatten(Pieces(table.first, table.last, np.ones(len(table), dtype=np.uint64)), pieces([]))
    listed = table.where(table.mask != 0)
    return flatten(listed, pieces([]), regions if empty_too else None)


def compiled(
    zone: ZoneDef,
    networks: Networks | None = None,
    names: Networks | None = None,
    over: Networks | None = None,
    serial: int = SERIAL,
) -> ServedZone:
    """A zone that lists networks (in IPv6 up to a /64, or single pieces inside one) or names. `over` is a delta: what
    it says of a network or name holds instead, and no codes take it away."""
    answers = Answers(zone)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        base = written(path / "1.base", zone, answers, networks or {}, names or {}, serial)
        if over is None:
            return ServedZone(base)
        everything = {**(networks or {}), **over} if zone.kind == "ip" else {}
        changed = (over, {}) if zone.kind == "ip" else ({}, over)
        return ServedZone(base, written(path / "2.delta", zone, answers, *changed, serial, everything, True))


def written(
    path: Path, zone: ZoneDef, answers: Answers, networks: Networks, names: Networks, serial: int,
    everything: Networks | None = None, delta: bool = False,
) -> Snapshot:  # fmt: skip
    if zone.kind != "ip":
        found = name_values(names, answers, delta)
        parts = {**no_ranges(answers), **naming.index(found)}
    else:
        parts = ip_parts(networks, everything or networks, answers, delta)
    meta = {
        "zone": zone.model_dump(mode="json", exclude_unset=True), "serial": serial, "seq": 1,
        "answers": answers.lists(), "listings": 0,
    }  # fmt: skip
    arrays.write(path, meta, parts)
    return Snapshot(path)


def name_values(names: Networks, answers: Answers, delta: bool) -> dict[bytes, int]:
    masks = {b".".join(reversed(name.encode().split(b"."))): mask_of(codes) for name, codes in names.items()}
    listed = {name: mask for name, mask in masks.items() if mask}
    found = exact.values(listed, answers.id) if answers.zone.exact else naming.values(listed, [], answers.id)
    gone = {name: GONE for name, mask in masks.items() if not mask} if delta else {}
    return {**gone, **found}


def ip_parts(networks: Networks, everything: Networks, answers: Answers, delta: bool) -> arrays.Arrays:
    rows: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
    for text, codes in networks.items():
        network = ip_network(text)
        if network.version == 4:
            rows[4].append((int(network[0]), int(network[-1]), mask_of(codes)))
        elif network.prefixlen <= 64:
            rows[6].append((int(network[0]) >> 64, int(network[-1]) >> 64, mask_of(codes)))
    narrow = []
    for text, codes in everything.items():
        network = ip_network(text)
        if network.version == 6 and network.prefixlen > 64 and mask_of(codes):
            low, high = int(network[0]), int(network[-1])
            narrow.append(Deep(low >> 64, low & LOW64, high & LOW64, mask_of(codes)))
    narrow.sort(key=lambda piece: (piece.upper, piece.first))
    return ip_arrays(ranges(rows[4], delta), ranges(rows[6], delta), narrow, answers)


def over(answerer: Answerer) -> Native:
    """The native path over an answerer of fake views, which are compiled first."""
    views = [served.view for served in answerer.zones.by_labels.values()]
    answerer.replace([compiled(view.zone, *view.given, serial=view.serial) for view in views])
    made = Native(native.module, answerer)
    made.replace()
    return made


def both(views: Sequence[ServedZone], clock: float = 1_559_734_385, **settings: object) -> Native:
    """The native path over the Python path, which is its `answerer`."""
    answerer = Answerer(views, DnsConfig.model_validate(settings), clock=lambda: clock)
    made = Native(native.module, answerer)
    made.replace()
    return made
