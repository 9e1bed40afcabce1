"""The names of a zone at one serial, all of them or those of a window of hashes. Pure, numpy.

In the order of the tree a name comes before what is below it, and says what is answered there:

    LISTED     listed itself; the mask has its own codes and those of the names above (not so the test names)
    BETWEEN    not listed itself, below a listed name and above something: answers as the name above does
    EMPTY      nothing, but something below
    HOLE       exempt, with everything below, under a listed name: the topmost such

Every name at which an answer changes is there, and every one that stands between such a name and a listed one above it:
what a format without a longest match (a master file, RFC 4592) must write out. In an exact zone names are LISTED or
EMPTY, and nothing is said of what is above.

There may be millions: they stay as they are in the snapshot files, and no object is made of one that is not asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..errors import SnapshotError
from .hashed import EVERYTHING, Buckets, Octets, Places, Window
from .served import ServedZone
from .snapshot import EMPTY_NAME, GONE, HOLE
from .table import Words

__all__ = ["DOT", "FROM_ROW", "TO_ROW", "Kind", "Names", "Node", "turned"]

TO_ROW, FROM_ROW = bytes.maketrans(b".", b"\0"), bytes.maketrans(b"\0", b".")  # octets sort in the order of the tree
DOT = ord(".")
WORD = 8  # octets that are compared at once
LONGEST = 255  # octets of a name: its length is one of them
SOME = 16_384  # names at once
KEPT = np.array([(1 << 64) - (1 << 64 - 8 * size) for size in range(WORD + 1)], dtype=np.uint64)  # of a word, the first


class Kind(Enum):
    LISTED = "listed"
    BETWEEN = "between"
    EMPTY = "empty"
    HOLE = "hole"


class Node(NamedTuple):
    """A name, as text from the top label (`example.bad`), and what is answered at it."""

    name: bytes
    mask: int
    kind: Kind
    above: int  # the mask of the nearest name above


@dataclass(slots=True)
class Names:
    """Names, in no order but where `in_order` says so: where each begins in a text and its size, its value in the
    snapshot. There is an octet more before each."""

    text: Octets
    starts: Places
    sizes: NDArray[np.uint8]
    values: NDArray[np.uint16]
    masks: Words  # by answer id
    exact: bool = False  # a name answers for itself alone
    in_order: bool = False  # of the tree
    sorted: Names | None = field(default=None, repr=False)  # the same in order, once somebody asked for it

    @classmethod
    def none(cls) -> Names:
        nothing = np.zeros(0, dtype=np.uint8)
        columns = nothing.astype(np.int64), nothing, nothing.astype(np.uint16)
        return cls(nothing, *columns, np.zeros(1, dtype=np.uint64))

    @classmethod
    def of(cls, view: ServedZone, masks: Words, window: Window = EVERYTHING) -> Names:
        """Those of base and delta in a window; what is gone is not there."""
        base = Buckets.of(view.base, window)
        text, (starts, sizes, values) = base.text, base.columns()
        there = values != GONE
        if view.delta:
            newer = Buckets.of(view.delta, window)
            added = newer.columns()
            hashes = hashes_of(newer.text, added[0], added[1])
            inside = np.array([window.holds(hashed) for _, hashed in hashes], dtype=np.bool_)
            covered = (base.start_of(name, hashed) for name, hashed in hashes)
            there &= ~np.isin(starts, [place for place in covered if place is not None])
            there = np.concatenate([there, inside & (added[2] != GONE)])
            starts = np.concatenate([starts, added[0] + len(text)])
            sizes, values = np.concatenate([sizes, added[1]]), np.concatenate([values, added[2]])
            text = np.concatenate([text, newer.text])
        listed = values[values < EMPTY_NAME]
        if len(listed) and not 0 < listed.min() <= listed.max() < len(masks):
            raise SnapshotError(f"{view.base.path.parent}: names have answers that the zone has not; build it again")
        return cls(text, starts, sizes, values, masks, view.exact).where(there)

    def __len__(self) -> int:
        """How many are listed."""
        return int((self.values < EMPTY_NAME).sum())

    def where(self, chosen: NDArray[np.bool_] | Places) -> Names:
        """Some of them, none before one that it was behind."""
        found = self.at(chosen)
        found.in_order = self.in_order
        return found

    def at(self, chosen: NDArray[np.bool_] | Places) -> Names:
        starts, sizes, values = self.starts[chosen], self.sizes[chosen], self.values[chosen]
        return Names(self.text, starts, sizes, values, self.masks, self.exact)

    def ordered(self) -> Names:
        """The same in the order of the tree."""
        if self.in_order:
            return self
        if self.sorted is None:
            self.sorted = self.at(tree_order(self))
            self.sorted.in_order = True
        return self.sorted

    def run(self, places: Places) -> tuple[Octets, Places]:
        """Some of them one after the other, each after a dot; where each dot is, and the end."""
        sizes = self.sizes[places].astype(np.int64) + 1
        bounds = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=bounds[1:])
        run = self.text[np.arange(bounds[-1]) + np.repeat(self.starts[places] - 1 - bounds[:-1], sizes)]
        run[bounds[:-1]] = DOT
        return run, bounds

    def without(self, tops: Iterable[bytes]) -> Names:
        """All in order but some names and what is below them."""
        names = self.ordered()
        places = range(len(names.values))
        stays = np.ones(len(places), dtype=np.bool_)
        for top in tops:
            edges = [top.translate(TO_ROW) + end for end in (b"\0", b"\1")]
            start, stop = (bisect_left(places, edge, key=lambda at: names.row(at).translate(TO_ROW)) for edge in edges)
            stays[start:stop] = False
        return names.where(stays)

    def row(self, place: int) -> bytes:
        """One of them as it is, with a dot at its end."""
        start = self.starts[place]
        return self.text[start : start + self.sizes[place]].tobytes() + b"."

    def rows(self, places: Places) -> list[bytes]:
        """Some of them as they are, each with a dot at its end."""
        run, bounds = self.run(places)
        text = run.tobytes() + b"."
        return [text[start + 1 : end + 1] for start, end in pairwise(bounds.tolist())]

    def all_rows(self) -> Iterator[tuple[bytes, int]]:
        """All of them in order, each with a dot at its end, and their values."""
        names = self.ordered()
        for start in range(0, len(names.values), SOME):
            places = np.arange(start, min(start + SOME, len(names.values)))
            yield from zip(names.rows(places), names.values[places].tolist(), strict=True)

    def nodes(self) -> Iterator[Node]:
        """All of them in order, those between listed names and holes or deeper names made up."""
        if self.exact:
            yield from self.exact_nodes()
            return
        masks = self.masks.tolist()
        path: list[tuple[bytes, int]] = []  # the names above, each with a dot at its end, and their masks
        for row, value in self.all_rows():
            while path and not row.startswith(path[-1][0]):
                path.pop()
            over, above = path[-1] if path else (b"", 0)
            if above:
                for step in steps(row, len(over)):
                    path.append((step, above))
                    yield Node(step[:-1], above, Kind.BETWEEN, above)
            if value < EMPTY_NAME:
                mask, kind = masks[value], Kind.LISTED
            elif value == HOLE:
                if not above:
                    continue
                mask, kind = 0, Kind.HOLE
            else:
                mask, kind = above, Kind.BETWEEN if above else Kind.EMPTY
            path.append((row, mask))
            yield Node(row[:-1], mask, kind, above)

    def exact_nodes(self) -> Iterator[Node]:
        masks = self.masks.tolist()
        for row, value in self.all_rows():
            name = row[:-1]
            yield Node(name, masks[value], Kind.LISTED, 0) if value < EMPTY_NAME else Node(name, 0, Kind.EMPTY, 0)

    def listed(self, code: int) -> Iterator[list[str]]:
        """The listed names that answer with a code, as they are written; in order, some at a time."""
        names = self.ordered()
        has = names.values < EMPTY_NAME
        has[has] = (self.masks[names.values[has]] >> np.uint64(code)) & np.uint64(1) == 1
        places = np.flatnonzero(has)
        return (names.written(places[start : start + SOME]) for start in range(0, len(places), SOME))

    def written(self, places: Places) -> list[str]:
        """Some of them as they are written."""
        run, bounds = self.run(places)
        text = turned(run, bounds).tobytes().decode("ascii")
        return [text[start + 1 : end] for start, end in pairwise(bounds.tolist())]


def hashes_of(text: Octets, starts: Places, sizes: NDArray[np.uint8]) -> list[tuple[bytes, int]]:
    """Each name with its hash, as they come."""
    octets = text.tobytes()
    found = (octets[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True))
    return [(name, xxhash.xxh3_64_intdigest(name)) for name in found]


def turned(run: Octets, bounds: Places) -> Octets:
    """Names one after the other, each with a dot before it, from the order of the tree to the one they are written in:
    the last label with its dot goes first."""
    cuts = np.flatnonzero(run == DOT)
    sizes = np.diff(cuts, append=len(run))
    labels = np.diff(np.searchsorted(cuts, bounds))
    ahead = np.repeat(bounds[:-1] + bounds[1:], labels) - 2 * cuts - sizes
    found = np.empty_like(run)
    found[np.arange(len(run)) + np.repeat(ahead, sizes)] = run
    return found


def steps(name: bytes, start: int) -> Iterator[bytes]:
    """What stands between a name and the one above it, which is `start` bytes of it; with the dot at the end."""
    cut = name.find(b".", start)
    while 0 < cut < len(name) - 1:
        yield name[: cut + 1]
        cut = name.find(b".", cut + 1)


# order


def tree_order(names: Names) -> Places:
    """The places of names in the order of the tree: by octets, a dot before all others. A few octets are compared at a
    time, as one number with that of the names that were alike so far; and then only those again that still are."""
    words = words_of(names.text)
    order: Places = np.arange(len(names.starts))
    unsettled: Places = order.copy()  # where the order may still change
    group = np.zeros(len(order), dtype=np.uint64)
    octets = WORD - (len(order).bit_length() + 7) // 8
    for at in range(0, LONGEST, octets):
        if not len(unsettled):
            break
        rows = order[unsettled]
        left = np.clip(names.sizes[rows].astype(np.int64) - at, 0, octets)
        here = words[np.minimum(names.starts[rows] + at, len(names.text))].astype(np.uint64) & KEPT[left]
        keys = group << np.uint64(8 * octets) | here >> np.uint64(8 * (WORD - octets))
        found = np.argsort(keys)
        order[unsettled], keys = rows[found], keys[found]
        first = np.ones(len(keys) + 1, dtype=np.bool_)  # of those that are alike now
        first[1:-1] = keys[1:] != keys[:-1]
        alike = ~(first[:-1] & first[1:])
        unsettled, group = unsettled[alike], np.cumsum(first[:-1], dtype=np.uint64)[alike]
    return order


def words_of(text: Octets) -> NDArray[np.uint64]:
    """The octets from each place of a text on as a number, as they sort."""
    padded = np.zeros(len(text) + WORD, dtype=np.uint8)
    padded[: len(text)] = text
    padded[padded == DOT] = 0
    return np.ndarray(len(text) + 1, ">u8", padded, strides=(1,))
