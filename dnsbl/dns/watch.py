"""Who asks what, from samples: one query in so many stands for all of them, so watching costs the same at any rate.

The samples of a second feed the top talkers, and a log where one is wanted. Clients are people's addresses: nothing
of this is on a public page or in /metrics, and the log is not for everyone to read. A log that cannot be written costs
its records, never an answer.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import logging
import os
import stat
import time
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import orjson

from .. import clock
from ..config import DnsConfig
from .answer import Answerer
from .counters import OTHER, TYPES
from .keys import begins_as_key
from .message import Rcode
from .native import Native
from .samples import Sample, thinned
from .served import presentation

__all__ = ["QueryLog", "Talkers", "Watcher"]

MAX_LOG = 64 * 2**20  # octets of a query log; then it becomes PATH.1, and the one before goes
EVERY = 1.0  # seconds between two looks at the samples
KEY_MASK = b"(key)"
MASKED_FROM = 16  # octets of a label that begins as a key: shorter ones are names, or too little of a key to matter
TOP = 20  # talkers that are told
HALF = 60.0  # seconds after which a talker's queries count half
FORGOTTEN = 2**-20  # of a query: less is as good as none, and a client that asked once goes after twenty minutes

log = logging.getLogger("dnsbl.dns")


class Talkers:
    """The clients that ask most (a /64 in IPv6), counted in bounded memory: Misra and Gries, "Finding repeated
    elements" (1982), with weights, and all of them fading alike, so that its bounds hold at any time: against the
    faded sum of a client's samples, what is told is never too much, and too little by at most one part in `keep` of
    the faded sum of all. How near samples are to what was asked is another matter: chance has a hand in that."""

    def __init__(self, keep: int = 1000) -> None:
        self.keep = keep
        self.weights: dict[str, float] = {}  # at most twice as many as are kept
        self.faded_at: float | None = None

    def add(self, samples: Iterable[Sample], now: float) -> None:
        """Count samples; `now` in seconds of any clock that does not go back."""
        self.fade(now)
        for sample in samples:
            client = network(sample.client)
            if not client:
                continue
            self.weights[client] = self.weights.get(client, 0) + sample.weight
            if len(self.weights) > 2 * self.keep:
                self.shrink()

    def fade(self, now: float) -> None:
        """Let all count less by the time that went by."""
        if self.faded_at is not None and now > self.faded_at:
            share = 0.5 ** ((now - self.faded_at) / HALF)
            faded = ((client, weight * share) for client, weight in self.weights.items())
            self.weights = {client: weight for client, weight in faded if weight >= FORGOTTEN}
        self.faded_at = now

    def shrink(self) -> None:
        """Keep the larger half: all give up as much as the largest of those that go has. So whatever one gives up,
        `keep` others and more give up too, and nobody can lose more than that part of the whole."""
        cut = heapq.nlargest(self.keep + 1, self.weights.values())[-1]
        self.weights = {client: weight - cut for client, weight in self.weights.items() if weight > cut}

    def top(self, count: int) -> list[dict[str, Any]]:
        """The clients that asked most lately, and about how many queries: from one that asks steadily, as many as in
        the last HALF / ln 2 = 87 seconds."""
        most = heapq.nlargest(count, self.weights.items(), key=lambda item: item[1])
        return [{"client": client, "queries": queries} for client, weight in most if (queries := round(weight)) > 0]


class QueryLog:
    """Samples as NDJSON, one line each. Opened for each write, so that it may be moved away at any time; a regular file
    and never a link, as its directory may be one that others write to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, samples: Iterable[Sample], now: float) -> None:
        """Append samples: all of them, or after an exception none. Raises OSError."""
        lines = b"".join(orjson.dumps(record(sample, now)) + b"\n" for sample in samples)
        if not lines:
            return
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = self.opened()
        try:
            size = os.fstat(descriptor).st_size
            if size and size + len(lines) > MAX_LOG:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
                os.close(descriptor)
                descriptor = self.opened()
            append(descriptor, lines)
        finally:
            os.close(descriptor)

    def opened(self) -> int:
        """The log to append to, without waiting for whoever may be behind it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags, 0o640)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a pipe that nobody reads
                raise OSError(error.errno, "it is no regular file") from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file")
        return descriptor


class Watcher:
    """Fetches samples once a second, from both paths, for the talkers and the log."""

    def __init__(self, answerer: Answerer, native: Native | None, settings: DnsConfig) -> None:
        self.answerer, self.native = answerer, native
        self.rate = settings.query_log_rate
        self.log = QueryLog(settings.query_log) if settings.query_log else None
        self.talkers = Talkers()
        self.failing = False  # the log could not be written: said once
        self.broken = False  # a mistake of ours: said once

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                if not self.broken:
                    log.exception("samples of queries cannot be looked at; answers go on")
                self.broken = True
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Fetch what was sampled, and pass it on."""
        samples = self.answerer.samples.fetch(self.rate)
        if self.native:
            samples += self.native.samples(self.rate)
        self.talkers.add(samples, time.monotonic())
        if self.log:
            await self.write(self.log, thinned(samples, self.rate))

    async def write(self, query_log: QueryLog, samples: list[Sample]) -> None:
        if not samples:
            return
        try:
            await asyncio.to_thread(query_log.write, samples, time.time())
        except OSError as error:
            if not self.failing:
                log.error("the query log %s cannot be written (%s); answers go on", query_log.path, error.strerror)
            self.failing = True
        else:
            if self.failing:
                log.info("the query log %s is written again", query_log.path)
            self.failing = False

    def snapshot(self) -> dict[str, Any]:
        """Who asked most lately, fit for JSON."""
        return {"talkers": self.talkers.top(TOP)}


def append(descriptor: int, content: bytes) -> None:
    """Append all or nothing: half a line, left by a full disk, would spoil the next. Raises OSError."""
    before = os.fstat(descriptor).st_size
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def record(sample: Sample, now: float) -> dict[str, Any]:
    """A sample as a line of the log. A message without a question has no name and no type."""
    return {
        "time": clock.rfc3339(int(now)),
        "weight": sample.weight,
        "client": sample.client,
        "name": name_text(sample.name),
        "type": type_text(sample.qtype) if sample.name else "",
        "rcode": rcode_text(sample.rcode),
        "zone": sample.zone,
    }


def name_text(wire: bytes) -> str:
    """A name as people write it, but for keys in it, which are nobody's to read; empty where there is none."""
    labels = []
    at = 0
    while at < len(wire) and (length := wire[at]):
        label = wire[at + 1 : at + 1 + length]
        labels.append(KEY_MASK if looks_like_key(label) else presentation(label))
        at += 1 + length
    return b".".join(labels).decode("ascii") or ("." if wire else "")


def looks_like_key(label: bytes) -> bool:
    """Whether a label is a key, or may be one with a letter wrong, wherever it stands."""
    return begins_as_key(label) and len(label) >= MASKED_FROM


def type_text(qtype: int) -> str:
    """A type by its name, or as RFC 3597 section 5 writes those without one."""
    return TYPES.get(qtype) or (f"TYPE{qtype}" if qtype >= 0 else OTHER)


def rcode_text(rcode: int) -> str:
    try:
        return Rcode(rcode).name
    except ValueError:
        return f"RCODE{rcode}"


def network(client: str) -> str:
    """Who a client is: its address, or the /64 it has to itself. IPv4 that came to a socket of both kinds is IPv4."""
    if ":" not in client:
        return client
    address: IPv4Address | IPv6Address = ip_address(client.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))
