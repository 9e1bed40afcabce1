"""How many transfers run at once: in all, and for one network of clients. Who finds no place waits, then is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Slots"]

TOTAL = 32  # transfers at once: a thread each in the courier
PER_NETWORK = 8  # of them for one /24 or /64: one operator's slow secondaries leave room for others
WAIT = 30.0  # seconds: as long as secondaries wait for the first message


class Slots:
    def __init__(self, total: int = TOTAL, per_network: int = PER_NETWORK, wait: float = WAIT) -> None:
        self.total, self.per_network, self.seconds = total, per_network, wait
        self.taken: Counter[str] = Counter()
        self.changed = asyncio.Condition()

    def free(self, network: str) -> bool:
        return self.taken.total() < self.total and self.taken[network] < self.per_network

    @asynccontextmanager
    async def one(self, network: str) -> AsyncIterator[bool]:
        """A place for as long as the `with`; False where none came free in time."""
        try:
            async with self.changed, asyncio.timeout(self.seconds):
                await self.changed.wait_for(lambda: self.free(network))
                self.taken[network] += 1
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            self.taken[network] -= 1
            self.taken += Counter()  # without those that have none
            async with self.changed:
                self.changed.notify_all()
