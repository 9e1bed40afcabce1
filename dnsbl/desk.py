"""What an operator does about sources: sees them, sets them, takes away what one of them claimed and puts it back; and
decides what waits. Every deed is in the audit trail. The caller settles afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from . import clock
from .config import ZoneDef
from .errors import IntakeError
from .reputation.guard import APPROVED, HELD, REJECTED, Guard
from .reputation.holding import relatives, touch_family
from .reputation.simulation import claimed, simulate
from .reputation.sweep import PLAIN_GUARD, ExemptionCache
from .reputation.trust import DAYS, judge
from .store import Attempt, Hold, Overturned, Purge, Sample, Source, Store
from .subjects import ancestors, listing_key, text

__all__ = ["Desk"]

OPERATOR = "operator"
MAX_SHOWN = 100  # overturned claims, attempts and samples shown at once
SAMPLES = 20
VOICES = ("-content", "-proven")  # what the names of a source of mail's other voices end in
CONFIGURED = {  # whose trust is set at every start, and where from
    "feed": "its trust stands in its TOML file",
    "trap": "its trust is trap.trust in dnsbl.toml",
    "complaint": "its trust is trap.trust in dnsbl.toml",
}


class Desk:
    """One operator's doings on a store. `zones` are the ones of now, whenever it is asked."""

    def __init__(
        self,
        store: Store,
        zones: Callable[[], dict[str, ZoneDef]],
        exemptions: ExemptionCache,
        guard: Guard = PLAIN_GUARD,
    ) -> None:
        self.store, self.zones, self.exemptions, self.guard = store, zones, exemptions, guard

    # sources

    def source(self, name: str) -> Source:
        """Raises IntakeError where there is none of that name."""
        found = next((source for source in self.store.sources().values() if source.name == name), None)
        if found is None:
            raise IntakeError(f"no source {name!r}; `dnsbl source list` shows what there is")
        return found

    def source_rows(self) -> list[dict[str, Any]]:
        now, held = clock.now(), self.held()
        return [self.source_row(source, now, held) for source in self.store.sources().values()]

    def held(self) -> Counter[int]:
        """How many places wait for a person, by source."""
        return Counter(hold.source for hold in self.store.holds() if hold.state == HELD)

    def source_row(self, source: Source, now: int, held: Counter[int]) -> dict[str, Any]:
        since = now - DAYS * clock.DAY
        return {
            "name": source.name,
            "kind": source.kind,
            "trust": round(source.trust, 4),
            "granted": source.granted,
            "family": source.family,
            "simulated": source.simulated,
            "zones": list(source.zones),
            "daily": source.daily,
            "network": source.network or None,
            "listed": self.store.listed_since(source.id, since // clock.DAY) if source.guarded else None,
            "overturned": len(self.store.overturned(source.id, since)),
            "held": held[source.id],
        }

    def show_source(self, name: str) -> dict[str, Any]:
        """Everything about one source; of a simulated one also what it would list. Reads all it ever claimed."""
        source, now = self.source(name), clock.now()
        exempt = self.exemptions.get(now)
        would = simulate(self.store, self.zones(), exempt, source.id, now) if source.simulated else []
        return {
            **self.source_row(source, now, self.held()),
            "would_list": [
                {"zone": w.zone, "claimed": w.claimed, "listed": w.listed, "examples": [text(s) for s in w.examples]}
                for w in would
            ],
            "wrong": [wrong(row) for row in self.store.overturned(source.id, now - DAYS * clock.DAY)[-MAX_SHOWN:]],
            "holds": self.hold_rows([hold for hold in self.store.holds() if hold.source == source.id]),
            "purges": [row for row in self.purge_rows() if row["source"] == source.name],
        }

    def set_source(
        self,
        name: str,
        trust: float | None = None,
        simulated: bool | None = None,
        daily: int | None = None,
        zones: tuple[str, ...] | None = None,
    ) -> dict[str, Any]:
        """Change what is given. A granted trust is the trust, until mistakes lower it. "note" says where one that is
        let live is not believed enough to list anything alone. Raises IntakeError."""
        source = self.source(name)
        unknown = [zone for zone in zones or () if zone not in self.zones()]
        if unknown:
            raise IntakeError(f"no zone {', '.join(unknown)}; there are {', '.join(self.zones())}")
        if source.kind in CONFIGURED and trust is not None:
            raise IntakeError(f"{name} is a {source.kind}: {CONFIGURED[source.kind]}")
        changes: dict[str, Any] = {
            **({"trust": trust, "granted": trust} if trust is not None else {}),
            **({"simulated": simulated} if simulated is not None else {}),
            **({"daily": daily} if daily is not None else {}),
            **({"zones": zones} if zones is not None else {}),
        }
        if not changes:
            raise IntakeError("nothing to change was said; see `dnsbl source set --help`")
        now = clock.now()
        with self.store.transaction():
            self.store.set_source(source.id, **changes)
            self.store.audit(now, OPERATOR, "source set", name, " ".join(f"{k}={v}" for k, v in changes.items()))
            self.judge(now)
        source = self.source(name)
        note = {"note": "lists nothing alone"} if simulated is False and not self.lists_alone(source) else {}
        return {**self.source_row(source, now, self.held()), **note}

    def lists_alone(self, source: Source) -> bool:
        """Whether any zone that it counts in believes a source enough to list what nobody else says."""
        zones = [zone for name, zone in self.zones().items() if not source.zones or name in source.zones]
        return any(100 * source.trust >= zone.policy.list_at for zone in zones)

    def judge(self, now: int) -> None:
        """Bring partners' trust up to date with their mistakes."""
        for name, (before, after) in judge(self.store, now).items():
            self.store.audit(now, "trust", "source trust", name, f"{before:.3f} -> {after:.3f}")

    # purges

    def purge(self, name: str, reason: str, since: int | None, until: int | None) -> dict[str, Any]:
        """Take away what a source claimed, and its other voices (RFC 6471 section 3.9). They are simulated from then
        on, until released. "also" has what was taken with the first. Raises IntakeError where nothing can be taken."""
        source, now = self.source(name), clock.now()
        with self.store.transaction():
            taken = [self.store.purge(voice.id, reason, now, since, until) for voice in self.voices(source)]
            done = [purge for purge in taken if purge.id]
            if not done:
                raise IntakeError(f"{name} claimed nothing then: nothing to take away")
            for purge in done:
                self.store.set_source(purge.source, simulated=True)
                self.store.audit(now, OPERATOR, "source purge", self.name_of(purge.source), reason)
        return self.purges_row(done)

    def undo_purge(self, number: int) -> dict[str, Any]:
        """Put back what a purge took, and what was taken with it. Raises StoreError where it is not there any more."""
        now = clock.now()
        with self.store.transaction():
            done = [self.store.undo_purge(each, now) for each in [number, *self.taken_with(number)]]
            for purge in done:
                self.store.audit(now, OPERATOR, "source undo", self.name_of(purge.source), f"purge {purge.id}")
        return self.purges_row(done)

    def voices(self, source: Source) -> list[Source]:
        """A source and its other voices: mail is believed by several names. A partner's name makes it no voice."""
        names = {source.name + voice for voice in VOICES} if source.kind != "partner" else set()
        return [source, *(s for s in self.store.sources().values() if s.name in names and s.kind == source.kind)]

    def taken_with(self, number: int) -> list[int]:
        """The other purges of the same deed that stand."""
        purges = {purge.id: purge for purge in self.store.purges() if purge.undone is None}
        this = purges.pop(number, None)
        return [other.id for other in purges.values() if this is not None and self.same_deed(this, other)]

    def same_deed(self, one: Purge, other: Purge) -> bool:
        first, second = (self.store.sources()[purge.source] for purge in (one, other))
        related = first.kind == second.kind != "partner" and root_of(first.name) == root_of(second.name)
        deeds = {(purge.at, purge.reason, purge.since, purge.until) for purge in (one, other)}
        return related and len(deeds) == 1

    def purges_row(self, purges: list[Purge]) -> dict[str, Any]:
        """What was taken or put back at once: the first, and under "also" the others."""
        names = self.names()
        first, *others = (purge_row(purge, names) for purge in purges)
        return {**first, "also": others} if others else first

    def purge_rows(self) -> list[dict[str, Any]]:
        names = self.names()
        return [purge_row(purge, names) for purge in self.store.purges()]

    # what waits

    def waiting(self, everything: bool = False) -> dict[str, Any]:
        """What waits for a person, and who tried to have listed what may not be. Reads all that those who wait ever
        claimed."""
        holds = [hold for hold in self.store.holds() if everything or hold.state == HELD]
        names = self.names()
        return {
            "holds": self.hold_rows(holds),
            "attempts": [attempt_row(attempt, names) for attempt in self.store.attempts(MAX_SHOWN)],
        }

    def decide(self, number: int, approve: bool, note: str, until: int | None = None) -> dict[str, Any]:
        """Approve or reject what is held, with what its family has waiting in the same place, and decide anew what they
        claim. Raises IntakeError where nothing of that number is held."""
        now = clock.now()
        state = APPROVED if approve else REJECTED
        with self.store.transaction():
            hold = next((hold for hold in self.store.holds() if hold.id == number), None)
            if hold is None:
                raise IntakeError(f"nothing with number {number} is held; `dnsbl review list --all` shows all")
            for each in [*self.held_with(hold), hold]:
                decided = replace(each, state=state, decided=now, until=until if approve else None, note=note)
                self.store.put_hold(decided)
                self.store.audit(now, OPERATOR, f"hold {state}", f"{self.name_of(each.source)} {each.place}", note)
            touch_family(self.store, {hold.source})
            self.judge(now)
        return self.hold_row(decided, 0, self.names())

    def held_with(self, hold: Hold) -> list[Hold]:
        """What the family's other sources have waiting in the same place."""
        family = relatives(self.store, {hold.source})
        there = [each for each in self.store.holds() if (each.zone, each.place) == (hold.zone, hold.place)]
        return [each for each in there if each.id != hold.id and each.state == HELD and each.source in family]

    def hold_rows(self, holds: list[Hold]) -> list[dict[str, Any]]:
        found, names = claimed(self.store, self.guard, holds), self.names()
        return [self.hold_row(hold, found.get(hold.id, 0), names) for hold in holds]

    def hold_row(self, hold: Hold, claims: int, names: Mapping[int, str]) -> dict[str, Any]:
        """`claims`: addresses of the place that the source claims by now, which approving lists."""
        amount, size = max(hold.listings, claims), self.guard.size(hold.place)
        share = min(1.0, amount / size) if size else hold.share
        return {
            "id": hold.id,
            "source": names[hold.source],
            "zone": hold.zone,
            "place": hold.place,
            "why": hold.why,
            "listings": hold.listings,
            "claimed": amount,
            "percent": None if share is None else round(100 * share, 4),
            "at": clock.rfc3339(hold.at),
            "state": hold.state,
            "until": clock.rfc3339(hold.until),
            "note": hold.note,
        }

    # what was wrong

    def overturn(self, subject: bytes, why: str) -> list[str]:
        """Hold a wrong listing against those strangers that claimed it, or what contains it; their names."""
        sources, now = self.store.sources(), clock.now()
        rows = self.store.evidence(list(ancestors(listing_key(subject))))
        blamed = sorted({row[1] for row in rows if sources[row[1]].guarded})
        with self.store.transaction():
            self.store.overturn(blamed, listing_key(subject), now, why)
            self.judge(now)
        return [sources[source].name for source in blamed]

    def evidence_of(self, subject: bytes) -> list[dict[str, Any]]:
        """Munged samples on a subject and what contains it, the newest first."""
        chain = list(dict.fromkeys([subject, listing_key(subject), *ancestors(subject)]))
        names, samples = self.names(), self.store.samples(chain, SAMPLES)
        return [sample_row(sample, names) for sample in samples]

    def names(self) -> dict[int, str]:
        """The names of sources, read once for many rows."""
        return {source.id: source.name for source in self.store.sources().values()}

    def name_of(self, source: int) -> str:
        return self.names()[source]


def root_of(name: str) -> str:
    """A source's name without what its other voices end in."""
    for voice in VOICES:
        name = name.removesuffix(voice)
    return name


def wrong(row: Overturned) -> dict[str, Any]:
    return {"subject": text(row.subject), "at": clock.rfc3339(row.at), "why": row.why}


def purge_row(purge: Purge, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": purge.id,
        "source": names[purge.source],
        "at": clock.rfc3339(purge.at),
        "since": clock.rfc3339(purge.since),
        "until": clock.rfc3339(purge.until),
        "reason": purge.reason,
        "reports": purge.reports,
        "entries": purge.entries,
        "undone": clock.rfc3339(purge.undone),
    }


def attempt_row(attempt: Attempt, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "source": names[attempt.source],
        "subject": text(attempt.subject),
        "why": attempt.why,
        "first": clock.rfc3339(attempt.first),
        "last": clock.rfc3339(attempt.last),
        "count": attempt.count,
    }


def sample_row(sample: Sample, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "at": clock.rfc3339(sample.at),
        "source": names[sample.source],
        "kind": sample.kind,
        "facts": sample.facts,
    }
