"""Names of a domain zone as an index by hash. Pure but for the question of what is listed.

A listing covers its name and everything below. For each name the index says the union of its own codes and those of
the listed names above it; names above a listed one exist but are empty; an exempt name below a listed one is a hole.
Names are text from the top label ("example.bad"), as in subject keys without their mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..errors import PublishRefused
from .served import RECORD_HEAD
from .snapshot import EMPTY_NAME, GONE, HOLE

__all__ = ["Surroundings", "above", "changed", "index", "records", "values"]

MAX_NAME = 255  # bytes; a length is one of them
MAX_BYTES = 2**32 - 1  # of all records: offsets are four bytes


def above(name: bytes) -> Iterable[bytes]:
    """The names above, nearest first, down to the single label."""
    while (cut := name.rfind(b".")) > 0:
        name = name[:cut]
        yield name


def values(masks: Mapping[bytes, int], holes: Iterable[bytes], answer: Callable[[int], int]) -> dict[bytes, int]:
    """The value of every name that has one. `masks`: listed names and their codes; `answer` numbers a set of codes."""
    found: dict[bytes, int] = {}
    exempt = set(holes)
    for name, own in masks.items():
        over = list(above(name))
        if name in exempt or (exempt and not exempt.isdisjoint(over)):
            continue
        union = own
        for upper in over:
            union |= masks.get(upper, 0)
            if upper not in masks:
                found.setdefault(upper, EMPTY_NAME)
        found[name] = answer(union)
    for name in exempt:
        if any(found.get(upper, EMPTY_NAME) < EMPTY_NAME for upper in above(name)):
            found[name] = HOLE
    return found


def index(found: Mapping[bytes, int]) -> dict[str, NDArray[np.generic]]:
    """The sections of a snapshot file for these names. Raises PublishRefused."""
    names = list(found)
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, names), dtype=np.uint64, count=len(names))
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    if (hashes[1:] == hashes[:-1]).any():  # by name, then: the same names make the same file
        order = np.array(sorted(range(len(names)), key=lambda n: (xxhash.xxh3_64_intdigest(names[n]), names[n])))
    lengths = np.fromiter(map(len, names), dtype=np.int64, count=len(names))[order]
    values = np.fromiter(found.values(), dtype=np.uint16, count=len(names))[order]
    starts = np.zeros(len(names) + 1, dtype=np.int64)
    np.cumsum(lengths + RECORD_HEAD, out=starts[1:])
    if starts[-1] > MAX_BYTES or (lengths > MAX_NAME).any():
        raise PublishRefused(f"{len(names):,} names are {starts[-1]:,} bytes, and a snapshot holds {MAX_BYTES:,}")
    text = bytearray(bytes(RECORD_HEAD).join([b"", *map(names.__getitem__, order.tolist())]))
    blob = np.frombuffer(text, dtype=np.uint8)
    for place, part in enumerate((lengths, values & 0xFF, values >> 8)):
        blob[starts[:-1] + place] = part
    bits = max(0, len(names).bit_length() - 2)
    edges = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits) if bits else hashes[:0]
    places = np.concatenate([[0], np.searchsorted(hashes, edges), [len(names)]])
    return {"nidx": starts[places].astype(np.uint32), "names": blob}


def records(names: memoryview) -> Iterator[tuple[bytes, int]]:
    """The names of a snapshot file and their values."""
    text = bytes(names)
    place = 0
    while place + RECORD_HEAD <= len(text):
        start = place + RECORD_HEAD
        end = start + text[place]
        yield text[start:end], text[place + 1] | text[place + 2] << 8
        place = end


class Surroundings(Protocol):
    """What a delta asks about the listings as they are now."""

    def masks(self, names: Iterable[bytes]) -> Mapping[bytes, int]:
        """Codes of those of the names that are listed themselves."""
        ...

    def listed_inside(self, name: bytes) -> Iterable[bytes]: ...
    def any_inside(self, name: bytes) -> bool: ...
    def exempt(self, name: bytes) -> bool: ...
    def holes_inside(self, name: bytes) -> Iterable[bytes]: ...


def changed(
    names: Iterable[bytes], carried: Mapping[bytes, int], around: Surroundings, answer: Callable[[int], int]
) -> dict[bytes, int]:
    """The values of a delta: what the delta before said, and anew the changed names, what is listed or exempt below
    them or was said of below them, and the names above."""
    ground = set(names)
    affected = {name for name in carried if not ground.isdisjoint(above(name))}
    for name in ground:
        affected.add(name)
        affected.update(above(name))
        affected.update(around.listed_inside(name))
        affected.update(around.holes_inside(name))
    masks = around.masks({*affected, *(upper for name in affected for upper in above(name))})
    return {**carried, **{name: value_of(name, masks, around, answer) for name in affected}}


def value_of(name: bytes, masks: Mapping[bytes, int], around: Surroundings, answer: Callable[[int], int]) -> int:
    mask = masks.get(name, 0)
    over = 0
    for upper in above(name):
        if not around.exempt(upper):
            over |= masks.get(upper, 0)
    if around.exempt(name):
        return HOLE if over else GONE
    if mask:
        return answer(mask | over)
    return EMPTY_NAME if around.any_inside(name) else GONE
