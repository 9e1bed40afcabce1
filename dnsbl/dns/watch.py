"""Who asks what, from samples: one query in so many stands for all of them, so watching costs the same at any rate.

The samples of a second feed the top talkers, and a log where one is wanted. Clients are people's addresses: nothing
of this is on a public page.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import orjson

from .. import clock
from ..config import DnsConfig
from .answer import Answerer
from .counters import OTHER, TYPES
from .message import Rcode
from .native import Native
from .samples import Sample
from .served import presentation

__all__ = ["QueryLog", "Talkers", "Watcher"]

MAX_LOG = 64 * 2**20  # octets of a query log; then it becomes PATH.1, and the one before goes
EVERY = 1.0  # seconds between two looks at the samples
TOP = 20  # talkers that are told
HALF = 60.0  # seconds after which a talker's queries count half


log = logging.getLogger("dnsbl.dns")


class Talkers:
    """The clients that ask most (a /64 in IPv6), counted in bounded memory: Misra and Gries, "Finding repeated
    elements" (1982). What a client is said to have asked is never too much, and too little by one part in `keep` of
    all queries at most."""

    def __init__(self, keep: int = 1000) -> None:
        self.keep = keep
        self.weights: dict[str, float] = {}
        self.faded_at: float | None = None

    def add(self, samples: Iterable[Sample], now: float) -> None:
        """Count samples; `now` in seconds of any clock that does not go back."""
        self.fade(now)
        for sample in samples:
            client = network(sample.client)
            self.weights[client] = self.weights.get(client, 0) + sample.weight
            if len(self.weights) > 2 * self.keep:
                self.shrink()

    def fade(self, now: float) -> None:
        if self.faded_at is not None and now > self.faded_at:
            share = 0.5 ** ((now - self.faded_at) / HALF)
            self.weights = {client: left for client, weight in self.weights.items() if (left := weight * share) >= 0.5}
        self.faded_at = now

    def shrink(self) -> None:
        """Keep the larger half: all give up as much as the largest of those that go has."""
        cut = heapq.nlargest(self.keep + 1, self.weights.values())[-1]
        self.weights = {client: weight - cut for client, weight in self.weights.items() if weight > cut}

    def top(self, count: int) -> list[dict[str, Any]]:
        """The clients that asked most lately, and about how many queries of the last `HALF` seconds or so."""
        most = heapq.nlargest(count, self.weights.items(), key=lambda item: item[1])
        return [{"client": client, "queries": round(weight)} for client, weight in most]


class QueryLog:
    """Samples as NDJSON, one line each. Opened for each write, so that it may be moved away at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, samples: Iterable[Sample], now: float) -> None:
        """Append samples. Raises OSError."""
        lines = b"".join(orjson.dumps(record(sample, now)) + b"\n" for sample in samples)
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(lines)
            size = file.tell()
        if size > MAX_LOG:
            self.path.replace(self.path.with_name(self.path.name + ".1"))


class Watcher:
    """Fetches samples once a second, from both paths, for the talkers and the log."""

    def __init__(self, answerer: Answerer, native: Native | None, settings: DnsConfig) -> None:
        self.answerer, self.native = answerer, native
        self.rate = settings.query_log_rate
        self.log = QueryLog(settings.query_log) if settings.query_log else None
        self.talkers = Talkers()
        self.failing = False  # the log could not be written: said once

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            samples = self.answerer.samples.fetch(self.rate)
            if self.native:
                samples += self.native.samples(self.rate)
            self.talkers.add(samples, time.monotonic())
            if self.log:
                await self.write(self.log, samples)
            await asyncio.sleep(EVERY)

    async def write(self, query_log: QueryLog, samples: list[Sample]) -> None:
        try:
            await asyncio.to_thread(query_log.write, samples, time.time())
            self.failing = False
        except OSError as error:
            if not self.failing:
                log.error("the query log %s cannot be written (%s); answers go on", query_log.path, error.strerror)
            self.failing = True

    def snapshot(self) -> dict[str, Any]:
        """Who asked most lately, fit for JSON."""
        return {"talkers": self.talkers.top(TOP)}


def record(sample: Sample, now: float) -> dict[str, Any]:
    """A sample as a line of the log."""
    return {
        "time": clock.rfc3339(int(now)),
        "weight": sample.weight,
        "client": sample.client,
        "name": name_text(sample.name),
        "type": TYPES.get(sample.qtype, str(sample.qtype) if sample.qtype >= 0 else OTHER),
        "rcode": Rcode(sample.rcode).name,
        "zone": sample.zone,
    }


def name_text(wire: bytes) -> str:
    """A name as people write it."""
    labels = []
    at = 0
    while at < len(wire) and (length := wire[at]):
        labels.append(presentation(wire[at + 1 : at + 1 + length]))
        at += 1 + length
    return b".".join(labels).decode("ascii") or "."


def network(client: str) -> str:
    """Who a client is: its address, or the /64 it has to itself."""
    if ":" not in client:
        return client
    address = ip_address(client.partition("%")[0])
    return str(ip_network((address, 64), strict=False))
