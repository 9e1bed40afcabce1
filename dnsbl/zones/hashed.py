"""The names of a snapshot file for numpy: where each is, and which differ between two files. The format is in
`snapshot`: buckets by hash, in one order whatever their number is. So all names that have a hash that begins with some
bits are next to one another in each file (`Window`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .served import RECORD_HEAD, start_in
from .snapshot import Snapshot

__all__ = ["EVERYTHING", "Buckets", "Octets", "Places", "Window", "bucket_bits", "name_columns", "names_apart"]

HASH_BITS = 64  # of xxh3-64

Octets = NDArray[np.uint8]
Places = NDArray[np.int64]


class Window(NamedTuple):
    """The hashes that begin with a number of so many bits."""

    number: int
    bits: int

    def holds(self, hashed: int) -> bool:
        return hashed >> HASH_BITS - self.bits == self.number


EVERYTHING = Window(0, 0)


@dataclass(slots=True, frozen=True)
class Buckets:
    """Buckets of a file that are next to one another."""

    text: Octets  # what they hold
    edges: Places  # where in it each begins, and the last one ends
    first: int  # the number of the first one
    bits: int  # of a hash: the number of its bucket

    @classmethod
    def of(cls, file: Snapshot, window: Window = EVERYTHING) -> Buckets:
        """Those of a window; where the window is narrower than a bucket, that one."""
        bits = bucket_bits(file)
        first, count = window.number << bits >> window.bits, 1 << max(0, bits - window.bits)
        edges = np.asarray(file.nidx[first : first + count + 1]).astype(np.int64)
        start, end = int(edges[0]), max(int(edges[0]), int(edges[-1]))
        text = np.asarray(file.names[start:end])
        return cls(text, np.clip(edges - start, 0, len(text)), first, bits)

    def columns(self) -> tuple[Places, NDArray[np.uint8], NDArray[np.uint16]]:
        """Where each name begins in the text, its size and its value; in no order."""
        starts, sizes, values = [np.empty(0, np.int64)], [np.empty(0, np.uint8)], [np.empty(0, np.uint16)]
        for place in self.by_rank():
            starts.append(place + RECORD_HEAD)
            sizes.append(self.text[place])
            values.append(self.text[place + 1] | self.text[place + 2].astype(np.uint16) << np.uint16(8))
        return np.concatenate(starts), np.concatenate(sizes), np.concatenate(values)

    def by_rank(self) -> Iterator[Places]:
        """Where the first record of each bucket is, then the second of those that have one, and so on. What would end
        behind its bucket is none."""
        place, end = self.edges[:-1], self.edges[1:]
        while True:
            more = place + RECORD_HEAD <= end
            place, end = place[more], end[more]
            after = place + RECORD_HEAD + self.text[place]
            whole = after <= end
            place, after, end = place[whole], after[whole], end[whole]
            if not len(place):
                return
            yield place
            place = after

    def start_of(self, name: bytes, hashed: int) -> int | None:
        """Where a name begins in the text; None where it is not there."""
        bucket = (hashed >> HASH_BITS - self.bits) - self.first
        if not 0 <= bucket < len(self.edges) - 1:
            return None
        first, end = int(self.edges[bucket]), int(self.edges[bucket + 1])
        start = start_in(self.text[first:end].tobytes(), name)
        return None if start is None else first + start


def bucket_bits(file: Snapshot) -> int:
    """Of a hash: so many are the number of its bucket; buckets are a power of two."""
    return (len(file.nidx) - 1).bit_length() - 1


def name_columns(file: Snapshot) -> tuple[Places, NDArray[np.uint8], NDArray[np.uint16]]:
    """Where each name begins in `names`, its size and its value; in no order."""
    return Buckets.of(file).columns()


def names_apart(old: Snapshot, new: Snapshot, meant: Mapping[int, int]) -> set[bytes]:
    """The names that one of two files has and the other has not, or with another value. `meant`: values of the old one
    that are others in the new one. Only buckets that differ are taken apart."""
    one, other = renumbered(old, meant), bytes(new.names)
    buckets = min(len(old.nidx), len(new.nidx)) - 1  # both are powers of two
    before, after = edges_of(old, buckets), edges_of(new, buckets)
    found: set[bytes] = set()
    spans = zip(before, before[1:], after, after[1:], strict=False)
    for start, end, place, stop in spans:
        if one[start:end] != other[place:stop]:
            records = {*records_of(one, start, end)} ^ {*records_of(other, place, stop)}
            found.update(record[RECORD_HEAD:] for record in records)
    return found


def edges_of(file: Snapshot, buckets: int) -> list[int]:
    """Where so many buckets begin, and the last one ends."""
    return list(file.nidx[:: (len(file.nidx) - 1) // buckets])


def renumbered(file: Snapshot, meant: Mapping[int, int]) -> bytes:
    """The names with other values."""
    if not meant:
        return bytes(file.names)
    text = np.asarray(file.names).copy()
    numbers = np.arange(1 << 16)
    numbers[list(meant)] = list(meant.values())
    starts, _, known = name_columns(file)
    values = numbers[known]
    text[starts - RECORD_HEAD + 1], text[starts - RECORD_HEAD + 2] = values & 0xFF, values >> 8
    return text.tobytes()


def records_of(text: bytes, start: int, end: int) -> Iterator[bytes]:
    """The records there, whole."""
    while start + RECORD_HEAD <= end:
        stop = start + RECORD_HEAD + text[start]
        yield text[start:stop]
        start = stop
