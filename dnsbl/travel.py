"""Zones on their way, seen from the front: the courier's process, NOTIFY in and out, the catalog, certificates.

What of it is not configured is not there: without networks in `dns.transfer` and without zones that are followed, no
courier runs.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from .config import DnsConfig, FollowConfig, Settings, parse_listen
from .courier.link import Link
from .dns import catalog
from .dns.answer import Answerer
from .dns.message import Qtype
from .dns.notify import News, Notifier
from .dns.refusals import AGAIN
from .dns.served import Served
from .dns.tcp import ALPN
from .dns.transfer import Transfer, newer
from .dns.tsig import Key, wire_name
from .errors import StartError, printable
from .zones.given import SHARED, given_serial
from .zones.served import pointer_mark, zone_directory

__all__ = ["Travel"]

log = logging.getLogger("dnsbl.transfer")

CATALOG = "catalog.json"
SOA_NUMBERS = 20  # octets at its end: serial, refresh, retry, expire, minimum (RFC 1035 section 3.3.13)
LOOK_EVERY = 1.0  # seconds between two looks whether what is given away has moved by itself, which it seldom does
MAX_STRANGERS = 200  # zones and clients, of whose NOTIFY there is a line in the log, within AGAIN


class Travel:
    """All that carries zones, for one answerer, from `run` to `close`. Raises StartError for a bad certificate."""

    def __init__(self, settings: Settings, answerer: Answerer, courier: Sequence[str]) -> None:
        self.settings, self.answerer = settings, answerer
        self.dns, self.data_dir = settings.config.dns, settings.config.data_dir
        self.tls = context(self.dns)
        self.notifier = Notifier(self.dns)
        wanted = bool(self.dns.transfer or settings.config.follow)
        self.link = Link(courier) if wanted and courier else None
        self.running = False
        self.strangers: set[tuple[str, str]] = set()  # whose NOTIFY counted for nothing
        self.strange_since = 0.0  # by the clock that only grows
        if settings.config.follow:
            answerer.transfers.heard = self.heard

    async def run(self) -> None:
        self.running = True
        self.tell()
        async with asyncio.TaskGroup() as jobs:
            if self.link:
                jobs.create_task(self.link.keep())
            if self.dns.secondaries:
                jobs.create_task(self.watch())

    async def close(self) -> None:
        await self.notifier.close()
        if self.link:
            await self.link.close()

    async def stream(self, transfer: Transfer) -> AsyncGenerator[bytes, None]:
        """The messages of a transfer that was allowed, each with its length before it."""
        assert self.link is not None  # who may transfer is in `dns.transfer`
        async for message in self.link.stream(transfer):
            yield message

    # out

    def published(self, settings: Settings) -> None:
        """The answerer has new zones; these are the ones that are configured."""
        self.settings = settings
        if self.dns.catalog:
            access = self.answerer.transfers.access
            members = [zone.origin for zone in settings.zones.values() if access.anybody(zone)]
            known = self.answerer.catalog
            if known is None or known.members != sorted(members):
                path = self.data_dir / CATALOG
                self.answerer.catalog = catalog.kept(path, self.dns.catalog.lower(), members)
        if self.running:
            self.tell()

    async def watch(self) -> None:
        """Tell of what is given away where it moves while what is answered does not."""
        known = None
        while True:
            marks = [pointer_mark(zone_directory(self.data_dir, name) / SHARED) for name in self.settings.zones]
            if marks != known:
                known = marks
                try:
                    self.tell()
                except Exception:  # the courier is kept on
                    log.exception("secondaries cannot be told of what is given away")
            await asyncio.sleep(LOOK_EVERY)

    def tell(self) -> None:
        """NOTIFY for what is given away now."""
        if not self.dns.secondaries:
            return
        served = self.answerer.zones.by_labels.values()
        news = [each for zone in served if (each := news_of(zone, zone_directory(self.data_dir, zone.name)))]
        if told := self.answerer.catalog:
            news.append(News("", told.origin, told.serial, told.soa()[1]))
        self.notifier.tell(news)

    # in

    def heard(self, origin: str, client: str, key: Key | None) -> bool:
        """NOTIFY from outside: where it is a primary's, the zone is asked for at once."""
        for follow in self.settings.config.follow:
            zone = self.settings.zones.get(follow.zone)
            if zone and zone.origin == origin and is_primary(follow, client, key):
                if self.link:
                    self.link.wake(follow.zone)
                return True
        self.refused(origin, client)
        return False

    def refused(self, origin: str, client: str) -> None:
        """Said once in AGAIN for each zone and client: anybody may send such things, and lies may hide a primary."""
        if (now := time.monotonic()) - self.strange_since >= AGAIN:
            self.strangers.clear()
            self.strange_since = now
        if (origin, client) in self.strangers or len(self.strangers) >= MAX_STRANGERS:
            return
        self.strangers.add((origin, client))
        named = printable(origin)
        log.info("NOTIFY for %s from %s: none of its primaries, or not signed as it must be", named, client)

    # the rest

    def reload(self) -> None:
        """SIGHUP: certificates may be new, and what the courier reads."""
        if self.link:
            self.link.hang_up()
        if self.tls is None:
            return
        try:
            load(self.tls, self.dns)
        except StartError as error:
            log.error("%s; the certificate from before is used on", error)

    def snapshot(self) -> dict[str, Any]:
        """For /metrics and status: how far each secondary is."""
        return {"secondaries": self.notifier.snapshot()}


def news_of(served: Served, directory: Path) -> News | None:
    """What a transfer of a zone gives; None where it gives nothing. What is newer than the answers is told of once they
    are, too: who asks for the SOA would find nothing new."""
    serial = given_serial(directory)
    if serial is None:
        return None
    if newer(serial, served.view.serial):
        serial = served.view.serial
    soa = served.apex[Qtype.SOA][1]
    soa = soa[:-SOA_NUMBERS] + serial.to_bytes(4, "big") + soa[4 - SOA_NUMBERS :]
    return News(served.name, served.view.zone.origin, serial, soa)


def is_primary(follow: FollowConfig, client: str, key: Key | None) -> bool:
    if client.partition("%")[0] not in {parse_listen(primary)[0] for primary in follow.primaries}:
        return False
    return follow.key is None or (key is not None and key.name == wire_name(follow.key))


def context(dns: DnsConfig) -> ssl.SSLContext | None:
    """How to speak TLS on `dns.tls_listen`; None where nobody listens. Raises StartError."""
    if not dns.tls_listen:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8310 section 9: for queries; transfers want 1.3
    made.set_alpn_protocols([ALPN])
    load(made, dns)
    return made


def load(made: ssl.SSLContext, dns: DnsConfig) -> None:
    """Read the certificate and its key. Raises StartError."""
    assert dns.tls_cert is not None and dns.tls_key is not None  # the configuration has seen to that
    try:
        made.load_cert_chain(dns.tls_cert, dns.tls_key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise StartError(
            f"{dns.tls_cert}, {dns.tls_key}: no certificate with its key, in PEM ({why}); correct dns.tls_cert and "
            "dns.tls_key"
        ) from error
