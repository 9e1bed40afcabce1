"""What was asked and what became of it, for the status page and for metrics.

A count is one dictionary increment. Labels come from closed sets (the zones served, the types in TYPES, the rcodes
that are ever sent, two transports), so no stranger can make the table grow.
"""

from __future__ import annotations

from typing import Any

from .access import Reason
from .cookies import Standing
from .message import Rcode, Transport
from .refusals import Refused

__all__ = ["EVENTS", "OTHER", "TYPES", "Counters"]

TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 43: "DS",
    48: "DNSKEY", 65: "HTTPS", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
OTHER = "other"
EVENTS = (
    "malformed", "silent", "truncated", "dropped", "failed", "connections", "refused", "timed_out",
    "cookies_new", "cookies_valid", "cookies_invalid", "handed", "overflowed", "keyed", "denied", "over_quota",
    "limited", "slipped",
)  # fmt: skip


class Counters:
    """Counts since the start. Not shared between processes: whoever has several adds their snapshots."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str, int, str], int] = {}  # (zone, type, rcode, transport)
        self.transfers_refused: dict[str, int] = {why.value: 0 for why in Refused}
        self.malformed = 0  # FORMERR, and messages too short to be answered
        self.silent = 0  # messages that are themselves replies
        self.truncated = 0  # replies with TC
        self.dropped = 0  # replies that the system did not take: a full buffer, an impossible address
        self.failed = 0  # queries lost to an error of ours
        self.connections = 0  # taken over TCP
        self.refused = 0  # TCP connections over a limit
        self.handed = 0  # queries that the native path left to this one
        self.overflowed = 0  # and those that found no room in the queue between them
        self.keyed = 0  # queries with a key, good or not
        self.denied = 0  # queries that a zone's access did not let in, but for:
        self.over_quota = 0  # and those that came to more than agreed
        self.limited = 0  # replies over UDP above the rate, most of them dropped ...
        self.slipped = 0  # ... and those of them that went out empty, with TC
        self.batches = [0] * 8  # how often 1, 2-3, 4-7 ... packets came at once; the native path only
        self.timed_out = 0  # TCP connections closed for silence, a message left unfinished, or replies left unread
        self.cookies_new = 0  # queries with a client cookie alone
        self.cookies_valid = 0
        self.cookies_invalid = 0  # server cookies that are too old, made for another client, or not by us

    def reply(self, zone: str, qtype: int, rcode: int, transport: Transport, count: int = 1) -> None:
        """Count a reply; `zone` is empty outside the zones served."""
        key = (zone, TYPES.get(qtype, OTHER), rcode, transport)
        self.replies[key] = self.replies.get(key, 0) + count

    def add(self, other: Counters) -> None:
        """Count what another has counted."""
        for key, count in other.replies.items():
            self.replies[key] = self.replies.get(key, 0) + count
        for why, count in other.transfers_refused.items():
            self.transfers_refused[why] += count
        for name in EVENTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.batches = [one + more for one, more in zip(self.batches, other.batches, strict=True)]

    def cookie(self, standing: Standing) -> None:
        """Count one cookie received."""
        if standing == "new":
            self.cookies_new += 1
        elif standing == "valid":
            self.cookies_valid += 1
        else:
            self.cookies_invalid += 1

    def admitted(self, keyed: bool, why: Reason | None) -> None:
        """Count a query of a zone that does not answer everybody, and why it was not let in; None: it was."""
        self.keyed += keyed
        if why == Reason.QUOTA:
            self.over_quota += 1
        elif why is not None:
            self.denied += 1

    def snapshot(self) -> dict[str, Any]:
        """All counts, fit for JSON: `replies` has a row for each combination that occurred, `by` their sums."""
        rows = []
        by: dict[str, dict[str, int]] = {"zone": {}, "qtype": {}, "rcode": {}, "transport": {}}
        for (zone, qtype, rcode, transport), count in sorted(self.replies.items()):
            row = {"zone": zone, "qtype": qtype, "rcode": Rcode(rcode).name, "transport": transport}
            for label, value in row.items():
                by[label][value] = by[label].get(value, 0) + count
            rows.append({**row, "count": count})
        events = {name: getattr(self, name) for name in EVENTS}
        refused = self.transfers_refused
        return {"replies": rows, "by": by, "batches": self.batches, "transfers_refused": refused, **events}
