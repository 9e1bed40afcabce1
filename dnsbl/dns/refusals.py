"""Transfers that are refused: counted by reason, and told to the operator, who may have meant them to be allowed.

Each client is told of once for each reason, and again after AGAIN. Untrusted: who asks, and for what. Over UDP the
address itself may be a lie: what is told of it has a room of its own, so that lies hide nobody who came over TCP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import StrEnum

from ..errors import printable
from .message import Ede, Rcode, Transport
from .networks import client_of, share

__all__ = ["AGAIN", "Refusals", "Refused"]

AGAIN = 3600.0  # seconds from one line about a client and reason to the next
MOST = 200  # clients and reasons told of within AGAIN, for each transport: scanners fill no log
CLIENT_BITS = {4: 32, 6: 64}  # what counts as one client: in IPv6 one machine has a /64 to choose from

log = logging.getLogger("dnsbl.transfer")


class Refused(StrEnum):
    """Why a transfer was refused; a label in /metrics."""

    ADDRESS = "address"
    KEY = "key"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    TIME = "time"
    ZONE = "zone"
    PLACES = "places"
    TLS = "tls"
    TERMS = "terms"
    NOT_READY = "not_ready"

    @property
    def reply(self) -> tuple[Rcode, Ede]:
        """What the client is told, where it is not its signature's error."""
        if self is Refused.NOT_READY:
            return Rcode.SERVFAIL, Ede.NOT_READY
        return Rcode.REFUSED, Ede.NOT_AUTHORITATIVE if self is Refused.ZONE else Ede.PROHIBITED


ADVICE = {
    Refused.ADDRESS: "its address is in no network of dns.transfer, or not in the zone's own transfer; where it may "
    "have the zone, add it there",
    Refused.KEY: "it does not sign with a key of dns.transfer_keys, or of the zone's own transfer_keys; have it use "
    "one, or name its key there",
    Refused.UNKNOWN_KEY: "it signs with a key that is not known here; give both servers the same name and algorithm "
    "in [[dns.keys]]",
    Refused.SIGNATURE: "its signature is wrong; give both servers the same secret for this key in [[dns.keys]]",
    Refused.TIME: "its signature is of another time than now; set the clocks of both servers",
    Refused.ZONE: "there is no such zone here; correct the zone's name there, or its origin in zones_dir here",
    Refused.PLACES: "too many transfers run, in all or to its network; it asks again by itself",
    Refused.TLS: "over TLS it must speak version 1.3 with the ALPN dot (RFC 9103); correct its settings",
    Refused.TERMS: "the terms of feeds forbid it; the zone's setting terms says what is done about those",
    Refused.NOT_READY: "the zone cannot be read, or what makes transfers does not run; the log says why",
}


class Refusals:
    """`counts` is the caller's, and has every reason. `clock`: seconds that only grow."""

    def __init__(self, counts: dict[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self.counts, self.clock = counts, clock
        self.told: dict[Transport, dict[tuple[bytes | None, Refused], float]] = {"udp": {}, "tcp": {}}

    def note(self, name: str, client: str, transport: Transport, why: Refused) -> None:
        """A transfer was refused, or a query was badly signed. `name`: of the zone, as it was asked for."""
        self.counts[why] += 1
        told, now = self.told[transport], self.clock()
        known = client_of(client)
        one = share(known, CLIENT_BITS) if known else None, why
        if one in told and now - told[one] < AGAIN:
            return
        if len(told) >= MOST:
            self.told[transport] = told = {key: at for key, at in told.items() if now - at < AGAIN}
        if len(told) >= MOST:
            return
        told[one] = now
        log.warning("refused %s to %s: %s", printable(name) or "the root", client or "one that has left", ADVICE[why])
        if len(told) == MOST:
            log.warning("further refusals over %s are counted in /metrics, and told of again in an hour", transport)
