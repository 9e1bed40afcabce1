"""Whether everything is up: each zone published, and a store that takes changes."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillBusy

from .. import clock
from ..errors import StoreError
from .backend import Backend
from .zonebook import ZoneBook

__all__ = ["Readiness"]

PROBE_SECONDS = 2.0  # how long an answer waits for the store
PROBE_EVERY = 1.0  # a change of the store for each asker would be too many
BUSY_SECONDS = 60.0  # a store that is busy with one long change is fine for so long


class Readiness:
    """Asked from any thread; writes to the store in a thread of its own, once for all who ask."""

    def __init__(self, backend: Backend, book: ZoneBook) -> None:
        self.backend, self.book = backend, book
        self.thread = ThreadPoolExecutor(1, "web-probe")
        self.probe: Future[None] | None = None
        self.probed = self.good = -BUSY_SECONDS

    def close(self) -> None:
        self.thread.shutdown(cancel_futures=True)

    def reasons(self) -> list[str]:
        """Why the program is not ready; empty: it is."""
        found = []
        try:
            found += [f"zone {facts.zone.name}: {facts.trouble}" for facts in self.book.facts() if facts.trouble]
            found += self.store_reasons()
        except StoreError as error:
            found.append(str(error))
        return found

    def store_reasons(self) -> list[str]:
        now = time.monotonic()
        if self.probe is None or (self.probe.done() and now - self.probed > PROBE_EVERY):
            self.probe, self.probed = self.thread.submit(self.write), now
        try:
            self.probe.result(PROBE_SECONDS)
        except StillBusy:
            waited = time.monotonic() - max(self.good, self.probed)
            return [f"the store has taken no change for {waited:.0f} s"] if waited > BUSY_SECONDS else []
        return []

    def write(self) -> None:
        """The smallest change there is. Raises StoreError."""
        self.backend.app.store.set_meta("written_at", str(clock.now()))
        self.good = time.monotonic()
