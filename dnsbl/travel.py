"""Zones on their way, seen from the front: the courier's process, NOTIFY in and out, the catalog, certificates.

What of it is not configured is not there: without networks in `dns.transfer` and without zones that are followed, no
courier runs.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from .config import DnsConfig, FollowConfig, Settings, parse_listen
from .courier.link import Link
from .dns import catalog
from .dns.answer import Answerer
from .dns.message import Qtype
from .dns.notify import News, Notifier
from .dns.tcp import ALPN
from .dns.transfer import Transfer
from .dns.tsig import Key, wire_name
from .errors import StartError

__all__ = ["Travel"]

log = logging.getLogger("dnsbl.transfer")

CATALOG = "catalog.json"


class Travel:
    """All that carries zones, for one answerer, from `run` to `close`. Raises StartError for a bad certificate."""

    def __init__(self, settings: Settings, answerer: Answerer, courier: Sequence[str]) -> None:
        self.settings, self.answerer = settings, answerer
        self.dns = settings.config.dns
        self.tls = context(self.dns)
        self.notifier = Notifier(self.dns)
        wanted = bool(self.dns.transfer or settings.config.follow)
        self.link = Link(courier) if wanted and courier else None
        self.running = False
        if settings.config.follow:
            answerer.transfers.heard = self.heard

    async def run(self) -> None:
        self.running = True
        self.tell()
        if self.link:
            await self.link.keep()

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
                path = settings.config.data_dir / CATALOG
                self.answerer.catalog = catalog.kept(path, self.dns.catalog.lower(), members)
        if self.running:
            self.tell()

    def tell(self) -> None:
        """NOTIFY for what is answered now."""
        news = [
            News(served.name, served.view.zone.origin, served.view.serial, served.apex[Qtype.SOA][1])
            for served in self.answerer.zones.by_labels.values()
        ]
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
        log.info("NOTIFY for %s from %s: none of its primaries, or not signed as it must be", origin, client)
        return False

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
