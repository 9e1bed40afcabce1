"""Sources: seen, set, and believed less where they were wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .. import clock
from ..errors import IntakeError
from ..reputation.guard import HELD
from ..reputation.simulation import ALL, Would, simulate
from ..reputation.trust import DAYS
from ..store import Overturned, Sample, Source
from ..subjects import ancestors, listing_key, text
from .base import OPERATOR
from .purging import PurgingPart
from .waiting import MAX_SHOWN, WaitingPart

__all__ = ["SourcesPart"]

SAMPLES = 20
CONFIGURED = {  # whose trust is set at every start, and where from
    "feed": "its trust stands in its TOML file",
    "trap": "its trust is trap.trust in dnsbl.toml",
    "complaint": "its trust is trap.trust in dnsbl.toml",
}


class SourcesPart(PurgingPart, WaitingPart):
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

    def show_source(self, name: str, most: int = ALL) -> dict[str, Any]:
        """Everything about one source; of a simulated one also what it would list, by the first `most` subjects of what
        it ever claimed: a page bounds that. What is figured so is a minute old at most."""
        source, now = self.source(name), clock.now()
        would = self.figure(("would list", source.id, most), lambda: self.would_list(source, now, most))
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

    def would_list(self, source: Source, now: int, most: int) -> list[Would]:
        """Of a simulated source; one that is live lists what it lists."""
        if not source.simulated:
            return []
        return simulate(self.store, self.zones(), self.exemptions.get(now), source.id, now, most)

    def set_source(
        self,
        name: str,
        trust: float | None = None,
        simulated: bool | None = None,
        daily: int | None = None,
        zones: tuple[str, ...] | None = None,
        who: str = OPERATOR,
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
            self.store.audit(now, who, "source set", name, " ".join(f"{k}={v}" for k, v in changes.items()))
            self.judge(now)
        self.outdated()
        source = self.source(name)
        note = {"note": "lists nothing alone"} if simulated is False and not self.lists_alone(source) else {}
        return {**self.source_row(source, now, self.held()), **note}

    def lists_alone(self, source: Source) -> bool:
        """Whether any zone that it counts in believes a source enough to list what nobody else says."""
        zones = [zone for name, zone in self.zones().items() if not source.zones or name in source.zones]
        return any(100 * source.trust >= zone.policy.list_at for zone in zones)

    # what was wrong

    def overturn(self, subject: bytes, why: str, who: str = OPERATOR) -> list[str]:
        """Hold a wrong listing against those strangers that claimed it, or what contains it; their names."""
        sources, now = self.store.sources(), clock.now()
        rows = self.store.evidence(list(ancestors(listing_key(subject))))
        blamed = sorted({row[1] for row in rows if sources[row[1]].guarded})
        names = [sources[source].name for source in blamed]
        with self.store.transaction():
            self.store.overturn(blamed, listing_key(subject), now, why)
            if blamed:
                self.store.audit(now, who, "overturn", text(subject), f"{why} (said {', '.join(names)})")
            self.judge(now)
        self.outdated()
        return names

    def evidence_of(self, subject: bytes) -> list[dict[str, Any]]:
        """Munged samples on a subject and what contains it, the newest first."""
        chain = list(dict.fromkeys([subject, listing_key(subject), *ancestors(subject)]))
        samples = self.store.samples(chain, SAMPLES)
        names = self.names() if samples else {}
        return [sample_row(sample, names) for sample in samples]


def wrong(row: Overturned) -> dict[str, Any]:
    return {"subject": text(row.subject), "at": clock.rfc3339(row.at), "why": row.why}


def sample_row(sample: Sample, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "at": clock.rfc3339(sample.at),
        "source": names[sample.source],
        "kind": sample.kind,
        "facts": sample.facts,
    }
