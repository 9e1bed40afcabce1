"""What two processes tell each other about access, as files in `data_dir/run/`:

    access.json          which keys are good (`keys`): written by the process with the store when that changes
    access-used.json     what quotas had used of a day: written there, read here once, at the start
    usage-PID-TIME.json  what was seen since the file before: written here every few seconds, added up and removed there

A file that cannot be used leaves what was known; until there is a first one, queries with a key get SERVFAIL. While
nobody takes a file the next is not written, and what is seen adds up in memory, bounded by keys and zones.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from ..config import ZoneDef
from ..errors import SnapshotError
from ..files import replacing
from .access import DAY
from .answer import Answerer
from .keys import KEYS_FILE, USED_FILE, Keys, keys_of
from .native import Native
from .usage import KeyUse, NetworkUse

__all__ = ["AccessFiles"]

MAX_BYTES = 64 * 2**20  # of a file: some 200 octets a key
MAX_NETWORKS = 1000  # that asked most, told at a time
LOOK_EVERY = 0.2  # seconds between two looks for other keys: a key is revoked within one
WRITE_EVERY = 2.0  # seconds between two files of usage

log = logging.getLogger("dnsbl.dns")


class AccessFiles:
    """The files, for one answerer and its native side; and the zones' rules, which come with the configuration."""

    def __init__(self, directory: Path, public_url: str, answerer: Answerer, native: Native | None) -> None:
        self.directory, self.public_url = directory, public_url
        self.answerer, self.native = answerer, native
        self.read: tuple[int, int, int] | None = None  # which file of keys was looked at last
        self.seeded = False
        self.pending: dict[tuple[int, int, str], tuple[int, int]] = {}  # (day, key, zone): answered, refused
        self.told: Path | None = None  # the file written last
        self.written: tuple[int, list[tuple[str, str, int]]] = 0, []  # the day it is of, and its networks
        self.failing = False  # the usage could not be written: said once
        self.broken = False  # a mistake of ours: said once

    def rules(self, zones: Mapping[str, ZoneDef]) -> None:
        """Answer by the rules of these zones from now on."""
        if self.answerer.gate.replace(zones, self.public_url) and self.native:
            self.native.replace()

    def start(self, zones: Mapping[str, ZoneDef]) -> None:
        """Rules and keys before the first query."""
        self.rules(zones)
        if path := self.news():
            self.take(self.load(path), self.now())

    def now(self) -> int:
        """Seconds of the clock that quotas go by."""
        return int(self.answerer.clock())

    async def run(self) -> None:
        """Until cancelled."""
        wrote = 0.0
        while True:
            try:
                if path := self.news():
                    self.take(await asyncio.to_thread(self.load, path), self.now())
                if time.monotonic() - wrote >= WRITE_EVERY:
                    wrote = time.monotonic()
                    self.write()
            except Exception:
                if not self.broken:
                    log.exception("keys in names cannot be looked at; what was good stays so")
                self.broken = True
            await asyncio.sleep(LOOK_EVERY)

    # keys

    def news(self) -> Path | None:
        """The file of keys, where it is another than was looked at last."""
        path = self.directory / KEYS_FILE
        try:
            found = path.stat()
        except OSError:
            return None
        which = found.st_ino, found.st_mtime_ns, found.st_size
        if which == self.read:
            return None
        self.read = which
        return path

    def load(self, path: Path) -> Keys | None:
        """The keys of a file; None, and said, where it cannot be used. In any thread."""
        try:
            with path.open("rb") as file:
                return keys_of(file.read(MAX_BYTES))
        except (OSError, SnapshotError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            log.error("%s cannot be used: %s; the keys that were good stay so", path, why)
        return None

    def take(self, keys: Keys | None, now: int) -> None:
        """Answer to these keys from now on. The first ones begin with what they had used today."""
        if keys is None:
            return
        self.answerer.gate.keys = keys
        if self.native:
            self.native.replace_keys()
        if not self.seeded:
            self.seeded = True
            self.seed(now // DAY)

    def seed(self, day: int) -> None:
        """Take what was used of today's quotas before this start. Without it they begin anew."""
        try:
            said = orjson.loads((self.directory / USED_FILE).read_bytes())
            if said["day"] != day:
                return
            keys = {int(key): int(spent) for key, spent in said["keys"].items()}
            networks = [NetworkUse(zone, bytes.fromhex(octets), int(count)) for zone, octets, count in said["networks"]]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("%s cannot be used (%s); today's quotas begin anew", self.directory / USED_FILE, error)
            return
        self.answerer.gate.usage.seed(day, keys.items(), networks)
        if self.native:
            self.native.seed(day, keys.items(), networks)

    # usage

    def write(self, last: bool = False) -> None:
        """Write what was seen since the file before, once that was taken; at the `last` in any case. A full disk costs
        the figures, not the answers."""
        if not self.answerer.gate.rules:
            return
        day = self.now() // DAY
        self.collect(day)
        if self.told is not None and self.told.exists() and not last:
            return
        networks = self.networks(day)
        if not self.pending and (day, networks) == self.written:
            return
        keys = [[*place, *counts] for place, counts in self.pending.items()]
        path = self.directory / f"usage-{os.getpid()}-{time.time_ns()}.json"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with replacing(path, sync=False, mode=0o640) as file:  # it has clients' networks
                file.write(orjson.dumps({"day": day, "keys": keys, "networks": networks}))
        except OSError as error:
            if not self.failing:
                log.error("usage cannot be written to %s (%s); answers go on", path, error.strerror or error)
            self.failing = True
            return
        self.told, self.failing = path, False
        self.pending.clear()
        self.written = day, networks

    def collect(self, day: int) -> None:
        """Take what both paths have counted of keys."""
        uses: Iterable[KeyUse] = [*self.answerer.gate.usage.take(), *(self.native.key_usage() if self.native else ())]
        for use in uses:
            queries, refused = self.pending.get((day, use.key, use.zone), (0, 0))
            self.pending[day, use.key, use.zone] = queries + use.queries, refused + use.refused

    def networks(self, day: int) -> list[tuple[str, str, int]]:
        """Zone, network and queries of those that asked most today. Of the two paths the larger count: each began with
        all that was known at the start, which is not to be told twice."""
        most: Counter[tuple[str, bytes]] = Counter()
        found = self.answerer.gate.usage.top(day, MAX_NETWORKS)
        for use in [*found, *(self.native.network_usage(day, MAX_NETWORKS) if self.native else ())]:
            most[use.zone, use.network] = max(most[use.zone, use.network], use.queries)
        return [(zone, octets.hex(), queries) for (zone, octets), queries in most.most_common(MAX_NETWORKS)]
