"""Names of a zone that is not of addresses, many at a time. Pure, numpy.

Most names are alone: listed, with nothing listed above and nothing below. What they answer needs no tree, so those of
one length become one array, and are turned from the order of the tree (`example\\0bad`) to their own there. All others
come in whole subtrees, and go name by name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from .contents import TAIL, Names
from .packed import Group, Octets, labels
from .recordset import forms_of
from .snapshot import EMPTY_NAME

__all__ = ["Stretch", "lone", "stretches", "subtrees"]

SOME = 16_384  # names at once


@dataclass(slots=True, frozen=True)
class Stretch:
    """Names next to one another, by their places among all: those that are alone, those of subtrees, and where among
    the latter the last subtree begins."""

    alone: list[int]
    others: list[int]
    last: int


def stretches(names: Names) -> Iterator[Stretch]:
    """All listed names and subtrees below them, some at a time; a subtree stays whole, and a long one is the last."""
    listed = names.values < EMPTY_NAME
    trees = [] if names.exact else list(trees_of(names, listed))
    for top, end in trees:
        listed[top:end] = False
    start = number = 0
    while start < len(listed):
        stop, last = start + SOME, 0
        others: list[int] = []
        while number < len(trees) and trees[number][0] < stop:
            top, end = trees[number]
            stop, last, number = max(stop, end), len(others), number + 1
            others += range(top, end)
        yield Stretch((np.flatnonzero(listed[start:stop]) + start).tolist(), others, last)
        start = stop


def trees_of(names: Names, listed: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where listed names with something below begin, those not below another, and where what is below ends."""
    rows, done = names.rows, 0
    above = [below.startswith(row[: 1 - TAIL]) for row, below in pairwise(rows)]
    for top in np.flatnonzero(np.array(above, dtype=np.bool_) & listed[:-1]).tolist():
        if top >= done:
            done = bisect_left(rows, rows[top][:-TAIL] + b"\1", top)
            yield top, done


def subtrees(names: Names, places: list[int]) -> Names:
    """Some of the names, whole subtrees of them."""
    return Names([names.rows[place] for place in places], names.masks)


def lone(names: Names, places: list[int], zone: ZoneDef) -> Iterator[Group]:
    """Names that are alone, in groups that say where each was among the places."""
    if not places:
        return
    rows = [names.rows[place] for place in places]
    sizes = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows)) - TAIL
    values = names.values[places]
    keys = values << 8 | np.minimum(sizes, 255)
    order = np.argsort(keys, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        size = int(sizes[some[0]])
        forms = forms_of(size, zone)
        if forms:
            octets = b"".join([rows[place] for place in some.tolist()])
            tree = np.frombuffer(octets, dtype=np.uint8).reshape(len(some), -1)[:, :size]
            name = turned(tree)
            mask = int(names.masks[values[some[0]]])
            yield Group(mask, forms, some, labels(name), subjects(tree, name, zone.kind))


def turned(tree: Octets) -> Octets:
    """Names of one length from the order of the tree, with zeros between their labels, as they are written."""
    size = tree.shape[1]
    columns = np.arange(size, dtype=np.uint8)
    cuts = tree == 0
    starts = np.maximum.accumulate(np.where(cuts, columns + np.uint8(1), np.uint8(0)), axis=1)
    ends = np.minimum.accumulate(np.where(cuts, columns, np.uint8(size))[:, ::-1], axis=1)[:, ::-1]
    places = np.where(cuts, np.uint8(size - 1) - columns, np.uint8(size) - ends + columns - starts)
    found = np.empty_like(tree)
    np.put_along_axis(found, places.astype(np.intp), np.where(cuts, np.uint8(ord(".")), tree), axis=1)
    return found


def subjects(tree: Octets, name: Octets, kind: str) -> Octets:
    """What texts say of names: a hash or number as people write it."""
    if kind == "hash":
        cuts = tree[:, 1:] == 0
        first = cuts & (np.cumsum(cuts, axis=1) == 1)
        return np.where(first, np.uint8(ord(":")), np.where(cuts, np.uint8(ord(".")), tree[:, 1:]))
    if kind == "e164":
        return np.insert(tree[:, ::2], 0, ord("+"), axis=1)
    return name
