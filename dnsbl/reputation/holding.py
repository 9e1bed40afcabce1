"""What is kept of a ruling, and what follows from a hold: who is decided anew, and when days end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..clock import DAY
from ..store.contract import Hold, Store
from ..subjects import parse
from .guard import ENDED, HELD, Guard, blocks, day_place
from .ruling import Ruling
from .score import family_of

__all__ = ["end_days", "places_held", "record", "relatives", "touch_family"]


def record(store: Store, guard: Guard, zone: str, ruling: Ruling, now: int) -> None:
    """Keep what was ruled, and touch what was listed in a place that is held from now on: it leaves."""
    for source, counts in ruling.counts.items():
        store.add_spread(source, now // DAY, zone, counts)
    for source, subjects in ruling.counted.items():
        store.add_counted(source, now // DAY, zone, subjects)
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
