"""How many transfers run at once: in all, and for one network of clients. Who finds no place waits, then is refused.

While somebody waits, who reads too slowly loses its place: clients that take as little as they can would hold all of
them. Only the time that a client takes counts, not that in which its transfer is made, and who reads LEAST_RATE keeps
its place for as long as it needs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from ..dns.progress import Known

__all__ = ["Place", "Slots"]

TOTAL = 32  # transfers at once: a thread each in the courier
PER_NETWORK = 8  # of them for one /24 or /64: one operator's slow secondaries leave room for others
WAIT = 30.0  # seconds: as long as secondaries wait for the first message
LOOK = 1.0  # seconds between two looks for one that is too slow, by each who waits
LEAST_RATE = 16_384  # octets a second that a client must read while others wait: a line of 128 kbit/s does
PATIENCE = 10.0  # seconds that it may be behind that


class Place:
    """One transfer's. `cut` ends it from elsewhere; `known` says how far the client is: messages that were taken by
    the kernel tell little, for it holds MB and takes more only once a third of them is gone."""

    def __init__(
        self, network: str, cut: Callable[[], None], known: Known | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.network, self.cut, self.known, self.clock = network, cut, known, clock
        self.before = 0  # octets that it had taken, as far as is known
        self.patience = PATIENCE  # seconds left
        self.since: float | None = None  # the client has had a message to read from then on

    def given(self) -> None:
        """The client has something to read."""
        self.since = self.clock()

    def read(self, size: int) -> None:
        """It has taken so many octets."""
        self.patience = min(self.left() + size / LEAST_RATE, PATIENCE)
        self.since = None

    def look(self) -> None:
        """Ask how far the client is."""
        now = self.known() if self.known else None
        if now is None:
            return
        if now.taken > self.before:
            self.read(now.taken - self.before)
            self.before = now.taken
        if not now.waiting:
            self.since = None
        elif self.since is None:
            self.given()

    def left(self) -> float:
        """Seconds of patience; less than none: it is too slow."""
        return self.patience if self.since is None else self.patience - (self.clock() - self.since)


class Slots:
    def __init__(self, total: int = TOTAL, per_network: int = PER_NETWORK, wait: float = WAIT) -> None:
        self.total, self.per_network, self.seconds = total, per_network, wait
        self.places: set[Place] = set()
        self.cut: set[Place] = set()  # of them, those whose transfer ends
        self.changed = asyncio.Condition()

    @property
    def taken(self) -> Counter[str]:
        """How many places each network has."""
        return Counter(place.network for place in self.places)

    def free(self, network: str) -> bool:
        taken = self.taken
        return taken.total() < self.total and taken[network] < self.per_network

    @asynccontextmanager
    async def one(
        self, network: str, cut: Callable[[], None], known: Known | None = None
    ) -> AsyncIterator[Place | None]:
        """A place for as long as the `with`; None where none came free in time. The rest as in `Place`."""
        place = Place(network, cut, known)
        try:
            async with asyncio.timeout(self.seconds):
                await self.take(place)
        except TimeoutError:
            yield None
            return
        try:
            yield place
        finally:
            self.places.discard(place)
            self.cut.discard(place)
            async with self.changed:
                self.changed.notify_all()

    async def take(self, place: Place) -> None:
        async with self.changed:
            while not self.free(place.network):
                self.make_room(place.network)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self.changed.wait()
            self.places.add(place)

    def make_room(self, network: str) -> None:
        """Have the slowest transfer cut, where one is too slow, that would make room for this network."""
        full = self.taken[network] >= self.per_network
        those = {place for place in self.places if place.network == network} if full else self.places
        for place in those:
            place.look()
        slowest = min(those - self.cut, key=Place.left, default=None)
        if slowest and slowest.left() < 0:
            self.cut.add(slowest)
            slowest.cut()
