"""Exemptions: the allow-list, warning lists and removals. Each change touches what it may free or bind, and is
journalled for every zone so that a delta carries it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from .claims import TOUCH
from .contract import Entry, Exemption
from .listings import ListingsPart

__all__ = ["ExemptingPart"]

EACH = 500  # up to so many changed exemptions are followed one by one; beyond, every subject is decided anew


class ExemptingPart(ListingsPart):
    def exemptions(self) -> list[Exemption]:
        rows = self.rows(
            "SELECT subject, reason, origin, zone, since, until, id, exact, yields FROM exemption ORDER BY id"
        )
        return [
            Exemption(subject, reason, origin, zone, since, until, number, bool(exact), bool(yields))
            for subject, reason, origin, zone, since, until, number, exact, yields in rows
        ]

    def exemptions_version(self) -> int:
        version: int = self.rows("SELECT value FROM meta WHERE key = 'exemptions_version'")[0][0]
        return version

    def add_exemption(self, exemption: Exemption) -> None:
        with self.transaction() as connection:
            insert(connection, [exemption])
            self.follow(connection, [exemption.subject], exemption.since)

    def remove_exemption(self, subject: bytes, origin: str = "operator", at: int = 0) -> int:
        with self.transaction() as connection:
            count = connection.execute(
                "DELETE FROM exemption WHERE subject = ? AND origin = ?", (subject, origin)
            ).rowcount
            if count:
                self.follow(connection, [subject], at)
        return count

    def end_exemption(self, subject: bytes, zone: str, origin: str, at: int) -> int:
        with self.transaction() as connection:
            count = connection.execute(
                "UPDATE exemption SET until = ? WHERE subject = ? AND zone = ? AND origin = ?",
                (at, subject, zone, origin),
            ).rowcount
            if count:
                self.follow(connection, [subject], at)
        return count

    def replace_exemptions(
        self, origin: str, subjects: Iterable[bytes], reason: str, at: int, exact: bool = False
    ) -> Entry:
        wanted = set(subjects)
        with self.transaction() as connection:
            before = {
                subject
                for (subject,) in connection.execute(
                    "SELECT subject FROM exemption WHERE origin = ? AND exact = ?", (origin, exact)
                )
            }
            new, gone = sorted(wanted - before), sorted(before - wanted)
            insert(connection, [Exemption(subject, reason, origin, since=at, exact=exact) for subject in new])
            connection.executemany(
                "DELETE FROM exemption WHERE subject = ? AND origin = ? AND exact = ?",
                [(subject, origin, exact) for subject in gone],
            )
            if new or gone:
                self.follow(connection, [*new, *gone], at)
        return Entry(len(new), len(gone), 0, len(wanted))

    def follow(self, connection: sqlite3.Connection, subjects: list[bytes], at: int) -> None:
        """Touch what the changed exemptions may concern, and journal their ground for every zone."""
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'exemptions_version'")
        if len(subjects) <= EACH:
            for subject in subjects:
                self.touch_within(subject)
        else:
            self.touch_all()
        connection.executemany(TOUCH, [(subject,) for subject in subjects])
        connection.executemany(
            "INSERT INTO listing_change (at, zone, subject, codes) VALUES (?, '', ?, '')",
            [(at, subject) for subject in subjects],
        )


def insert(connection: sqlite3.Connection, exemptions: list[Exemption]) -> None:
    connection.executemany(
        "INSERT INTO exemption (subject, zone, origin, reason, since, until, exact, yields) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (subject, zone, origin) DO UPDATE SET reason = excluded.reason, since = excluded.since, "
        "until = excluded.until, exact = excluded.exact, yields = excluded.yields, ended = 0",
        [(e.subject, e.zone, e.origin, e.reason, e.since, e.until, e.exact, e.yields) for e in exemptions],
    )
