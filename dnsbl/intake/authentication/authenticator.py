"""Evaluation beside the receiver: a few threads, a bounded queue, and a limit of time for each mail.

A mail that finds the queue full or waits too long is not lost: nothing is known about its origin, so only what needs
no proof is listed for it. The event loop never waits; a resolver that is dead costs its mails their verdicts, no more.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

from ...config import TrapConfig
from .evaluate import evaluate
from .lookups import Lookups
from .verdict import UNKNOWN, Verdict

__all__ = ["Authenticator"]

THREADS = 8  # mails at work: they mostly wait for the DNS
MAX_WAITING = 1000  # mails that wait for a thread
MAX_HELD = 64 * 2**20  # bytes of mails that wait or are at work
LIMIT = 10.0  # seconds until a mail's verdict is given up, once it has a thread
PATIENCE = 6  # times LIMIT that a mail waits for one: others' dead name servers are not to cost it its verdict


class Authenticator:
    """`evaluated`, `timeouts` and `overflow` count mails since the start."""

    def __init__(self, config: TrapConfig, lookups: Lookups | None = None, limit: float = LIMIT) -> None:
        self.resolver, self.lookups, self.limit = config.resolver, lookups, limit
        self.pool: ThreadPoolExecutor | None = None
        self.slots = asyncio.Semaphore(THREADS)
        self.waiting = self.held = 0
        self.evaluated = self.timeouts = self.overflow = 0

    def start(self) -> None:
        """Raises StartError where the system names no resolver."""
        if self.resolver == "off":
            return
        self.lookups = self.lookups or Lookups.through(self.resolver)
        self.pool = ThreadPoolExecutor(THREADS, "authentication")

    async def close(self) -> None:
        """Mails that wait for a thread are UNKNOWN; those at work end with the look-up they wait for."""
        pool, self.pool = self.pool, None
        if pool is not None and self.lookups is not None:
            self.lookups.close()
            await asyncio.to_thread(pool.shutdown)

    async def judge(self, data: bytes, peer: str, helo: str, mail_from: str) -> Verdict:
        """UNKNOWN where there is no time or room for more, or where nothing is to be evaluated."""
        if self.pool is None:
            return UNKNOWN
        if self.waiting >= MAX_WAITING + THREADS or self.held + len(data) > MAX_HELD:
            self.overflow += 1
            return UNKNOWN
        self.waiting += 1
        self.held += len(data)
        try:
            async with asyncio.timeout(PATIENCE * self.limit):
                await self.slots.acquire()
            async with asyncio.timeout(self.limit):
                return await self.at_work(data, peer, helo, mail_from)
        except TimeoutError:
            self.timeouts += 1
            return UNKNOWN
        finally:
            self.waiting -= 1
            self.held -= len(data)

    async def at_work(self, data: bytes, peer: str, helo: str, mail_from: str) -> Verdict:
        """With a slot, which is free again when its thread is, not when nobody waits for it any more: so the pool has
        no queue of its own, which would hold the mails that were given up."""
        if self.pool is None or self.lookups is None:
            self.slots.release()
            return UNKNOWN
        loop = asyncio.get_running_loop()
        work = self.pool.submit(evaluate, data, peer, helo, mail_from, self.lookups)

        def free(_: Future[Verdict]) -> None:
            loop.call_soon_threadsafe(self.slots.release)

        work.add_done_callback(free)
        verdict = await asyncio.wrap_future(work)
        self.evaluated += 1
        return verdict
