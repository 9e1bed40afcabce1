"""What would be listed of a source if it were believed, simulated or held: for the person who decides whether it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..config import ZoneDef
from ..special import STRANGERS_WIDEST
from ..store.contract import Hold, Store
from ..subjects import inside, kind, parse
from .exemptions import Exemptions
from .guard import HELD, Guard, units, version_of
from .holding import relatives
from .score import Claims, Weighing, decide
from .sweep import forgive, unexempt

__all__ = ["Would", "claimed", "simulate"]

EXAMPLES = 10  # subjects shown of each zone
MAX_LOOKED = 70_000  # subjects of one source that are counted for a hold: all of a /16 and more
ALL = 1 << 62


@dataclass(slots=True)
class Would:
    """In one zone: how many subjects have claims of the source, how many more would be listed, and some of them."""

    zone: str
    claimed: int = 0
    listed: int = 0
    examples: list[bytes] = field(default_factory=list)


def simulate(
    store: Store, zones: Mapping[str, ZoneDef], exempt: Exemptions, source: int, now: int, most: int = ALL
) -> list[Would]:
    """What would be listed that is not, zone by zone. Reads everything the source ever said, or the first `most`
    subjects of it."""
    found = {name: Would(name) for name in zones}
    sources, categories = store.sources(), store.categories()
    for subjects in at_most(store.subjects_of(source), most):
        claims = Claims.of(store.evidence(subjects))
        kinds = np.array([kind(subject) for subject in subjects])[claims.place]
        for zone in zones.values():
            ours = forgive(claims.where(kinds == zone.kind), exempt, zone.name, subjects)
            before = store.listings_of(zone.name, subjects)
            was_listed = np.array([subject in before for subject in subjects])
            decided = decide(ours, Weighing.of(zone, sources, categories, live={source}), was_listed, now)
            new = unexempt(zone, exempt, subjects, decided) & ~was_listed[decided.places]
            would = found[zone.name]
            would.claimed += len(decided.places)
            would.listed += int(new.sum())
            would.examples += [subjects[place] for place in decided.places[new][:EXAMPLES].tolist()]
            del would.examples[EXAMPLES:]
    return [would for would in found.values() if would.claimed]


def claimed(store: Store, guard: Guard, holds: Iterable[Hold], most: int = MAX_LOOKED) -> dict[int, int]:
    """For each place that waits, by the hold's number, how many addresses (IPv6: /64s) of it its source's family claims
    by now; what two of a family claim counts twice. A hold's own figure is the one of the moment it was made, when the
    first few too many came. A network's claims are read by themselves; for a system or country everything that those
    sources say is looked through. Of each source `most` subjects are counted: more are a reason to look either way."""
    waiting = [hold for hold in holds if hold.state == HELD and hold.until is None]
    found = {hold.id: 0 for hold in waiting}
    scattered: dict[int, dict[str, list[int]]] = {}
    for hold in waiting:
        what, _, name = hold.place.partition(":")
        for source in relatives(store, {hold.source}):
            if what in ("net", "wide"):
                found[hold.id] += claimed_within(store, source, parse(name), what == "wide", most)
            else:
                scattered.setdefault(source, {}).setdefault(hold.place, []).append(hold.id)
    for source, places in scattered.items():
        for subjects in at_most(store.subjects_of(source), most):
            for subject, there in zip(subjects, guard.places_of(subjects), strict=True):
                for place in there:
                    for number in places.get(place, ()):
                        found[number] += units(subject)
    return found


def claimed_within(store: Store, source: int, network: bytes, itself: bool, most: int) -> int:
    """Addresses of one network that one source claims by narrow subjects; or the network `itself`, where it is one that
    is held as too wide."""
    low, high = inside(network)
    subjects = store.claims_between(source, *((network, network + b"\x00") if itself else (low, high)), most)
    narrow = STRANGERS_WIDEST[version_of(network)]
    return sum(units(subject) for subject in subjects if itself or subject[-1] >= narrow)


def at_most(chunks: Iterable[list[bytes]], most: int) -> Iterator[list[bytes]]:
    """Chunks, until they have come to so many subjects."""
    for chunk in chunks:
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return
