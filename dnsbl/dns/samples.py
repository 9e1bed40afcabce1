"""Samples of queries: one in so many, standing for all of them."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Sample", "Samples", "thinned"]

MAX_SAMPLES = 4096  # that wait to be fetched; what comes then is in the weight of a later one
NEVER = sys.maxsize


class Sample(NamedTuple):
    """One query, standing for as many as its weight says."""

    weight: int
    client: str  # its address; empty where nobody knows it
    name: bytes  # on the wire, lower case; empty where none was asked for
    qtype: int
    rcode: int
    zone: str


class Samples:
    """Takes one query in so many, about as many as are wanted. Off until first asked for. The distance between two is
    drawn anew each time: what is asked in turns, as A and TXT are, comes with its due share."""

    def __init__(self) -> None:
        self.every = NEVER  # queries from one to the next, on average
        self.next = NEVER  # and this time
        self.since = 0  # queries since the last
        self.counted = 0  # those of them that an earlier fetch knew of
        self.taken: list[Sample] = []

    def due(self) -> bool:
        """Count one query; whether it is to be taken."""
        self.since += 1
        return self.since >= self.next and len(self.taken) < MAX_SAMPLES

    def put(self, client: str, name: bytes, qtype: int, rcode: int, zone: str) -> None:
        """Take the query just counted."""
        self.taken.append(Sample(self.since, client, name, qtype, rcode, zone))
        self.since = 0
        self.next = distance(self.every)

    def fetch(self, wanted: int) -> list[Sample]:
        """What was taken since the last call; as many queries as came since are expected again, and about `wanted` of
        them taken. A rush brings more, up to MAX_SAMPLES."""
        taken, self.taken = self.taken, []
        came = sum(sample.weight for sample in taken) + self.since - self.counted
        self.counted = self.since
        self.every = max(1, -(-came // max(1, wanted)))
        self.next = distance(self.every)
        return taken


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
    """`most` samples at most, from the whole time that the given ones are of, with the weights of those left out. Which
    stay is left to chance, each with its weight."""
    if len(samples) <= most:
        return list(samples)
    kept = []
    for place in range(most):
        group = samples[place * len(samples) // most : (place + 1) * len(samples) // most]
        weights = [sample.weight for sample in group]
        (chosen,) = random.choices(group, weights)  # noqa: S311 - a fair sample, no secret
        kept.append(chosen._replace(weight=sum(weights)))
    return kept


def distance(every: int) -> int:
    """A distance drawn from around the average, from half as much to half as much again."""
    return every + random.randint(-(every // 2), every // 2)  # noqa: S311 - a fair sample, no secret
