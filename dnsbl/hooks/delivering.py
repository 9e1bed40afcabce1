"""Deliveries: what waits is sent, tried again later where it is not taken, and given up after three days.

Each partner has one event under way at most, and those who were served longest ago come first: a slow one delays only
itself. A hook that fails is left alone for a while, so that a dead one costs one try and not one for each event that
waits. State is in the store alone: after a crash what was under way is sent again, under the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp

from .. import clock
from ..errors import DnsblError, IntakeError
from ..keyed import Keyed
from ..store.contract import Store
from ..store.contract.hooks import Due, Hook
from .events import test_event
from .following import Follower
from .sending import TAKEN, secret_of, send, session

__all__ = ["Deliverer", "try_hook"]

log = logging.getLogger("dnsbl.hooks")

AT_ONCE = 4  # events under way
EVERY = 1.0  # seconds between two looks for changes, and for what is due
WAITS = (60, 300, 1800, 7200, 21_600)  # seconds to the next try of an event, the last one again and again
GIVE_UP = 3 * clock.DAY  # seconds after which an event is not tried again
KEEP = 7 * clock.DAY  # seconds that deliveries are kept, whatever came of them
QUIET = 10  # seconds that a hook is left alone after a failure, doubled with each further one
MAX_QUIET = 1800
FORGET_EVERY = 3600  # seconds
AFTER_TROUBLE = 60.0  # seconds that a partner is sent nothing when what came of an event could not be written
NEVER_TRIED = "the hook did not take events for too long"


class Deliverer:
    """Follows the journal and delivers, from `start` to `close`. `private` is for tests: see `sending.checked_url`."""

    def __init__(
        self,
        store: Store,
        keyed: Callable[[], Keyed],
        follower: Follower,
        contact: str = "",
        private: bool = False,
        now: Callable[[], int] = clock.now,
    ) -> None:
        self.store, self.keyed, self.follower, self.contact = store, keyed, follower, contact
        self.private, self.now = private, now
        self.wake = asyncio.Event()
        self.busy: dict[int, asyncio.Task[None]] = {}  # by source
        self.served: dict[int, int] = {}  # by source: the turn in which it was served last
        self.turn = 0
        self.forgot = 0
        self.client: aiohttp.ClientSession | None = None
        self.loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Called in the event loop."""
        self.loops = [
            asyncio.create_task(self.over_and_over(self.follow, asyncio.Event())),
            asyncio.create_task(self.over_and_over(self.deliver_due, self.wake)),
        ]

    async def close(self) -> None:
        """What is under way is broken off, and sent again by the next who starts."""
        tasks = [*self.loops, *self.busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.client:
            await self.client.close()

    async def over_and_over(self, work: Callable[[], Awaitable[object]], wake: asyncio.Event) -> None:
        """Work, now and every second and when woken. The store's trouble is said once, and passes or does not."""
        said = ""
        while True:
            wake.clear()
            try:
                await work()
                said = ""
            except DnsblError as error:
                if str(error) != said:
                    log.error("%s", error)
                said = str(error)
            except Exception as error:  # a fault of ours: partners go on to be told
                if repr(error) != said:
                    log.exception("hooks")
                said = repr(error)
            try:
                async with asyncio.timeout(EVERY):
                    await wake.wait()
            except TimeoutError:
                pass

    async def follow(self) -> None:
        """Write what is new, and forget what is old."""
        if await asyncio.to_thread(self.follower.catch_up):
            self.wake.set()
        now = self.now()
        if now >= self.forgot + FORGET_EVERY:
            await asyncio.to_thread(self.store.forget_deliveries, now - GIVE_UP, now - KEEP, NEVER_TRIED)
            self.forgot = now

    async def deliver_due(self) -> list[asyncio.Task[None]]:
        """Begin with what is due, as far as there is room; the tasks that were begun. Raises StoreError."""
        found = [due for due in await asyncio.to_thread(self.store.due, self.now()) if due.hook.source not in self.busy]
        found.sort(key=lambda due: self.served.get(due.hook.source, 0))
        begun = []
        for due in found:
            source = due.hook.source
            if source not in self.busy and len(self.busy) < AT_ONCE:
                self.turn += 1
                self.served[source] = self.turn
                self.busy[source] = asyncio.create_task(self.deliver(due))
                begun.append(self.busy[source])
        return begun

    async def deliver(self, due: Due) -> None:
        try:
            self.client = self.client or session(self.private, self.contact)
            secret = secret_of(await asyncio.to_thread(self.keyed), due.hook.nonce)
            said = await send(self.client, due.hook.url, secret, due.delivery.event, self.now(), self.private)
            await asyncio.to_thread(self.note, due, said)
        except DnsblError as error:
            log.error("hook %d: %s", due.hook.id, error)
            await asyncio.sleep(AFTER_TROUBLE)  # else it would be sent again and again
        except Exception:
            log.exception("hook %d: could not be served", due.hook.id)
            await asyncio.sleep(AFTER_TROUBLE)
        finally:
            del self.busy[due.hook.source]
            self.wake.set()

    def note(self, due: Due, said: str) -> None:
        """Write what came of it: taken; or `said`, and when it is tried again."""
        hook, delivery, now = due.hook, due.delivery, self.now()
        if said == TAKEN:
            self.store.delivery_taken(delivery, now)
            return
        later = now + WAITS[min(delivery.tries, len(WAITS) - 1)]
        next = later if later <= delivery.at + GIVE_UP else None
        quiet = now + min(QUIET << min(hook.failures, 16), MAX_QUIET)
        self.store.delivery_not_taken(delivery, now, said, next, quiet)
        if next is None:
            log.warning("hook %d: an event is given up after %d tries: %s", hook.id, delivery.tries + 1, said)


async def try_hook(keyed: Keyed, hook: Hook, now: int, contact: str = "", private: bool = False) -> None:
    """Send a hook a test event, beside what waits for it. Raises IntakeError with why it was not taken."""
    async with session(private, contact) as client:
        said = await send(client, hook.url, secret_of(keyed, hook.nonce), test_event(now), now, private)
    if said != TAKEN:
        raise IntakeError(f"hook {hook.id}: {said}")
