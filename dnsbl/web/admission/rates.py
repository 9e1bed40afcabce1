"""How often: for each kind of request and each network of requesters, a bucket that fills again as time passes.

A requester is a /24 or a /64, what one customer may have; all of a /48 together have WIDER times as much. Whoever has
no known address shares one bucket with all like him. A bucket is one number, the moment at which it is full again (the
generic cell rate algorithm, ITU-T I.371): a network that asks ten thousand times costs what one that asks once costs.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..clients import Address

__all__ = ["LIMITS", "Limit", "Rates", "network_of"]

HOUR = 3600  # seconds
MAX_NETWORKS = 100_000  # remembered for each kind; then the one unseen the longest is forgotten
WIDER = 4  # times a /64's allowance, for all of its /48
EXACT = 1e-6  # seconds; less than this is no waiting, only rounding


class Limit(NamedTuple):
    """So many requests at once, and as many again in so many seconds."""

    many: int
    seconds: int


LIMITS: Mapping[str, Limit] = {
    "removal": Limit(10, HOUR),  # requests for removal that were let in
    "token": Limit(20, HOUR),  # proofs and private links that are tried: wrong guesses cost this, and so do right ones
    "sign-in": Limit(20, HOUR // 4),
    "look-up": Limit(600, 60),
    "challenge": Limit(60, 60),  # sums given out; a person needs one for each form
    "ticket": Limit(20, HOUR),  # waits begun instead
    "form": Limit(120, HOUR // 6),  # forms sent, let in or not
}


class Rates:
    """`take` before anything is done for a requester. `monotonic`: seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, limits: Mapping[str, Limit] = LIMITS) -> None:
        self.monotonic, self.limits = monotonic, limits
        self.full: dict[str, OrderedDict[bytes, float]] = {kind: OrderedDict() for kind in limits}

    def take(self, kind: str, client: Address | None) -> int:
        """Seconds to wait; 0: go on, it was counted. What has to wait is not counted: asking again costs nothing."""
        wait = self.wait(kind, client)
        if not wait:
            now, full = self.monotonic(), self.full[kind]
            for bucket, step, _ in self.buckets(kind, client):
                full[bucket] = max(full.get(bucket, now), now) + step
                full.move_to_end(bucket)
            while len(full) > MAX_NETWORKS:
                full.popitem(last=False)
        return wait

    def wait(self, kind: str, client: Address | None) -> int:
        """Seconds until one more is let in, which is not counted; 0: now. KeyError: there is no such kind."""
        now, full = self.monotonic(), self.full[kind]
        return max(
            math.ceil(max(0.0, full.get(bucket, now) - now + step - seconds - EXACT))
            for bucket, step, seconds in self.buckets(kind, client)
        )

    def buckets(self, kind: str, client: Address | None) -> list[tuple[bytes, float, int]]:
        """The buckets that one request is taken from: whose, seconds that it takes to fill in one, and all."""
        many, seconds = self.limits[kind]
        found = [(network_of(client), seconds / many, seconds)]
        if client is not None and client.version == 6:
            found.append((client.packed[:6], seconds / (many * WIDER), seconds))
        return found


def network_of(client: Address | None) -> bytes:
    """The /24 or /64 of an address as its first bytes, which tell them apart by their number; empty: unknown."""
    if client is None:
        return b""
    return client.packed[:3] if client.version == 4 else client.packed[:8]
