"""Guards against poisoning: how much one stranger's word may list in one place, and what waits for a person.

A listing that one guarded source carries (its leader: a partner, a trap class, complaints) counts for that source's
family, by UTC day, in every place it lies in: a hundred partners of one network have the limits of one.

    place              limit                                       share that is shown
    wide:1.2.0.0/16    none: a person looks at each                of the Internet's addresses
    net:1.2.0.0/16     `network` addresses (IPv6: /64s of a /32)   of the /16 or /32
    as:64500           `asn` of its addresses (as6: of its /64s)   of the autonomous system
    cc:DE              `country` of its addresses (cc6: /64s)      of the country
    day:20413          `daily` listings                            -

Beyond a limit the place is held: nothing that the family carries there is listed, what it already had listed there
leaves, and a person decides: approved (no limit there, for a time) or rejected (its word is not believed there). A
day's hold only keeps new ones off, and ends with the day. Where MAX_WAITING places of one family wait, nothing new of
it is listed until some are decided. Pure but for the store's counts, which it is handed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..clock import DAY
from ..config import GuardConfig
from ..geo import Networks
from ..special import STRANGERS_WIDEST
from ..store.contract import Hold, Source, Store
from ..subjects import is_ip, network, parse, text
from .score import family_of

__all__ = [
    "APPROVED", "ENDED", "HELD", "REJECTED", "Guard", "Led", "Ruling", "day_place", "end_days", "places_held", "record",
    "relatives", "touch_family", "units",
]  # fmt: skip

HELD, APPROVED, REJECTED, ENDED = "held", "approved", "rejected", "ended"
PARENT = {4: 16, 6: 32}  # the networks that are counted in
UNIT = {4: 32, 6: 64}  # what is counted: addresses, /64s
KINDS = ("wide", "net", "as", "as6", "cc", "cc6")  # narrow places first
MAX_WAITING = 200  # places of one family in one zone that a person is shown: who has so many is not believed meanwhile
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


class Counts(Protocol):
    def spread(self, source: int, day: int, zone: str) -> Mapping[str, int]: ...


def blocks(hold: Hold) -> bool:
    """Whether a hold keeps listings off."""
    return hold.state in (HELD, REJECTED)


def lifts(hold: Hold, now: int) -> bool:
    """Whether a hold was approved, so that its place has no limit now."""
    return hold.state == APPROVED and (hold.until is None or hold.until > now)


def day_place(now: int) -> str:
    return f"day:{now // DAY}"


class Guard:
    """The limits, and what is known of networks and countries."""

    def __init__(self, limits: GuardConfig, networks: Networks) -> None:
        self.limits, self.networks = limits, networks
        self.sizes: dict[str, int | None] = {}  # of systems and countries, as they are asked: a walk over a table each

    def rule(
        self,
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
            OneFamily(self, families[family], zone, holds, counts, now).rule(listings, ruling)
        return ruling

    def places(self, subject: bytes) -> list[str]:
        """The places that a subject lies in, the narrowest first."""
        return self.places_of([subject])[0]

    def places_of(self, subjects: Sequence[bytes]) -> list[list[str]]:
        """`places` for many: tables are asked for all at once."""
        narrow = [is_ip(subject) and subject[-1] >= STRANGERS_WIDEST[version_of(subject)] for subject in subjects]
        asked = [subject for subject, is_narrow in zip(subjects, narrow, strict=True) if is_narrow]
        owners = zip(self.networks.asns(asked), self.networks.countries(asked), strict=True)
        found = []
        for subject, is_narrow in zip(subjects, narrow, strict=True):
            if is_narrow:
                asn, country = next(owners)
                mark = "6" if version_of(subject) == 6 else ""
                systems = [] if asn is None else [f"as{mark}:{asn}"]
                countries = [] if country is None else [f"cc{mark}:{country}"]
                found.append([f"net:{text(parent(subject))}", *systems, *countries])
            else:
                found.append([f"wide:{text(subject)}"] if is_ip(subject) else [])
        return found

    def size(self, place: str) -> int | None:
        """How many addresses (IPv6: /64s) a place has; of a wide network the whole Internet; None: it is not known, or
        it has none."""
        kind, _, name = place.partition(":")
        if kind == "wide":
            return int(2 ** UNIT[version_of(parse(name))])
        if kind == "net":
            return units(parse(name))
        if kind not in KINDS:
            return None
        if place not in self.sizes:
            sizes = self.networks.size(int(name)) if kind.startswith("as") else self.networks.country_size(name)
            self.sizes[place] = sizes[kind.endswith("6")] or None
        return self.sizes[place]

    def exceeds(self, place: str, amount: int) -> bool:
        """Whether so many addresses of a day in a place need a person."""
        kind = place.partition(":")[0]
        if kind == "wide":
            return True
        if kind == "net":
            return amount > self.limits.network
        share = self.limits.asn if kind.startswith("as") else self.limits.country
        return amount > self.limits.least and amount > share * (self.size(place) or 0)

    def daily(self, source: Source) -> int:
        """How many listings of a day a source may make."""
        return source.daily if source.daily is not None else self.limits.daily

    def why(self, place: str, amount: int) -> str:
        """The sentence of a hold."""
        kind, _, name = place.partition(":")
        if kind == "wide":
            return "wider than strangers may report"
        if kind == "day":
            return f"{amount:,} listings in a day"
        where = {"n": f"in {name}", "a": f"in AS{name}", "c": f"in country {name}"}[kind[0]]
        called = f" {self.networks.name(int(name))}".rstrip() if kind[0] == "a" else ""
        return f"{amount:,} {'/64s' if kind.endswith('6') or ':' in name else 'addresses'} {where}{called} in a day"


class OneFamily:
    """One family's listings in one zone, ruled upon: narrow places first, so that what is held in a network does not
    count for its country. `members` are its guarded sources: what each listed today counts for all, and so do the
    holds of each."""

    def __init__(
        self, guard: Guard, members: Sequence[Source], zone: str, holds: Collection[Hold], counts: Counts, now: int
    ) -> None:
        self.guard, self.zone, self.now = guard, zone, now
        self.members = {source.id: source for source in members}
        ours = [hold for hold in holds if hold.source in self.members and hold.zone == zone]
        self.holds = {hold.place: hold for hold in sorted(ours, key=blocks)}  # where there are two: the one that blocks
        self.waiting = sum(hold.state == HELD and hold.until is None for hold in ours)
        self.before: Counter[str] = Counter()
        self.listed: dict[int, int] = {}  # today, by source
        for source in self.members:
            spread = counts.spread(source, now // DAY, zone)
            self.before.update(spread)
            self.listed[source] = spread.get(ALL, 0)

    def rule(self, listings: Sequence[Led], ruling: Ruling) -> None:
        subjects = [each.subject for each in listings]
        places = dict(zip(subjects, self.guard.places_of(subjects), strict=True))
        left = list(listings)
        for kind in KINDS:
            left = self.rule_kind(kind, left, places, ruling)
        if self.waiting >= MAX_WAITING:
            left = keep_off([each for each in left if each.new], left, ruling)
        for each in self.rule_day(left, ruling):
            if each.new:
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
            return blocks(hold)
        new = sum(units(each.subject) for each in there if each.new)
        amount = self.before[place] + new
        if not new or not self.guard.exceeds(place, amount) or self.waiting >= MAX_WAITING:
            return False
        self.hold(there, place, amount, ruling)
        self.waiting += 1
        return True

    def rule_day(self, listings: Sequence[Led], ruling: Ruling) -> list[Led]:
        """Those that were listed before, and new ones as far as the day's limits go: each source has its own, and the
        family has the largest of them."""
        hold = self.holds.get(day_place(self.now))
        if hold is not None and lifts(hold, self.now):
            return list(listings)
        room = {source.id: self.guard.daily(source) - self.listed[source.id] for source in self.members.values()}
        family = max(map(self.guard.daily, self.members.values())) - self.before[ALL]
        if hold is not None and blocks(hold):
            family = 0
        over, new = [], [each for each in listings if each.new]
        for each in new:
            if min(room[each.source], family) < 1:
                over.append(each)
                continue
            room[each.source] -= 1
            family -= 1
        if over and hold is None:
            self.hold(over, day_place(self.now), self.before[ALL] + len(new), ruling)
        return keep_off(over, listings, ruling)

    def hold(self, there: Sequence[Led], place: str, amount: int, ruling: Ruling) -> None:
        """Hold a place; where several sources have listings there, in the name of the one that has most."""
        size = self.guard.size(place)
        share = min(1.0, amount / size) if size else None
        until = (self.now // DAY + 1) * DAY if place == day_place(self.now) else None
        does = Counter[int]()
        for each in there:
            does[each.source] += units(each.subject) if is_ip(each.subject) else 1
        source, why = max(does, key=lambda one: (does[one], -one)), self.guard.why(place, amount)
        made = Hold(0, source, self.zone, place, self.now, amount, share, why, HELD, until)
        self.holds[place] = made
        ruling.holds.append(made)


def keep_off(some: Iterable[Led], listings: Sequence[Led], ruling: Ruling) -> list[Led]:
    """The listings without some that are not to be listed."""
    ruling.blocked.update(each.subject for each in some)
    return [each for each in listings if each.subject not in ruling.blocked]


def version_of(subject: bytes) -> int:
    return 4 if subject[0] == ord("4") else 6


def parent(subject: bytes) -> bytes:
    """The /16 or /32 that a narrow network lies in."""
    version, first, _ = network(subject)
    bits = len(subject[1:-1]) * 8
    shift = bits - PARENT[version]
    return subject[:1] + ((first >> shift) << shift).to_bytes(bits // 8, "big") + bytes((PARENT[version],))


def units(subject: bytes) -> int:
    """How many addresses (IPv6: /64s) a network has."""
    version, _, prefix = network(subject)
    return int(2 ** max(UNIT[version] - prefix, 0))


def record(store: Store, guard: Guard, zone: str, ruling: Ruling, now: int) -> None:
    """Keep what was ruled, and touch what was listed in a place that is held from now on: it leaves."""
    for source, counts in ruling.counts.items():
        store.add_spread(source, now // DAY, zone, counts)
    for hold in ruling.holds:
        store.put_hold(hold)
    made = {hold.place for hold in ruling.holds if hold.until is None}
    for place in made:
        kind, _, name = place.partition(":")
        if kind in ("wide", "net"):
            store.touch(subject for subject, _ in store.listings_touching(zone, parse(name)))
    if any(place.partition(":")[0] not in ("wide", "net") for place in made):
        touch_there(store, guard, zone, {hold.source for hold in ruling.holds}, made)


def touch_there(store: Store, guard: Guard, zone: str, sources: Collection[int], places: set[str]) -> None:
    """Touch the listings of these sources' families in some places. No table is by system or country: what they ever
    said is looked through, which MAX_WAITING bounds."""
    for source in relatives(store, sources):
        for subjects in store.subjects_of(source):
            listed = list(store.listings_of(zone, subjects))
            found = zip(listed, guard.places_of(listed), strict=True)
            store.touch(subject for subject, there in found if not places.isdisjoint(there))


def relatives(store: Store, sources: Collection[int]) -> list[int]:
    """The guarded sources of these sources' families: what holds one, holds them all."""
    known = store.sources()
    families = {family_of(known[source]) for source in sources}
    return [source.id for source in known.values() if source.guarded and family_of(source) in families]


def touch_family(store: Store, sources: Collection[int]) -> None:
    """What these sources and their relatives claim is decided anew."""
    for source in relatives(store, sources):
        store.touch_source(source)


def end_days(store: Store, now: int) -> None:
    """Holds of days that are over end: what they kept off is decided anew."""
    if not any(is_over(hold, now) for hold in store.holds()):
        return  # the usual case: no writer is disturbed
    with store.transaction():
        over = [hold for hold in store.holds() if is_over(hold, now)]  # as they are now: a person may have decided
        for hold in over:
            store.put_hold(replace(hold, state=ENDED, decided=now))
        touch_family(store, {hold.source for hold in over})


def is_over(hold: Hold, now: int) -> bool:
    return hold.state == HELD and hold.until is not None and hold.until <= now


def places_held(holds: Iterable[Hold], guard: Guard, zone: str, subjects: Sequence[bytes], now: int) -> list[Hold]:
    """The holds of a zone that may keep one of these subjects off: for people."""
    places = {day_place(now), *(place for there in guard.places_of(subjects) for place in there)}
    return [hold for hold in holds if hold.zone == zone and hold.place in places and blocks(hold)]
