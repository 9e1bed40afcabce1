"""The side of keys for DNS that has the store: the DNS processes are told which keys are good, and what they saw of
their use is added up. Both by files in `data_dir/run/`, which `dns/accessfile.py` describes.

Several processes may run this over one directory; who holds the lock does the work, and each batch is added once.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from . import clock
from .dns.keys import FILE_VERSION, KEYS_FILE, USED_FILE
from .errors import DnsblError
from .files import replacing
from .store.contract import QueryUse, Store

__all__ = ["KeyKeeper"]

LOCK_FILE = "access.lock"
LOOK_EVERY = 0.3  # seconds between two looks for keys made or revoked
MAX_BATCH = 64 * 2**20  # octets of a file of usage
MAX_BATCHES = 100  # files looked at in one turn
MAX_NETWORKS = 1000  # whose quota outlives a restart: those that asked most

log = logging.getLogger("dnsbl")


class KeyKeeper:
    """Tells of keys, and takes their use."""

    def __init__(self, store: Store, directory: Path, now: Callable[[], int] = clock.now) -> None:
        self.store, self.directory, self.now = store, directory, now
        self.version: tuple[int, ...] | None = None  # of the keys that were told
        self.networks: dict[tuple[str, str], int] = {}  # (zone, octets in hex): queries today
        self.day = 0  # that `networks` and the file of what was used are of
        self.lock: int | None = None
        self.said = ""  # what went wrong last: said once

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.turn()
                await asyncio.sleep(LOOK_EVERY)
        finally:
            if self.lock is not None:
                os.close(self.lock)

    async def turn(self) -> None:
        """Do what is due. What fails is said once, and tried again."""
        try:
            await asyncio.to_thread(self.work)
            if self.said:
                log.warning("what DNS is told of keys is up to date again")
            self.said = ""
        except (DnsblError, OSError) as error:
            where = (isinstance(error, OSError) and error.filename) or self.directory  # a write does not know its file
            why = f"{where} cannot be written ({error.strerror})" if isinstance(error, OSError) else str(error)
            if why != self.said:
                log.error("what DNS is told of keys cannot be kept up to date: %s", why)
            self.said = why

    def work(self) -> None:
        """One turn. Raises StoreError or OSError."""
        if not self.locked():
            return
        version = self.store.keys_version()
        if version != self.version:
            self.tell()
            self.version = version
        if self.add_usage() or self.day != self.now() // clock.DAY:
            self.tell_used()

    def locked(self) -> bool:
        """Whether this process does the work."""
        if self.lock is not None:
            return True
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self.lock = descriptor
        self.read_used()
        return True

    def tell(self) -> None:
        """Write which keys are good."""
        keys = [
            {
                "id": key.id,
                "digest": key.digest.hex(),
                "zones": list(key.zones),
                "queries": key.queries,
                "expires": key.expires,
            }
            for key in self.store.query_keys()
        ]
        self.write(KEYS_FILE, {"version": FILE_VERSION, "keys": keys})

    # usage

    def add_usage(self) -> bool:
        """Add up what DNS processes have left; whether there was anything."""
        found = sorted(self.directory.glob("usage-*.json"))[:MAX_BATCHES]
        for path in found:
            said = batch_of(path)
            if said is None:
                log.error("%s is no file of usage and is removed", path)
            else:
                day, uses, networks = said
                if self.store.add_query_usage(path.name, uses):
                    self.add_networks(day, networks)
            path.unlink(missing_ok=True)
        return bool(found)

    def add_networks(self, day: int, networks: list[tuple[str, str, int]]) -> None:
        """Each process says what networks came to that day; the largest of several is taken."""
        if day != self.now() // clock.DAY:
            return
        if day != self.day:
            self.networks, self.day = {}, day
        for zone, octets, queries in networks:
            self.networks[zone, octets] = max(queries, self.networks.get((zone, octets), 0))
        most = sorted(self.networks.items(), key=lambda item: -item[1])[:MAX_NETWORKS]
        self.networks = dict(most)

    def tell_used(self) -> None:
        """Write what quotas had used of today, for the next DNS process that starts."""
        today = self.now() // clock.DAY
        if self.day != today:
            self.networks, self.day = {}, today
        keys: dict[str, int] = {}
        for use in self.store.query_usage(today):
            if use.day == today:
                keys[str(use.key)] = keys.get(str(use.key), 0) + use.queries
        networks = [[zone, octets, queries] for (zone, octets), queries in self.networks.items()]
        self.write(USED_FILE, {"day": today, "keys": keys, "networks": networks})

    def read_used(self) -> None:
        """Go on with what was written before this start."""
        try:
            said = orjson.loads((self.directory / USED_FILE).read_bytes())
            self.networks = {(zone, octets): int(queries) for zone, octets, queries in said["networks"]}
            self.day = int(said["day"])
        except (OSError, ValueError, TypeError, KeyError):
            self.networks, self.day = {}, 0

    def write(self, name: str, said: dict[str, Any]) -> None:
        with replacing(self.directory / name, mode=0o640) as file:
            file.write(orjson.dumps(said))


def batch_of(path: Path) -> tuple[int, list[QueryUse], list[tuple[str, str, int]]] | None:
    """What a file of usage says; None: it says nothing that can be used. Raises OSError."""
    with path.open("rb") as file:
        content = file.read(MAX_BATCH)
    try:
        said = orjson.loads(content)
        uses = [
            QueryUse(int(key), int(day), str(zone), int(queries), int(refused))
            for day, key, zone, queries, refused in said["keys"]
        ]
        networks = [(str(zone), str(octets), int(queries)) for zone, octets, queries in said["networks"]]
        return int(said["day"]), uses, networks
    except (ValueError, TypeError, KeyError):
        return None
