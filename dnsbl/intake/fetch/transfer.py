"""Another blocklist's zone, `dns://server[:port]/zone.name`, over TCP, signed by TSIG (RFC 8945).

    SOA     the serial says whether anything changed
    IXFR    the differences since what was applied last, where that is kept (RFC 1995)
    AXFR    the whole zone (RFC 5936): nothing is kept, or the differences are not to be had or do not fit

Of the records only A is kept (`format = "dnsbl-zone"`), as sorted lines: IXFR and AXFR come to the same bytes. A
transfer is taken only when its last message is in, with its signature. Whatever is wrong with differences, the whole
zone is asked for, and what is wrong with that is what is told.
"""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.transaction
import dns.tsig
import dns.xfr

from ...config import FeedDef
from .addresses import check_host, checked_addresses
from .base import AGAIN, CUT, Fault, Outcome, TooLarge, Validators, faults_at, filled, shown
from .kept import Base, base_of, mark
from .listing import Listing, Misfit

__all__ = ["from_transfer"]

PORT = 53
PLAIN = re.compile(rb"[A-Za-z0-9_*.-]+")
MAX_RECORDS = 20_000_000  # of every type: those that are not kept cost time, too
# Differences longer than the zone are not worth having (RFC 1995 section 5). A zone's entries each have an A and a TXT
# record, and a change of one of them deletes and adds it: four records for each line are the zone twice.
MAX_DIFFERENCES = 4  # records for each line that is kept
FEW_DIFFERENCES = 1000  # records that are always taken: a small zone changes as a whole
DIFFERENCES_SHARE = 0.5  # of the feed's timeout: a server that never ends its differences may still give the zone

log = logging.getLogger("dnsbl.feeds")


async def from_transfer(feed: FeedDef, known: Validators, kept: Path | None = None) -> Outcome:
    """The zone's lines; None where its serial is the one known. `kept` is where the last applied may be."""
    url = urlsplit(feed.url)
    with faults_at(feed.url):
        host, port = url.hostname or "", url.port or PORT
        check_host(host, feed.private)
        try:
            zone = dns.name.from_text(unquote(url.path).strip("/"))
            server = await checked_addresses(host, port, feed.private), port
            return await transferred(feed, known, zone, server, kept)
        except EOFError:
            raise Fault(CUT) from None
        except (dns.exception.DNSException, dns.tsig.PeerError) as error:
            raise Fault(sentence(error, feed.tsig is not None)) from None


async def transferred(
    feed: FeedDef, known: Validators, zone: dns.name.Name, server: tuple[list[str], int], kept: Path | None
) -> Outcome:
    """Try one address after the other until one takes the connection. Raises Fault, OSError, DNSException."""
    addresses, port = server
    for address in addresses:
        try:
            if known.etag and known.etag == await serial_mark(feed, zone, address, port):
                return None, known, shown(feed.url), 0
            base = await asyncio.to_thread(base_of, feed, origin_line(zone), kept) if kept else None
            lines = base and await differences(feed, zone, address, port, base)
            if not lines:
                lines = Lines(zone, feed.max_bytes)
                await dns.asyncquery.inbound_xfr(address, lines, asked(feed, zone, "AXFR"), port)
        except ConnectionRefusedError:
            if address == addresses[-1]:
                raise
        else:
            data = await asyncio.to_thread(lines.listing.applied)
            return data, Validators(etag=mark(feed, lines.serial)), shown(feed.url), lines.received
    raise Fault(f"it has no address; {AGAIN}")


async def differences(feed: FeedDef, zone: dns.name.Name, address: str, port: int, base: Base) -> Lines | None:
    """What is kept with the server's differences applied, or the whole zone where it gives that instead (RFC 1995
    section 4); None where neither comes. Raises Fault where that whole zone is too much, and OSError."""
    query = asked(feed, zone, "IXFR")
    ours = query.find_rrset(query.authority, zone, dns.rdataclass.IN, dns.rdatatype.SOA, create=True)
    ours.add(dns.rdata.from_text("IN", "SOA", f". . {base.serial} 0 0 0 0"), ttl=0)
    lines = Lines(zone, feed.max_bytes, base)
    try:
        async with asyncio.timeout(feed.timeout * DIFFERENCES_SHARE) as lines.limited:
            await dns.asyncquery.inbound_xfr(address, lines, query, port)
    except Fault as error:
        if lines.whole:
            raise
        why = str(error)
    except TimeoutError:
        why = "they do not end"
    except (EOFError, ConnectionResetError, BrokenPipeError):
        why = CUT
    except (dns.exception.DNSException, dns.tsig.PeerError) as error:
        why = sentence(error, feed.tsig is not None)
    else:
        return lines
    log.info("feed %s: no differences from serial %d: %s; the whole zone is asked for", feed.name, base.serial, why)
    return None


def asked(feed: FeedDef, zone: dns.name.Name, kind: str) -> dns.message.QueryMessage:
    """A question about the zone, signed where the feed has a key. Raises Fault."""
    query = dns.message.make_query(zone, kind)
    query.flags &= ~dns.flags.RD
    if feed.tsig:
        secret = filled(feed.tsig.secret)
        try:
            key = dns.tsig.Key(feed.tsig.name, secret, feed.tsig.algorithm)
        except ValueError:
            raise Fault(f"what {feed.tsig.secret} has in the environment is not base64; a key's secret is") from None
        query.use_tsig(key)
    return query


async def serial_mark(feed: FeedDef, zone: dns.name.Name, address: str, port: int) -> str:
    """The mark of the version that the server has now. Raises as `transferred` does."""
    query = asked(feed, zone, "SOA")
    answer = await dns.asyncquery.tcp(query, address, port=port)
    if answer.rcode() != dns.rcode.NOERROR:
        raise Fault(no_zone(answer.rcode(), feed.tsig is not None))
    if feed.tsig and not answer.had_tsig:
        raise dns.tsig.BadSignature
    found = answer.get_rrset(answer.answer, zone, dns.rdataclass.IN, dns.rdatatype.SOA)
    return mark(feed, found[0].serial) if found else ""


class Lines(dns.transaction.TransactionManager):
    """Takes a transfer as it comes in: the serial, and the lines of its A records."""

    def __init__(self, zone: dns.name.Name, limit: int, base: Base | None = None) -> None:
        self.zone, self.limit = zone, limit
        self.head = origin_line(zone)
        self.serial = base.serial if base else 0
        self.listing = Listing(base.data if base else self.head, limit)
        self.most = max(FEW_DIFFERENCES, MAX_DIFFERENCES * len(self.listing))
        self.whole = False  # a zone is coming in, not differences
        self.limited: asyncio.Timeout | None = None  # of differences alone
        self.records = 0
        self.received = 0  # bytes of the lines that came, to be added or deleted

    def origin_information(self) -> tuple[dns.name.Name | None, bool, dns.name.Name | None]:
        return self.zone, False, self.zone

    def get_class(self) -> dns.rdataclass.RdataClass:
        return dns.rdataclass.IN

    def writer(self, replacement: bool = False) -> dns.transaction.Transaction:
        if replacement:
            self.whole, self.received = True, len(self.head)
            self.listing = Listing(self.head, self.limit)
            if self.limited:
                self.limited.reschedule(None)
        return Taking(self, replacement)

    def taken(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> list[bytes]:
        """The lines of records. Raises Fault where there are more than may be."""
        self.records += len(rdataset)
        if self.records > MAX_RECORDS:
            raise Fault(f"more than {MAX_RECORDS:,} records, which no feed may have")
        if not self.whole and self.records > self.most:
            raise Misfit(f"more than {self.most:,} records of differences")
        if rdataset.rdtype != dns.rdatatype.A or rdataset.rdclass != dns.rdataclass.IN:
            return []
        owner = self.owner(name)
        lines = [f"{owner} A {record.address}\n".encode() for record in rdataset]
        self.received += sum(map(len, lines))
        if self.whole and self.received > self.limit:  # the same record again and again is no larger listing
            raise TooLarge(self.limit)
        return lines

    def owner(self, name: dns.name.Name) -> str:
        """A name relative to the zone, as text. Nearly all need no escapes, and are four times as fast without."""
        labels = name.labels[: -len(self.zone.labels)]
        text = b".".join(labels).lower()
        if PLAIN.fullmatch(text) and text.count(b".") == len(labels) - 1:
            return text.decode("ascii")
        return name.relativize(self.zone).to_text().lower()


def origin_line(zone: dns.name.Name) -> bytes:
    """The first line of what a transfer comes to."""
    return f"$ORIGIN {zone.to_text()}\n".encode()


class Taking(dns.transaction.Transaction):
    """The part of a transaction that a transfer uses: records come and go, and each version's SOA."""

    manager: Lines

    def add(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        for line in self.manager.taken(name, rdataset):
            self.manager.listing.add(line)

    def delete_exact(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        for line in self.manager.taken(name, rdataset):
            self.manager.listing.remove(line)

    def replace(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        self.manager.serial = rdataset[0].serial

    def commit(self) -> None:
        """All of it is here."""

    def rollback(self) -> None:
        """What has come so far is not looked at: an exception is on its way, or a whole zone."""


def sentence(error: Exception, signed: bool) -> str:
    """What is wrong with the transfer, without anything that the server wrote."""
    match error:
        case dns.tsig.PeerBadKey() | dns.tsig.PeerBadSignature():
            return "the server does not take our TSIG key; check tsig's name, algorithm and secret with its operator"
        case dns.tsig.PeerBadTime() | dns.tsig.BadTime():
            return "the clocks differ too much for TSIG; check this host's clock"
        case dns.tsig.BadSignature() | dns.tsig.BadKey() | dns.tsig.BadAlgorithm() | dns.message.UnknownTSIGKey():
            return "its answer is not signed by our TSIG key, so it may be anybody's; check tsig"
        case dns.xfr.TransferError():
            return no_zone(error.rcode, signed)
        case dns.exception.FormError() if signed and "TSIG" in str(error):
            return "its answer is not signed by our TSIG key, so it may be anybody's; check tsig"
    return f"its answer is no transfer of the zone ({type(error).__name__}); check the feed's url, {AGAIN}"


def no_zone(rcode: dns.rcode.Rcode, signed: bool) -> str:
    next_step = "check tsig and that this host may transfer the zone" if signed else "it may want a TSIG key"
    return f"the server answers {dns.rcode.to_text(rcode)} and gives no zone; {next_step}"
