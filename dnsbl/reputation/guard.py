"""Guards against poisoning: how much one stranger's word may list in one place, and what waits for a person.

A listing that one guarded source carries (its leader: a partner, a trap class, complaints) counts for that source, by
UTC day, in every place it lies in:

    place              limit                                       share that is shown
    wide:1.2.0.0/16    none: a person looks at each                of the Internet's addresses
    net:1.2.0.0/16     `network` addresses (IPv6: /64s of a /32)   of the /16 or /32
    as:64500           `asn` of its addresses                      of the autonomous system
    cc:DE              `country` of its addresses                  of the country
    day:20413          `daily` listings                            -

Beyond a limit the place is held: nothing that the source carries there is listed, what it already had listed there
leaves, and a person decides: approved (no limit there, for a time) or rejected (its word is not believed there). A
day's hold only keeps new ones off, and ends with the day. Pure but for the store's counts, which it is handed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..clock import DAY
from ..config import GuardConfig
from ..errors import IntakeError
from ..geo import Networks
from ..special import STRANGERS_WIDEST
from ..store.contract import Hold, Source, Store
from ..subjects import is_ip, network, text

__all__ = [
    "APPROVED", "ENDED", "HELD", "REJECTED", "Guard", "Led", "Ruling", "end_days", "places_held", "record",
]  # fmt: skip

log = logging.getLogger("dnsbl")

HELD, APPROVED, REJECTED, ENDED = "held", "approved", "rejected", "ended"
PARENT = {4: 16, 6: 32}  # the networks that are counted in
UNIT = {4: 32, 6: 64}  # what is counted: addresses, /64s
MAX_WIDE = 200  # wide networks of one source that a person is shown one by one; beyond, they are one place
EVERYTHING_WIDE = "wide:more"
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


class Guard:
    """The limits, and what is known of networks and countries."""

    def __init__(self, limits: GuardConfig, networks: Networks) -> None:
        self.limits, self.networks = limits, networks
        self.said = ""

    def rule(
        self,
        zone: str,
        led: Sequence[Led],
        sources: Mapping[int, Source],
        holds: Iterable[Hold],
        counts: Counts,
        now: int,
    ) -> Ruling:
        """What may be listed of what guarded sources carry in a zone, now."""
        ruling = Ruling()
        by_source: dict[int, list[Led]] = {}
        for each in led:
            by_source.setdefault(each.source, []).append(each)
        for source, listings in by_source.items():
            ours = {hold.place: hold for hold in holds if (hold.source, hold.zone) == (source, zone)}
            one = OneSource(self, sources[source], zone, ours, counts.spread(source, now // DAY, zone), now)
            one.rule(listings, ruling)
        return ruling

    def places(self, subject: bytes) -> list[str]:
        """The places that a subject lies in, the narrowest first."""
        if not is_ip(subject):
            return []
        version, first, prefix = network(subject)
        if prefix < STRANGERS_WIDEST[version]:
            return [f"wide:{text(subject)}"]
        parent = PARENT[version]
        shift = (32 if version == 4 else 128) - parent
        size = 4 if version == 4 else 16
        upper = subject[:1] + ((first >> shift) << shift).to_bytes(size, "big") + bytes((parent,))
        return [f"net:{text(upper)}", *self.owners(subject)]

    def owners(self, subject: bytes) -> list[str]:
        """The autonomous system and the country, as far as they are known: a table that cannot be read is said once,
        and costs no more than itself."""
        try:
            asn, country = self.networks.asn(subject), self.networks.country(subject)
        except IntakeError as error:
            if str(error) != self.said:
                log.error("networks and countries are not guarded: %s", error)
            self.said = str(error)
            return []
        return [*([] if asn is None else [f"as:{asn}"]), *([] if country is None else [f"cc:{country}"])]

    def size(self, place: str, version: int) -> int | None:
        """How many addresses (IPv6: /64s) a place has; None: it is not known, or it has none."""
        kind, _, name = place.partition(":")
        if kind == "net":
            return int(2 ** (UNIT[version] - PARENT[version]))
        if kind == "wide":
            return int(2 ** UNIT[version])
        if kind == "as":
            return self.networks.size(int(name))[version == 6] or None
        if kind == "cc":
            return self.networks.country_size(name)[version == 6] or None
        return None

    def limit(self, place: str, version: int, source: Source) -> int:
        """How many addresses, or listings of a day, may be listed in a place before a person looks. Traps have more
        room: their addresses are proven by a connection, and waves of spam do come from whole networks."""
        kind = place.partition(":")[0]
        room = self.limits.traps if source.kind == "trap" else 1
        if kind == "wide":
            return 0
        if kind == "day":
            return source.daily if source.daily is not None else self.limits.daily * room
        if kind == "net":
            return self.limits.network * room
        share = self.limits.asn if kind == "as" else self.limits.country
        return max(self.limits.least, int(share * room * (self.size(place, version) or 0)))


class OneSource:
    """One source's listings in one zone, ruled upon: narrow places first, so that what is held in a network does not
    count for its country."""

    def __init__(
        self, guard: Guard, source: Source, zone: str, holds: dict[str, Hold], before: Mapping[str, int], now: int
    ) -> None:
        self.guard, self.source, self.zone, self.holds, self.before, self.now = guard, source, zone, holds, before, now

    def rule(self, listings: Sequence[Led], ruling: Ruling) -> None:
        places = {each.subject: self.guard.places(each.subject) for each in listings}
        left = list(listings)
        for kind in ("wide", "net", "as", "cc"):
            left = self.rule_kind(kind, left, places, ruling)
        left = self.rule_day(left, ruling)
        counts: dict[str, int] = {}
        for each in left:
            if each.new:
                for place in places[each.subject]:
                    counts[place] = counts.get(place, 0) + units(each.subject)
                counts[ALL] = counts.get(ALL, 0) + 1
        if counts:
            ruling.counts[self.source.id] = counts

    def rule_kind(
        self, kind: str, listings: Sequence[Led], places: Mapping[bytes, Sequence[str]], ruling: Ruling
    ) -> list[Led]:
        """Those that are not held in a place of this kind."""
        by_place: dict[str, list[Led]] = {}
        free: list[Led] = []
        for each in listings:
            place = next((p for p in places[each.subject] if p.startswith(f"{kind}:")), None)
            if place is None:
                free.append(each)
            else:
                by_place.setdefault(self.known(place), []).append(each)
        for place, there in by_place.items():
            if self.held(place, there, ruling):
                ruling.blocked.update(each.subject for each in there)
            else:
                free += there
        return free

    def known(self, place: str) -> str:
        """The place, or the one of all wide networks where a source has too many of them to be shown each."""
        if not place.startswith("wide:") or place in self.holds:
            return place
        return EVERYTHING_WIDE if sum(other.startswith("wide:") for other in self.holds) >= MAX_WIDE else place

    def held(self, place: str, there: Sequence[Led], ruling: Ruling) -> bool:
        """Whether a place is held, or is from now on."""
        hold = self.holds.get(place)
        if hold is not None and (blocks(hold) or lifts(hold, self.now)):
            return blocks(hold)
        version = 4 if there[0].subject[0] == ord("4") else 6
        new = sum(units(each.subject) for each in there if each.new)
        amount = self.before.get(place, 0) + new
        if not new or amount <= self.guard.limit(place, version, self.source):
            return False
        size = self.guard.size(place, version)
        self.hold(place, amount, amount / size if size else None, ruling)
        return True

    def rule_day(self, listings: Sequence[Led], ruling: Ruling) -> list[Led]:
        """Those that were listed before, and new ones as far as the day's limit goes."""
        place = f"day:{self.now // DAY}"
        hold = self.holds.get(place)
        new = [each for each in listings if each.new]
        if hold is not None and lifts(hold, self.now):
            return list(listings)
        room = self.guard.limit(place, 4, self.source) - self.before.get(ALL, 0)
        if hold is not None and blocks(hold):
            room = 0
        over = new[max(room, 0) :]
        if over and hold is None:
            self.hold(place, self.before.get(ALL, 0) + len(new), None, ruling)
        ruling.blocked.update(each.subject for each in over)
        return [each for each in listings if each.subject not in ruling.blocked]

    def hold(self, place: str, amount: int, share: float | None, ruling: Ruling) -> None:
        until = (self.now // DAY + 1) * DAY if place.startswith("day:") else None
        made = Hold(0, self.source.id, self.zone, place, self.now, amount, share, self.why(place, amount), HELD, until)
        self.holds[place] = made
        ruling.holds.append(made)

    def why(self, place: str, amount: int) -> str:
        kind, _, name = place.partition(":")
        if kind == "wide":
            return "wider than strangers may report" if place != EVERYTHING_WIDE else "too many wide networks"
        if kind == "day":
            return f"{amount:,} listings in a day"
        where = {
            "net": f"in {name}",
            "as": f"in AS{name} {self.guard.networks.name(int(name)) if kind == 'as' else ''}",
        }
        return f"{amount:,} addresses {where.get(kind, f'in country {name}').strip()} in a day"


def units(subject: bytes) -> int:
    """How many addresses (IPv6: /64s) a listing has."""
    version, _, prefix = network(subject)
    return int(2 ** max(UNIT[version] - prefix, 0))


def record(store: Store, zone: str, ruling: Ruling, now: int) -> None:
    """Keep what was ruled. What a source carries is decided once more where a place of it is held from now on: what was
    listed there leaves."""
    for source, counts in ruling.counts.items():
        store.add_spread(source, now // DAY, zone, counts)
    for hold in ruling.holds:
        store.put_hold(hold)
        if hold.until is None:
            store.touch_source(hold.source)


def end_days(store: Store, now: int) -> None:
    """Holds of days that are over end: what they kept off is decided anew."""
    for hold in store.holds():
        if hold.state == HELD and hold.until is not None and hold.until <= now:
            store.put_hold(replace(hold, state=ENDED, decided=now))
            store.touch_source(hold.source)


def places_held(holds: Collection[Hold], guard: Guard, zone: str, subject: bytes) -> list[Hold]:
    """The holds of a zone that may keep a subject off: for people."""
    places = guard.places(subject)
    return [hold for hold in holds if hold.zone == zone and hold.place in places and blocks(hold)]
