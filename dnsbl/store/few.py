"""What is asked about a handful of subjects, as look-ups do a thousand times a second: each table in one statement, and
nothing is written first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .base import Base, Connection
from .contract import Change, ListingRow, Row

__all__ = ["FEW", "FewPart", "evidence_of_few"]

FEW = 140  # subjects of one statement: an IPv6 address and all that contains it are 129


class FewPart(Base):
    def listings_on(self, subjects: Sequence[bytes], zones: Sequence[str]) -> dict[str, list[ListingRow]]:
        found: dict[str, list[ListingRow]] = {zone: [] for zone in zones}
        marks = ",".join("?" * len(zones))
        for zone, *row in self.rows(
            f"{asked(len(subjects))} SELECT zone, asked.subject, codes, since, until, due FROM asked "
            f"CROSS JOIN listing ON zone IN ({marks}) AND listing.subject = asked.subject ORDER BY place",
            *subjects,
            *zones,
        ):
            found[zone].append(ListingRow._make(row))
        return found

    def changes_of(self, subject: bytes, limit: int) -> list[Change]:
        rows = self.rows(
            "SELECT seq, at, zone, subject, codes FROM listing_change WHERE subject = ? AND zone != '' "
            "ORDER BY seq DESC LIMIT ?",
            subject,
            limit,
        )
        return [Change._make(row) for row in reversed(rows)]


def evidence_of_few(connection: Connection, subjects: Sequence[bytes]) -> list[Row]:
    """Reports folded, then lists' entries, each in a fixed order."""
    found: list[Row] = connection.execute(
        f"{asked(len(subjects))} "
        "SELECT place, source, category, reporter, hits, first_seen, last_seen, 0 FROM asked "
        "CROSS JOIN evidence USING (subject) UNION ALL "
        "SELECT place, source, category, 0, hits, since, coalesce(gone, since), gone IS NULL FROM asked "
        "CROSS JOIN entry USING (subject)",
        subjects,
    ).fetchall()
    found.sort(key=lambda row: (row[3] == 0, row))
    return found


@lru_cache(maxsize=FEW + 1)
def asked(count: int) -> str:
    """So many bound subjects with their places, as a table."""
    rows = ",".join(f"({place},?)" for place in range(count)) or "(0,NULL)"
    return f"WITH asked (place, subject) AS (VALUES {rows})"
