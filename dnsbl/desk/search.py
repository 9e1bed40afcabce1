"""Search: one text, and all that it may mean. Every read is by a range of keys and bounded, so that a search costs the
same in a store of a thousand listings and of ten million."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .. import clock, documents
from ..errors import SubjectError
from ..hashing import parse_query
from ..store import ListingRow
from ..subjects import LABEL, ancestors, inside, listing_key, text
from .audit import deed_row
from .feeds import FeedsPart
from .removals import removal_row

__all__ = ["MAX_FOUND", "SearchPart"]

MAX_FOUND = 100  # of each kind
MAX_TEXT = 2048  # characters: as long as a URL may be; more means nothing
PARTS = ("listings", "removals", "sources", "keys", "exemptions", "feeds", "audit")
T = TypeVar("T")


class SearchPart(FeedsPart):
    def search(self, said: str, limit: int = 20) -> dict[str, Any]:
        """What there is of a text: "subject" (as it is written here; None: it is none), and up to `limit` of each of
        listings (of it, of what contains it, and inside), requests for its removal, sources, keys, exemptions, feeds
        and audit entries."""
        said = said.strip()[:MAX_TEXT].encode(errors="replace").decode()  # a lone surrogate is no text to a store
        limit = max(1, min(limit, MAX_FOUND))
        if not said:
            return {"subject": None} | {part: [] for part in PARTS}
        subject, suffix = meant(said)
        near = self.store.exemptions_near(subject, limit) if subject else []
        return {
            "subject": text(subject) if subject else None,
            "listings": self.listings_of(subject, suffix, limit),
            "removals": self.removals_about(subject, limit),
            "sources": self.named_sources(said, limit),
            "keys": self.named_keys(said, limit),
            "exemptions": [documents.exemption(found) for found in near],
            "feeds": some(self.feed_rows(), lambda row: has(said, row["name"], row["title"]), limit, feed_row),
            "audit": [deed_row(row) for row in self.store.audit_starting(text(subject) if subject else said, limit)],
        }

    def listings_of(self, subject: bytes | None, suffix: bytes | None, limit: int) -> list[dict[str, Any]]:
        """Listings of a subject and what contains it, and then those inside; of a suffix alone, those inside."""
        start = listing_key(subject) if subject else suffix
        if start is None:
            return []
        above = list(ancestors(start)) if subject else []
        found: list[tuple[str, ListingRow]] = []
        for zone in sorted(self.store.zones_listed()):
            found += [(zone, row) for row in self.store.listings_of(zone, above).values()] if above else []
            inner = self.store.listings_between(zone, *inside(start), limit + len(above))
            found += [(zone, row) for row in inner if row.subject not in above]
        return [listing_row(zone, row) for zone, row in found[:limit]]

    def removals_about(self, subject: bytes | None, limit: int) -> list[dict[str, Any]]:
        """Requests for its removal, the newest first, however they stand."""
        found = self.store.removals((), listing_key(subject), limit=limit) if subject else []
        return [removal_row(self.store, each) for each in found]

    def named_sources(self, said: str, limit: int) -> list[dict[str, Any]]:
        found = self.store.sources().values()
        return some(
            found,
            lambda source: has(said, source.name),
            limit,
            lambda s: {"name": s.name, "kind": s.kind, "trust": round(s.trust, 4), "simulated": s.simulated},
        )

    def named_keys(self, said: str, limit: int) -> list[dict[str, Any]]:
        sources = self.store.sources()
        keys = reversed(self.store.all_keys())
        return some(keys, lambda key: has(said, key.name), limit, lambda key: documents.key(key, sources[key.source]))


def meant(said: str) -> tuple[bytes | None, bytes | None]:
    """The subject that a text is; or a name's last label, `.ru`, below which there are many."""
    name = said.removeprefix("*").strip(".").lower() if said[:1] in "*." else said
    try:
        return parse_query(name), None
    except SubjectError:
        return None, b"d" + name.encode() if said[:1] in "*." and re.fullmatch(LABEL, name) else None


def has(said: str, *names: str) -> bool:
    return any(said.casefold() in name.casefold() for name in names)


def some(
    rows: Iterable[T], wanted: Callable[[T], bool], limit: int, make: Callable[[T], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The first that are wanted."""
    return [make(row) for row in rows if wanted(row)][:limit]


def listing_row(zone: str, row: ListingRow) -> dict[str, Any]:
    return {
        "zone": zone,
        "subject": text(row.subject),
        "codes": row.codes.split(),
        "since": clock.rfc3339(row.since),
        "until": clock.rfc3339(row.until),
    }


def feed_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("name", "title", "enabled", "category", "licence")}
