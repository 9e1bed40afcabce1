"""Samples of queries: one in so many, standing for all of them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Sample", "Samples"]

MAX_SAMPLES = 4096  # that wait to be fetched; what comes then is in the weight of a later one


class Sample(NamedTuple):
    """One query, standing for as many as its weight says."""

    weight: int
    client: str
    name: bytes  # on the wire, lower case
    qtype: int
    rcode: int
    zone: str


class Samples:
    """Takes one query in so many, about as many a second as are wanted. Off until first asked for."""

    def __init__(self) -> None:
        self.every = 0  # 0: none
        self.since = 0
        self.taken: list[Sample] = []

    def due(self) -> bool:
        """Count one query; whether it is to be taken."""
        self.since += 1
        return 0 < self.every <= self.since and len(self.taken) < MAX_SAMPLES

    def put(self, client: str, name: bytes, qtype: int, rcode: int, zone: str) -> None:
        self.taken.append(Sample(self.since, client, name, qtype, rcode, zone))
        self.since = 0

    def fetch(self, wanted: int) -> list[Sample]:
        """What was taken since the last call; as many queries as came since are expected again."""
        taken, self.taken = self.taken, []
        self.every = max(1, sum(sample.weight for sample in taken) // max(1, wanted))
        return taken
