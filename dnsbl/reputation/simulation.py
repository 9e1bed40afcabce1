"""What a simulated source would list if it were believed: for the person who decides whether it shall be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..config import ZoneDef
from ..store.contract import Store
from ..subjects import kind
from .exemptions import Exemptions
from .score import Claims, Weighing, decide
from .sweep import forgive, unexempt

__all__ = ["Would", "simulate"]

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
