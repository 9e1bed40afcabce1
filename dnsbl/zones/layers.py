"""Ranges of one address family in one snapshot file, asked in O(log n): what an address answers, and whether anything
of a stretch is listed. The second is asked by anyone, for any stretch, so it never walks the table."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from .snapshot import Mapped

__all__ = ["NO_ANSWER", "Layer", "any_of"]

NO_ANSWER = -1  # this layer says nothing; the one below may
MAX_SUMS = 64  # sets of answers whose sums are kept: a zone has one a sublist, and one for all

Sums = tuple[NDArray[np.int64], NDArray[np.int64]]


class Layer:
    """Singles and ranges, ascending and disjoint, each with an answer id; 0 in a delta: not listed any more."""

    __slots__ = ("high", "low", "one", "one_answer", "range_answer", "sums")

    def __init__(self, file: Mapped, family: str) -> None:
        self.one: memoryview = getattr(file, f"{family}one")
        self.one_answer: memoryview = getattr(file, f"{family}onea")
        self.low: memoryview = getattr(file, f"{family}low")
        self.high: memoryview = getattr(file, f"{family}high")
        self.range_answer: memoryview = getattr(file, f"{family}a")
        self.sums: dict[bytes | None, Sums] = {}

    def lookup(self, number: int) -> int:
        place = bisect_left(self.one, number)
        if place < len(self.one) and self.one[place] == number:
            answer: int = self.one_answer[place]
            return answer
        place = bisect_right(self.low, number) - 1
        if place >= 0 and self.high[place] >= number:
            return self.range_answer[place]
        return NO_ANSWER

    def touches(self, first: int, last: int) -> bool:
        """Whether any piece, listed or not, has a part in first..last."""
        place = bisect_left(self.one, first)
        if place < len(self.one) and self.one[place] <= last:
            return True
        place = bisect_right(self.low, last) - 1
        return place >= 0 and self.high[place] >= first

    def count(self, first: int, last: int, wanted: bytes | None) -> int:
        """How many pieces with a wanted answer have a part in first..last."""
        ones, ranges = self.sums_of(wanted)
        found = int(ones[bisect_right(self.one, last)] - ones[bisect_left(self.one, first)])
        start, end = bisect_left(self.high, first), bisect_right(self.low, last)
        return found + (int(ranges[end] - ranges[start]) if end > start else 0)

    def sums_of(self, wanted: bytes | None) -> Sums:
        """How many pieces with a wanted answer stand before each place; made once for a file."""
        known = self.sums.get(wanted)
        if known is None:
            if len(self.sums) >= MAX_SUMS:
                self.sums.clear()
            known = running(self.one_answer, wanted), running(self.range_answer, wanted)
            self.sums[wanted] = known
        return known

    def ground(self, first: int, last: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The stretches within first..last that pieces cover, touching ones joined; what reaches an end of
        first..last reaches beyond, as nothing there is asked about."""
        ones = slice(bisect_left(self.one, first), bisect_right(self.one, last))
        ranges = slice(bisect_left(self.high, first), max(bisect_right(self.low, last), bisect_left(self.high, first)))
        one = np.asarray(self.one[ones]).astype(np.uint64)
        starts = np.concatenate([one, np.asarray(self.low[ranges]).astype(np.uint64)])
        ends = np.concatenate([one, np.asarray(self.high[ranges]).astype(np.uint64)])
        order = np.argsort(starts)
        starts, ends = starts[order], ends[order]
        joins = starts[1:] == ends[:-1] + np.uint64(1)
        starts = starts[np.concatenate([[True], ~joins])]
        ends = ends[np.concatenate([~joins, [True]])]
        if int(starts[0]) <= first:
            starts[0] = 0
        if int(ends[-1]) >= last:
            ends[-1] = np.iinfo(np.uint64).max
        return starts, ends

    def count_inside(
        self, starts: NDArray[np.uint64], ends: NDArray[np.uint64], first: int, last: int, wanted: bytes | None
    ) -> int:
        """How many pieces that `count` counts lie wholly within the stretches."""
        ones, ranges = self.sums_of(wanted)
        one = np.asarray(self.one).astype(np.uint64, copy=False)
        low, high = np.asarray(self.low), np.asarray(self.high)
        here = slice(bisect_left(self.one, first), bisect_right(self.one, last))
        from_one = here.start + np.searchsorted(one[here], starts, side="left")
        to_one = here.start + np.searchsorted(one[here], ends, side="right")
        found = int((ones[to_one] - ones[from_one]).sum())
        start, end = bisect_left(self.high, first), bisect_right(self.low, last)
        if end <= start:
            return found
        from_range = start + np.searchsorted(low[start:end].astype(np.uint64), starts, side="left")
        to_range = start + np.searchsorted(high[start:end].astype(np.uint64), ends, side="right")
        return found + int(np.maximum(ranges[to_range] - ranges[from_range], 0).sum())


def running(answers: memoryview, wanted: bytes | None) -> NDArray[np.int64]:
    ids = np.asarray(answers)
    if wanted is None:
        counted = ids != 0
    else:
        counted = np.frombuffer(wanted, dtype=np.uint8)[ids] != 0
        counted &= ids != 0
    sums = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum(counted, out=sums[1:])
    return sums


def any_of(layers: list[Layer], first: int, last: int, wanted: bytes | None) -> bool:
    """Whether the layers together list anything of first..last; the first layer covers the second."""
    if len(layers) == 1:
        return layers[0].count(first, last, wanted) > 0
    over, under = layers
    if over.count(first, last, wanted):
        return True
    below = under.count(first, last, wanted)
    if not below or not over.touches(first, last):
        return below > 0
    starts, ends = over.ground(first, last)
    return below > under.count_inside(starts, ends, first, last, wanted)
