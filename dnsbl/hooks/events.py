"""What a partner is told, as JSON. Pure.

    {"id", "type": "listed" | "changed" | "freed", "at", "zone", "origin", "subject", "codes", "owned": [...], "url"}
    {"id", "type": "many", "since", "at", "zones", "counts": {"listed", "changed", "freed"}, "owned": [...]}
    {"id", "type": "test", "at"}

`owned` is what of the partner's it is about: what contains the subject, or lies inside it. `codes` are those from `at`
on; `url` is the page about the subject (null where the server does not know its own name). An id is the same however
often and to however many of a partner's hooks an event is sent.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from .. import clock
from ..store.contract import Change
from ..subjects import text
from .owners import MAX_TOLD

__all__ = ["Told", "Words", "test_event", "type_of"]

TYPES = ("listed", "changed", "freed")
TEST_ID = 12  # bytes


class Told(NamedTuple):
    """One change of what somebody owns."""

    change: Change
    type: str
    owned: Sequence[bytes]


@dataclass(slots=True, frozen=True)
class Words:
    """What events say beside the change."""

    identity: str  # the store's: numbers of another store are other events
    origins: Mapping[str, str]  # by zone
    public_url: str  # "": not known

    def one(self, source: int, told: Told) -> str:
        change = told.change
        subject = text(change.subject)
        return written(
            {
                "id": self.id(source, str(change.seq)),
                "type": told.type,
                "at": clock.rfc3339(change.at),
                "zone": change.zone,
                "origin": self.origins.get(change.zone),
                "subject": subject,
                "codes": change.codes.split(),
                "owned": [text(key) for key in told.owned],
                "url": f"{self.public_url.rstrip('/')}/lookup?q={quote(subject, safe='')}" if self.public_url else None,
            }
        )

    def many(self, source: int, told: Sequence[Told]) -> str:
        """All of these in one event: how many there are, and where."""
        counts = Counter(each.type for each in told)
        owned = sorted({key for each in told for key in each.owned})
        first, last = told[0].change, told[-1].change
        return written(
            {
                "id": self.id(source, f"{first.seq}-{last.seq}"),
                "type": "many",
                "since": clock.rfc3339(first.at),
                "at": clock.rfc3339(last.at),
                "zones": sorted({each.change.zone for each in told}),
                "counts": {type: counts[type] for type in TYPES},
                "owned": [text(key) for key in owned[:MAX_TOLD]],
            }
        )

    def id(self, source: int, number: str) -> str:
        return f"evt_{self.identity[:8]}_{source}_{number}"


def type_of(before: str, after: str) -> str:
    """What happened where these were the codes before and after; "": nothing."""
    if before == after:
        return ""
    if not after:
        return "freed"
    return "changed" if before else "listed"


def test_event(at: int) -> str:
    """To see whether a hook works."""
    return written({"id": f"test_{secrets.token_hex(TEST_ID)}", "type": "test", "at": clock.rfc3339(at)})


def written(event: dict[str, Any]) -> str:
    return orjson.dumps(event).decode()
