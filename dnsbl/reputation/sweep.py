"""Decide anew what was touched or is due. A sweep may stop anywhere: what it has not settled is still touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..config import ZoneDef
from ..store.contract import Evidence, ListingRow, Store
from ..subjects import kind
from .exemptions import Exemptions
from .score import NEVER, Claims, Decided, Weighing, decide

__all__ = ["ExemptionCache", "sweep"]

AT_ONCE = 50_000  # subjects decided in one transaction: bounds memory, and how long writers wait


class ExemptionCache:
    """The store's exemptions in memory, made again when they change or one of them ends."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.version = -1
        self.good_until: float = 0
        self.current = Exemptions([], 0)

    def get(self, now: int) -> Exemptions:
        version = self.store.exemptions_version()
        if version != self.version or now >= self.good_until:
            rows = self.store.exemptions()
            self.current = Exemptions(rows, now)
            self.version = version
            self.good_until = min(
                (e.until for e in rows if e.until is not None and e.until > now), default=float("inf")
            )
        return self.current


def sweep(
    store: Store,
    zones: Mapping[str, ZoneDef],
    exemptions: ExemptionCache,
    now: int,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Settle everything that is touched. Returns how many listings changed what they answer."""
    store.touch_due(now)
    changed = 0
    while subjects := store.touched(AT_ONCE):
        changed += settle(store, zones, exemptions.get(now), subjects, now)
        progress(len(subjects))
    return changed


def settle(store: Store, zones: Mapping[str, ZoneDef], exempt: Exemptions, subjects: Sequence[bytes], now: int) -> int:
    rows = store.evidence(subjects)
    sources, categories = store.sources(), store.categories()
    kinds = np.array([kind(subject) for subject in subjects])
    changes = {}
    for zone in zones.values():
        weighing = Weighing.of(zone, sources, categories)
        before = store.listings_of(zone.name, subjects)
        was_listed = np.fromiter((subject in before for subject in subjects), dtype=np.bool_, count=len(subjects))
        claims = forgive(Claims.of(rows), exempt, zone.name, subjects)
        claims = claims.where(kinds[claims.place] == zone.kind) if len(claims.place) else claims
        decided = decide(claims, weighing, was_listed, now)
        changes[zone.name] = differences(zone, exempt, subjects, before, decided, now)
    for gone in store.zones_listed() - set(zones):  # a zone whose file was removed lists nothing any more
        changes[gone] = ([], list(store.listings_of(gone, subjects)))
    return store.decide(now, changes, subjects)


def forgive(claims: Claims, exempt: Exemptions, zone: str, subjects: Sequence[bytes]) -> Claims:
    """Without what was reported before a removal."""
    if not exempt.removals:
        return claims
    until = np.fromiter((exempt.forgiven(s, zone) for s in subjects), dtype=np.int64, count=len(subjects))
    return claims.where(claims.held | (claims.at > until[claims.place]))


def differences(
    zone: ZoneDef,
    exempt: Exemptions,
    subjects: Sequence[bytes],
    before: Mapping[bytes, ListingRow],
    decided: Decided,
    now: int,
) -> tuple[list[ListingRow], list[bytes]]:
    """The rows to write, and the subjects that leave."""
    texts: dict[int, str] = {}
    written = []
    staying = set()
    listed = decided.listed
    columns = (decided.places, decided.codes, decided.until, decided.due)
    for place, codes, until, due in zip(*(column[listed].tolist() for column in columns), strict=True):
        subject = subjects[place]
        if exempt_here(zone, exempt, subject):
            continue
        staying.add(subject)
        old = before.get(subject)
        text = texts.get(codes) or texts.setdefault(codes, codes_text(zone, codes))
        row = ListingRow(
            subject,
            text,
            old.since if old else now,
            None if until == NEVER else until,
            None if due == NEVER else due,
        )
        if row != old:
            written.append(row)
    return written, [subject for subject in before if subject not in staying]


def exempt_here(zone: ZoneDef, exempt: Exemptions, subject: bytes) -> bool:
    """A white list takes what the allow-list has; nothing takes the never-list."""
    if not zone.policy.exempt:
        exempt = NOTHING_EXEMPT
    return exempt.covers(subject, zone.name)


NOTHING_EXEMPT = Exemptions([], 0)


def codes_text(zone: ZoneDef, bits: int) -> str:
    return " ".join(code.code for number, code in enumerate(zone.codes) if bits >> number & 1)


def explain(rows: Sequence[Evidence], zone: ZoneDef, weighing: Weighing, now: int) -> tuple[float, list[float]]:
    """One subject's score in a zone, and the weight of each row of evidence (0 for other zones' categories)."""
    if not rows:
        return 0.0, []
    claims = Claims.of(rows)
    ours = weighing.half_life[claims.category] > 0
    weights = np.zeros(len(rows))
    if ours.any():
        weights[ours] = weighing.weight(claims.where(ours), np.full(int(ours.sum()), now))
    decided = decide(claims, weighing, np.zeros(1, dtype=np.bool_), now)
    return (float(decided.score[0]) if len(decided.score) else 0.0), weights.tolist()
