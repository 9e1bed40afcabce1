"""Names of a followed zone after differences: all of them, or what a delta over the base says.

A delta has each name that differences spoke of, as it is now, and the names above: empty while anything is listed
below, else gone. What is below is looked up in the base's names in the order of the tree, which are sorted once for
each base: a step costs what it changes, and not what the zone has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from ..zones.build import Answers, carried_names
from ..zones.contents import masks_of
from ..zones.layers import NO_ANSWER
from ..zones.maker import delta_room
from ..zones.names import above, records
from ..zones.served import ServedZone
from ..zones.snapshot import EMPTY_NAME, GONE, HOLE, Snapshot
from ..zones.tree import TO_ROW, Names
from .gathered import Gathered

__all__ = ["Delta", "changed_names", "delta_of", "listed", "names_in"]


class Delta(NamedTuple):
    """`values`: of names, over the base. `listings`: how many names are listed in all, without the test points."""

    values: dict[bytes, int]
    listings: int


def names_in(view: ServedZone) -> dict[bytes, int]:
    """The listed names and the holes that a zone holds, with their values."""
    found = dict(records(view.base.names))
    if view.delta:
        found.update(records(view.delta.names))
    return {name: value for name, value in found.items() if value not in (EMPTY_NAME, GONE)}


def changed_names(values: dict[bytes, int], removed: Gathered, added: Gathered, answers: Answers) -> dict[bytes, int]:
    """Names with their values after differences."""
    gone, no_holes = removed.names()
    new, holes = added.names()
    for name in gone.keys() | new.keys():
        before = values.get(name, 0)
        mask = (answers.masks[before] if before != HOLE else 0) & ~gone.get(name, 0) | new.get(name, 0)
        if mask:
            values[name] = answers.id(mask)
        elif before != HOLE:
            values.pop(name, None)
    for name in no_holes:
        if values.get(name) == HOLE:
            del values[name]
    for name in holes:
        values.setdefault(name, HOLE)
    return values


def delta_of(held: ServedZone, removed: Gathered, added: Gathered, answers: Answers) -> Delta | None:
    """What differences make of the delta; None where it would be too large, or its base is not there any more."""
    room = delta_room(held.base)
    if len(removed) + len(added) > room or not held.base.is_file(held.base.path):
        return None
    touched = {name for side in (removed, added) for names in side.names() for name in names}
    before = {name: value for name in touched if (value := held.name_value(name)) not in (NO_ANSWER, EMPTY_NAME)}
    after = changed_names(dict(before), removed, added, answers)
    values = {**carried_names(held), **dict.fromkeys(touched, GONE), **after}
    below = Below(held.base, values)
    names = {upper for name in touched for upper in above(name)} | touched
    for name in sorted(names - after.keys(), key=len, reverse=True):  # what is below a name is decided before it
        if held.name_value(name) in (NO_ANSWER, EMPTY_NAME) or name in touched:
            values[name] = EMPTY_NAME if below.any(name) else GONE
    return Delta(values, held.listings + listed(after) - listed(before)) if len(values) <= room else None


def listed(values: Mapping[bytes, int]) -> int:
    """How many of these names are."""
    return sum(1 for value in values.values() if value < EMPTY_NAME)


class Below:
    """What is below names, by a base and the `values` over it, which may change meanwhile for the names above."""

    def __init__(self, base: Snapshot, values: Mapping[bytes, int]) -> None:
        self.base, self.values = base, values
        self.holding = {upper for name, value in values.items() if value < EMPTY_NAME for upper in above(name)}

    def any(self, name: bytes) -> bool:
        """Whether anything is listed there."""
        if name in self.holding:
            return True
        names, top = ordered(self.base), name + b"."
        places = range(len(names.values))
        row = top.translate(TO_ROW)
        place = bisect_left(places, row, key=lambda at: names.row(at).translate(TO_ROW))
        while place < len(places) and (found := names.row(place)).startswith(top):
            if found != top and self.values.get(found[:-1], int(names.values[place])) not in (GONE, HOLE):
                return True
            place += 1
        return False


def ordered(base: Snapshot) -> Names:
    """The names of a base in the order of the tree, sorted once."""
    known = base.layers.get("ordered")
    if not isinstance(known, Names):
        view = ServedZone(base)
        known = base.layers["ordered"] = Names.of(view, masks_of(view)).ordered()
    return known
