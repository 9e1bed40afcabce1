"""Complaints into the store: each claim through the gate, what is kept of each, and why nothing is listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import printable
from ..model import MAX_REJECTS, Reject, Report
from ..store.contract import Source, Store
from .complaints import Complaint, parse_complaint
from .gate import Gate

__all__ = ["Complained", "keep_complaints", "take_complaints"]

MAX_REASONS = 100  # sentences kept of one upload


@dataclass(slots=True)
class Complained:
    """What came of an upload. `why`: a sentence for each complaint that lists nothing, or less than it says."""

    format: str = ""
    taken: int = 0
    repeated: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "complaints",
            "format": self.format,
            "taken": self.taken,
            "repeated": self.repeated,
            "rejected": self.rejected,
            "rejects": [{"line": r.line, "why": r.why} for r in self.rejects],
            "why": self.why,
        }


def take_complaints(
    store: Store, gate: Gate, source: Callable[[], Source], data: bytes, now: int, format: str = ""
) -> Complained:
    """Take every complaint in these bytes for a source, in one transaction. Raises IntakeError where they are none."""
    complaints = parse_complaint(data, now, format)  # may take seconds: before the store is held
    with store.transaction():
        return keep_complaints(store, gate, source(), complaints, now)


def keep_complaints(store: Store, gate: Gate, source: Source, complaints: Sequence[Complaint], now: int) -> Complained:
    """Within the caller's transaction."""
    done = Complained(format=complaints[0].format if complaints else "")
    gate.attempts = {}
    for number, complaint in enumerate(complaints, 1):
        reports = judged(complaint, gate, done, number)
        taken = store.take_reports(source.id, reports)
        done.taken += taken.taken
        done.repeated += taken.repeated
        if complaint.why and len(done.why) < MAX_REASONS:
            done.why.append(printable(complaint.why))
        store.add_sample(source.id, complaint.format, complaint.facts, [r.subject for r in reports], now)
    if gate.attempts:
        store.add_attempts(source.id, gate.attempts, now)
    return done


def judged(complaint: Complaint, gate: Gate, done: Complained, number: int) -> list[Report]:
    """The claims that the gate lets through. A claim's hits are one report: a reporter counts once whatever it says."""
    reports = []
    for claim in complaint.claims:
        made = gate.report(claim.subject, claim.category, claim.at, claim.reporter)
        if isinstance(made, str):
            done.rejected += 1
            if len(done.rejects) < MAX_REJECTS:
                done.rejects.append(Reject(number, printable(f"{claim.subject[:100]}: {made}")))
        else:
            reports.append(made)
    return reports
