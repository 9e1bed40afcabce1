"""Following all zones of `[[follow]]`: a task for each, which asks its primary at SOA refresh, when it is told of a
change (NOTIFY), and after a failure again, later each time.

A refresh runs in a thread of its own: it waits for strangers, and works for seconds on a large zone. However often a
zone is woken meanwhile, one more refresh follows. What fails is said once, until something else does or it works again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from .. import clock
from ..config import Settings, ZoneDef
from ..config.distribution import FollowConfig
from ..dns.tsig import Key, keys_of, wire_name
from ..errors import DnsblError
from ..zones.followed import Expiry, Followed, read_followed, unforce, write_followed
from ..zones.served import zone_directory
from .asking import primaries_of
from .mirror import Mirror
from .taking import Taking

__all__ = ["Following"]

AGAIN = (2.0, 5.0, 15.0, 60.0)  # seconds after a failure, then SOA retry, and never later than that
JITTER = 0.1  # share of a wait that is left out at random, so that many secondaries do not ask at once
LEAST_PAUSE = 0.1  # seconds between two refreshes, however often a zone is woken
AFTER_FAILURE = 1.0  # the same after a failure: each time may move the whole zone
MAX_POLL = 30.0  # seconds between two looks at a primary's snapshots, which nobody announces
log = logging.getLogger("dnsbl.following")


class Source(Protocol):
    """Where a zone is taken from."""

    def refresh(self, expired: bool) -> tuple[int, str]:
        """Be as new as it is: the serial, and from whom. Raises DnsblError."""
        ...

    def close(self) -> None:
        """End a refresh that runs in another thread, soon."""
        ...


class Following:
    """The zones that are taken from elsewhere. One whose configuration is of no use is left out, and that is logged."""

    def __init__(self, settings: Settings) -> None:
        keys = keys_of(settings.config.dns)
        self.followers: dict[str, Follower] = {}
        for follow in settings.config.follow:
            zone = settings.zones.get(follow.zone)
            if zone is None:
                log.error("follow: there is no zone %s here; write its file as the primary has it", follow.zone)
                continue
            directory = zone_directory(settings.config.data_dir, zone.name)
            try:
                source = source_of(zone, follow, directory, keys)
            except DnsblError as error:
                log.error("zone %s: not followed: %s", zone.name, error)
                continue
            self.followers[zone.name] = Follower(zone, follow, source, directory)

    async def run(self) -> None:
        """Follow until cancelled."""
        if not self.followers:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as tasks:
            for follower in self.followers.values():
                tasks.create_task(follower.run())

    def wake(self, name: str) -> None:
        """A primary says that a zone is new. Whether it may say so is the caller's to know."""
        if follower := self.followers.get(name):
            follower.woken.set()


def source_of(zone: ZoneDef, follow: FollowConfig, directory: Path, keys: Mapping[bytes, Key]) -> Source:
    """Raises ConfigError, TransferError."""
    if follow.url:
        return Mirror(zone, directory, follow)
    key = keys[wire_name(follow.key)] if follow.key else None
    return Taking(zone, directory, primaries_of(follow, key))


def heard(task: asyncio.Task[tuple[int, str]]) -> None:
    """What a refresh ends with, that was closed half-way, is no fault: whoever still waits is told by the task."""
    if not task.cancelled():
        task.exception()


class Follower:
    """One zone and when it is refreshed."""

    def __init__(self, zone: ZoneDef, follow: FollowConfig, source: Source, directory: Path) -> None:
        self.zone, self.source, self.directory = zone, source, directory
        self.every = min(zone.soa.refresh, MAX_POLL) if follow.url else float(zone.soa.refresh)
        self.woken = asyncio.Event()
        self.state = read_followed(directory) or Followed()
        self.expiry = Expiry()
        self.failures = 0
        self.unwritten = ""  # why the state could not be written last: said once

    async def run(self) -> None:
        try:
            while True:
                wait = await self.once()
                await asyncio.sleep(AFTER_FAILURE if self.failures else LEAST_PAUSE)
                await self.pause(wait)
        finally:
            self.source.close()

    async def pause(self, seconds: float) -> None:
        """Until the time is over, or the zone is woken."""
        try:
            share = 1 - random.uniform(0, JITTER)  # noqa: S311  spreads load, guards nothing
            async with asyncio.timeout(seconds * share):
                await self.woken.wait()
        except TimeoutError:
            pass

    async def once(self) -> float:
        """Refresh; how long to wait for the next time."""
        self.woken.clear()
        try:
            serial, source = await self.refreshed(self.expired())
        except DnsblError as error:
            self.failed(str(error))
        except Exception:
            log.exception("zone %s: following it failed by a fault of ours; what is held is served on", self.zone.name)
            self.failed("a fault of ours; the log has it")
        else:
            self.succeeded(Followed(clock.now(), serial, source))
            return self.every
        wait = AGAIN[self.failures - 1] if self.failures <= len(AGAIN) else float(self.zone.soa.retry)
        return min(wait, self.zone.soa.retry)

    async def refreshed(self, expired: bool) -> tuple[int, str]:
        """`Source.refresh` in a thread. Who is cancelled waits for its end: it may be about to swap the pointer, and
        whoever follows the zone next begins with what is there."""
        refresh = asyncio.create_task(asyncio.to_thread(self.source.refresh, expired))
        refresh.add_done_callback(heard)
        try:
            return await asyncio.shield(refresh)
        except asyncio.CancelledError:
            self.source.close()
            await asyncio.wait({refresh})
            raise

    def expired(self) -> bool:
        """As those have it who answer from the zone."""
        return self.expiry.expired(self.zone.name, self.directory, self.zone.soa.expire)

    def succeeded(self, state: Followed) -> None:
        before, self.state, self.failures = self.state, state, 0
        if before.error or before.serial != state.serial:
            log.info("zone %s: serial %d from %s", self.zone.name, state.serial, state.source)
        self.write()

    def failed(self, error: str) -> None:
        if self.state.error != error:
            log.error("zone %s: not followed: %s", self.zone.name, error)
        before, self.state = self.state, replace(self.state, error=error)
        self.failures += 1
        if before.error != error:
            self.write()

    def write(self) -> None:
        try:
            write_followed(self.directory, self.state)
            if not self.state.error:
                unforce(self.directory)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self.unwritten:  # it is written at each refresh
                log.error(
                    "zone %s: %s cannot be written (%s): that its primary confirms it is not kept, and it will expire",
                    self.zone.name, self.directory, why,
                )  # fmt: skip
            self.unwritten = why
        else:
            if self.unwritten:
                log.warning("zone %s: %s is written again", self.zone.name, self.directory)
            self.unwritten = ""
            self.expired()  # seen while it is new: the wall clock may jump before the next refresh
