"""The score of design.md section 7, for many subjects at once. Pure: time is an argument.

    weight   of a reporter    2^(-age / half-life of the category), age since its last report
             of a list entry  its hits while the list carries it; then it decays from when it left
    source   x = trust * (1 - 2^(-weight / half_weight)), weight summed over its reporters and categories; 0 where it is
             simulated, or does not count in the zone
    family   the largest x among its sources: those that copy one another count once, and so do partners of one network
    score    100 * (1 - product over families of (1 - x))

Each reporter counts once however often it reports, so a thousand reports of one are one. The score is bounded,
grows with every claim, and without new ones only falls: so the second at which it will be below a threshold can
be searched for, and nothing has to scan for it.

A listing has a leader where one guarded source carries it: without the guarded ones of that source's family it would
not be. What it then takes to be believed is `guard`'s to say.

A category's code is answered while the category's own weight is at least `code_weight`; a listing that no category
carries alone has the code of its heaviest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from ..store.contract import Evidence, Row, Source

__all__ = ["Bools", "Claims", "Decided", "Weighing", "decide", "family_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HALF_LIVES_AHEAD = 64  # how far ahead the end of a listing is searched: weights have fallen to 2^-64 by then
NEVER = np.iinfo(np.int64).max


@dataclass(slots=True, frozen=True)
class Claims:
    """Evidence as columns; `place` is the number of the subject."""

    place: Ints
    source: Ints
    category: Ints
    size: Floats  # weight at `at`: 1 a reporter, or the hits of a list entry
    at: Ints
    held: Bools
    since: Ints  # when it was last claimed: the reporter's last report, or when the list took the entry up

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Claims:
        """From rows with the fields of `store.Evidence`."""
        table = np.fromiter(chain.from_iterable(rows), dtype=np.int64).reshape(-1, len(Evidence._fields))
        place, source, category, reporter, hits, first_seen, last_seen, held = table.T
        entry = reporter == 0
        size = np.where(entry, hits, 1).astype(np.float64)
        return cls(place, source, category, size, last_seen, held == 1, np.where(entry, first_seen, last_seen))

    def where(self, wanted: Bools) -> Claims:
        return Claims(
            self.place[wanted],
            self.source[wanted],
            self.category[wanted],
            self.size[wanted],
            self.at[wanted],
            self.held[wanted],
            self.since[wanted],
        )


@dataclass(slots=True, frozen=True)
class Weighing:
    """A zone's policy and the sources, as tables indexed by the store's numbers."""

    half_life: Floats  # by category; 0: not a category of this zone
    code: Ints  # by category: index into the zone's codes
    trust: Floats  # by source
    family: Ints  # by source
    half_weight: Floats  # by source: the weight at which it says half of what it may
    guarded: Bools  # by source
    list_at: float
    delist_at: float
    code_weight: float

    @classmethod
    def of(
        cls, zone: ZoneDef, sources: Mapping[int, Source], categories: Mapping[int, str], live: Collection[int] = ()
    ) -> Weighing:
        """`live`: simulated sources that are to weigh as if they were not."""
        policy = zone.policy
        code_of = {category: number for number, code in enumerate(zone.codes) for category in code.categories}
        half_life = np.zeros(max(categories, default=0) + 1)
        code = np.zeros(len(half_life), dtype=np.int64)
        for number, name in categories.items():
            if name in code_of:
                half_life[number] = policy.half_lives.get(name, policy.half_life)
                code[number] = code_of[name]
        trust = np.zeros(max(sources, default=0) + 1)
        half_weight = np.full(len(trust), policy.half_weight)
        guarded = np.zeros(len(trust), dtype=np.bool_)
        family = np.zeros(len(trust), dtype=np.int64)
        families: dict[str, int] = {}
        for number, source in sources.items():
            counts = (not source.simulated or number in live) and (not source.zones or zone.name in source.zones)
            trust[number] = source.trust if counts else 0.0
            half_weight[number] = source.half_weight or policy.half_weight
            guarded[number] = source.guarded
            family[number] = families.setdefault(family_of(source), len(families))
        return cls(
            half_life, code, trust, family, half_weight, guarded, policy.list_at, policy.delist_at, policy.code_weight
        )

    def weight(self, claims: Claims, at: Ints) -> Floats:
        """The weight of each claim, at a moment for each."""
        age = np.maximum(at - claims.at, 0)
        decayed = claims.size * np.exp2(-age / self.half_life[claims.category])
        return np.where(claims.held, claims.size, decayed)


def family_of(source: Source) -> str:
    """A hundred partners of one network are one: somebody made a hundred names."""
    return f"network {source.network}" if source.kind == "partner" and source.network else source.family


@dataclass(slots=True, frozen=True)
class Grouped:
    """Claims sorted by subject, family, source; where each group starts; and the subjects that have any."""

    claims: Claims
    sources: Ints  # first claim of each (subject, source)
    families: Ints  # first source group of each (subject, family)
    subjects: Ints  # first family group of each subject
    places: Ints  # the subject's number, ascending

    @classmethod
    def of(cls, claims: Claims, weighing: Weighing) -> Grouped:
        family = weighing.family[claims.source]
        order = np.lexsort((claims.source, family, claims.place))
        claims, family = claims.where(order), family[order]  # type: ignore[arg-type]
        sources = starts(claims.place, claims.source)
        families = starts(claims.place[sources], family[sources])
        subjects = starts(claims.place[sources][families])
        return cls(claims, sources, families, subjects, claims.place[sources][families][subjects])

    def score(self, weighing: Weighing, at: Ints) -> Floats:
        """0..100 for each of `places`, at a moment for each."""
        return self.combined(self.by_family(self.says(weighing, at)))

    def says(self, weighing: Weighing, at: Ints) -> Floats:
        """What each of `sources` contributes, 0..1."""
        sizes = np.diff(np.append(self.claim_starts, len(self.claims.place)))
        weight = weighing.weight(self.claims, np.repeat(at, sizes))
        by_source = np.add.reduceat(weight, self.sources)
        source = self.claims.source[self.sources]
        says: Floats = weighing.trust[source] * -np.expm1(-np.log(2.0) * by_source / weighing.half_weight[source])
        return says

    def by_family(self, says: Floats) -> Floats:
        largest: Floats = np.maximum.reduceat(says, self.families)
        return largest

    def combined(self, by_family: Floats) -> Floats:
        left: Floats = np.multiply.reduceat(1.0 - by_family, self.subjects)
        return 100.0 * (1.0 - left)

    @property
    def claim_starts(self) -> Ints:
        """First claim of each subject."""
        return self.sources[self.families[self.subjects]]


def starts(*columns: NDArray[Any]) -> Ints:
    """Where a row differs from the one before in any column."""
    if not len(columns[0]):
        return np.zeros(0, dtype=np.int64)
    new = np.zeros(len(columns[0]), dtype=np.bool_)
    new[0] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


@dataclass(slots=True, frozen=True)
class Decided:
    """For each of `places`, ascending: the score, whether it is listed, and if so the codes (a bit each), when it
    will leave and when it next changes (NEVER: not by itself), and its leader (0: it has none)."""

    places: Ints
    score: Floats
    listed: Bools
    codes: Ints
    until: Ints
    due: Ints
    leader: Ints


def decide(claims: Claims, weighing: Weighing, was_listed: Bools, now: int) -> Decided:
    """Score and decide every subject that has claims of this zone's categories. `was_listed` is by place."""
    claims = claims.where(weighing.half_life[claims.category] > 0)
    if not len(claims.place):
        none = np.zeros(0, dtype=np.int64)
        return Decided(none, np.zeros(0), none == 1, none, none, none, none)
    grouped = Grouped.of(claims, weighing)
    moment = np.full(len(grouped.places), now)
    says = grouped.says(weighing, moment)
    score = grouped.combined(grouped.by_family(says))
    threshold = np.where(was_listed[grouped.places], weighing.delist_at, weighing.list_at)
    listed = score >= threshold
    codes, code_due = codes_of(grouped, weighing, now)
    until = leaves(grouped, weighing, listed, now)
    leader = np.where(listed, leaders(grouped, weighing, says, threshold), 0)
    return Decided(grouped.places, score, listed, codes, until, np.minimum(until, code_due), leader)


def leaders(grouped: Grouped, weighing: Weighing, says: Floats, threshold: Floats) -> Ints:
    """For each subject the guarded source without whose family's guarded ones it would be below the threshold; of
    several such families the one whose word does most, and of that the source that says most. 0: there is none."""
    guarded = weighing.guarded[grouped.claims.source[grouped.sources]]
    if not guarded.any():
        return np.zeros(len(grouped.places), dtype=np.int64)
    theirs = np.where(guarded, says, 0.0)
    strangers, others = grouped.by_family(theirs), grouped.by_family(np.where(guarded, 0.0, says))
    by_family = np.maximum(strangers, others)
    with np.errstate(divide="ignore"):
        does = np.where(strangers > others, (1.0 - others) / (1.0 - strangers), 0.0)
    best = heaviest(groups_of(grouped.subjects, len(by_family)), does)
    without = by_family.copy()
    without[best] = others[best]
    speaker = heaviest(groups_of(grouped.families, len(says)), theirs)[best]
    carries = (does[best] > 0) & (grouped.combined(without) < threshold)
    return np.where(carries, grouped.claims.source[grouped.sources][speaker], 0)


def groups_of(starts: Ints, length: int) -> Ints:
    """The number of each row's group."""
    return np.repeat(np.arange(len(starts)), np.diff(np.append(starts, length)))


def codes_of(grouped: Grouped, weighing: Weighing, now: int) -> tuple[Ints, Ints]:
    """For each subject the codes of its categories (bits), and when the first of them goes."""
    claims = grouped.claims
    subject = groups_of(grouped.claim_starts, len(claims.place))
    order = np.lexsort((claims.category, subject))
    subject, claims = subject[order], claims.where(order)  # type: ignore[arg-type]
    groups = starts(subject, claims.category)
    weight = np.add.reduceat(weighing.weight(claims, np.full(len(claims.place), now)), groups)
    held = np.logical_or.reduceat(claims.held, groups)
    category, subject = claims.category[groups], subject[groups]
    shown = held | (weight >= weighing.code_weight)
    bits = np.where(shown, 1 << weighing.code[category], 0)
    firsts = starts(subject)
    codes = np.bitwise_or.reduceat(bits, firsts)
    with np.errstate(divide="ignore"):
        lasts = np.rint(weighing.half_life[category] * np.log2(weight / weighing.code_weight))
    drops = now + np.maximum(lasts, 0).astype(np.int64)
    sizes = np.diff(np.append(groups, len(claims.place)))
    then = np.add.reduceat(weighing.weight(claims, np.repeat(drops, sizes)), groups)
    drops += then >= weighing.code_weight  # the logarithm is not exact: the weight of that second decides
    due = np.minimum.reduceat(np.where(shown & ~held, drops, NEVER), firsts)
    if codes.all():
        return codes, due
    best = heaviest(subject, weight)
    overtaken = np.minimum.reduceat(overtakes(subject, weight, category, best, weighing, now), firsts)
    light = codes == 0
    return np.where(light, 1 << weighing.code[category[best]], codes), np.where(light, overtaken, due)


def heaviest(subject: Ints, weight: Floats) -> Ints:
    """The heaviest row of each group: `subject` has the number of each row's."""
    order = np.lexsort((weight, subject))
    lasts = np.append(starts(subject[order])[1:], len(order)) - 1
    found: Ints = order[lasts]
    return found


def overtakes(subject: Ints, weight: Floats, category: Ints, best: Ints, weighing: Weighing, now: int) -> Ints:
    """When each category, decaying more slowly, will be heavier than its subject's heaviest; NEVER if it will not."""
    rate = 1.0 / weighing.half_life[category]
    gains = rate[best][subject] - rate
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = np.floor((np.log2(weight[best][subject]) - np.log2(weight)) / gains) + 1
    will = (gains > 0) & (seconds < NEVER // 2)
    return np.where(will, now + np.where(will, seconds, 0).astype(np.int64), NEVER)


def leaves(grouped: Grouped, weighing: Weighing, listed: Bools, now: int) -> Ints:
    """The first second at which each listed subject's score is below `delist_at`; NEVER while lists hold it up."""
    until = np.full(len(grouped.places), NEVER)
    if not listed.any():
        return until
    chosen = np.repeat(listed, np.diff(np.append(grouped.claim_starts, len(grouped.claims.place))))
    some = Grouped.of(grouped.claims.where(chosen), weighing)
    ahead = int(HALF_LIVES_AHEAD * weighing.half_life.max())
    low = np.full(len(some.places), now)  # still listed
    high = low + ahead  # below the threshold, or never
    falls = some.score(weighing, high) < weighing.delist_at
    if not falls.any():
        return until
    for _ in range(ahead.bit_length()):
        middle = (low + high) // 2
        above = some.score(weighing, middle) >= weighing.delist_at
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    until[listed] = np.where(falls, high, NEVER)
    return until
