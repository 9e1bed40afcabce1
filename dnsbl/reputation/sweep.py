"""Decide anew what was touched or is due. A sweep may stop anywhere: what it has not settled is still touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from ..config import GuardConfig, ZoneDef
from ..geo import Networks
from ..store.contract import Decision, Exemption, Hold, ListingRow, Store
from ..subjects import kind
from .exemptions import Exemptions
from .guard import Guard
from .holding import end_days, record
from .ruling import Led, rule
from .score import NEVER, Bools, Claims, Decided, Weighing, decide
from .terms import Sharing, shareable

__all__ = ["ExemptionCache", "sweep"]

PLAIN_GUARD = Guard(GuardConfig(), Networks.none())  # the usual limits, and nothing known of networks
AT_ONCE = 25_000  # subjects decided in one transaction: bounds memory, and how long writers wait


class ExemptionCache:
    """The store's exemptions in memory, made again when they change or one of them ends."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.version = -1
        self.good_until: float = 0
        self.current = Exemptions([], 0)
        self.lock = threading.Lock()  # asked from any thread

    def get(self, now: int) -> Exemptions:
        with self.lock:
            return self.fetch(now)

    def fetch(self, now: int) -> Exemptions:
        seq = self.store.change_seq()  # first: what is journalled later may be missing here
        version = self.store.exemptions_version()
        if version != self.version or now >= self.good_until:
            rows = self.store.exemptions()
            self.current = Exemptions(rows, now)
            self.version = version
            self.good_until = min(
                (e.until for e in rows if e.until is not None and e.until > now), default=float("inf")
            )
        self.current.seq = seq
        return self.current


def sweep(
    store: Store,
    zones: Mapping[str, ZoneDef],
    exemptions: ExemptionCache,
    now: int,
    progress: Callable[[int], None] = lambda _: None,
    guard: Guard = PLAIN_GUARD,
) -> int:
    """Settle everything that is touched. Returns how many listings changed what they answer."""
    store.touch_due(now)
    end_days(store, now)
    changed = 0
    while store.touched(1):
        with store.transaction():  # nothing is claimed between what is read and what is decided
            subjects = store.touched(AT_ONCE)
            if not subjects:  # another process was first
                break
            changed += settle(store, zones, exemptions.get(now), guard, subjects, now)
        progress(len(subjects))
    return changed


def settle(
    store: Store,
    zones: Mapping[str, ZoneDef],
    exempt: Exemptions,
    guard: Guard,
    subjects: Sequence[bytes],
    now: int,
) -> int:
    claims = Claims.of(store.evidence(subjects))
    sources, categories = store.sources(), store.categories()
    kinds = np.array([kind(subject) for subject in subjects])[claims.place]
    with_listings = store.zones_listed()
    afresh = store.afresh(subjects[0], subjects[-1])
    decisions = {}
    rulings = {}
    ended: set[Exemption] = set()
    holds: list[Hold] | None = None  # read when one zone first needs them
    for zone in zones.values():
        weighing = Weighing.of(zone, sources, categories)
        before = store.listings_of(zone.name, subjects) if zone.name in with_listings else {}
        was_listed = np.zeros(len(subjects), dtype=np.bool_)
        if before:
            was_listed[:] = [subject in before for subject in subjects]
        ours = forgive(claims.where(kinds == zone.kind), exempt, zone.name, subjects)
        stands = standing(was_listed, subjects, afresh, exempt.within(zone), zone.name)
        decided = decide(ours, weighing, stands, now)
        free = unexempt(zone, exempt, subjects, decided)
        if (decided.leader[free] > 0).any():
            led = [
                Led(subjects[place], leader, not was_listed[place])
                for place, leader in zip(decided.places[free].tolist(), decided.leader[free].tolist(), strict=True)
                if leader
            ]
            holds = store.holds() if holds is None else holds
            rulings[zone.name] = ruling = rule(guard, zone.name, led, sources, holds, store, now)
            free &= np.array([subjects[place] not in ruling.blocked for place in decided.places.tolist()])
        ended |= yielded(zone, exempt, [subjects[place] for place in decided.places[free].tolist()])
        sharing = shareable(ours, weighing, sources, stands, now)
        withheld = store.withheld_of(zone.name, subjects)
        decisions[zone.name] = differences(zone, subjects, before, decided, free, now, sharing, withheld)
    for name in with_listings - set(zones):  # a zone whose file was removed lists nothing any more
        gone = list(store.listings_of(name, subjects))
        decisions[name] = Decision([], gone, [(subject, "") for subject in gone], given=gone)
    store.decide(now, decisions, subjects)
    for name, ruling in rulings.items():  # after it: what is touched anew stays touched
        record(store, guard, name, ruling, now)
    for removal in ended:  # touches what it was about: it is decided once more, by all that is claimed
        store.end_exemption(removal.subject, removal.zone, removal.origin, now)
    return sum(len(decision.journal) for decision in decisions.values())


def standing(
    was_listed: Bools, subjects: Sequence[bytes], afresh: Collection[bytes], exempt: Exemptions, zone: str
) -> Bools:
    """Which listings stay down to `delist_at`: not those that a removal ended, which take as much as new ones."""
    if not afresh and not exempt.yielding:
        return was_listed
    return was_listed & [subject not in afresh and not exempt.rests(subject, zone) for subject in subjects]


def forgive(claims: Claims, exempt: Exemptions, zone: str, subjects: Sequence[bytes]) -> Claims:
    """Without what was claimed before a removal; what a list still carries is claimed now."""
    return claims.where(unforgiven(claims, exempt, zone, subjects)) if exempt.removals else claims


def unforgiven(claims: Claims, exempt: Exemptions, zone: str, subjects: Sequence[bytes]) -> Bools:
    """Which claims still count: those made after a removal, and once it has ended, those that lists still make."""
    until = np.fromiter((exempt.forgiven(s, zone) for s in subjects), dtype=np.int64, count=len(subjects))
    counts: Bools = claims.since > until[claims.place]
    if not exempt.yielding:
        return claims.held | counts
    rests = np.fromiter((bool(exempt.rests(s, zone)) for s in subjects), dtype=np.bool_, count=len(subjects))
    return (claims.held & ~rests[claims.place]) | counts


def unexempt(zone: ZoneDef, exempt: Exemptions, subjects: Sequence[bytes], decided: Decided) -> Bools:
    """Which of the decided places are listed and may be; so may those that only a removal kept off which yields."""
    free = decided.listed.copy()
    listed = [subjects[place] for place in decided.places[free].tolist()]
    within = exempt.within(zone)
    covered = within.covered(listed, zone.name)
    free[free] = [
        not cover or within.yields(subject, zone.name) for subject, cover in zip(listed, covered, strict=True)
    ]
    return free


def yielded(zone: ZoneDef, exempt: Exemptions, listed: Sequence[bytes]) -> set[Exemption]:
    """The removals that yield to what is listed now."""
    if not exempt.yielding:
        return set()
    within = exempt.within(zone)
    return {removal for subject in listed for removal in within.rests(subject, zone.name)}


def differences(
    zone: ZoneDef,
    subjects: Sequence[bytes],
    before: Mapping[bytes, ListingRow],
    decided: Decided,
    listed: Bools,
    now: int,
    sharing: Sharing,
    withheld: Mapping[bytes, str],
) -> Decision:
    """What a zone's listings become; rows that stay as they are, are not written. `withheld`: what was given away of
    those that were not given away as they are; `sharing`: what may be now."""
    decision = Decision()
    texts: dict[int, str] = {}
    staying = set()
    still = set()  # withheld, as before or anew
    columns = (decided.places, decided.codes, decided.until, decided.due)
    rows = zip(*(column[listed].tolist() for column in columns), strict=True)
    for place, codes, until, due in rows:
        subject = subjects[place]
        old = before.get(subject)
        text = texts.get(codes) or texts.setdefault(codes, codes_text(zone, codes))
        others, turns = sharing.get(place, (codes, NEVER))
        if codes & ~others:
            still.add(subject)
            left = codes_text(zone, codes & others)
            if withheld.get(subject) != left:
                decision.withheld.append((subject, left))
        leaves = None if until == NEVER else until
        soonest = min(due, turns or NEVER)
        changes = None if soonest == NEVER else soonest
        if old is None:
            decision.written.append((subject, text, now, leaves, changes))
            decision.journal.append((subject, text))
            continue
        staying.add(subject)
        if old[1] != text:
            decision.journal.append((subject, text))
        elif old[3] == leaves and old[4] == changes:
            continue
        decision.written.append((subject, text, old[2], leaves, changes))
    decision.left = [subject for subject in before if subject not in staying]
    decision.journal += [(subject, "") for subject in decision.left]
    decision.given = [subject for subject in withheld if subject not in still]
    if decision.withheld or decision.given:
        told = {subject for subject, _ in decision.journal}
        turned = [*(subject for subject, _ in decision.withheld), *decision.given]
        decision.looked = [subject for subject in turned if subject not in told]
    return decision


def codes_text(zone: ZoneDef, bits: int) -> str:
    return " ".join(code.code for number, code in enumerate(zone.codes) if bits >> number & 1)
