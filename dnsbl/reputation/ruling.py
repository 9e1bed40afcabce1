"""What guards make of listings, family by family, zone by zone. Pure but for the store's counts, which it is handed.

Beyond a limit the place is held: nothing that the family carries there is listed, what it already had listed there
leaves, and a person decides: approved (no limit there, for a time) or rejected (its word is not believed there). Each
source that has listings there has a hold with its own number of them: it stays held when another is decided or moves
away. A day's hold only keeps new ones off, and ends with the day. Where MAX_WAITING places of one source wait, nothing
new of it is listed until some are decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..clock import DAY
from ..store.contract import Hold, Source
from .guard import HELD, KINDS, WINDOW, Guard, blocks, day_place, lifts, units
from .score import family_of

__all__ = ["MAX_WAITING", "Counts", "Led", "Ruling", "rule"]

MAX_WAITING = 200  # places of one source in one zone that a person is shown: who has so many is not believed meanwhile
ALL = ""  # the place of all listings


@dataclass(slots=True, frozen=True)
class Led:
    """A listing that a guarded source carries."""

    subject: bytes
    source: int
    new: bool  # not listed before


@dataclass(slots=True)
class Ruling:
    """What a guard makes of some listings of one zone."""

    blocked: set[bytes] = field(default_factory=set)  # not to be listed
    holds: list[Hold] = field(default_factory=list)  # new ones
    counts: dict[int, dict[str, int]] = field(default_factory=dict)  # to be added to a source's day
    counted: dict[int, list[bytes]] = field(default_factory=dict)  # what these are of


class Counts(Protocol):
    def spread(self, source: int, day: int, zone: str) -> Mapping[str, int]: ...

    def counted(self, zone: str, subjects: Sequence[bytes], since: int) -> Iterable[tuple[bytes, int]]:
        """Which of these listings were counted since that day, and for which source."""
        ...


def rule(
    guard: Guard,
    zone: str,
    led: Sequence[Led],
    sources: Mapping[int, Source],
    holds: Collection[Hold],
    counts: Counts,
    now: int,
) -> Ruling:
    """What may be listed of what guarded sources carry in a zone, now. The same subject comes once."""
    ruling = Ruling()
    families: dict[str, list[Source]] = {}
    for source in sources.values():
        if source.guarded:
            families.setdefault(family_of(source), []).append(source)
    by_family: dict[str, list[Led]] = {}
    for each in led:
        by_family.setdefault(family_of(sources[each.source]), []).append(each)
    for family, listings in by_family.items():
        one = OneFamily(guard, families[family], zone, holds, now)
        one.remember(listings, counts)
        one.rule(listings, ruling)
    return ruling


class OneFamily:
    """One family's listings in one zone, ruled upon: narrow places first, so that what is held in a network does not
    count for its country. `members` are its guarded sources: what each listed counts for all, and so do the holds of
    each."""

    def __init__(self, guard: Guard, members: Sequence[Source], zone: str, holds: Collection[Hold], now: int) -> None:
        self.guard, self.zone, self.now = guard, zone, now
        self.members = {source.id: source for source in members}
        self.times = guard.times(members)
        ours = [hold for hold in holds if hold.source in self.members and hold.zone == zone]
        self.holds = {hold.place: hold for hold in sorted(ours, key=blocks)}  # where there are two: the one that blocks
        self.own = {(hold.source, hold.place) for hold in ours if blocks(hold) or lifts(hold, now)}
        self.waiting = Counter(hold.source for hold in ours if hold.state == HELD and hold.until is None)
        self.before: dict[int, Counter[str]] = {source: Counter() for source in self.members}  # within WINDOW
        self.today: Counter[int] = Counter()  # listings, by source
        self.known: set[bytes] = set()  # new again, and counted already

    def remember(self, listings: Sequence[Led], counts: Counts) -> None:
        """What was counted before; where nothing is new, nobody asks."""
        new = [each.subject for each in listings if each.new]
        if not new:
            return
        today = self.now // DAY
        since = today - WINDOW + 1
        self.known = {subject for subject, source in counts.counted(self.zone, new, since) if source in self.members}
        for source, before in self.before.items():
            for day in range(since, today + 1):
                spread = counts.spread(source, day, self.zone)
                before.update(spread)
            self.today[source] = spread.get(ALL, 0)

    def rule(self, listings: Sequence[Led], ruling: Ruling) -> None:
        subjects = [each.subject for each in listings]
        places = dict(zip(subjects, self.guard.places_of(subjects), strict=True))
        left = list(listings)
        for kind in KINDS:
            left = self.rule_kind(kind, left, places, ruling)
        left = keep_off([each for each in left if each.new and self.full(each.source)], left, ruling)
        for each in self.rule_day(left, ruling):
            if self.fresh(each):
                ruling.counted.setdefault(each.source, []).append(each.subject)
                counts = ruling.counts.setdefault(each.source, {})
                for place in places[each.subject]:
                    counts[place] = counts.get(place, 0) + units(each.subject)
                counts[ALL] = counts.get(ALL, 0) + 1

    def rule_kind(
        self, kind: str, listings: Sequence[Led], places: Mapping[bytes, Sequence[str]], ruling: Ruling
    ) -> list[Led]:
        """Those that are not held in a place of this kind."""
        by_place: dict[str, list[Led]] = {}
        for each in listings:
            for place in places[each.subject]:
                if place.partition(":")[0] == kind:
                    by_place.setdefault(place, []).append(each)
        held = [each for place, there in by_place.items() if self.held(place, there, ruling) for each in there]
        return keep_off(held, listings, ruling)

    def held(self, place: str, there: Sequence[Led], ruling: Ruling) -> bool:
        """Whether a place is held, or is from now on."""
        hold = self.holds.get(place)
        if hold is not None and (blocks(hold) or lifts(hold, self.now)):
            if hold.state == HELD:  # so are relatives that turn out to have listings there
                late = [each for each in there if not each.new and (each.source, place) not in self.own]
                self.hold(place, self.shares(place, late, {each.source for each in late}), hold.why, ruling)
            return blocks(hold)
        # What a source says whose places wait already is not listed: it must not hold its relatives' places either.
        heard = [each for each in there if not (each.new and self.full(each.source))]
        fresh = sum(units(each.subject) for each in heard if self.fresh(each))
        amount = sum(before[place] for before in self.before.values()) + fresh
        if not fresh or not self.guard.exceeds(place, amount, self.times):
            return False
        has = {each.source for each in heard} | {source for source, before in self.before.items() if before[place]}
        self.hold(place, self.shares(place, heard, has), self.guard.why(place, amount), ruling)
        return True

    def shares(self, place: str, there: Sequence[Led], sources: Collection[int]) -> dict[int, int]:
        """How many addresses of a place each source has, or would have, by what is known of it."""
        before = {source: self.before[source][place] for source in sources}
        fresh, does = Counter[int](), Counter[int]()
        for each in there:
            does[each.source] += units(each.subject)
            fresh[each.source] += units(each.subject) if self.fresh(each) else 0
        return {source: max(before[source] + fresh[source], does[source]) for source in sources}

    def rule_day(self, listings: Sequence[Led], ruling: Ruling) -> list[Led]:
        """Those that were listed before, and new ones as far as the day's limits go: each source has its own, and the
        family has the largest of them."""
        place = day_place(self.now)
        hold = self.holds.get(place)
        if hold is not None and lifts(hold, self.now):
            return list(listings)
        room = {source.id: self.guard.daily(source) - self.today[source.id] for source in self.members.values()}
        family = max(map(self.guard.daily, self.members.values())) - self.today.total()
        if hold is not None and blocks(hold):
            family = 0
        over, new = [], [each for each in listings if self.fresh(each)]
        for each in new:
            if min(room[each.source], family) < 1:
                over.append(each)
                continue
            room[each.source] -= 1
            family -= 1
        if over and hold is None:
            amounts = self.today + Counter(each.source for each in new)
            late = {source: amounts[source] for source in {each.source for each in over}}
            self.hold(place, late, self.guard.why(place, amounts.total()), ruling)
        return keep_off(over, listings, ruling)

    def hold(self, place: str, amounts: Mapping[int, int], why: str, ruling: Ruling) -> None:
        """Hold a place, for each source that has listings there."""
        size = self.guard.size(place)
        until = (self.now // DAY + 1) * DAY if place == day_place(self.now) else None
        for source, amount in sorted(amounts.items()):
            if until is None and self.full(source):
                continue
            share = min(1.0, amount / size) if size else None
            made = Hold(0, source, self.zone, place, self.now, amount, share, why, HELD, until)
            self.holds[place] = made
            self.own.add((source, place))
            self.waiting[source] += until is None
            ruling.holds.append(made)

    def fresh(self, each: Led) -> bool:
        """Whether a listing is to be counted."""
        return each.new and each.subject not in self.known

    def full(self, source: int) -> bool:
        """Whether so many places of a source wait that it is not believed."""
        return self.waiting[source] >= MAX_WAITING


def keep_off(some: Iterable[Led], listings: Sequence[Led], ruling: Ruling) -> list[Led]:
    """The listings without some that are not to be listed."""
    ruling.blocked.update(each.subject for each in some)
    return [each for each in listings if each.subject not in ruling.blocked]
