"""The names of a snapshot file for numpy: where each is, and which differ between two files. The format is in
`snapshot`: buckets by hash, in one order whatever their number is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import xxhash
from numpy.typing import NDArray

from .served import RECORD_HEAD
from .snapshot import Snapshot

__all__ = ["Octets", "Places", "name_columns", "names_apart", "start_of"]

Octets = NDArray[np.uint8]
Places = NDArray[np.int64]


def name_columns(file: Snapshot) -> tuple[Places, NDArray[np.uint8], NDArray[np.uint16]]:
    """Where each name begins in `names`, its size and its value; in no order."""
    text = np.asarray(file.names)
    starts, sizes, values = [np.empty(0, np.int64)], [np.empty(0, np.uint8)], [np.empty(0, np.uint16)]
    for place in records_by_rank(file):
        starts.append(place + RECORD_HEAD)
        sizes.append(text[place])
        values.append(text[place + 1] | text[place + 2].astype(np.uint16) << 8)
    return np.concatenate(starts), np.concatenate(sizes), np.concatenate(values)


def records_by_rank(file: Snapshot) -> Iterator[Places]:
    """Where the first record of each bucket is, then the second of those that have one, and so on. What would end
    behind its bucket is none."""
    text = np.asarray(file.names)
    edges = np.minimum(np.asarray(file.nidx).astype(np.int64), len(text))
    place, end = edges[:-1], edges[1:]
    while True:
        more = place + RECORD_HEAD <= end
        place, end = place[more], end[more]
        after = place + RECORD_HEAD + text[place]
        whole = after <= end
        place, after, end = place[whole], after[whole], end[whole]
        if not len(place):
            return
        yield place
        place = after


def start_of(file: Snapshot, name: bytes) -> int | None:
    """Where a name begins in `names`; None where it is not there."""
    index, names = file.nidx, file.names
    bucket = xxhash.xxh3_64_intdigest(name) >> 65 - (len(index) - 1).bit_length()  # they are a power of two
    place, end = index[bucket], min(index[bucket + 1], len(names))
    while place + RECORD_HEAD <= end:
        start: int = place + RECORD_HEAD
        if names[place] == len(name) and names[start : start + len(name)] == name:
            return start
        place = start + names[place]
    return None


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
