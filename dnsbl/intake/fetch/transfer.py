"""Another blocklist's zone, `dns://server[:port]/zone.name`, by AXFR over TCP (RFC 5936), signed by TSIG (RFC 8945).

The serial of the SOA says whether anything changed; where something did, the whole zone is transferred, as the one
before is not kept here. Of the records only A is kept, a line each (`format = "dnsbl-zone"`):

    $ORIGIN bl.example.
    2.0.0.127 2100 A 127.0.0.2

The transfer is taken only when its last message is in, with its signature.
"""

from __future__ import annotations

import io
import re
from urllib.parse import unquote, urlsplit

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.transaction
import dns.tsig
import dns.xfr

from ...config import FeedDef
from .addresses import check_host, checked_addresses
from .base import AGAIN, CUT, Fault, Outcome, TooLarge, Validators, faults_at, filled, shown

__all__ = ["from_transfer"]

PORT = 53
PLAIN = re.compile(rb"[A-Za-z0-9_*.-]+")
MAX_RECORDS = 20_000_000  # of every type: those that are not kept cost time, too


async def from_transfer(feed: FeedDef, known: Validators) -> Outcome:
    """The zone's lines; None where its serial is the one known."""
    url = urlsplit(feed.url)
    with faults_at(feed.url):
        host, port = url.hostname or "", url.port or PORT
        check_host(host, feed.private)
        try:
            zone = dns.name.from_text(unquote(url.path).strip("/"))
            return await transferred(feed, known, zone, await checked_addresses(host, port, feed.private), port)
        except EOFError:
            raise Fault(CUT) from None
        except (dns.exception.DNSException, dns.tsig.PeerError) as error:
            raise Fault(sentence(error, feed.tsig is not None)) from None


async def transferred(
    feed: FeedDef, known: Validators, zone: dns.name.Name, addresses: list[str], port: int
) -> Outcome:
    """Try one address after the other until one takes the connection. Raises Fault, OSError, DNSException."""
    for address in addresses:
        try:
            if known.etag and known.etag == await serial_mark(feed, zone, address, port):
                return None, known, shown(feed.url), 0
            lines = Lines(zone, feed.max_bytes)
            await dns.asyncquery.inbound_xfr(address, lines, asked(feed, zone, "AXFR"), port)
        except ConnectionRefusedError:
            if address == addresses[-1]:
                raise
        else:
            data = lines.text.getvalue()
            return data, Validators(etag=mark(feed, lines.serial)), shown(feed.url), len(data)
    raise Fault(f"it has no address; {AGAIN}")


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


def mark(feed: FeedDef, serial: int) -> str:
    """Stands for an ETag: the version of this zone on this server, and not another's of the same number."""
    return f"soa-{serial} {shown(feed.url)}"


class Lines(dns.transaction.TransactionManager):
    """Takes a transfer as it comes in, and keeps the lines of its A records and the serial."""

    def __init__(self, zone: dns.name.Name, limit: int) -> None:
        self.zone = zone
        self.serial = 0
        self.limit = limit
        self.records = 0
        self.text = io.BytesIO()

    def origin_information(self) -> tuple[dns.name.Name | None, bool, dns.name.Name | None]:
        return self.zone, False, self.zone

    def get_class(self) -> dns.rdataclass.RdataClass:
        return dns.rdataclass.IN

    def writer(self, replacement: bool = False) -> dns.transaction.Transaction:
        self.text = io.BytesIO()
        self.text.write(f"$ORIGIN {self.zone.to_text()}\n".encode())
        return Taking(self, replacement)

    def take(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        """Raises Fault where there is more than may be."""
        self.records += len(rdataset)
        if self.records > MAX_RECORDS:
            raise Fault(f"more than {MAX_RECORDS:,} records, which no feed may have")
        if rdataset.rdtype == dns.rdatatype.A:
            owner = self.owner(name)
            for record in rdataset:
                self.text.write(f"{owner} {rdataset.ttl} A {record.address}\n".encode())
        if self.text.tell() > self.limit:
            raise TooLarge(self.limit)

    def owner(self, name: dns.name.Name) -> str:
        """A name relative to the zone, as text. Nearly all need no escapes, and are four times as fast without."""
        labels = name.labels[: -len(self.zone.labels)]
        text = b".".join(labels)
        if PLAIN.fullmatch(text) and text.count(b".") == len(labels) - 1:
            return text.decode("ascii")
        return name.relativize(self.zone).to_text()


class Taking(dns.transaction.Transaction):
    """The part of a transaction that a transfer uses: records come, the last of them is the SOA."""

    manager: Lines

    def add(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        self.manager.take(name, rdataset)

    def replace(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        self.manager.serial = rdataset[0].serial

    def commit(self) -> None:
        """All of it is here."""

    def rollback(self) -> None:
        self.manager.text = io.BytesIO()


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
