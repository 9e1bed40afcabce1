"""Names of a domain zone as a sorted hash index. Pure but for the question of what is listed.

A listing covers its name and everything below. For each name the index says the union of its own codes and those of
the listed names above it; names above a listed one exist but are empty; an exempt name below a listed one is a hole.
Names are text from the top label ("example.bad"), as in subject keys without their mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from .snapshot import EMPTY_NAME, GONE, HOLE

__all__ = ["Surroundings", "above", "changed", "index", "values"]


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
    """The four sections of a snapshot file for these names."""
    names = list(found)
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, names), dtype=np.uint64, count=len(names))
    order = np.argsort(hashes, kind="stable")
    ordered = [names[place] for place in order.tolist()]
    lengths = np.fromiter(map(len, ordered), dtype=np.int64, count=len(names))
    offsets = np.zeros(len(names) + 1, dtype=np.uint32)
    np.cumsum(lengths, out=offsets[1:])
    return {
        "nhash": hashes[order],
        "noff": offsets,
        "nval": np.fromiter((found[name] for name in ordered), dtype=np.uint16, count=len(names)),
        "names": np.frombuffer(b"".join(ordered), dtype=np.uint8),
    }


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
