"""What zones would list if a list had other content: for the person who decides whether that is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..config import ZoneDef
from ..store.contract import Row, Source, Store
from ..subjects import inside, is_ip, kind
from .exemptions import Exemptions
from .score import Bools, Claims, Weighing, decide
from .sweep import forgive, unexempt

__all__ = ["Content", "Effect", "freed", "replaced"]

AT_ONCE = 25_000  # subjects weighed together
EXAMPLES = 10  # subjects shown of each zone
MAX_FOLLOWED = 10_000  # subjects that would be exempt: each is looked for by itself
MAX_INSIDE = 1000  # listings inside one of them


@dataclass(slots=True)
class Effect:
    """In one zone: listings that the new content would make, and those that only the old content holds up. The latter
    leave as what left the list decays, not at once."""

    zone: str
    listed: int = 0
    leave: int = 0
    examples: list[bytes] = field(default_factory=list)  # of what would be listed
    leaving: list[bytes] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Content:
    """What is new in a list: its subjects with their hits and categories (numbers); and what is not in it any more."""

    appear: Mapping[bytes, tuple[int, int]]
    leave: Sequence[bytes]


def replaced(
    store: Store, zones: Mapping[str, ZoneDef], exempt: Exemptions, source: Source, content: Content, now: int
) -> list[Effect]:
    """What zones would list, by the evidence of now. `source` weighs as it is given here, whether or not the store has
    it. Zones in which nothing would change are left out."""
    found = {name: Effect(name) for name in zones}
    sources = {**store.sources(), source.id: source}
    categories = store.categories()
    weighings = {name: Weighing.of(zone, sources, categories) for name, zone in zones.items()}
    appear = sorted(content.appear)
    for subjects in chunks(appear):
        rows = [
            *others(store.evidence(subjects), source.id),
            *(entry(place, source.id, *content.appear[subject], now) for place, subject in enumerate(subjects)),
        ]
        for zone, was, is_listed in decided(store, zones, exempt, weighings, subjects, rows, now):
            add(found[zone], subjects, is_listed & ~was)
    for subjects in chunks(sorted(content.leave)):
        rows = others(store.evidence(subjects), source.id)
        for zone, was, is_listed in decided(store, zones, exempt, weighings, subjects, rows, now):
            take(found[zone], subjects, was & ~is_listed)
    return [effect for effect in found.values() if effect.listed or effect.leave]


def freed(store: Store, zones: Mapping[str, ZoneDef], appear: Sequence[bytes]) -> list[Effect]:
    """Listings that would leave if these subjects were exempt, of the first MAX_FOLLOWED and MAX_INSIDE in each. What
    is exempt no more is not looked for: it was not decided while it was."""
    found = []
    for zone in zones.values():
        effect = Effect(zone.name)
        for subjects in chunks(appear[:MAX_FOLLOWED] if zone.policy.exempt else []):
            listed = store.listings_of(zone.name, subjects)
            for subject in subjects:
                inner = store.listings_between(zone.name, *inside(subject), MAX_INSIDE)
                there = {row.subject for row in inner if within(row.subject, subject)} | ({subject} & listed.keys())
                effect.leave += len(there)
                effect.leaving += sorted(there)[: EXAMPLES - len(effect.leaving)]
        found.append(effect)
    return [effect for effect in found if effect.leave]


def within(subject: bytes, wider: bytes) -> bool:
    """Of what starts alike: a range of keys has wider networks in it, too."""
    return not is_ip(subject) or subject[-1] >= wider[-1]


def decided(
    store: Store,
    zones: Mapping[str, ZoneDef],
    exempt: Exemptions,
    weighings: Mapping[str, Weighing],
    subjects: Sequence[bytes],
    rows: Sequence[Row],
    now: int,
) -> list[tuple[str, Bools, Bools]]:
    """For each zone: which subjects are listed now, and which would be by these rows."""
    claims = Claims.of(rows)
    all_kinds = np.array([kind(subject) for subject in subjects])
    kinds = all_kinds[claims.place]
    there = set(all_kinds.tolist())
    found = []
    for zone in (zone for zone in zones.values() if zone.kind in there):
        before = store.listings_of(zone.name, subjects)
        was = np.array([subject in before for subject in subjects], dtype=np.bool_)
        ours = forgive(claims.where(kinds == zone.kind), exempt, zone.name, subjects)
        result = decide(ours, weighings[zone.name], was, now)
        would = np.zeros(len(subjects), dtype=np.bool_)
        would[result.places[unexempt(zone, exempt, subjects, result)]] = True
        found.append((zone.name, was, would))
    return found


def others(rows: Sequence[Row], source: int) -> list[Row]:
    """Evidence without a list's entries."""
    return [row for row in rows if row[1] != source or row[3]]


def entry(place: int, source: int, hits: int, category: int, now: int) -> Row:
    """A list's entry as `store.Evidence`, carried from now on."""
    return (place, source, category, 0, hits, now, now, 1)


def chunks(subjects: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [subjects[start : start + AT_ONCE] for start in range(0, len(subjects), AT_ONCE)]


def add(effect: Effect, subjects: Sequence[bytes], which: Bools) -> None:
    effect.listed += int(which.sum())
    effect.examples += some(subjects, which, EXAMPLES - len(effect.examples))


def take(effect: Effect, subjects: Sequence[bytes], which: Bools) -> None:
    effect.leave += int(which.sum())
    effect.leaving += some(subjects, which, EXAMPLES - len(effect.leaving))


def some(subjects: Sequence[bytes], which: Bools, limit: int) -> list[bytes]:
    """The first of those that are meant."""
    return [subjects[place] for place in np.flatnonzero(which)[:limit].tolist()]
