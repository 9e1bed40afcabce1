"""Whether everything is up: each zone published, and a store that takes changes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor

from .. import clock
from ..errors import StoreError
from .backend import Backend
from .zonebook import ZoneBook

__all__ = ["Readiness"]

PROBE_SECONDS = 2.0  # how long an answer waits for the store
PROBE_EVERY = 1.0  # a change of the store for each asker would be too many
BUSY_SECONDS = 60.0  # a store that is busy with one long change is fine for so long


class Readiness:
    """Asked in the event loop. Writes to the store in a thread of its own, once for all who ask; whoever asks waits
    for it without holding a thread. Looks at the zones in another, so that neither waits for what others ask."""

    def __init__(self, backend: Backend, book: ZoneBook) -> None:
        self.backend, self.book = backend, book
        self.thread = ThreadPoolExecutor(1, "web-probe")
        self.looker = ThreadPoolExecutor(1, "web-ready")
        self.probe: Future[None] | None = None
        self.probed = self.good = -BUSY_SECONDS

    def close(self) -> None:
        for executor in (self.thread, self.looker):
            executor.shutdown(cancel_futures=True)

    async def reasons(self) -> list[str]:
        """Why the program is not ready, in words for anyone; empty: it is."""
        try:
            facts = await asyncio.get_running_loop().run_in_executor(self.looker, self.book.facts)
            found = [f"zone {each.zone.name}: {without_path(each.trouble)}" for each in facts if each.trouble]
            app = self.backend.app
            found += [f"zone {name}: not published: {without_path(str(why))}" for name, why in app.unpublished.items()]
            found += [f"settling: {without_path(app.trouble)}"] if app.trouble else []
            return found + await self.store_reasons()
        except StoreError as error:
            return [f"the store: {without_path(str(error))}"]

    async def store_reasons(self) -> list[str]:
        now = time.monotonic()
        if self.probe is None or (self.probe.done() and now - self.probed > PROBE_EVERY):
            self.probe, self.probed = self.thread.submit(self.write), now
        answer = asyncio.wrap_future(self.probe)
        answer.add_done_callback(seen)
        await asyncio.wait([answer], timeout=PROBE_SECONDS)  # does not cancel: others wait for it too
        if answer.done():
            answer.result()
            return []
        waited = time.monotonic() - max(self.good, self.probed)
        return [f"the store has taken no change for {waited:.0f} s"] if waited > BUSY_SECONDS else []

    def write(self) -> None:
        """The smallest change there is. Raises StoreError."""
        self.backend.app.store.set_meta("written_at", str(clock.now()))
        self.good = time.monotonic()


def without_path(trouble: str) -> str:
    """An error says first where it is, and anyone may ask: what it is follows the last colon."""
    return trouble.rpartition(": ")[2]


def seen(answer: asyncio.Future[None]) -> None:
    """A failure that comes after its asker has gone is the next asker's to tell."""
    if not answer.cancelled():
        answer.exception()
