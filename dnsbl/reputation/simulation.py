"""What would be listed of a source if it were believed, simulated or held: for the person who decides whether it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..config import ZoneDef
from ..store.contract import Hold, Store
from ..subjects import kind
from .exemptions import Exemptions
from .guard import HELD, Guard, units
from .holding import relatives
from .score import Claims, Weighing, decide
from .sweep import forgive, unexempt

__all__ = ["Would", "claimed", "simulate"]

EXAMPLES = 10  # subjects shown of each zone


@dataclass(slots=True)
class Would:
    """In one zone: how many subjects have claims of the source, how many more would be listed, and some of them."""

    zone: str
    claimed: int = 0
    listed: int = 0
    examples: list[bytes] = field(default_factory=list)


def simulate(store: Store, zones: Mapping[str, ZoneDef], exempt: Exemptions, source: int, now: int) -> list[Would]:
    """What would be listed that is not, zone by zone. Reads everything the source ever said."""
    found = {name: Would(name) for name in zones}
    sources, categories = store.sources(), store.categories()
    for subjects in store.subjects_of(source):
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


def claimed(store: Store, guard: Guard, holds: Iterable[Hold]) -> dict[int, int]:
    """For each place that waits, by the hold's number, how many addresses (IPv6: /64s) of it its source's family claims
    by now; what two of a family claim counts twice. A hold's own figure is the one of the moment it was made, when the
    first few too many came. Reads everything those sources ever said."""
    waiting: dict[int, dict[str, list[int]]] = {}
    for hold in holds:
        if hold.state == HELD and hold.until is None:
            for source in relatives(store, {hold.source}):
                waiting.setdefault(source, {}).setdefault(hold.place, []).append(hold.id)
    found = {number: 0 for places in waiting.values() for numbers in places.values() for number in numbers}
    for source, places in waiting.items():
        for subjects in store.subjects_of(source):
            for subject, there in zip(subjects, guard.places_of(subjects), strict=True):
                for place in there:
                    for number in places.get(place, ()):
                        found[number] += units(subject)
    return found
