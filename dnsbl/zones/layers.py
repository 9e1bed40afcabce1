"""Pieces of one address family in one snapshot file: what an address answers, and whether anything of a stretch is
listed. The second is asked by anyone, for any stretch, so it never walks the table; and both take whatever a file
has without harm. Without numpy: the process that answers DNS has no other use for it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from .snapshot import Snapshot

__all__ = ["NO_ANSWER", "Layer", "any_of"]

NO_ANSWER = -1  # this layer says nothing; the one below may
NOWHERE = -1
BLOCK = 256  # pieces for which it is known together whether any has a wanted answer
MAX_WANTED = 64  # sets of answers for which that is kept: a zone has one a sublist, and one for all
MAX_HIDDEN = 1024  # pieces of a delta that are looked under for one question: some milliseconds


def any_of(layers: list[Layer], first: int, last: int, wanted: bytes | None) -> bool:
    """Whether the layers together list anything of first..last; the first layer covers the second.

    Where a delta hides all that the base has there, in more than MAX_HIDDEN pieces, this says yes all the same: a
    network that is empty then seems to hold something, which costs a resolver some questions more, until the next
    base is built. Looking on would let anybody keep the server busy.
    """
    if layers[0].next(first, last, wanted) != NOWHERE:
        return True
    if len(layers) == 1:
        return False
    over, under = layers
    for _ in range(MAX_HIDDEN):
        found = under.next(first, last, wanted)
        if found == NOWHERE:
            return False
        hidden = over.end(found)
        if hidden == NOWHERE:
            return True
        if hidden >= last:
            return False
        first = hidden + 1
    return True


class Column:
    """The answer ids of so many pieces; a single one stands for them all."""

    __slots__ = ("ids", "known", "step")

    def __init__(self, ids: memoryview) -> None:
        self.ids = ids
        self.step = 0 if len(ids) == 1 else 1
        self.known: dict[bytes | None, tuple[bytes, bytes]] = {}

    def at(self, place: int) -> int:
        answer: int = self.ids[place * self.step]
        return answer

    def next(self, place: int, end: int, wanted: bytes | None) -> int:
        """The first of the pieces place..end-1 that has a wanted answer; NOWHERE: none has."""
        if place >= end:
            return NOWHERE
        table, marks = self.marked(wanted)
        if not self.step:
            return place if table[self.ids[0]] else NOWHERE
        found = self.within_block(place, end, table)
        if found != NOWHERE:
            return found
        block = marks.find(1, place // BLOCK + 1, -(-end // BLOCK))
        return NOWHERE if block < 0 else self.within_block(block * BLOCK, end, table)

    def within_block(self, place: int, end: int, table: bytes) -> int:
        stop = min(end, (place // BLOCK + 1) * BLOCK)
        found = flags(self.ids[place:stop], table).find(1)
        return NOWHERE if found < 0 else place + found

    def marked(self, wanted: bytes | None) -> tuple[bytes, bytes]:
        """For each answer id whether it is wanted, and for each block whether a piece of it has such a one; made once
        for a file."""
        known = self.known.get(wanted)
        if known is None:
            if len(self.known) >= MAX_WANTED:
                self.known.clear()
            size = 1 << 8 * self.ids.itemsize
            listed = b"\1" * (size - 1) if wanted is None else bytes(map(bool, wanted[1:])).ljust(size - 1, b"\0")
            table = b"\0" + listed
            blocks = range(0, len(self.ids), BLOCK)
            marks = bytes(1 in flags(self.ids[start : start + BLOCK], table) for start in blocks)
            known = self.known[wanted] = table, marks
        return known


def flags(ids: memoryview, table: bytes) -> bytes:
    """A byte for each id: that of the table."""
    return bytes(ids).translate(table) if ids.itemsize == 1 else bytes(map(table.__getitem__, ids))


class Layer:
    """Singles and ranges, ascending and disjoint, each with an answer id; 0 in a delta: not listed any more."""

    __slots__ = ("high", "index", "low", "mask", "one", "one_answers", "range_answers", "shift")

    def __init__(self, file: Snapshot, family: str) -> None:
        self.one: memoryview = getattr(file, f"{family}one")
        self.index: Sequence[int] = file.v4idx if family == "v4" else (0, len(self.one))
        self.shift = (32 if family == "v4" else 64) + 1 - (len(self.index) - 1).bit_length()
        self.mask = (1 << self.shift) - 1
        self.one_answers = Column(getattr(file, f"{family}onea"))
        self.low: memoryview = getattr(file, f"{family}low")
        self.high: memoryview = getattr(file, f"{family}high")
        self.range_answers = Column(getattr(file, f"{family}a"))

    def lookup(self, number: int) -> int:
        place = self.single(number)
        if place >= 0:
            return self.one_answers.at(place)
        place = bisect_right(self.low, number) - 1
        if place >= 0 and self.high[place] >= number:
            return self.range_answers.at(place)
        return NO_ANSWER

    def end(self, number: int) -> int:
        """The last number of the piece, listed or not, that holds this one; NOWHERE: none does."""
        if self.single(number) >= 0:
            return number
        place = bisect_right(self.low, number) - 1
        return self.high[place] if place >= 0 and self.high[place] >= number else NOWHERE

    def next(self, first: int, last: int, wanted: bytes | None) -> int:
        """The first number of first..last that a piece with a wanted answer holds; NOWHERE: none does."""
        start, end = bisect_left(self.one, *self.bucket(first)), bisect_right(self.one, *self.bucket(last))
        place = self.one_answers.next(start, end, wanted)
        nearest = last + 1
        if place >= 0:
            nearest = min(max(self.number(place), first), last)
        place = self.range_answers.next(bisect_left(self.high, first), bisect_right(self.low, last), wanted)
        if place >= 0:
            nearest = min(max(self.low[place], first), nearest)
        return nearest if nearest <= last else NOWHERE

    def single(self, number: int) -> int:
        """The place of a single number; NOWHERE: it is none."""
        low, start, end = self.bucket(number)
        place = bisect_left(self.one, low, start, end)
        return place if place < end and self.one[place] == low else NOWHERE

    def bucket(self, number: int) -> tuple[int, int, int]:
        """What stands of a number in its bucket, and where in `one` that begins and ends."""
        bucket = number >> self.shift
        size = len(self.one)
        return number & self.mask, min(self.index[bucket], size), min(self.index[bucket + 1], size)

    def number(self, place: int) -> int:
        """The single number at a place."""
        bucket = bisect_right(self.index, place) - 1
        return bucket << self.shift | self.one[place]
