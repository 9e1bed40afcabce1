"""The names of a zone in the order of the tree, many at a time. Pure, numpy.

Most listed names are alone, with nothing listed above and nothing below: they are taken as they are. All others are in
subtrees, which are gone through name by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from .hashed import Places
from .snapshot import EMPTY_NAME
from .tree import DOT, Kind, Names
from .written import name_text

__all__ = ["Stretch", "Written", "known", "stretches", "subtrees", "taken"]

SOME = 16_384  # names of a stretch

Written = tuple[str, int, Kind]  # a name as it is written, its mask, and what is answered at it


def known(names: Names) -> Iterator[Written]:
    """All that are listed, or below what is, in order."""
    names = names.ordered()
    for stretch in stretches(names):
        alone = names.written(stretch.alone)
        masks = names.masks[names.values[stretch.alone]].tolist()
        tops = np.array([top for top, _ in stretch.trees], dtype=np.int64)
        ahead = dict(zip(names.rows(tops), np.searchsorted(stretch.alone, tops).tolist(), strict=True))
        done = 0
        for node in stretch.below(names).nodes():
            upto = ahead.get(node.name + b".", done)
            if upto > done:
                yield from zip(alone[done:upto], masks[done:upto], repeat(Kind.LISTED))
                done = upto
            yield name_text(node.name), node.mask, node.kind
        yield from zip(alone[done:], masks[done:], repeat(Kind.LISTED))


def taken(names: Names) -> list[tuple[str, int]]:
    """Names as written with the codes that the name above answers with and they do not: holes, and the test names."""
    nodes = subtrees(names).nodes()
    return [(name_text(node.name), node.above & ~node.mask) for node in nodes if node.above & ~node.mask]


def subtrees(names: Names) -> Names:
    """Those of subtrees: what is listed with something below, and all of that."""
    names = names.ordered()
    return names.where(ranges([] if names.exact else list(trees_of(names, names.values < EMPTY_NAME))))


@dataclass(slots=True, frozen=True)
class Stretch:
    """Names next to one another, by their places: those that are alone, and where subtrees begin and end."""

    alone: Places
    trees: list[tuple[int, int]]

    def below(self, names: Names) -> Names:
        """Those of the subtrees."""
        return names.where(ranges(self.trees))

    def ends_long(self, most: int) -> bool:
        """Whether the last subtree has more names than that."""
        top, end = self.trees[-1] if self.trees else (0, 0)
        return end - top > most


def ranges(trees: list[tuple[int, int]]) -> Places:
    return np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(top, end) for top, end in trees)])


def stretches(names: Names) -> Iterator[Stretch]:
    """All listed names and subtrees below them, some at a time; a subtree stays whole, and a long one is the last.
    `names`: in order."""
    alone = names.values < EMPTY_NAME
    trees = [] if names.exact else list(trees_of(names, alone))
    for top, end in trees:
        alone[top:end] = False
    start = number = 0
    while start < len(alone):
        stop, first = start + SOME, number
        while number < len(trees) and trees[number][0] < stop:
            stop, number = max(stop, trees[number][1]), number + 1
        yield Stretch(np.flatnonzero(alone[start:stop]) + start, trees[first:number])
        start = stop


def trees_of(names: Names, listed: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where listed names with something below begin, those not below another, and where what is below ends."""
    longer = listed[:-1] & (names.sizes[1:] > names.sizes[:-1])
    tops = np.flatnonzero(longer)
    dots = names.text[names.starts[tops + 1] + names.sizes[tops]] == DOT  # where it is if the next name is below
    done = 0
    for top in tops[dots].tolist():
        if top >= done:
            end = below(names, top)
            if end > top + 1:
                done = end
                yield top, end


def below(names: Names, top: int) -> int:
    """Where the subtree of a name ends."""
    end, name = top + 1, names.row(top)
    while end < len(names.values) and names.row(end).startswith(name):
        end += 1
    return end
