"""DNS for SPF, DKIM and DMARC: one resolver of ours, a cache shared by all mails, and limits for each of them.

The names are chosen by strangers, and so are the answers; a look-up that fails is an answer too. What the cache holds
is bounded in number and in bytes, what a mail may ask in number and in time.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from ...config.base import parse_listen
from ...errors import StartError

__all__ = ["FAILED", "NOTHING", "Found", "Lookups", "MailLookups"]

PER_LOOKUP = 2.0  # seconds for one look-up, with one retry in it
PER_MAIL = 5.0  # seconds of look-ups for one mail
MAX_ASKED = 60  # look-ups for one mail; RFC 7208's ten may take ten more for each `mx`
MAX_CACHED = 10_000  # answers
MAX_CACHED_BYTES = 16 * 2**20  # of answers, with OVERHEAD for each
OVERHEAD = 400  # bytes of one answer beside its values, roughly
MAX_TEXT = 4096  # bytes of a TXT record: the longest keys have 800, SPF should have 450 (RFC 7208 section 3.4)
MAX_VALUES = 100  # records of an answer that are kept; large firms have some 60 TXT
MIN_TTL, MAX_TTL = 30, 3600  # seconds that an answer is kept, whatever its TTL
NEGATIVE_TTL = 300  # seconds that it is kept that there is no such name
FAILED_TTL = 10  # seconds that a failure is kept
EDNS_SIZE = 1232  # bytes of a UDP answer (DNS flag day 2020); longer ones come by TCP, within the same time
KINDS = frozenset(("A", "AAAA", "MX", "PTR", "TXT"))


@dataclass(slots=True, frozen=True)
class Found:
    """What an answer holds: bytes for TXT, text for A, AAAA and PTR, (preference, host) for MX."""

    values: tuple[Any, ...] = ()
    failed: bool = False  # not known: no answer in time, or none that can be believed

    @property
    def size(self) -> int:
        """Bytes in memory, roughly."""
        return OVERHEAD + sum(len(value) for value in self.values)


NOTHING = Found()
FAILED = Found(failed=True)
Key = tuple[str, str]


class Lookups:
    """Shared by all threads. `clock` is monotonic seconds."""

    def __init__(
        self,
        resolver: dns.resolver.Resolver,
        per_lookup: float = PER_LOOKUP,
        per_mail: float = PER_MAIL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.resolver, self.per_lookup, self.per_mail, self.clock = resolver, per_lookup, per_mail, clock
        self.cache = Cache()
        # Of the threads that evaluate, one computes at a time and the others wait for the DNS: they would be no faster
        # for the interpreter's lock, and the event loop, which is one among them, would hardly get it.
        self.turn = threading.Lock()
        self.closed = False
        resolver.cache = None
        resolver.timeout = per_lookup / 2
        resolver.use_edns(0, 0, EDNS_SIZE)

    @classmethod
    def through(cls, resolver: str, per_lookup: float = PER_LOOKUP, per_mail: float = PER_MAIL) -> Lookups:
        """By way of `127.0.0.1:5353`, or of the system's resolvers where it is empty. Raises StartError."""
        if not resolver:
            try:
                return cls(dns.resolver.Resolver(), per_lookup, per_mail)
            except (dns.exception.DNSException, OSError) as error:
                raise StartError(
                    f"the system names no DNS resolver ({error}); write an address and port, or off, as trap.resolver"
                ) from error
        host, port = parse_listen(resolver)
        chosen = dns.resolver.Resolver(configure=False)
        chosen.nameservers, chosen.port = [host], port
        return cls(chosen, per_lookup, per_mail)

    @contextmanager
    def for_mail(self) -> Iterator[MailLookups]:
        """For as long as one mail is evaluated, in its turn."""
        with self.turn:
            yield MailLookups(self)

    def close(self) -> None:
        """What still asks is told that everything fails."""
        self.closed = True

    def cached(self, key: Key) -> Found | None:
        return self.cache.get(key, self.clock())

    def fetch(self, key: Key, name: dns.name.Name, seconds: float) -> Found:
        """From the resolver, within so many seconds. Others have the turn meanwhile."""
        if self.closed:
            return FAILED
        self.turn.release()
        try:
            found, ttl = self.resolved(name, key[1], seconds)
        finally:
            self.turn.acquire()
        if not found.failed or seconds >= self.per_lookup:  # a failure for want of time says nothing about the name
            self.cache.put(key, found, self.clock() + ttl)
        return found

    def resolved(self, name: dns.name.Name, kind: str, seconds: float) -> tuple[Found, int]:
        """What the name has, and for how many seconds that is to be kept."""
        try:
            answer = self.resolver.resolve(name, kind, lifetime=seconds, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return NOTHING, NEGATIVE_TTL
        except (dns.exception.DNSException, OSError):
            return FAILED, FAILED_TTL
        ttl = min(max(answer.chaining_result.minimum_ttl, MIN_TTL), MAX_TTL)
        values = tuple(value_of(record) for record in list(answer.rrset or ())[:MAX_VALUES])
        return Found(tuple(value for value in values if len(value) <= MAX_TEXT)), ttl


def value_of(record: Any) -> Any:
    """The value of a record of one of KINDS."""
    kind = record.rdtype
    if kind == dns.rdatatype.TXT:
        return b"".join(record.strings)
    if kind == dns.rdatatype.MX:
        return record.preference, record.exchange.to_text(omit_final_dot=True)
    return record.target.to_text(omit_final_dot=True) if kind == dns.rdatatype.PTR else record.address


class MailLookups:
    """The look-ups of one mail, counted and timed together."""

    def __init__(self, lookups: Lookups) -> None:
        self.lookups = lookups
        self.deadline = lookups.clock() + lookups.per_mail
        self.left = MAX_ASKED

    def ask(self, name: str, kind: str) -> Found:
        """`kind` is one of KINDS. A text that is no name has nothing; never raises."""
        wanted = dns_name(name)
        if wanted is None or kind not in KINDS:
            return NOTHING
        key = (name.lower().rstrip("."), kind)
        kept = self.lookups.cached(key)
        if kept is not None:
            return kept
        seconds = min(self.deadline - self.lookups.clock(), self.lookups.per_lookup)
        if seconds <= 0 or self.left <= 0:
            return FAILED
        self.left -= 1
        return self.lookups.fetch(key, wanted, seconds)


def dns_name(text: str) -> dns.name.Name | None:
    """The labels as they are: no escapes, no IDNA. None where there is no such name."""
    try:
        return dns.name.Name([*(label.encode("ascii") for label in text.rstrip(".").split(".")), b""])
    except (dns.exception.DNSException, UnicodeEncodeError):
        return None


class Cache:
    """The answers that were put in last. An answer that is put in leaves when it is too old, or when there is no room
    for the next: strangers choose what is looked up, so what was used last is not worth more."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[Key, tuple[float, Found]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Key, now: float) -> Found | None:
        with self.lock:
            until, found = self.kept.get(key, (now, None))
            return found if until > now else None

    def put(self, key: Key, found: Found, until: float) -> None:
        with self.lock:
            self.forget(key)
            self.kept[key] = (until, found)
            self.bytes += found.size
            while len(self.kept) > MAX_CACHED or self.bytes > MAX_CACHED_BYTES:
                self.forget(next(iter(self.kept)))

    def forget(self, key: Key) -> None:
        if key in self.kept:
            self.bytes -= self.kept.pop(key)[1].size
