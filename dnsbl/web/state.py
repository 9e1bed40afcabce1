"""What the handlers of one web application share."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aiohttp import web

from .. import clock
from ..errors import StoreError
from ..phrases import N_
from ..store.contract import Key
from .problems import busy

if TYPE_CHECKING:
    from ..people import People
    from .admission import Admission
    from .backend import Backend
    from .batch import Batcher
    from .body import Uploads
    from .editions import Editions
    from .metrics import Metrics
    from .readiness import Readiness
    from .rendering import Pages
    from .reports import Twins
    from .snapshots import Sums
    from .statsbook import StatsBook
    from .zonebook import ZoneBook

__all__ = ["WEB", "KeyUse", "Threads", "Web"]

log = logging.getLogger("dnsbl.web")

READERS = 4  # threads for what anyone may ask; reads do not wait for changes
MAX_READS = 64  # under way or waiting for one of them
EXPORTERS = 4  # threads that make pieces of exports
SIGNERS = 2  # threads for what people at the desk do: a password takes 64 MiB
MAX_SIGNING = 32  # under way or waiting for one of them
MAX_COMPLAINTS = 16  # under way or waiting: each may have to be unpacked and decided
MAX_WRITES = 64  # under way or waiting for one another: people's and partners' deeds
URGENT = 2  # threads for reads of a row or two that nothing else may hold up
USE_EVERY = 60  # seconds; a key's last use is written no more often
P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Where work is done that would hold up the event loop. What anyone may ask, however dear, holds up neither keys
    nor health nor exports; one more thread is for writes nobody waits for."""

    def __init__(self) -> None:
        self.readers = ThreadPoolExecutor(READERS, "web-read")
        self.exporters = ThreadPoolExecutor(EXPORTERS, "web-export")
        self.first = ThreadPoolExecutor(URGENT, "web-urgent")
        self.chores = ThreadPoolExecutor(1, "web-chore")
        self.complaints = ThreadPoolExecutor(1, "web-complaint")
        self.writers = ThreadPoolExecutor(1, "web-write")
        self.signers = ThreadPoolExecutor(SIGNERS, "web-sign-in")
        self.reading = self.complaining = self.writing = self.signing = 0

    async def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What anyone may ask. Raises Problem 503 where MAX_READS are asking."""
        if self.reading >= MAX_READS:
            raise busy("too much is being asked at once; try again")
        self.reading += 1
        try:
            return await run(self.readers, work, *args, **kwargs)
        finally:
            self.reading -= 1

    async def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A change that somebody waits for, one at a time: however long the store is held, nobody who only reads waits
        with it. Raises Problem 503 where MAX_WRITES wait."""
        if self.writing >= MAX_WRITES:
            raise busy("too much is being changed at once; try again")
        self.writing += 1
        try:
            return await run(self.writers, work, *args, **kwargs)
        finally:
            self.writing -= 1

    async def urgent(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A read of a row or two: a key, a remembered answer, a sign of life."""
        return await run(self.first, work, *args, **kwargs)

    async def export(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A piece of an export; how many there are is bounded where they begin."""
        return await run(self.exporters, work, *args, **kwargs)

    async def complaint(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One complaint at a time. Raises Problem 503 where MAX_COMPLAINTS wait."""
        if self.complaining >= MAX_COMPLAINTS:
            raise busy("too many complaints at once; try again")
        self.complaining += 1
        try:
            return await run(self.complaints, work, *args, **kwargs)
        finally:
            self.complaining -= 1

    async def sign_in(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A step in, or what somebody does about an account. Raises Problem 503 where MAX_SIGNING wait."""
        if self.signing >= MAX_SIGNING:
            raise busy(N_("too many are signing in at once; try again"))
        self.signing += 1
        try:
            return await run(self.signers, work, *args, **kwargs)
        finally:
            self.signing -= 1

    def close(self) -> None:
        bounded = (self.readers, self.exporters, self.complaints, self.writers, self.signers)
        for executor in (*bounded, self.first, self.chores):
            executor.shutdown(cancel_futures=True)


async def run(executor: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, lambda: work(*args, **kwargs))


class KeyUse:
    """Which keys' use is due to be written: at most once a minute each."""

    def __init__(self) -> None:
        self.marked: dict[int, int] = {}

    def due(self, key: Key, now: int) -> bool:
        """Whether to write it now; the next answer for this key is no for a minute."""
        if max(key.last_used or 0, self.marked.get(key.id, 0)) > now - USE_EVERY:
            return False
        self.marked[key.id] = now
        return True


class Web:
    """Made by `make_app`, found by handlers at `request.app[WEB]`."""

    def __init__(
        self,
        backend: Backend,
        metrics: Metrics,
        threads: Threads,
        batcher: Batcher,
        uploads: Uploads,
        twins: Twins,
        book: ZoneBook,
        readiness: Readiness,
        pages: Pages,
        stats: StatsBook,
        admission: Admission,
        editions: Editions,
        sums: Sums,
    ) -> None:
        self.backend, self.metrics, self.threads = backend, metrics, threads
        self.batcher, self.uploads, self.twins = batcher, uploads, twins
        self.book, self.readiness, self.pages = book, readiness, pages
        self.stats = stats
        self.admission = admission
        self.editions, self.sums = editions, sums
        self.uses = KeyUse()
        self.openapi: bytes = b""
        self.exports: Counter[int] = Counter()  # under way, by key

    @property
    def people(self) -> People:
        return self.backend.app.people

    def note_use(self, key: Key) -> None:
        """Write that a key was used, in the background: a read does not wait for a write."""
        now = clock.now()
        if self.uses.due(key, now):
            self.threads.chores.submit(self.write_use, key.id, now)

    def write_use(self, key: int, now: int) -> None:
        try:
            self.backend.app.store.key_used(key, now)
        except StoreError as error:
            log.warning("the use of key %d was not written: %s", key, error)


WEB: web.AppKey[Web] = web.AppKey("web", Web)
