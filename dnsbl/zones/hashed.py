"""The names of a snapshot file for numpy: where each is, and which differ between two files. The format is in
`snapshot`: buckets by hash, in one order whatever their number is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .served import RECORD_HEAD
from .snapshot import Snapshot

__all__ = ["name_columns", "names_apart"]

Places = NDArray[np.int64]


def name_columns(file: Snapshot) -> tuple[Places, Places, Places]:
    """Where each name begins and ends in `names`, and its value; in no order."""
    text = np.asarray(file.names)
    parts = [np.empty((3, 0), np.int64)]
    for place in records_by_rank(file):
        start = place + RECORD_HEAD
        value = text[place + 1].astype(np.int64) | text[place + 2].astype(np.int64) << 8
        parts.append(np.stack([start, start + text[place], value]))
    starts, ends, values = np.concatenate(parts, axis=1)
    return starts, ends, values


def records_by_rank(file: Snapshot) -> Iterator[Places]:
    """Where the first record of each bucket is, then the second of those that have one, and so on."""
    text = np.asarray(file.names)
    edges = np.minimum(np.asarray(file.nidx).astype(np.int64), len(text))
    place, end = edges[:-1], edges[1:]
    while True:
        more = place + RECORD_HEAD <= end
        place, end = place[more], end[more]
        if not len(place):
            return
        yield place
        place = place + RECORD_HEAD + text[place]


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
    starts, _, values = name_columns(file)
    values = numbers[values]
    text[starts - RECORD_HEAD + 1], text[starts - RECORD_HEAD + 2] = values & 0xFF, values >> 8
    return text.tobytes()


def records_of(text: bytes, start: int, end: int) -> Iterator[bytes]:
    """The records there, whole."""
    while start + RECORD_HEAD <= end:
        stop = start + RECORD_HEAD + text[start]
        yield text[start:stop]
        start = stop
