"""Why a subject is listed or not, in every zone: each number that a decision was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..config import ZoneDef
from ..store.contract import Evidence, Hold, ListingRow, Source, Store
from ..subjects import ancestors, kind, listing_key
from .exemptions import Exemptions
from .guard import Guard
from .holding import places_held, relatives
from .score import Claims, Weighing, decide
from .sweep import PLAIN_GUARD, unforgiven

__all__ = ["Line", "ZoneView", "explain"]


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
class ZoneView:
    """A subject in one zone. Wider networks and names above count as listings of the subject too."""

    zone: ZoneDef
    score: float = 0.0
    simulated_score: float = 0.0  # with the sources that are simulated
    waiting: list[Hold] = field(default_factory=list)  # holds of sources that claim it, or what contains it
    listings: list[ListingRow] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
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
    """The subject in each zone of its kind."""
    chain = list(dict.fromkeys([listing_key(subject), *ancestors(subject)]))
    rows = [Evidence(*row) for row in store.evidence(chain)]
    sources, categories = store.sources(), store.categories()
    simulated = {row.source for row in rows if sources[row.source].simulated}
    claiming = relatives(store, {row.source for row in rows})
    holds = [hold for hold in store.holds() if hold.source in claiming]
    claimed = sorted({chain[row.place] for row in rows})
    found = []
    for zone in zones.values():
        if zone.kind == kind(subject):
            weighing = Weighing.of(zone, sources, categories)
            view = ZoneView(zone, listings=list(store.listings_of(zone.name, chain).values()))
            view.exempt = zone.policy.exempt and any(
                exempt.covers(key, zone.name) for key in (subject, listing_key(subject))
            )
            view.lines, view.score = weigh(rows, chain, weighing, exempt, zone, sources, categories, now)
            view.simulated_score = view.score
            if simulated:
                live = Weighing.of(zone, sources, categories, live=simulated)
                view.simulated_score = weigh(rows, chain, live, exempt, zone, sources, categories, now)[1]
            view.waiting = places_held(holds, guard, zone.name, claimed, now)
            found.append(view)
    return found


def weigh(
    rows: Sequence[Evidence],
    chain: Sequence[bytes],
    weighing: Weighing,
    exempt: Exemptions,
    zone: ZoneDef,
    sources: Mapping[int, Source],
    categories: Mapping[int, str],
    now: int,
) -> tuple[list[Line], float]:
    """The lines of a zone's categories, heaviest first, and the highest score of the subject and what contains it."""
    ours = [row for row in rows if weighing.half_life[row.category] > 0]
    if not ours:
        return [], 0.0
    claims = Claims.of(ours)
    counts = unforgiven(claims, exempt, zone.name, chain)  # what a removal forgave is shown, and weighs nothing
    weights = np.where(counts, weighing.weight(claims, np.full(len(ours), now)), 0.0)
    lines: dict[tuple[int, int, int], Line] = {}
    for row, weight in zip(ours, weights.tolist(), strict=True):
        key = (row.place, row.source, row.category)
        line = lines.get(key)
        if line is None:
            line = lines[key] = Line(
                chain[row.place],
                sources[row.source].name,
                categories[row.category],
                hits=0,
                reporters=0,
                first_seen=row.first_seen,
                last_seen=row.last_seen,
                held=False,
                weight=0.0,
                simulated=sources[row.source].simulated,
            )
        line.hits += row.hits
        line.reporters += 1
        line.first_seen = min(line.first_seen, row.first_seen)
        line.last_seen = max(line.last_seen, row.last_seen)
        line.held = line.held or bool(row.held)
        line.weight += weight
    decided = decide(claims.where(counts), weighing, np.zeros(len(chain), dtype=np.bool_), now)
    score = float(decided.score.max()) if len(decided.score) else 0.0
    return sorted(lines.values(), key=lambda line: -line.weight), score
