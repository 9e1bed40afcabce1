"""Why a subject is listed or not, in every zone: each number that a decision was made from, and what was before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..config import ZoneDef
from ..store.contract import Change, Evidence, Hold, ListingRow, Source, Store
from ..subjects import ancestors, kind, listing_key
from .exemptions import Exemptions
from .guard import Guard
from .holding import places_held
from .score import Claims, family_of
from .single import half_lives, hear, independent, score_of, weight_of
from .sweep import PLAIN_GUARD, unforgiven

__all__ = ["Line", "Spell", "ZoneView", "explain"]

MAX_SPELLS = 10  # earlier listings shown
MAX_CHANGES = 200  # lines of the journal read for them: codes come and go while a subject stays listed


@dataclass(slots=True)
class Line:
    """Evidence of one source in one category on one subject."""

    subject: bytes
    source: str
    category: str
    hits: int
    reporters: int
    first_seen: int
    last_seen: int
    held: bool
    weight: float
    simulated: bool = False  # shown, and weighs nothing for the listing


@dataclass(slots=True)
class Spell:
    """An earlier listing that has ended."""

    since: int | None  # None: the journal does not go back that far
    until: int
    codes: list[str]  # every one that was answered in that time


@dataclass(slots=True)
class ZoneView:
    """A subject in one zone. Wider networks and names above count as listings of the subject too."""

    zone: ZoneDef
    score: float = 0.0
    simulated_score: float = 0.0  # with the sources that are simulated
    independent: int = 0  # families of sources that are heard
    waiting: list[Hold] = field(default_factory=list)  # holds of sources that claim it, or what contains it
    listings: list[ListingRow] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    history: list[Spell] = field(default_factory=list)  # of the subject itself, the newest first
    exempt: bool = False

    @property
    def codes(self) -> list[str]:
        """The union of the codes, in the zone's order."""
        given = {code for row in self.listings for code in row.codes.split()}
        return [code.code for code in self.zone.codes if code.code in given] if not self.exempt else []


def explain(
    store: Store,
    zones: Mapping[str, ZoneDef],
    exempt: Exemptions,
    subject: bytes,
    now: int,
    guard: Guard = PLAIN_GUARD,
) -> list[ZoneView]:
    """The subject in each zone of its kind, all read at one moment."""
    key = listing_key(subject)
    chain = list(ancestors(key))  # nothing narrower is claimed or listed
    ours = [zone for zone in zones.values() if zone.kind == kind(subject)]
    with store.moment():
        sources: dict[int, Source] = store.kept("sources", store.sources)
        rows = [Evidence(*row) for row in store.evidence(chain)]
        holds = holds_on(store, sources, {row.source for row in rows})
        listings = store.listings_on(chain, [zone.name for zone in ours])
        changes = store.changes_of(key, MAX_CHANGES)
    claimed = sorted({chain[row.place] for row in rows})
    found = []
    for zone in ours:
        view = ZoneView(zone, listings=listings[zone.name])
        view.exempt = zone.policy.exempt and any(exempt.covers(each, zone.name) for each in {subject, key})
        view.history = spells(change for change in changes if change.zone == zone.name)
        view.waiting = places_held(holds, guard, zone.name, claimed, now) if holds else []
        weigh(view, rows, chain, exempt, sources, store.categories(), now)
        found.append(view)
    return found


def holds_on(store: Store, sources: Mapping[int, Source], claiming: set[int]) -> list[Hold]:
    """The holds of the guarded sources of these sources' families: what holds one, holds them all."""
    by_family: dict[str, list[Hold]] = store.kept("holds", lambda: families_held(sources, store.holds()))
    if not by_family:
        return []
    families = {family_of(sources[source]) for source in claiming}
    found = [hold for family in families for hold in by_family.get(family, ())]
    return sorted(found, key=lambda hold: hold.id)


def families_held(sources: Mapping[int, Source], holds: Iterable[Hold]) -> dict[str, list[Hold]]:
    found: dict[str, list[Hold]] = {}
    for hold in holds:
        if sources[hold.source].guarded:
            found.setdefault(family_of(sources[hold.source]), []).append(hold)
    return found


def spells(changes: Iterable[Change]) -> list[Spell]:
    """What was and is no more, the newest first, from a journal in its order."""
    found: list[Spell] = []
    since: int | None = None
    codes: dict[str, None] = {}  # in the order in which they came
    for change in changes:
        if change.codes:
            since = since if codes else change.at
            codes |= dict.fromkeys(change.codes.split())
            continue
        found.append(Spell(since, change.at, list(codes)))
        since, codes = None, {}
    return found[: -MAX_SPELLS - 1 : -1]


def weigh(
    view: ZoneView,
    rows: Sequence[Evidence],
    chain: Sequence[bytes],
    exempt: Exemptions,
    sources: Mapping[int, Source],
    categories: Mapping[int, str],
    now: int,
) -> None:
    """Into the view the lines of its zone's categories, heaviest first; and the scores, the highest of the subject and
    what contains it. What a removal forgave is shown, and weighs nothing."""
    lives = half_lives(view.zone, {categories[row.category] for row in rows})
    ours = [row for row in rows if categories[row.category] in lives]
    if not ours:
        return
    counts = counted(ours, exempt, view.zone.name, chain)
    weights = [
        weight_of(row, lives[categories[row.category]], now) if count else 0.0
        for row, count in zip(ours, counts, strict=True)
    ]
    view.lines = lines_of(ours, weights, chain, sources, categories)
    heard = hear(ours, weights, view.zone, sources)
    view.score = view.simulated_score = score_of(heard)
    view.independent = independent(heard)
    if live := {row.source for row in ours if sources[row.source].simulated}:
        view.simulated_score = score_of(hear(ours, weights, view.zone, sources, live))


def counted(rows: Sequence[Evidence], exempt: Exemptions, zone: str, chain: Sequence[bytes]) -> list[bool]:
    """Which claims still count: all of them, where no removal concerns the subject."""
    removals = [table for table in (exempt.removals.get(""), exempt.removals.get(zone)) if table]
    if not any(subject in table for table in removals for subject in chain):
        return [True] * len(rows)
    found: list[bool] = unforgiven(Claims.of(rows), exempt, zone, chain).tolist()
    return found


def lines_of(
    rows: Sequence[Evidence],
    weights: Sequence[float],
    chain: Sequence[bytes],
    sources: Mapping[int, Source],
    categories: Mapping[int, str],
) -> list[Line]:
    """Reporters of one source together, the heaviest line first."""
    lines: dict[tuple[int, int, int], Line] = {}
    for row, weight in zip(rows, weights, strict=True):
        key = (row.place, row.source, row.category)
        line = lines.get(key)
        if line is None:
            source = sources[row.source]
            line = lines[key] = Line(
                chain[row.place],
                source.name,
                categories[row.category],
                hits=0,
                reporters=0,
                first_seen=row.first_seen,
                last_seen=row.last_seen,
                held=False,
                weight=0.0,
                simulated=source.simulated,
            )
        line.hits += row.hits
        line.reporters += 1
        line.first_seen = min(line.first_seen, row.first_seen)
        line.last_seen = max(line.last_seen, row.last_seen)
        line.held = line.held or bool(row.held)
        line.weight += weight
    return sorted(lines.values(), key=lambda line: -line.weight)
