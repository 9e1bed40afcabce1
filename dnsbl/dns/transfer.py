"""Zone transfers (RFC 5936, 1995): who may take a zone away, and what comes of asking.

    query -> allowed? -- no --> REFUSED
               | yes
               +-- over UDP: one SOA (RFC 1995 section 4), or for AXFR FORMERR (RFC 5936 section 4.2)
               +-- what the client has is current or newer: one SOA
               +-- else a Transfer: for the TCP connection, which has the messages made and passes them on

Untrusted: the query. Its address and its key decide; both must be allowed where both are asked for.
"""

from __future__ import annotations

from asyncio.trsock import TransportSocket
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

from ..config import DnsConfig, ZoneDef
from . import message
from .catalog import Catalog
from .message import Ede, Qtype, Query, Rcode
from .progress import Known
from .records import RecordSet
from .refusals import Refusals, Refused
from .served import Served
from .stream import Head, Section
from .tsig import Key, wire_name

__all__ = ["Access", "Heard", "Refuse", "Stream", "Transfer", "TransferRung", "newer", "within"]

SERIALS = 1 << 32
Networks = Sequence[IPv4Network | IPv6Network]
Refuse = Callable[[Refused], bytes]  # a reply to the same query that says no, signed like any other; noted


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that is allowed, and not begun."""

    zone: str  # its file's name; empty: `sections` has it all
    serial: int | None  # what the client has; None: it wants everything
    client: str
    head: Head
    refuse: Refuse = field(repr=False)
    sections: Sequence[Section] = field(default=(), repr=False)
    sock: TransportSocket | None = None  # the client's, where the messages may be written straight to it
    known: Known | None = field(default=None, repr=False)  # how far the client is
    cut: Callable[[], None] = field(default=lambda: None, repr=False)  # ends it from elsewhere, with its connection


Heard = Callable[[str, str, Key | None], bool]  # NOTIFY for an origin, from an address, signed by a key; whether it is
# one of a primary's of that zone
# The messages, each with its length before it; none, but until the last one, where they are written to its socket.
Stream = Callable[[Transfer], AsyncGenerator[bytes, None]]


class Says(Protocol):
    """Replies to a query, as the answerer words them."""

    def positive(self, query: Query, found: RecordSet, limit: int) -> bytes: ...
    def error(self, query: Query, rcode: int, limit: int, why: Ede | None = None) -> bytes: ...
    def signed(self, query: Query, reply: bytes) -> bytes: ...
    def opt(self, query: Query) -> bytes: ...


class TransferRung:
    """The rung of the ladder where zones are given away: AXFR, IXFR, the catalog, and NOTIFY from primaries."""

    def __init__(self, says: Says, settings: DnsConfig, refusals: Refusals) -> None:
        self.says, self.refusals = says, refusals
        self.access = Access(settings)
        self.heard: Heard | None = None  # who follows zones; set by whoever starts that

    def zone(self, query: Query, zone: Served, limit: int) -> bytes | Transfer:
        """AXFR or IXFR of a zone that is served."""
        if why := self.access.refusal(zone.view.zone, query.client, key_of(query)):
            return self.refuse(query, why, limit)
        if len(query.labels) != zone.depth:  # inside a zone, and not one itself
            return self.says.error(query, Rcode.NOTAUTH, limit, Ede.NOT_AUTHORITATIVE)
        soa = zone.apex[Qtype.SOA]
        return self.short(query, zone.view.serial, soa, limit) or self.transfer(query, zone.name)

    def catalog(self, query: Query, catalog: Catalog, limit: int) -> bytes | Transfer:
        """The catalog zone is for those who may transfer: others learn nothing of it (RFC 9432 section 7)."""
        if why := self.access.refusal(None, query.client, key_of(query)):
            return self.refuse(query, why, limit)
        if query.qtype not in (Qtype.AXFR, Qtype.IXFR):
            rcode, answers, authorities, records = catalog.find(query)
            opt = self.says.opt(query)
            return message.build(query, rcode, limit, opt, answers, authorities, records, True)
        if len(query.labels) != len(catalog.labels):
            return self.says.error(query, Rcode.NOTAUTH, limit, Ede.NOT_AUTHORITATIVE)
        short = self.short(query, catalog.serial, catalog.soa(), limit)
        return short or self.transfer(query, "", catalog.sections())

    def short(self, query: Query, serial: int, soa: RecordSet, limit: int) -> bytes | None:
        """The reply where one message does: an error, or the SOA alone."""
        whole = query.qtype == Qtype.AXFR
        if (whole and query.transport == "udp") or (not whole and query.serial is None):
            return self.says.error(query, Rcode.FORMERR, limit)
        if query.transport == "udp" or (query.serial is not None and not whole and not newer(serial, query.serial)):
            return self.says.positive(query, soa, limit)
        return None

    def transfer(self, query: Query, zone: str, sections: Sequence[Section] = ()) -> Transfer:
        def refuse(why: Refused) -> bytes:
            return self.says.signed(query, self.refuse(query, why, message.MAX_TCP))

        checked = query.checked
        key, mac = (checked.key, checked.mac) if checked else (None, b"")
        head = Head(query.id, query.echo, query.question, self.says.opt(query), key, mac)
        serial = query.serial if query.qtype == Qtype.IXFR else None
        return Transfer(zone, serial, query.client, head, refuse, sections)

    def refuse(self, query: Query, why: Refused, limit: int) -> bytes:
        self.note(query, why)
        rcode, ede = why.reply
        return self.says.error(query, rcode, limit, ede)

    def note(self, query: Query, why: Refused) -> None:
        self.refusals.note(origin_of(query), query.client, query.transport, why)

    def notify(self, query: Query, limit: int) -> bytes:
        """A primary says that a zone has changed (RFC 1996 section 4.7): asked for anew, whatever serial it names."""
        if query.qtype == Qtype.SOA and self.heard and self.heard(origin_of(query), query.client, key_of(query)):
            query.rcode = Rcode.NOERROR
            return message.build(query, Rcode.NOERROR, limit, self.says.opt(query), authoritative=True)
        query.rcode = Rcode.NOTAUTH
        return self.says.error(query, Rcode.NOTAUTH, limit, Ede.NOT_AUTHORITATIVE)


def origin_of(query: Query) -> str:
    return b".".join(query.labels).decode("latin-1")


def key_of(query: Query) -> Key | None:
    return query.checked.key if query.checked else None


class Access:
    """Who may transfer: the networks and keys of the server, and those that a zone narrows them to."""

    def __init__(self, settings: DnsConfig) -> None:
        self.networks: Networks = settings.transfer
        self.keys = frozenset(map(wire_name, settings.transfer_keys))

    def refusal(self, zone: ZoneDef | None, client: str, key: Key | None) -> Refused | None:
        """Why this client may not take a zone away; a zone of None is what no zone narrows. `key` signed the query."""
        if not within(self.networks, client):
            return Refused.ADDRESS
        if zone is not None and zone.transfer is not None and not within(zone.transfer, client):
            return Refused.ADDRESS
        narrowed = zone is not None and zone.transfer_keys is not None
        keys = frozenset(map(wire_name, (zone and zone.transfer_keys) or ())) if narrowed else self.keys
        return None if not keys or (key is not None and key.name in keys) else Refused.KEY

    def anybody(self, zone: ZoneDef) -> bool:
        """Whether there is anyone who may transfer a zone."""
        return bool(self.networks) and zone.transfer != []


def within(networks: Networks, client: str) -> bool:
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return False  # a client that has left already
    return any(address in network for network in networks)


def newer(serial: int, than: int) -> bool:
    """Whether a serial is greater than another (RFC 1982 section 3.2); False too where that is not defined."""
    return 0 < (serial - than) % SERIALS < SERIALS // 2
