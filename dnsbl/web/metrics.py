"""Figures for Prometheus. What happens here is counted as it happens; the rest is looked up when asked for.

Labels come from closed sets. The clients that ask most are not here: their addresses are personal data, and a label
that strangers fill grows without end. `dnsbl queries` shows them to who may read `data_dir`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__, clock
from ..errors import DnsblError
from ..intake.reports import Intake
from ..removal.machine import GRANTED, OPEN, PERSON, PROVEN, REQUESTED
from ..zones.publish import Published
from .backend import Backend
from .dnscounts import DnsCounts, packets, read_counts
from .zonebook import ZoneBook

__all__ = ["Metrics"]

FEED_STATES = ("new", "ok", "unchanged", "failed", "quarantined", "off")


class Metrics:
    """One registry for each application."""

    def __init__(self, backend: Backend, book: ZoneBook) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dnsbl_http_requests", "HTTP requests answered", ["route", "method", "status"], registry=self.registry
        )
        self.reports = Counter("dnsbl_reports", "Reports received by HTTP", ["result"], registry=self.registry)
        self.publishes = Counter("dnsbl_publishes", "Snapshots published", ["zone", "kind"], registry=self.registry)
        self.publish_seconds = Counter(
            "dnsbl_publish_seconds", "Time spent publishing", ["zone", "kind"], registry=self.registry
        )
        for result in ("taken", "repeated", "rejected"):
            self.reports.labels(result)
        self.registry.register(LookedUp(backend, book))

    def published(self, published: Published) -> None:
        """A zone was published; from any thread."""
        kind = "whole" if published.whole else "delta"
        self.publishes.labels(published.zone, kind).inc()
        self.publish_seconds.labels(published.zone, kind).inc(published.seconds)

    def counted(self, intake: Intake) -> None:
        """Reports were committed, or refused one by one."""
        for result in ("taken", "repeated", "rejected"):
            self.reports.labels(result).inc(getattr(intake, result))

    def render(self) -> bytes:
        """The text that Prometheus reads; from any thread."""
        return generate_latest(self.registry)


class LookedUp(Collector):
    """What zones, feeds, the store and the DNS processes say when asked."""

    def __init__(self, backend: Backend, book: ZoneBook) -> None:
        self.backend, self.book = backend, book

    def describe(self) -> list[Metric]:
        """Nothing is looked up at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily("dnsbl_build_info", "Which version runs", labels=["version"])
        version.add_metric([__version__], 1)
        yield version
        try:
            yield from self.zones()
            yield from self.feeds()
            yield from self.queue()
            yield from self.waiting()
            yield from self.removals()
            store_up = 1
        except DnsblError:  # the figures of a store that cannot be read are missing, and this says why
            store_up = 0
        yield GaugeMetricFamily("dnsbl_store_up", "Whether the store can be read", value=store_up)
        yield from dns(read_counts(self.backend.app.data_dir / "run"))
        yield from self.traps()
        yield from self.exports()

    def zones(self) -> Iterator[Metric]:
        serial = GaugeMetricFamily("dnsbl_zone_serial", "Serial of the published zone", labels=["zone"])
        made = GaugeMetricFamily("dnsbl_zone_made_timestamp_seconds", "When it was made", labels=["zone"])
        pieces = GaugeMetricFamily("dnsbl_zone_pieces", "Pieces of a snapshot file", labels=["zone", "file"])
        listed = GaugeMetricFamily("dnsbl_zone_listings", "Listings of the zone", labels=["zone"])
        for facts in self.book.facts():
            name = facts.zone.name
            listed.add_metric([name], facts.listed)
            if facts.snapshot:
                serial.add_metric([name], facts.snapshot.serial)
                made.add_metric([name], facts.snapshot.made_at)
                pieces.add_metric([name, "base"], facts.snapshot.base)
                pieces.add_metric([name, "delta"], facts.snapshot.delta)
        yield from (serial, made, pieces, listed)

    def feeds(self) -> Iterator[Metric]:
        age = GaugeMetricFamily("dnsbl_feed_age_seconds", "Since the feed was last good", labels=["feed"])
        state = GaugeMetricFamily("dnsbl_feed_state", "1 for the state the feed is in", labels=["feed", "state"])
        entries = GaugeMetricFamily("dnsbl_feed_entries", "Entries of the feed last applied", labels=["feed"])
        for row in self.backend.app.feed_status():
            if row["good_at"]:
                age.add_metric([row["name"]], max(0.0, time.time() - clock.parse_time(row["good_at"])))
            for each in FEED_STATES:
                state.add_metric([row["name"], each], float(row["state"] == each))
            if row["entries"] is not None:
                entries.add_metric([row["name"]], row["entries"])
        yield from (age, state, entries)

    def queue(self) -> Iterator[Metric]:
        touched = self.backend.app.store.touched_count()
        yield GaugeMetricFamily("dnsbl_touched", "Subjects waiting to be decided anew", value=touched)

    def waiting(self) -> Iterator[Metric]:
        held = sum(hold.state == "held" for hold in self.backend.app.store.holds())
        yield GaugeMetricFamily("dnsbl_holds", "Places whose listings wait for a person", value=held)

    def removals(self) -> Iterator[Metric]:
        """RFC 6471 section 2.2.3 wants a person's answer within 2 days: the oldest says how far that is kept."""
        store = self.backend.app.store
        counts = GaugeMetricFamily("dnsbl_removals", "Requests for removal that are not closed", labels=["state"])
        for state in (*sorted(OPEN - {REQUESTED, PROVEN}), GRANTED):
            counts.add_metric([state], store.count_removals((state,)))
        yield counts
        oldest = store.oldest_removal(PERSON)
        waits = 0.0 if oldest is None else max(0.0, time.time() - oldest)
        yield GaugeMetricFamily("dnsbl_removal_wait_seconds", "Since the oldest waits for a person", value=waits)
        yield GaugeMetricFamily(
            "dnsbl_mail_waiting", "Mails of ours that are still to be sent", value=store.mail_waiting()
        )

    def traps(self) -> Iterator[Metric]:
        events = CounterMetricFamily("dnsbl_trap_events", "What happened to mail for traps", labels=["event"])
        for event, count in sorted(self.backend.trap_counts().items()):
            events.add_metric([event], count)
        yield events

    def exports(self) -> Iterator[Metric]:
        good = GaugeMetricFamily(
            "dnsbl_export_success_timestamp_seconds", "When its files were last brought up to date", labels=["export"]
        )
        failures = CounterMetricFamily("dnsbl_export_failures", "Runs that left files unwritten", labels=["export"])
        for fared in self.backend.exports_fared():
            failures.add_metric([fared.name], fared.failures)
            if fared.good_at is not None:
                good.add_metric([fared.name], fared.good_at)
        yield from (good, failures)


def dns(counts: DnsCounts) -> Iterator[Metric]:
    """What the DNS processes say, added up; but for `talkers`."""
    replies = CounterMetricFamily(
        "dnsbl_dns_replies", "DNS replies sent", labels=["zone", "type", "rcode", "transport"]
    )
    for labels, count in sorted(counts.replies.items()):
        replies.add_metric(labels, count)
    events = CounterMetricFamily("dnsbl_dns_events", "What else happened to DNS messages", labels=["event"])
    for event, count in sorted(counts.events.items()):
        events.add_metric([event], count)
    batches = CounterMetricFamily(
        "dnsbl_dns_batches", "Times that so many packets came at once, on the native path", labels=["packets"]
    )
    for size, count in sorted(counts.batches.items()):
        batches.add_metric([packets(size)], count)
    refused = CounterMetricFamily("dnsbl_transfers_refused", "Transfers refused, by reason", labels=["reason"])
    for reason, count in sorted(counts.transfers_refused.items()):
        refused.add_metric([reason], count)
    yield from (replies, events, batches, refused, *secondaries(counts))
    yield GaugeMetricFamily("dnsbl_dns_processes", "DNS processes that tell their figures", value=counts.processes)


def secondaries(counts: DnsCounts) -> Iterator[Metric]:
    """How far the configured secondaries are; the catalog has no zone's name."""
    labels = ["secondary", "zone"]
    told = GaugeMetricFamily("dnsbl_secondary_told_serial", "The serial that NOTIFY told of", labels=labels)
    has = GaugeMetricFamily("dnsbl_secondary_acknowledged_serial", "The newest it acknowledged", labels=labels)
    silent = GaugeMetricFamily("dnsbl_secondary_silent_seconds", "Since it answered NOTIFY; 0: it does", labels=labels)
    for row in counts.secondaries:
        names = [row.secondary, row.zone]
        told.add_metric(names, row.serial)
        if row.acknowledged is not None:
            has.add_metric(names, row.acknowledged)
        silent.add_metric(names, max(0.0, time.time() - row.silent_since) if row.silent_since else 0.0)
    yield from (told, has, silent)
