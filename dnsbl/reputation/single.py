"""The score of one subject from a handful of claims: the formula of `score`, number by number. Arrays pay from some
hundreds of claims on; a look-up has a few, and a thousand look-ups come in a second."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import expm1, log

from ..config import ZoneDef
from ..store.contract import Evidence, Source
from .score import family_of

__all__ = ["Heard", "half_lives", "hear", "independent", "score_of", "weight_of"]

LN2 = log(2.0)
LEAST = 0.005  # who is believed less adds not half a point to the score, which is shown in whole ones
Heard = dict[int, dict[str, float]]  # by place of the subject, by family: how far it is believed, 0..1


def half_lives(zone: ZoneDef, categories: Iterable[str]) -> dict[str, int]:
    """Seconds, of those that are categories of the zone."""
    policy, known = zone.policy, {category for code in zone.codes for category in code.categories}
    return {name: policy.half_lives.get(name, policy.half_life) for name in categories if name in known}


def weight_of(row: Evidence, half_life: int, now: int) -> float:
    """The weight of one claim: 1 a reporter, or the hits of a list's entry; halved in each half-life."""
    size = float(row.hits if row.reporter == 0 else 1)
    if row.held:
        return size
    return size * float(2.0 ** (-max(now - row.last_seen, 0) / half_life))


def hear(
    rows: Sequence[Evidence],
    weights: Sequence[float],
    zone: ZoneDef,
    sources: Mapping[int, Source],
    live: Collection[int] = (),
) -> Heard:
    """Of each family the source that says most. `live`: simulated sources that are to weigh as if they were not."""
    sums: dict[tuple[int, int], float] = {}
    for row, weight in zip(rows, weights, strict=True):
        sums[row.place, row.source] = sums.get((row.place, row.source), 0.0) + weight
    heard: Heard = {}
    for (place, number), weight in sums.items():
        source = sources[number]
        if (source.simulated and number not in live) or (source.zones and zone.name not in source.zones):
            continue
        half_weight = source.half_weight or zone.policy.half_weight
        says = source.trust * -expm1(-LN2 * weight / half_weight)
        families, family = heard.setdefault(place, {}), family_of(source)
        families[family] = max(says, families.get(family, 0.0))
    return heard


def score_of(heard: Heard) -> float:
    """0..100: the highest of the subject and what contains it."""
    highest = 0.0
    for families in heard.values():
        doubt = 1.0
        for says in families.values():
            doubt *= 1.0 - says
        highest = max(highest, 100.0 * (1.0 - doubt))
    return highest


def independent(heard: Heard) -> int:
    """How many families speak of the subject, or of what contains it."""
    return len({family for families in heard.values() for family, says in families.items() if says >= LEAST})
