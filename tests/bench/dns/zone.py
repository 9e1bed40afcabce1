"""A published zone of ours without a store: the snapshot that `dnsbl zone build` would write, from numbers and names.

Writes no bytes of the format itself: the project's own functions do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
from data import CODE, NAMESERVER, RNAME, SOA_NUMBERS, TEXT, TTL, Data, Listing

from dnsbl import config
from dnsbl.config import ZoneDef
from dnsbl.files import replacing
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.zones import build
from dnsbl.zones import names as naming
from dnsbl.zones.arrays import write
from dnsbl.zones.build import Answers, Arrays
from dnsbl.zones.served import CURRENT, zone_directory
from dnsbl.zones.table import Pieces, flatten, pieces

__all__ = ["configure", "forget", "has_threads", "is_native", "point", "publish", "write_base"]

ZONE = "bench"
NOTHING_EXEMPT = Exemptions([], 0)


def configure(directory: Path, listing: Listing, port: int, threads: int) -> Path:
    """A configuration with this one zone; returns its path."""
    for name in ("zones", "feeds"):
        (directory / name).mkdir(exist_ok=True)
    dns = f'[dns]\nlisten = ["127.0.0.1:{port}"]\n' + (f"threads = {threads}\n" if has_threads() else "")
    path = directory / "dnsbl.toml"
    path.write_text('data_dir = "data"\nzones_dir = "zones"\nfeeds_dir = "feeds"\n' + dns)
    _, refresh, retry, expire, minimum = SOA_NUMBERS.split()
    (directory / "zones" / f"{ZONE}.toml").write_text(
        f'origin = "{listing.origin}"\nkind = "{"domain" if listing.kind == "domain" else "ip"}"\n'
        f'ns = ["{NAMESERVER}"]\nttl = {TTL}\n'
        f'[soa]\nrname = "{RNAME}"\nrefresh = {refresh}\nretry = {retry}\nexpire = {expire}\nminimum = {minimum}\n'
        f'[[codes]]\ncode = "{CODE}"\ncategories = ["spam"]\ntext = "{TEXT}"\n'
    )
    return path


def publish(settings: Path, data: Data, listing: Listing, serial: int = 1) -> None:
    write_base(settings, data, listing, serial)
    point(settings, serial)


def write_base(settings: Path, data: Data, listing: Listing, serial: int) -> None:
    """The whole zone under a serial; nobody reads it until the pointer names it."""
    zone = config.load(settings).zones[ZONE]
    answers = Answers(zone)
    arrays = arrays_of(zone, data, listing, answers)
    meta = {
        "zone": zone.model_dump(mode="json", by_alias=True),
        "serial": serial,
        "seq": serial,
        "store": "bench",
        "made_at": 1_790_000_000,
        "answers": answers.lists(),
        "listings": listing.count,
        "base": serial,
    }
    directory = place(settings)
    directory.mkdir(parents=True, exist_ok=True)
    write(directory / f"{serial}.base", meta, arrays)


def point(settings: Path, serial: int) -> None:
    """Publish what was written: replace the pointer as `dnsbl.zones.publish` does."""
    with replacing(place(settings) / CURRENT) as file:
        file.write(orjson.dumps({"base": f"{serial}.base", "delta": None, "serial": serial}))


def forget(settings: Path, serial: int) -> None:
    """Remove what is not named any more, as the publish after does."""
    (place(settings) / f"{serial}.base").unlink(missing_ok=True)


def has_threads() -> bool:
    """Whether this version has the setting."""
    return "threads" in config.DnsConfig.model_fields


def is_native() -> bool:
    """Whether the native path is built here, and so is what `dnsbl serve` uses."""
    try:
        from dnsbl import native
    except ImportError:
        return False
    return native.module is not None


def place(settings: Path) -> Path:
    return zone_directory(settings.parent / "data", ZONE)


def arrays_of(zone: ZoneDef, data: Data, listing: Listing, answers: Answers) -> Arrays:
    """As `dnsbl.zones.build` makes them from a store."""
    if listing.kind == "domain":
        masks = {".".join(reversed(name.split("."))).encode(): 1 for name in data.names(listing)}
        found = naming.values(masks, (), answers.id) | build.test_values(zone, answers)
        return {**build.no_ranges(answers), **naming.index(found)}
    numbers = data.numbers(listing)
    table = flatten(Pieces(numbers, numbers, np.ones(len(numbers), dtype=np.uint64)), pieces([]))
    table4, table6 = (table, pieces([])) if listing.kind == "ip4" else (pieces([]), table)
    narrow = build.deep(zone, NOTHING_EXEMPT, table6)
    return build.ip_arrays(build.with_tests(table4, zone), table6, narrow, answers)
