"""Small worlds for the tests of zones: a store, two zones, a clock that is set by hand, and slow answers to compare
with. Nothing waits for a disk here: what survives a power cut is tested with the store and the publisher."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st

from dnsbl.config import ZoneDef
from dnsbl.model import Report
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.special import NEVER_LIST
from dnsbl.store import Exemption, SqliteStore
from dnsbl.subjects import ancestors, bounds, is_ip, parse, zone_name
from dnsbl.zones import arrays, exact
from dnsbl.zones.build import test_points as points_of
from dnsbl.zones.publish import Published, Publisher, zone_directory
from dnsbl.zones.served import ServedZone, read_pointer

DAY = 86_400
START = 1_790_000_000
EXAMPLES = int(os.environ.get("DNSBL_EXAMPLES", "1"))  # how many times as many examples as usual

CODES = [
    {"code": "127.0.0.2", "categories": ["spam"]},
    {"code": "127.0.0.4", "categories": ["malware"]},
    {"code": "127.0.0.10", "categories": ["dynamic"]},
]


def zone(name: str, kind: str, **more: object) -> ZoneDef:
    settings = {
        "name": name,
        "kind": kind,
        "origin": f"{name}.example",
        "ns": ["ns1.example"],
        "codes": CODES,
        "policy": {"half_life": DAY},
    }
    return ZoneDef.model_validate(settings | more)


IP = zone("ip", "ip")
DOMAIN = zone("domain", "domain")
HASH = zone("hash", "hash")
PHONE = zone("phone", "e164")


class World:
    """Events go in; `settle` decides; `publish` and `fresh` give zones to ask."""

    def __init__(self, directory: Path, zones: Iterable[ZoneDef] = (IP, DOMAIN)) -> None:
        self.directory = directory
        self.zones = {zone.name: zone for zone in zones}
        self.store = SqliteStore(directory / "store.sqlite")
        self.store.writer.execute("PRAGMA synchronous = OFF")
        self.operator = self.store.source("operator", "operator", trust=1.0).id
        self.list = self.store.source("list", "feed", trust=0.9).id
        self.cache = ExemptionCache(self.store)
        self.now = START
        self.publishers = {name: Publisher(self.store, zone, directory) for name, zone in self.zones.items()}

    def report(self, *subjects: str, category: str = "spam", reporter: str = "") -> None:
        reports = [Report(parse(subject), category, self.now, reporter) for subject in subjects]
        self.store.take_reports(self.operator, reports)

    def listed(self, subjects: Iterable[str], category: str = "spam") -> None:
        """The list's whole content."""
        self.store.replace_entries(self.list, {parse(subject): 1 for subject in subjects}, {}, category, self.now)

    def exempt(self, subject: str, zone: str = "", until: int | None = None, origin: str = "operator") -> None:
        self.store.add_exemption(Exemption(parse(subject), "a reason", origin, zone, self.now, until))

    def exemptions(self) -> Exemptions:
        return self.cache.get(self.now)

    def settle(self) -> int:
        return sweep(self.store, self.zones, self.cache, self.now)

    def publish(self, name: str, force: bool = False) -> Published | None:
        return self.publishers[name].publish(self.exemptions(), self.now, force)

    def served(self, name: str) -> ServedZone:
        pointer = read_pointer(zone_directory(self.directory, name))
        assert pointer is not None
        return pointer.open()

    def fresh(self, name: str) -> ServedZone:
        """The zone as a whole build makes it, in a directory that nothing was ever published to."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            elsewhere = Path(directory)
            Publisher(self.store, self.zones[name], elsewhere).publish(self.exemptions(), self.now)
            pointer = read_pointer(zone_directory(elsewhere, name))
            assert pointer is not None
            return pointer.open()

    # slow and plain

    def listings(self, name: str) -> dict[bytes, set[int]]:
        """The listing table: subject -> code numbers."""
        numbers = {code.code: number for number, code in enumerate(self.zones[name].codes)}
        chunks = self.store.listing_chunks(name, b"", b"\xff")
        return {subject: {numbers[code] for code in codes.split()} for rows in chunks for subject, codes in rows}

    def exempt_subjects(self, name: str) -> set[bytes]:
        """Every subject that is exempt in a zone at this second."""
        rows = [
            e.subject
            for e in self.store.exemptions()
            if e.zone in ("", name) and (e.until is None or e.until > self.now)
        ]
        return {*NEVER_LIST, *(rows if self.zones[name].policy.exempt else [])}

    def address_codes(self, name: str, mark: bytes, address: int) -> set[int]:
        """What an address is listed as, from the tables and nothing else."""
        point = address
        if mark == b"6" and address >> 32 == 0xFFFF:
            point = address & 0xFFFFFFFF
        if (mark == b"4" or address >> 32 == 0xFFFF) and point in points_of(self.zones[name]):
            mask = points_of(self.zones[name])[point]
            return {bit for bit in range(mask.bit_length()) if mask >> bit & 1}
        if any(holds(subject, mark, address) for subject in self.exempt_subjects(name)):
            return set()
        return set().union(*(c for subject, c in self.listings(name).items() if holds(subject, mark, address)))

    def name_codes(self, name: str, asked: str) -> set[int] | None:
        """What a name is listed as; None where it only stands above a listed one."""
        if asked == "test" or asked.endswith(".test"):
            raise AssertionError("the test names are asked elsewhere")
        exempt = self.exempt_subjects(name)
        listings = {s: c for s, c in self.listings(name).items() if exempt.isdisjoint(ancestors(s))}
        key = b"d" + ".".join(reversed(asked.split("."))).encode()
        if not exempt.isdisjoint(ancestors(key)):
            return set()
        codes = set().union(*(listings[above] for above in ancestors(key) if above in listings))
        if not codes and any(subject.startswith(key + b".") for subject in listings):
            return None
        return codes

    def exact_codes(self, name: str, asked: bytes) -> set[int] | None:
        """What a name of an exact zone is listed as, from the top label; None where it only stands above a listed
        one."""
        out = {*self.exempt_subjects(name), *exact.never_listed(self.zones[name])}
        listed = {zone_name(s): codes for s, codes in self.listings(name).items() if s not in out}
        for subject, mask in exact.test_points(self.zones[name]).items():
            listed[zone_name(subject)] = {bit for bit in range(mask.bit_length()) if mask >> bit & 1}
        if asked in listed:
            return listed[asked]
        return None if any(name.startswith(asked + b".") for name in listed) else set()


def holds(subject: bytes, mark: bytes, address: int) -> bool:
    if not is_ip(subject) or subject[:1] != mark:
        return False
    first, last = bounds(subject)
    return first <= address <= last


thresholds = st.sampled_from([1, arrays.BUCKETS_FROM])  # of small files: by bucket, or not


def bucketed(threshold: int) -> AbstractContextManager[object]:
    """Files written meanwhile keep so many singles or more by bucket."""
    return mock.patch.object(arrays, "BUCKETS_FROM", threshold)


@contextmanager
def world(zones: Iterable[ZoneDef] = (IP, DOMAIN)) -> Iterator[World]:
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-world-"))
    made = World(directory, zones)
    try:
        with mock.patch("os.fsync"):
            yield made
    finally:
        made.store.close()
        shutil.rmtree(directory)


def codes4(served: ServedZone, address: int) -> set[int]:
    return set(served.answers[served.lookup4(address)])


def codes6(served: ServedZone, address: int) -> set[int]:
    return set(served.answers[served.lookup6(address)])


def labels(name: str) -> list[bytes]:
    return [label.encode() for label in reversed(name.split("."))]


def name_codes(served: ServedZone, name: str) -> set[int] | None:
    answer = served.lookup_name(labels(name))
    return None if answer < 0 else set(served.answers[answer])
