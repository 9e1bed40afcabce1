"""Bundled zones, built here as the server does: from real lists, or of a few subjects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dnsbl import config, subjects
from dnsbl.config import ZoneDef
from dnsbl.errors import SubjectError
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.store import Exemption, Store, open_store
from dnsbl.zones.publish import Publisher, zone_directory
from dnsbl.zones.served import ServedZone, read_pointer

__all__ = ["DATA", "EXEMPT_NAMES", "build", "small"]

DATA = Path(os.environ.get("DNSBL_DATA", Path(__file__).parents[3] / "shared/data")) / "lists"
NOW = 1_790_000_000

# Networks that meet the other family's names in a zone file, and names with something below.
EXTRA = ["2.0.0.0/24", "2.4.0.0/15", "2.1.2.0/23", "2001:1000::/28", "2000:7::/32", "200e:5:6:7::/64", "2100::/24"]
EXTRA_NAMES = ["shop.example", "deep.in.shop.example", "a.b.c.other.example", "x-y.shop.example", "_u.under.example"]
EXEMPT = ["2.4.7.0/24", "2.4.0.77", "2000:7:1::/48", "200e:5:6:7::99", "200e:5:6:7:8000::/72"]
EXEMPT_NAMES = ["ok.shop.example", "fine.way.down.shop.example"]


def small(directory: Path, listed: dict[str, list[str]]) -> dict[str, ServedZone]:
    """The bundled zones with a few subjects by category."""
    (directory / "dnsbl.toml").write_text('data_dir = "data"\n')
    settings = config.load(directory / "dnsbl.toml")
    store = open_store(settings.config)
    try:
        for category, texts in listed.items():
            source = store.source(category, "import", trust=0.9)
            store.replace_entries(source.id, {subjects.parse(text): 9 for text in texts}, {}, category, NOW)
        return published(store, settings.zones, settings.config.data_dir)
    finally:
        store.close()


def build(directory: Path) -> dict[str, ServedZone]:
    (directory / "dnsbl.toml").write_text('data_dir = "data"\n')
    settings = config.load(directory / "dnsbl.toml")
    zones = {name: settings.zones[name] for name in ("ip", "domain")}
    store = open_store(settings.config)
    try:
        lists = {
            "spam": [*read("ipsum-2026-08-22.txt"), *keys(EXTRA_NAMES)],
            "dynamic": [*thinned(read("dynamic-nets.txt")), *keys(EXTRA)],
            "malware": read("urlhaus-domains.txt"),
            "disposable": read("disposable-email-domains.txt"),
        }
        for category, listed in lists.items():
            source = store.source(category, "import", trust=0.9)
            store.replace_entries(source.id, dict.fromkeys(listed, 9), {}, category, NOW)
        for subject in [*keys(EXEMPT), *keys(EXEMPT_NAMES), *cuts(lists["dynamic"])]:
            store.add_exemption(Exemption(subject, "a hole", "operator", "", NOW))
        return published(store, zones, settings.config.data_dir)
    finally:
        store.close()


def keys(texts: Sequence[str]) -> list[bytes]:
    return [subjects.parse(text) for text in texts]


def read(file: str) -> list[bytes]:
    found = []
    for line in (DATA / file).read_text().splitlines():
        try:
            found.append(subjects.parse(line.split()[0] if line else ""))
        except SubjectError:
            continue
    return found


def thinned(networks: list[bytes]) -> list[bytes]:
    """All of IPv6, and of IPv4 as much as named loads in a few seconds."""
    return [key for number, key in enumerate(networks) if key[:1] == b"6" or number % 6 == 0]


def cuts(networks: list[bytes]) -> list[bytes]:
    """Holes inside every two hundredth network: an address of it, or its third quarter."""
    found = []
    for key in networks[::200]:
        version, first, prefix = subjects.network(key)
        size = 32 if version == 4 else 128
        narrow = size if len(found) % 2 else min(prefix + 2, size)
        number = first | (2 << (size - narrow) if narrow < size else 1 << (size - prefix) >> 1)
        found.append(key[:1] + number.to_bytes(size // 8, "big") + bytes((narrow,)))
    return found


def published(store: Store, zones: Mapping[str, ZoneDef], data_dir: Path) -> dict[str, ServedZone]:
    cache = ExemptionCache(store)
    sweep(store, zones, cache, NOW)
    made = {}
    for name, zone in zones.items():
        Publisher(store, zone, data_dir).publish(cache.get(NOW), NOW)
        pointer = read_pointer(zone_directory(data_dir, name))
        assert pointer is not None
        made[name] = pointer.open()
    return made
