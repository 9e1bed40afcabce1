"""How much is asked: each key's queries, and the queries of networks that have a quota. Bounded: keys are ours, and of
networks, which strangers choose, the ones that asked least go.

What this process has seen goes to a file every few seconds, from where the process with the store takes it; what a
day's quotas had used before this start comes from another file.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

from .networks import share

__all__ = ["KeyUse", "NetworkUse", "Usage"]

MAX_NETWORKS = 65_536  # counted at a time


class KeyUse(NamedTuple):
    """What was asked with a key."""

    key: int
    zone: str
    queries: int  # answered
    refused: int


class NetworkUse(NamedTuple):
    """What one network asked without a key in a day; as octets, see `networks.share`."""

    zone: str
    network: bytes
    queries: int


class Usage:
    """Counts of one process and one path."""

    def __init__(self) -> None:
        self.day = 0  # since 1970; the counts of quotas are of this day
        self.spent: dict[int, int] = {}  # by key
        self.networks: dict[tuple[str, bytes], int] = {}
        self.keys: dict[tuple[int, str], tuple[int, int]] = {}  # since they were last taken: answered, refused

    def begin(self, day: int) -> None:
        """A new day begins: what was spent is forgotten."""
        if day != self.day:
            self.day, self.spent, self.networks = day, {}, {}

    def spend(self, key: int, day: int) -> int:
        """Count a query against a key's quota; gives how many that makes today."""
        self.begin(day)
        spent = self.spent[key] = self.spent.get(key, 0) + 1
        return spent

    def spend_network(self, zone: str, client: tuple[int, int], day: int) -> int:
        """The same for a client's network."""
        self.begin(day)
        place = zone, share(client)
        if place not in self.networks and len(self.networks) >= MAX_NETWORKS:
            self.networks = dict(heapq.nlargest(MAX_NETWORKS // 2, self.networks.items(), key=lambda item: item[1]))
        spent = self.networks[place] = self.networks.get(place, 0) + 1
        return spent

    def count_key(self, key: int, zone: str, answered: bool) -> None:
        queries, refused = self.keys.get((key, zone), (0, 0))
        self.keys[key, zone] = queries + answered, refused + (not answered)

    def seed(self, day: int, keys: Iterable[tuple[int, int]], networks: Iterable[NetworkUse]) -> None:
        """Begin with what was spent on a day before this process started."""
        self.begin(day)
        self.spent.update(keys)
        self.networks.update({(use.zone, use.network): use.queries for use in networks})

    def take(self) -> list[KeyUse]:
        """What was asked with keys since the last call."""
        taken, self.keys = self.keys, {}
        return [KeyUse(key, zone, queries, refused) for (key, zone), (queries, refused) in taken.items()]

    def top(self, day: int, most: int) -> list[NetworkUse]:
        """The networks that asked most on a day."""
        found = self.networks.items() if day == self.day else ()
        return [NetworkUse(*place, count) for place, count in heapq.nlargest(most, found, key=lambda item: item[1])]
