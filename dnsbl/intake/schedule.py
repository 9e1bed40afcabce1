"""Jobs: each enabled feed pulled in its turn, never twice at once, later after failures."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from .. import clock
from ..config import FeedDef
from ..errors import DnsblError
from ..store.contract import FeedState
from .feeds import Pulled, is_on, next_pull

__all__ = ["Schedule"]

log = logging.getLogger("dnsbl.jobs")
TELL_AT = 3  # failures in a row
AT_ONCE = 2  # pulls at the same time: parsing takes a core
AFTER_TROUBLE = 300  # seconds until a feed is pulled again when the trouble was ours: the store's, or a fault


class Schedule:
    """Pulls feeds by `pull`, which applies and settles. Each job names its own next time when it is done. `wanted`
    takes the names of those that a person wants pulled now."""

    def __init__(
        self,
        pull: Callable[[FeedDef], Awaitable[Pulled]],
        states: Callable[[], Mapping[str, FeedState]],
        wanted: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.pull, self.states, self.wanted = pull, states, wanted
        self.scheduler = AsyncIOScheduler(timezone=UTC)
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.declared: Mapping[str, FeedDef] = {}
        self.feeds: dict[str, FeedDef] = {}  # those that are on
        self.pulling: set[str] = set()

    def start(self, feeds: Mapping[str, FeedDef]) -> None:
        self.scheduler.start()
        self.replace(feeds)

    def replace(self, feeds: Mapping[str, FeedDef]) -> None:
        """Take another set of feeds: those that are new or changed are pulled in their turn, others go on."""
        self.take(feeds, self.known())

    async def follow(self) -> None:
        """See whether a person has switched feeds, or wants some pulled, in whatever process."""
        try:
            states = await asyncio.to_thread(self.states)
            wanted = await asyncio.to_thread(self.wanted)
        except DnsblError:  # whoever settles says so
            return
        if {name for name, feed in self.declared.items() if is_on(feed, states.get(name))} != set(self.feeds):
            self.take(self.declared, states)
        for name in wanted:
            if name in self.feeds and name not in self.pulling:
                self.plan_at(self.feeds[name], clock.now())

    def take(self, feeds: Mapping[str, FeedDef], states: Mapping[str, FeedState]) -> None:
        wanted = {name: feed for name, feed in feeds.items() if is_on(feed, states.get(name))}
        for name in set(self.feeds) - set(wanted):
            if self.scheduler.get_job(name):
                self.scheduler.remove_job(name)
        for name, feed in wanted.items():
            if self.feeds.get(name) != feed and name not in self.pulling:  # else it is planned when that pull is done
                self.plan(feed, states.get(name))
        self.declared, self.feeds = feeds, wanted

    def known(self) -> Mapping[str, FeedState]:
        """The feeds' states; none where the store cannot be read: then all are pulled soon, which says so again."""
        try:
            return self.states()
        except DnsblError as error:
            log.error("%s", error)
            return {}

    def plan(self, feed: FeedDef, state: FeedState | None, least: int = 0) -> None:
        now = clock.now()
        due = max(next_pull(feed, state, now, random.random()), now + least)  # noqa: S311 - spreads load, guards nothing
        self.plan_at(feed, due)

    def plan_at(self, feed: FeedDef, due: int) -> None:
        self.scheduler.add_job(
            self.run,
            "date",
            run_date=datetime.fromtimestamp(due, UTC),
            args=[feed],
            id=feed.name,
            replace_existing=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def every(self, seconds: float, job: Callable[[], Awaitable[None]], name: str) -> None:
        """Another job at an interval, never overlapping itself."""
        self.scheduler.add_job(
            job, "interval", seconds=seconds, id=name, max_instances=1, coalesce=True, misfire_grace_time=None
        )

    async def run(self, feed: FeedDef) -> None:
        """One turn of a feed, and the plan for its next, whatever comes of this one."""
        name, state, least = feed.name, None, 0
        self.pulling.add(name)
        try:
            async with self.turns:
                self.say(feed, await self.pull(feed))
            state = self.states().get(name)
        except asyncio.CancelledError:  # the server stops
            return
        except DnsblError as error:  # the store's trouble, not the feed's
            log.error("feed %s: %s", name, error)
            least = AFTER_TROUBLE
        except Exception:
            log.exception("feed %s: could not be pulled", name)
            least = AFTER_TROUBLE
        finally:
            self.pulling.discard(name)
        if now := self.feeds.get(name):  # as it is declared by now
            self.plan(now, state, least)

    def say(self, feed: FeedDef, pulled: Pulled) -> None:
        """A quarantine is told at once; a failure when it is the third in a row, as most pass by themselves."""
        if pulled.state == "quarantined":
            log.warning("feed %s: quarantined: %s; what it had before stays", feed.name, pulled.reason)
        elif pulled.state == "failed":
            state = self.states().get(feed.name)
            if state is not None and state.failures == TELL_AT:
                log.warning("feed %s: failed %d times: %s", feed.name, state.failures, pulled.reason)
        elif pulled.state == "ok":
            counts = (pulled.entry.total, pulled.entry.appeared, pulled.entry.left)
            log.info("feed %s: %d entries, %d appeared, %d left", feed.name, *counts)

    def close(self) -> None:
        if self.scheduler.running:
            self.scheduler.shutdown(wait=False)
