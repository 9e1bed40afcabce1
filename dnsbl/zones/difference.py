"""What one serial of a zone has and another has not, as whole pieces and names of `Contents`. Pure.

A piece or name stands for the same records in every serial, so the records of one serial, less those of what left, with
those of what came, are the records of the other. A piece that grew left as it was and came as it is: some records may
be in both.

Between two deltas over one base only the ground of the deltas is looked at, whatever the size of the zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from .arrays import answer_ids, numbers
from .build import Answers, ranges_of
from .contents import Node, canonical, canonical6, deep_of, layered
from .hashed import Places
from .nodes import turned
from .served import ServedZone
from .snapshot import Snapshot, size_of
from .table import LAST6, TOP4, Deep, Pieces, ascending, joined, merge, overlay, pieces

__all__ = ["Change", "Step", "difference", "difference_within", "step_between"]

UNBOUNDED = 2**62
SMALL_STEP = 10_000  # pieces and names; more than half of a larger zone are no step: the whole zone is shorter
TOPS = {"v4": TOP4, "v6": LAST6}  # the last number of a family


@dataclass(slots=True, frozen=True)
class Change:
    """Pieces and names that left, or came. Of names those that have records: LISTED, BETWEEN and HOLE. That only the
    codes above a hole are others does not count."""

    ip4: Pieces
    ip6: Pieces
    deep: list[Deep]
    names: list[Node]

    @property
    def size(self) -> int:
        return len(self.ip4) + len(self.ip6) + len(self.deep) + len(self.names)


@dataclass(slots=True, frozen=True)
class Step:
    """From one serial of a zone to another. `made_at`: seconds since 1970, of the new one. The digests (RFC 8976) are
    empty where there is none."""

    zone: ZoneDef
    old: int
    new: int
    made_at: int
    removed: Change
    added: Change
    zonemd_old: bytes
    zonemd_new: bytes

    @property
    def size(self) -> int:
        return self.removed.size + self.added.size


def difference(old: ServedZone, new: ServedZone) -> Step:
    """What `new` has and `old` has not, and the other way round; both of the same definition."""
    step = difference_within(old, new, UNBOUNDED)
    assert step is not None
    return step


def difference_within(old: ServedZone, new: ServedZone, most: int) -> Step | None:
    """The same; None where more than `most` pieces and names differ."""
    if new.zone.kind == "ip":
        removed, added = addresses(old, new)
    elif (changed := turned(old, new, same_base(old, new), most)) is None:
        return None
    else:
        removed, added = (Change(NONE, NONE, [], nodes) for nodes in changed)
    if removed.size + added.size > most:
        return None
    return Step(new.zone, old.serial, new.serial, new.made_at, removed, added, old.zonemd, new.zonemd)


def step_between(old: ServedZone, new: ServedZone) -> Step | None:
    """What the journal keeps for those who have `old`; None where the whole zone serves them better."""
    if old.serial == new.serial or old.zone.frame != new.zone.frame:
        return None
    return difference_within(old, new, max(SMALL_STEP, (size_of(new.base) + size_of(new.delta)) // 2))


NONE = pieces([])


def same_base(old: ServedZone, new: ServedZone) -> bool:
    return old.base is new.base or (old.base.path == new.base.path and old.base.mark == new.base.mark)


def addresses(old: ServedZone, new: ServedZone) -> tuple[Change, Change]:
    """The pieces that left and those that came."""
    same = same_base(old, new)
    left4, came4 = apart(*(canonical(table) for table in tables(old, new, "v4", same, [])))
    narrow = deep_of(old), deep_of(new)
    both6 = tables(old, new, "v6", same, [piece.upper for deep in narrow for piece in deep])
    (before6, deep_before), (after6, deep_after) = map(canonical6, both6, narrow)
    left6, came6 = apart(before6, after6)
    gone, here = set(deep_before) - set(deep_after), set(deep_after) - set(deep_before)
    return Change(left4, left6, in_order(gone), []), Change(came4, came6, in_order(here), [])


def in_order(deep: set[Deep]) -> list[Deep]:
    return sorted(deep, key=lambda piece: (piece.upper, piece.first))


def apart(old: Pieces, new: Pieces) -> tuple[Pieces, Pieces]:
    """What only the one has, and what only the other."""
    return old.where(~among(old, new)), new.where(~among(new, old))


def among(some: Pieces, others: Pieces) -> NDArray[np.bool_]:
    """Which pieces the others have, the very same."""
    if not len(others):
        return np.zeros(len(some), dtype=np.bool_)
    place = np.minimum(np.searchsorted(others.first, some.first), len(others) - 1)
    same = (others.first[place] == some.first) & (others.last[place] == some.last) & (others.mask[place] == some.mask)
    return np.asarray(same)


# the ground that may differ


def tables(old: ServedZone, new: ServedZone, family: str, same: bool, cut: Sequence[int]) -> tuple[Pieces, Pieces]:
    """Both zones' pieces of a family, base and delta: all of them, or of one base those that may have changed. `cut`:
    single numbers that may have, too."""
    known, ids = Answers.of(old.zone, old.answers), Answers.of(new.zone, new.answers)
    if not same:
        return layered(old, family, known), layered(new, family, ids)
    before = ranges_of(old.delta, family, known) if old.delta else NONE
    after = ranges_of(new.delta, family, ids) if new.delta else NONE
    ground = widened([before, after, pieces((number, number, 0) for number in set(cut))], TOPS[family])
    under = base_on(new.base, family, ids, ground)
    return overlay(under, before), overlay(under, after)


def widened(tables: Sequence[Pieces], top: np.uint64) -> Pieces:
    """The ground of all these and the numbers beside it, as disjoint ranges."""
    table = ascending(joined(tables))
    first = table.first - (table.first > 0).astype(np.uint64)
    reach = np.maximum.accumulate(np.minimum(table.last, top - np.uint64(1)) + np.uint64(1))
    new = np.ones(len(first), dtype=np.bool_)
    new[1:] = first[1:] > reach[:-1]
    lasts = np.append(np.flatnonzero(new)[1:], len(first)) - 1 if len(first) else np.flatnonzero(new)
    return Pieces(first[new], reach[lasts], np.zeros(int(new.sum()), dtype=np.uint64))


def base_on(file: Snapshot, family: str, answers: Answers, ground: Pieces) -> Pieces:
    """A base's pieces that have any of the ground."""
    masks = np.array(answers.masks, dtype=np.uint64)
    one = numbers(file, family)
    low, high = np.asarray(getattr(file, f"{family}low")), np.asarray(getattr(file, f"{family}high"))
    first, last = ground.first.astype(one.dtype), ground.last.astype(one.dtype)
    ones = spans(np.searchsorted(one, first), np.searchsorted(one, last, side="right"))
    wide = np.unique(spans(np.searchsorted(high, first), np.searchsorted(low, last, side="right")))
    starts = np.concatenate([one[ones], low[wide]]).astype(np.uint64)
    ends = np.concatenate([one[ones], high[wide]]).astype(np.uint64)
    ids = np.concatenate([answer_ids(file, f"{family}one")[ones], answer_ids(file, family)[wide]])
    return merge(ascending(Pieces(starts, ends, masks[ids.astype(np.int64)])))


def spans(begin: Places, end: Places) -> Places:
    """The numbers begin..end-1 of each pair, one after the other."""
    counts = np.maximum(end - begin, 0)
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) - np.repeat(before - begin, counts))
