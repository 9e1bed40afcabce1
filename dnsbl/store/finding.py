"""Reads for pages and searches: by ranges of keys, and never more rows than were asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..subjects import ancestors, inside
from .auditing import FIELDS, deed_of
from .base import Base
from .contract import Exemption, ListingRow

__all__ = ["FindingPart"]

LAST = "\U0010ffff"  # behind any text that starts alike
EXEMPTIONS = "SELECT subject, reason, origin, zone, since, until, id, exact, yields FROM exemption"
LISTINGS = "SELECT subject, codes, since, until, due FROM listing"


class FindingPart(Base):
    def exemption_page(self, limit: int, before: int | None = None, origin: str = "") -> list[Exemption]:
        last = 1 << 62 if before is None else before
        if origin:
            sql = f"{EXEMPTIONS} WHERE origin = ? AND id < ? ORDER BY id DESC LIMIT ?"
            return [exemption_of(row) for row in self.rows(sql, origin, last, limit)]
        return [
            exemption_of(row) for row in self.rows(f"{EXEMPTIONS} WHERE id < ? ORDER BY id DESC LIMIT ?", last, limit)
        ]

    def exemptions_near(self, subject: bytes, limit: int) -> list[Exemption]:
        low, high = inside(subject)
        above = list(ancestors(subject))
        marks = ",".join("?" * len(above))
        at = self.rows(f"{EXEMPTIONS} WHERE subject IN ({marks}) ORDER BY subject DESC LIMIT ?", *above, limit)
        within = self.rows(
            f"{EXEMPTIONS} WHERE subject >= ? AND subject < ? ORDER BY subject LIMIT ?", low, high, limit
        )
        found = {row[6]: exemption_of(row) for row in [*at, *within]}
        return list(found.values())[:limit]

    def listings_between(self, zone: str, low: bytes, high: bytes, limit: int) -> list[ListingRow]:
        rows = self.rows(
            f"{LISTINGS} WHERE zone = ? AND subject >= ? AND subject < ? ORDER BY subject LIMIT ?",
            zone,
            low,
            high,
            limit,
        )
        return [ListingRow._make(row) for row in rows]

    def claims_between(self, source: int, low: bytes, high: bytes, limit: int) -> list[bytes]:
        found: set[bytes] = set()
        for table in ("evidence", "entry"):  # `+`: the range is narrower than all that a source says
            sql = (
                f"SELECT DISTINCT subject FROM {table} WHERE subject >= ? AND subject < ? AND +source = ? "
                "ORDER BY subject LIMIT ?"
            )
            found.update(row[0] for row in self.rows(sql, low, high, source, limit))
        return sorted(found)[:limit]

    def claim_count(self, sources: Iterable[int], most: int) -> int:
        count = 0
        for source in sources:
            for table in ("entry", "report"):
                sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE source = ? LIMIT ?)"
                count += self.rows(sql, source, most - count)[0][0]
                if count >= most:
                    return most
        return count

    def carried(self, source: int) -> dict[bytes, int]:
        return dict(self.rows("SELECT subject, hits FROM entry WHERE source = ? AND gone IS NULL", source))

    def audit_starting(self, text: str, limit: int) -> list[dict[str, Any]]:
        rows = self.rows(
            f"SELECT {FIELDS} FROM ("
            "SELECT * FROM (SELECT * FROM audit WHERE subject = ?1 ORDER BY id DESC LIMIT ?3) UNION "
            "SELECT * FROM (SELECT * FROM audit WHERE who = ?1 ORDER BY id DESC LIMIT ?3) UNION "
            "SELECT * FROM (SELECT * FROM audit WHERE subject > ?1 AND subject < ?2 ORDER BY subject LIMIT ?3)"
            ") ORDER BY subject != ?1 AND who != ?1, id DESC LIMIT ?3",
            text,
            text + LAST,
            limit,
        )
        return [deed_of(row)._asdict() for row in rows]


def exemption_of(row: tuple[Any, ...]) -> Exemption:
    subject, reason, origin, zone, since, until, number, exact, yields = row
    return Exemption(subject, reason, origin, zone, since, until, number, bool(exact), bool(yields))
