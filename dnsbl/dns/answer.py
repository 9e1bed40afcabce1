"""Queries in, replies out: what an authoritative server for blocklists says, without I/O; only cookies need a clock.

A query goes down a ladder of early returns: broken, not supported, only a cookie, another class, not our zone,
a transfer, the origin, a name below it. Each rung is a method that says which rule it keeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from ..config import DnsConfig
from ..zones.view import EMPTY, NOTHING, ZoneView
from . import message, records, tsig
from .access import Gate, Reason, Rules
from .catalog import Catalog
from .cookies import Cookies, packed_address, secrets_of
from .counters import Counters
from .message import Ede, Qclass, Qtype, Query, Rcode, Transport
from .networks import client_of
from .refusals import Refusals, Refused
from .rrl import Limiter, kind_of
from .samples import Samples
from .served import Served
from .transfer import Transfer, TransferRung

__all__ = ["Answerer"]

MAX_IDENTITY = 128  # octets of the server's identity sent: with the longest name it still fits 512
VERSION_NAMES = ((b"version", b"bind"), (b"version", b"server"))
IDENTITY_NAMES = ((b"id", b"server"), (b"hostname", b"bind"))  # RFC 4892 section 2
TRANSFERS = (Qtype.AXFR, Qtype.IXFR)
WHY = {Rcode.NOTIMP: Ede.NOT_SUPPORTED}
UNSIGNED = {tsig.BADKEY: Refused.UNKNOWN_KEY, tsig.BADSIG: Refused.SIGNATURE, tsig.BADTIME: Refused.TIME}


class Zones:
    """All zones served at one moment; replaced as a whole."""

    def __init__(self, views: Iterable[ZoneView]) -> None:
        served = [Served(view) for view in views]
        self.by_labels = {zone.labels: zone for zone in served}
        self.depths = sorted({zone.depth for zone in served}, reverse=True)

    def find(self, labels: list[bytes]) -> Served | None:
        """The zone with the longest origin that the name ends in."""
        for depth in self.depths:
            if zone := self.by_labels.get(tuple(labels[-depth:])):
                return zone
        return None


class Answerer:
    """Answers from a set of zones that can be replaced at any time: a query sees the old set or the new one."""

    def __init__(
        self, zones: Mapping[str, ZoneView] | Iterable[ZoneView], settings: DnsConfig,
        counters: Counters | None = None, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.counters = counters if counters is not None else Counters()
        self.samples = Samples()
        self.cookies = Cookies(secrets_of(settings), clock)
        self.udp_size = settings.udp_size
        self.version = settings.version.encode("utf-8")
        self.identity = settings.nsid.encode("utf-8")[:MAX_IDENTITY]
        self.clock = clock
        self.keys = tsig.keys_of(settings)
        self.transfers = TransferRung(self, settings, Refusals(self.counters.transfers_refused))
        self.catalog_origin = (settings.catalog or "").lower()
        self.catalog: Catalog | None = None  # where there is one, the zones are put in it by whoever puts them here
        self.gate = Gate()
        self.limiter = Limiter(settings.rate) if settings.rate.responses else None
        self.plain_opt = message.opt_record(self.udp_size)
        self.replace(zones)

    def replace(self, zones: Mapping[str, ZoneView] | Iterable[ZoneView]) -> None:
        """Answer from these zones, and only these, from the next query on."""
        self.zones = Zones(zones.values() if isinstance(zones, Mapping) else zones)

    def reply(self, wire: bytes, transport: Transport, client: str = "") -> bytes | Transfer | None:
        """The reply to one message, or None for silence; over TCP perhaps a transfer that is still to be made. `client`
        is the address it came from, as the socket gives it; who cannot be told from another gets no cookie."""
        query = message.parse(wire)
        if query is None:
            if len(wire) < message.HEADER_SIZE:
                self.counters.malformed += 1
            else:
                self.counters.silent += 1
            return None
        query.client, query.transport = client, transport
        if query.signed:
            self.check_signature(query, wire)
        if query.cookie:
            self.check_cookie(query, client)
        limit = message.MAX_TCP if transport == "tcp" else message.udp_limit(query, self.udp_size)
        limit -= query.checked.room if query.checked else 0
        zone, reply = self.answer(query, limit)
        if self.limiter and transport == "udp" and isinstance(reply, bytes):
            limited = self.limited(self.limiter, query, reply)
            if limited is None:
                return None
            reply = limited
        begun = reply.head.message(0, b"", True) if isinstance(reply, Transfer) else reply
        self.count(query, zone, begun, transport)
        if self.samples.due():
            self.sample(query, zone, begun, client)
        return self.signed(query, reply) if query.checked and isinstance(reply, bytes) else reply

    def check_signature(self, query: Query, wire: bytes) -> None:
        """A signature that is no good is all that is said of a query (RFC 8945 section 5.2)."""
        query.checked = checked = tsig.check(wire, self.keys, int(self.clock()))
        if checked.error:
            query.rcode = Rcode.FORMERR if checked.error == tsig.FORMERR else Rcode.NOTAUTH
            query.notify = False
            if checked.error in UNSIGNED:  # a secondary that may not even ask for the SOA
                self.transfers.note(query, UNSIGNED[checked.error])

    def signed(self, query: Query, reply: bytes) -> bytes:
        """The reply to a signed query, signed itself."""
        return tsig.reply_to(query.checked, reply, int(self.clock())) if query.checked else reply

    def check_cookie(self, query: Query, client: str) -> None:
        """Put the reply's cookie in the place of the query's. A bad one is as good as none (RFC 7873 section 5.2.4),
        unless it is all that was asked about (section 5.4)."""
        address = packed_address(client)
        if address:
            standing, query.cookie = self.cookies.answer(query.cookie, address)
            query.trusted = standing == "valid"
            self.counters.cookie(standing)
            alone = Rcode.BADCOOKIE if standing == "invalid" else Rcode.NOERROR
        else:  # as if no cookie had been sent
            query.cookie = b""
            alone = Rcode.FORMERR
        if not query.question and not query.rcode:
            query.rcode = alone

    def limited(self, limiter: Limiter, query: Query, reply: bytes) -> bytes | None:
        """A reply over UDP as its client's bucket lets it out: as it is, empty with TC, or not at all. Whoever shows a
        cookie of ours is where it says it is."""
        if query.trusted:
            return reply
        rcode = query.rcode or reply[3] & 0xF
        kind = kind_of(rcode, int.from_bytes(reply[6:8], "big"))
        verdict = limiter.take(client_of(query.client), kind, int(self.clock()))
        if verdict == "send":
            return reply
        self.counters.limited += 1
        if verdict == "drop":
            return None
        self.counters.slipped += 1
        return message.build(query, rcode, 0, self.opt(query, rcode), authoritative=bool(reply[2] & 0x04))

    def count(self, query: Query, zone: Served | None, reply: bytes, transport: Transport) -> None:
        rcode = query.rcode or reply[3] & 0xF
        if rcode == Rcode.FORMERR:
            self.counters.malformed += 1
        if reply[2] & 0x02:  # TC
            self.counters.truncated += 1
        self.counters.reply(zone.name if zone else "", query.qtype, rcode, transport)

    def sample(self, query: Query, zone: Served | None, reply: bytes, client: str) -> None:
        name = query.question[: query.name_size].lower()
        rcode = query.rcode or reply[3] & 0xF
        self.samples.put(client, name, query.qtype, rcode, zone.name if zone else "")

    def answer(self, query: Query, limit: int) -> tuple[Served | None, bytes | Transfer]:
        """The ladder: the zone a query fell into, if any, and the reply."""
        if query.notify and self.transfers.heard:
            return None, self.transfers.notify(query, limit)
        if query.rcode:
            return None, self.error(query, query.rcode, limit, WHY.get(Rcode(query.rcode)))
        if not query.question:  # RFC 7873 section 5.4: the cookie is all that is wanted
            return None, self.error(query, Rcode.NOERROR, limit)
        if query.qtype == Qtype.OPT:  # RFC 6891 section 6.1.1: no data anywhere, so nothing to ask for
            return None, self.error(query, Rcode.FORMERR, limit)
        if query.qclass == Qclass.CH:
            return None, self.chaos(query, limit)
        zones = self.zones
        if query.qclass != Qclass.IN:
            return None, self.error(query, Rcode.REFUSED, limit, Ede.NOT_AUTHORITATIVE)
        if self.catalog and self.catalog.holds(query.labels):
            return None, self.transfers.catalog(query, self.catalog, limit)
        if not zones.by_labels:
            return None, self.error(query, Rcode.SERVFAIL, limit, Ede.NOT_READY)
        zone = zones.find(query.labels)
        if zone is None:
            return None, self.elsewhere(query, limit)
        if zone.expired:
            return zone, self.error(query, Rcode.SERVFAIL, limit, Ede.INVALID_DATA)
        if query.qtype in TRANSFERS:
            return zone, self.transfers.zone(query, zone, limit)
        return zone, self.inside(query, zone, limit)

    def elsewhere(self, query: Query, limit: int) -> bytes:
        """A name in none of our zones."""
        if query.qtype in TRANSFERS:
            return self.transfers.refuse(query, Refused.ZONE, limit)
        return self.error(query, Rcode.REFUSED, limit, Ede.NOT_AUTHORITATIVE)

    def inside(self, query: Query, zone: Served, limit: int) -> bytes:
        """The origin answers everybody; names below it whom the zone's access lets in."""
        if len(query.labels) == zone.depth:
            return self.at_origin(query, zone, limit)
        path = query.labels[: -zone.depth]
        rules = self.gate.rules.get(zone.name)
        if rules:
            return self.guarded(query, zone, rules, path, limit)
        return self.below(query, zone, path, limit)

    def guarded(self, query: Query, zone: Served, rules: Rules, path: list[bytes], limit: int) -> bytes:
        """A name of a zone that does not answer everybody. A key in it is no part of what is asked about."""
        keyed, why = self.gate.admit(rules, path, client_of(query.client), int(self.clock()))
        self.counters.admitted(keyed, why)
        if why is None:
            return self.below(query, zone, path[:-1] if keyed else path, limit)
        if why == Reason.REFUSED:
            return self.error(query, Rcode.REFUSED, limit, Ede.PROHIBITED)
        if why == Reason.NOT_READY:
            return self.error(query, Rcode.SERVFAIL, limit, Ede.NOT_READY)
        address, text = rules.denials[why]
        if query.qtype in (Qtype.A, Qtype.ANY):
            return self.positive(query, address, limit)
        if query.qtype == Qtype.TXT:
            return self.positive(query, text, limit)
        return self.negative(query, zone, Rcode.NOERROR, limit)

    def at_origin(self, query: Query, zone: Served, limit: int) -> bytes:
        """ANY is answered with one record set (RFC 8482 section 4.1), here SOA."""
        found = zone.apex.get(Qtype.SOA if query.qtype == Qtype.ANY else query.qtype)
        if found is None:
            return self.negative(query, zone, Rcode.NOERROR, limit)
        return self.positive(query, found, limit)

    def below(self, query: Query, zone: Served, path: list[bytes], limit: int) -> bytes:
        """A name that may be listed: A says so, TXT says why, ANY is A (RFC 8482), and other types, known or not, have
        no records (RFC 3597, RFC 8906 section 3.1.2)."""
        if not path:  # a key and nothing else: names are below it
            return self.negative(query, zone, Rcode.NOERROR, limit)
        if zone.hosts and len(path) == 1 and path[0] in zone.hosts:
            return self.host(query, zone, zone.hosts[path[0]], limit)
        found = zone.find(path)
        table, answer, _ = found
        if answer == NOTHING:
            return self.negative(query, zone, Rcode.NXDOMAIN, limit)
        if answer == EMPTY:  # RFC 8020: something is below
            return self.negative(query, zone, Rcode.NOERROR, limit)
        if query.qtype in (Qtype.A, Qtype.ANY):
            return self.positive(query, table.addresses[answer], limit)
        if query.qtype == Qtype.TXT:
            texts = zone.text_set(found)
            if texts[0]:
                return self.positive(query, texts, limit)
        return self.negative(query, zone, Rcode.NOERROR, limit)

    def host(self, query: Query, zone: Served, address: records.RecordSet, limit: int) -> bytes:
        """A name server of a zone that ends: it has an address, and no text."""
        if query.qtype in (Qtype.A, Qtype.ANY):
            return self.positive(query, address, limit)
        return self.negative(query, zone, Rcode.NOERROR, limit)

    def positive(self, query: Query, found: records.RecordSet, limit: int) -> bytes:
        """A positive answer."""
        count, sections = found
        if len(sections) > message.MAX_TCP - message.MAX_UDP_PLAIN:
            # Only texts that no message can hold come here; TC would send the client from UDP to TCP for nothing.
            return self.error(query, Rcode.SERVFAIL, limit)
        return message.build(query, Rcode.NOERROR, limit, self.opt(query), count, 0, sections, True)

    def negative(self, query: Query, zone: Served, rcode: int, limit: int) -> bytes:
        """NXDOMAIN or NODATA, with the SOA by which it may be remembered (RFC 2308 section 3). Its owner is the origin:
        a pointer to where it stands in the question."""
        owner = 0xC000 | message.HEADER_SIZE + query.name_size - zone.origin_size
        sections = owner.to_bytes(2, "big") + zone.soa
        return message.build(query, rcode, limit, self.opt(query), 0, 1, sections, True)

    def error(self, query: Query, rcode: int, limit: int, why: Ede | None = None) -> bytes:
        return message.build(query, rcode, limit, self.opt(query, rcode, why))

    def opt(self, query: Query, rcode: int = 0, why: Ede | None = None) -> bytes:
        """OPT where the query had it (RFC 6891 section 6.1.1); the identity for who asks (RFC 5001 section 2.2), and
        a cookie for who sent one (RFC 7873 section 5.2), with errors too."""
        if not query.edns:
            return b""
        named = query.nsid and self.identity
        if not (named or query.cookie or why or rcode > message.MAX_PLAIN_RCODE):
            return self.plain_opt
        options = message.option(message.OPTION_NSID, self.identity) if named else b""
        if query.cookie:
            options += message.option(message.OPTION_COOKIE, query.cookie)
        if why:
            options += message.extended_error(why)
        return message.opt_record(self.udp_size, rcode, options)

    def chaos(self, query: Query, limit: int) -> bytes:
        """The server about itself, as TXT of class CH (RFC 4892 section 2): what the operator lets be known."""
        name = tuple(query.labels)
        text = self.version if name in VERSION_NAMES else self.identity if name in IDENTITY_NAMES else b""
        if not text or query.qtype not in (Qtype.TXT, Qtype.ANY):
            return self.error(query, Rcode.REFUSED, limit, Ede.PROHIBITED)
        record = records.txt_record(text, 0, Qclass.CH)
        return message.build(query, Rcode.NOERROR, limit, self.opt(query), 1, 0, record, True)
