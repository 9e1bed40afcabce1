"""Figures of the whole server, made in the background: a million rows are not counted for each visitor. What is shown
may be minutes old and says when it was made; where the store cannot be read, the last figures stay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from .. import clock
from ..config import ZoneDef
from ..store.contract import Store
from .backend import Backend
from .dnscounts import read_counts
from .models import CodeFigure, DayFigure, Overlap, Stats, ZoneFigures, ZoneQueries

__all__ = ["DAYS", "StatsBook", "overlaps"]

log = logging.getLogger("dnsbl.web")

EVERY = 300.0  # seconds; figures are made no more often
SHARE = 20  # and no more than this part of the time is spent on it
FIRST_WAIT = 2.0  # seconds that the first visitor waits for figures
DAYS = 30
MAX_JOURNAL = 3_000_000  # changes, the newest, that are read at first; later only what is new
LARGEST = 12  # lists that are held against one another
LEFT = ""  # what stands for a code where a subject left


class StatsBook:
    """Asked in the event loop; works in a thread of its own."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.thread = ThreadPoolExecutor(1, "web-stats")
        self.stats: Stats | None = None
        self.next = 0.0  # monotonic; when figures are made again
        self.making: asyncio.Future[None] | None = None
        self.seq = 0  # of the journal, up to which it is counted
        self.days: Counter[tuple[int, str, str]] = Counter()  # by day, zone, code

    async def current(self) -> Stats | None:
        """The newest figures; None: there are none yet. Starts to make new ones where these are old."""
        if self.making is None and time.monotonic() >= self.next:
            self.making = asyncio.get_running_loop().run_in_executor(self.thread, self.make)
            self.making.add_done_callback(self.made)
        if self.stats is None and self.making is not None:
            await asyncio.wait([self.making], timeout=FIRST_WAIT)
        return self.stats

    def made(self, done: asyncio.Future[None]) -> None:
        self.making = None
        if not done.cancelled() and (error := done.exception()):
            log.error("no new statistics: %s", error)

    def close(self) -> None:
        self.thread.shutdown(cancel_futures=True)

    def make(self) -> None:
        """New figures. Raises StoreError."""
        began = time.monotonic()
        app = self.backend.app
        try:
            self.read_journal(app.store, clock.now())
            self.stats = Stats(
                made_at=str(clock.rfc3339(clock.now())),
                zones=self.zone_figures(app.zones, app.store.listing_figures()),
                overlap=overlap_of_feeds(app.store),
                queries=queries(read_counts(app.data_dir / "run").replies),
            )
        finally:
            now = time.monotonic()
            self.next = now + max(EVERY, (now - began) * SHARE)

    def read_journal(self, store: Store, now: int) -> None:
        """Count what the journal has got since the last time; forget the days that are over."""
        newest = store.change_seq()
        for day, zone, codes, count in store.change_figures(max(self.seq, newest - MAX_JOURNAL), newest):
            for code in codes.split() or [LEFT]:
                self.days[day, zone, code] += count
        self.seq = newest
        first = now // clock.DAY - DAYS
        self.days = Counter({key: count for key, count in self.days.items() if key[0] > first})

    def zone_figures(self, zones: Mapping[str, ZoneDef], listed: Iterable[tuple[str, str, int]]) -> list[ZoneFigures]:
        totals: Counter[str] = Counter()
        by_code: Counter[tuple[str, str]] = Counter()
        for name, codes, count in listed:
            totals[name] += count
            for code in codes.split():
                by_code[name, code] += count
        today = clock.now() // clock.DAY
        return [
            ZoneFigures(
                zone=zone.name,
                origin=zone.origin,
                listed=totals[zone.name],
                codes=[
                    CodeFigure(code=code.code, categories=code.categories, listed=by_code[zone.name, code.code])
                    for code in zone.codes
                ],
                days=[self.day_figure(day, zone) for day in range(today - DAYS + 1, today + 1)],
            )
            for zone in zones.values()
        ]

    def day_figure(self, day: int, zone: ZoneDef) -> DayFigure:
        counts = {code.code: self.days[day, zone.name, code.code] for code in zone.codes}
        return DayFigure(
            day=datetime.fromtimestamp(day * clock.DAY, UTC).date().isoformat(),
            codes={code: count for code, count in counts.items() if count},
            left=self.days[day, zone.name, LEFT],
        )


def overlap_of_feeds(store: Store) -> list[Overlap]:
    """Public lists only: what an operator imports is nobody's business."""
    names = {source.id: source.name for source in store.sources().values() if source.kind == "feed"}
    return overlaps(names, store.entry_figures())


def overlaps(names: Mapping[int, str], sets: Iterable[tuple[tuple[int, ...], int]]) -> list[Overlap]:
    """How many entries of each of the largest lists the others carry too. Pure."""
    shared: Counter[tuple[int, int]] = Counter()
    for sources, count in sets:
        known = [source for source in sources if source in names]
        for one in known:
            for other in known:
                shared[one, other] += count
    largest = sorted(names, key=lambda source: (-shared[source, source], names[source]))[:LARGEST]
    shown = [source for source in largest if shared[source, source]]
    return [
        Overlap(
            feed=names[one],
            entries=shared[one, one],
            also_in={names[other]: shared[one, other] for other in shown if other != one},
        )
        for one in shown
    ]


def queries(replies: Mapping[tuple[str, ...], int]) -> list[ZoneQueries]:
    """Answers by zone and RCODE; never who asked."""
    found: dict[str, Counter[str]] = {}
    for (zone, _, rcode, _), count in replies.items():
        found.setdefault(zone, Counter())[rcode] += count
    ordered = sorted(found.items(), key=lambda each: -each[1].total())
    return [ZoneQueries(zone=zone, rcodes=dict(counts.most_common())) for zone, counts in ordered]
