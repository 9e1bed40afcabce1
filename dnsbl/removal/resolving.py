"""DNS as a proof of control: reverse names that are confirmed forward, and TXT records that were asked for.

Names and answers are strangers' own. Nothing is remembered: who looks a second time, after a mistake was put right,
must not be told what was true before. That nothing is there is an answer; that it cannot be known (SERVFAIL, silence, a
resolver that is away) is a ProofError: a sentence of the catalogue, without names; those are in the log.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from ..config.base import parse_listen
from ..errors import ProofError
from ..phrases import N_
from .names import hostname

__all__ = ["OFF", "Resolving"]

log = logging.getLogger("dnsbl.removal")

OFF = "off"  # as configured: nothing is looked up
PER_LOOKUP = 3.0  # seconds for one look-up, with one retry in it
IN_ALL = 10.0  # seconds for all look-ups of one proof: a person waits
MAX_POINTERS = 10  # PTR records that are looked at; an honest address has one
MAX_NAMES = 3  # of them that are confirmed: each may cost a look-up at a stranger's server
MAX_ADDRESSES = 100  # of one name that are looked at
MAX_TEXTS = 50  # TXT records that are looked at; large firms have some 60 at their apex, and we ask below it
AT_ONCE = 20  # proofs that are looked up at the same time; others wait, within their time
EDNS_SIZE = 1232  # bytes of a UDP answer (DNS flag day 2020); longer ones come by TCP

NOT_HERE = N_("nothing is looked up in DNS here; choose another proof")
LATE = N_("the DNS gave no answer in time; check that the servers of the name answer, and try again in some minutes")
UNUSABLE = N_(
    "the DNS gave no answer that can be used; check that the servers of the name answer, and try again in some minutes"
)

Address = IPv4Address | IPv6Address


class Resolving:
    """Asks `resolver`: an address and port, "" for the system's, OFF for none at all."""

    def __init__(self, resolver: str, per_lookup: float = PER_LOOKUP, in_all: float = IN_ALL) -> None:
        self.resolver, self.per_lookup, self.in_all = resolver, per_lookup, in_all
        self.turns = asyncio.Semaphore(AT_ONCE)

    @property
    def off(self) -> bool:
        """Whether no proof by DNS, nor by mail to a reverse name, can be offered."""
        return self.resolver == OFF

    async def reverse_names(self, address: Address) -> list[str]:
        """The names of an address that have it in turn, MAX_NAMES at most, in lower case; sorted, as resolvers turn
        answers round. Raises ProofError where none is confirmed, and another answer could have confirmed one."""
        address = plain(address)
        async with self.proof():
            pointers = await self.ask(dns.name.from_text(address.reverse_pointer), "PTR")
            names = sorted(set(filter(None, map(pointed, islice(pointers, MAX_POINTERS)))))[:MAX_NAMES]
            answers = await asyncio.gather(*(self.has_address(name, address) for name in names), return_exceptions=True)
        confirmed = [name for name, answer in zip(names, answers, strict=True) if answer is True]
        unknown = [answer for answer in answers if isinstance(answer, BaseException)]
        if unknown and not confirmed:
            raise unknown[0]
        return confirmed

    async def has_txt(self, name: str, value: str) -> bool:
        """Whether one TXT record of a name is the value, and nothing else but blanks around it. Raises ProofError."""
        wanted, found = value.strip().encode(), False
        asked = dns_name(name)
        if asked is None:
            return False
        async with self.proof():
            for record in islice(await self.ask(asked, "TXT"), MAX_TEXTS):
                found |= hmac.compare_digest(b"".join(record.strings).strip(), wanted)
        return found

    async def has_address(self, name: str, address: Address) -> bool:
        records = await self.ask(dns.name.from_text(name), "A" if address.version == 4 else "AAAA")
        return str(address) in {str(record.address) for record in islice(records, MAX_ADDRESSES)}

    @asynccontextmanager
    async def proof(self) -> AsyncIterator[None]:
        """The look-ups of one proof, in their turn and their time. Raises ProofError."""
        if self.off:
            raise ProofError(NOT_HERE)
        try:
            async with asyncio.timeout(self.in_all), self.turns:
                yield
        except TimeoutError:
            raise ProofError(LATE) from None

    async def ask(self, name: dns.name.Name, kind: str) -> Iterable[Any]:
        """The records of a name, none where there is nothing of that kind. Raises ProofError."""
        try:
            answer = await fresh(self.resolver, self.per_lookup).resolve(
                name, kind, lifetime=self.per_lookup, search=False, raise_on_no_answer=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
            return ()
        except (dns.exception.DNSException, OSError) as error:
            log.info("%s of %s: not known (%s)", kind, name, type(error).__name__)
            raise ProofError(LATE if isinstance(error, dns.resolver.LifetimeTimeout) else UNUSABLE) from None
        return answer.rrset or ()


def fresh(address: str, per_lookup: float) -> dns.asyncresolver.Resolver:
    """A resolver that remembers nothing; the system's is read anew each time, and may have changed."""
    resolver = dns.asyncresolver.Resolver(configure=not address)
    if address:
        host, resolver.port = parse_listen(address)
        resolver.nameservers = [host]
    resolver.cache = None
    resolver.timeout = per_lookup / 2
    resolver.use_edns(0, 0, EDNS_SIZE)
    return resolver


def pointed(record: Any) -> str | None:
    """The host that a PTR record names; None where that is no host's name. What has escapes in it is none."""
    return hostname(record.target.to_text())


def plain(address: Address) -> Address:
    """IPv4 within IPv6 as the IPv4 that it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def dns_name(text: str) -> dns.name.Name | None:
    """The labels as they are: no escapes, no IDNA. None where there is no such name."""
    try:
        return dns.name.Name([*(label.encode("ascii") for label in text.rstrip(".").split(".")), b""])
    except (dns.exception.DNSException, UnicodeEncodeError):
        return None
