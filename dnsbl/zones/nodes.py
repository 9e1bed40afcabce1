"""Names of a zone that answer otherwise at another serial, found without going through the tree. Pure.

The records of a name follow from what the snapshot says of it and of the names above, and from whether anything is
below. So the names that may have changed are those of which the snapshots say something else, those above them, and
those below one whose codes are others. What is listed below such a one is in the newer delta: `names.changed` decides
it anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache

import numpy as np

from ..errors import SnapshotError
from .build import Answers, carried_names
from .hashed import name_columns, names_apart
from .layers import NO_ANSWER
from .names import above, records
from .served import ServedZone
from .snapshot import EMPTY_NAME, HOLE, Snapshot
from .tree import FROM_ROW, TO_ROW, Kind, Names, Node

__all__ = ["Unlisted", "turned"]

KNOWN = 65_536  # names above others that are remembered
SOME = 16_384  # names at once

Said = tuple[Kind, int] | None  # what a snapshot says of a name itself, with the mask


class Tree:
    """One zone's names, asked one by one."""

    def __init__(self, view: ServedZone) -> None:
        self.view = view
        self.masks = Answers.of(view.zone, view.answers).masks
        self.known: dict[bytes, Said] = {}

    @cached_property
    def carried(self) -> dict[bytes, int]:
        """What the delta says."""
        return carried_names(self.view)

    @cached_property
    def holes(self) -> list[bytes]:
        """All that is exempt below a listed name, as rows, sorted."""
        base = {name for name in holes_of(self.view.base) if name not in self.carried}
        return as_rows(base | {name for name, value in self.carried.items() if value == HOLE})

    def said(self, name: bytes) -> Said:
        if name not in self.known:
            if len(self.known) >= KNOWN:
                self.known.clear()
            value = self.view.name_value(name)
            if value == NO_ANSWER:
                self.known[name] = None
            elif value < EMPTY_NAME:
                if value >= len(self.masks):
                    raise SnapshotError(f"{self.view.base.path.parent}: names have answers that the zone has not")
                self.known[name] = Kind.LISTED, self.masks[value]
            else:
                self.known[name] = Kind.HOLE if value == HOLE else Kind.EMPTY, 0
        return self.known[name]

    def over(self, name: bytes) -> int:
        """The mask of the nearest name above that is listed or exempt."""
        for upper in above(name):
            said = self.said(upper)
            if said and said[0] is not Kind.EMPTY:
                return said[1]
        return 0

    def inherited(self, name: bytes) -> int:
        """What the names below get from here."""
        said = self.said(name)
        return said[1] if said and said[0] is not Kind.EMPTY else self.over(name)

    def node(self, name: bytes) -> Node | None:
        """The name with its records; None where it has none."""
        said = self.said(name)
        if self.view.exact:
            return Node(name, said[1], Kind.LISTED, 0) if said and said[0] is Kind.LISTED else None
        over = self.over(name)
        if said and said[0] is Kind.LISTED:
            return Node(name, said[1], Kind.LISTED, over)
        if not over:
            return None
        if said and said[0] is Kind.HOLE:
            return Node(name, 0, Kind.HOLE, over)
        return Node(name, over, Kind.BETWEEN, over) if said or any(self.holes_below(name)) else None

    def holes_below(self, name: bytes) -> Iterator[bytes]:
        """What is exempt below: what is listed there makes the names above known, a hole does not."""
        row = name.translate(TO_ROW) + b"\0"
        for place in range(bisect_left(self.holes, row), len(self.holes)):
            if not self.holes[place].startswith(row):
                return
            yield self.holes[place].translate(FROM_ROW)

    def names(self, same_base: bool) -> Iterator[bytes]:
        """The names among which those are that stand below a changed one: of a delta, all it says; else all there
        are."""
        yield from self.carried
        if not same_base:
            yield from (name for name, _ in records(self.view.base.names))


class Unlisted:
    """The names of a zone that have records without being listed, while all its names come by, some at a time."""

    def __init__(self, view: ServedZone) -> None:
        self.tree, self.exact = Tree(view), view.exact
        self.inherited = lru_cache(KNOWN)(self.tree.inherited)
        self.holes: list[bytes] = []  # those that came by

    def between(self, names: Names) -> Iterator[Node]:
        """Those between listed ones."""
        if self.exact:
            return
        names = names.ordered()
        for name in some_of(names, EMPTY_NAME):
            upper = name.rpartition(b".")[0]
            if upper and (mask := self.inherited(upper)):
                yield Node(name, mask, Kind.BETWEEN, mask)
        self.holes += some_of(names, HOLE)

    def rest(self) -> Iterator[Node]:
        """Holes and what is between these and listed names: once all have come by."""
        self.tree.holes = as_rows(self.holes)  # no need to look for them once more
        found: set[bytes] = set()
        for name in self.holes:
            found.update((name, *(upper for upper in above(name) if self.tree.said(upper) is None)))
        yield from filter(None, map(self.tree.node, sorted(found)))


def some_of(names: Names, value: int) -> Iterator[bytes]:
    """The names with a value."""
    places = np.flatnonzero(names.values == value)
    for start in range(0, len(places), SOME):
        yield from (row[:-1] for row in names.rows(places[start : start + SOME]))


def turned(old: ServedZone, new: ServedZone, same_base: bool, most: int) -> tuple[list[Node], list[Node]] | None:
    """The names that left and those that came, sorted; None where more than `most` are turned."""
    before, after = Tree(old), Tree(new)
    meant = renumbered(old, new)
    if same_base and not meant:
        suspects = {name for name, _ in before.carried.items() ^ after.carried.items()}
    else:
        suspects = {*before.carried, *after.carried}
    if not same_base:
        apart = names_apart(old.base, new.base, meant)
        if len(apart) > most + len(suspects):
            return None
        suspects |= apart
    changed = {name for name in suspects if before.said(name) != after.said(name)}
    if len(changed) > most:
        return None
    left: list[Node] = []
    came: list[Node] = []
    for name in sorted(changed if new.exact else affected(changed, before, after, same_base)):
        one, other = before.node(name), after.node(name)
        if one and other and one[:3] == other[:3]:
            continue
        left += [one] if one else []
        came += [other] if other else []
    return left, came


def affected(changed: set[bytes], before: Tree, after: Tree, same_base: bool) -> set[bytes]:
    """The names whose records may be others."""
    found = set(changed)
    over = set()  # names with other codes for what is listed below, if anything is
    for name in changed:
        found.update(above(name))
        if before.inherited(name) != after.inherited(name):
            for hole in (*before.holes_below(name), *after.holes_below(name)):
                found.update(upper for upper in above(hole) if len(upper) > len(name))
                found.add(hole)
            if before.said(name) and after.said(name):  # else nothing was listed below, or is now
                over.add(name)
    if over:
        for name in after.names(same_base):
            uppers = list(above(name))
            if not over.isdisjoint(uppers):
                found.update((name, *uppers))
    return found


# what the snapshots say


def renumbered(old: ServedZone, new: ServedZone) -> dict[int, int]:
    """The values of names in the old zone that are others in the new one; a set of codes that it has not is a number
    of its own."""
    ids = {codes: number for number, codes in enumerate(new.answers)}
    meant = {number: ids.setdefault(codes, len(ids)) for number, codes in enumerate(old.answers)}
    return {value: number for value, number in meant.items() if value != number}


def as_rows(names: Iterable[bytes]) -> list[bytes]:
    """Names as rows, in the order of the tree."""
    return sorted(name.translate(TO_ROW) for name in names)


def holes_of(base: Snapshot) -> list[bytes]:
    """Those of a base, looked for once: they are few."""
    known = base.layers.get("holes")
    if not isinstance(known, list):
        starts, sizes, values = name_columns(base)
        at = np.flatnonzero(values == HOLE)
        spans = zip(starts[at].tolist(), sizes[at].tolist(), strict=True)
        known = base.layers["holes"] = [bytes(base.names[start : start + size]) for start, size in spans]
    return known
