"""What follows: touched subjects, listings, and the journal of their changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..subjects import ancestors, inside
from .base import Base, Connection
from .claims import TOUCH, ask
from .contract import Change, Decision, ListingRow
from .listed import Listed

__all__ = ["ListingsPart"]

NEXT_ZONE = "SELECT min(zone) FROM listing WHERE zone > ?"


class ListingsPart(Base):
    def touch(self, subjects: Iterable[bytes]) -> None:
        with self.transaction() as connection:
            connection.executemany(TOUCH, ((subject,) for subject in subjects))

    def touch_all(self) -> int:
        with self.transaction() as connection:
            for table in ("evidence", "entry", "listing"):
                connection.execute(f"INSERT OR IGNORE INTO touched SELECT DISTINCT subject FROM {table}")
            count: int = connection.execute("SELECT count(*) FROM touched").fetchone()[0]
        return count

    def touch_within(self, subject: bytes) -> None:
        """Touch everything at, above or inside a subject: an exemption for it has come or gone."""
        low, high = inside(subject)
        with self.transaction() as connection:
            for table in ("evidence", "entry"):
                connection.execute(
                    f"INSERT OR IGNORE INTO touched SELECT DISTINCT subject FROM {table} "
                    "WHERE subject >= ? AND subject < ?",
                    (low, high),
                )
            for zone in zones_in(connection):
                connection.execute(
                    "INSERT OR IGNORE INTO touched SELECT subject FROM listing "
                    "WHERE zone = ? AND subject >= ? AND subject < ?",
                    (zone, low, high),
                )
            connection.executemany(TOUCH, ((above,) for above in ancestors(subject)))

    def touch_due(self, now: int) -> int:
        if not self.rows(
            "SELECT EXISTS (SELECT 1 FROM listing WHERE due <= ?) "
            "OR EXISTS (SELECT 1 FROM exemption WHERE until <= ? AND ended = 0)",
            now,
            now,
        )[0][0]:
            return 0  # the usual case, every second: no writer is disturbed
        with self.transaction() as connection:
            count = connection.execute(
                "INSERT OR IGNORE INTO touched SELECT subject FROM listing WHERE due <= ?", (now,)
            ).rowcount
            ended = connection.execute(
                "SELECT id, subject FROM exemption WHERE until <= ? AND ended = 0", (now,)
            ).fetchall()
            for number, subject in ended:
                connection.execute("UPDATE exemption SET ended = 1 WHERE id = ?", (number,))
                self.touch_within(subject)
                connection.execute(
                    "INSERT INTO listing_change (at, zone, subject, codes) VALUES (?, '', ?, '')", (now, subject)
                )
            if ended:
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'exemptions_version'")
        return count + len(ended)

    def touched(self, limit: int) -> list[bytes]:
        return [row[0] for row in self.rows("SELECT subject FROM touched ORDER BY subject LIMIT ?", limit)]

    def afresh(self, low: bytes, high: bytes) -> set[bytes]:
        return {row[0] for row in self.rows("SELECT subject FROM afresh WHERE subject BETWEEN ? AND ?", low, high)}

    def touched_count(self) -> int:
        count: int = self.rows("SELECT count(*) FROM touched")[0][0]
        return count

    def decide(self, at: int, decisions: Mapping[str, Decision], settled: Sequence[bytes]) -> None:
        with self.transaction() as connection:
            for zone, decision in decisions.items():
                write_listings(connection, at, zone, decision)
            if settled:
                for queue in ("touched", "afresh"):
                    connection.execute(f"DELETE FROM {queue} WHERE subject BETWEEN ? AND ?", (settled[0], settled[-1]))

    # out

    @property
    def shared(self) -> Listed:
        return Listed(self, "given")

    @property
    def listed(self) -> Listed:
        """Everything."""
        return Listed(self, "listing")

    def listings_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, ListingRow]:
        return self.listed.listings_of(zone, subjects)

    def listing_chunks(self, zone: str, low: bytes, high: bytes) -> Iterator[list[tuple[bytes, str]]]:
        return self.listed.listing_chunks(zone, low, high)

    def any_listing(self, zone: str, low: bytes, high: bytes) -> bool:
        return self.listed.any_listing(zone, low, high)

    def listings_touching(self, zone: str, subject: bytes) -> list[tuple[bytes, str]]:
        return self.listed.listings_touching(zone, subject)

    def listings_touching_many(self, zone: str, networks: Sequence[bytes]) -> dict[bytes, str]:
        return self.listed.listings_touching_many(zone, networks)

    def listing_count(self, zone: str) -> int:
        return self.listed.listing_count(zone)

    def changes_since(self, zone: str, seq: int, limit: int) -> list[Change]:
        return self.listed.changes_since(zone, seq, limit)

    def change_seq(self) -> int:
        return self.listed.change_seq()

    def identity(self) -> str:
        return self.listed.identity()

    def withheld_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, str]:
        if not self.any_withheld(zone):
            return {}

        def work(connection: Connection) -> dict[bytes, str]:
            ask(connection, subjects)
            return dict(
                connection.execute(
                    "SELECT asked.subject, codes FROM asked "
                    "CROSS JOIN withheld ON withheld.zone = ? AND withheld.subject = asked.subject",
                    (zone,),
                ).fetchall()
            )

        return self.read(work)

    def any_withheld(self, zone: str) -> bool:
        return bool(self.rows("SELECT EXISTS (SELECT 1 FROM withheld WHERE zone = ?)", zone)[0][0])

    def withheld_count(self, zone: str) -> int:
        count: int = self.rows("SELECT count(*) FROM withheld WHERE zone = ?", zone)[0][0]
        return count

    def zones_listed(self) -> set[str]:
        """Names of the zones that have listings."""
        with self.said():
            return zones_in(self.reader)


def zones_in(connection: sqlite3.Connection) -> set[str]:
    """Names of the zones that have listings, as this connection sees them: found by steps over the key, each of which
    is further on."""
    found: set[str] = set()
    name: str | None = ""
    while (name := connection.execute(NEXT_ZONE, (name,)).fetchone()[0]) is not None:
        found.add(name)
    return found


def write_listings(connection: sqlite3.Connection, at: int, zone: str, decision: Decision) -> None:
    connection.executemany(
        "INSERT INTO listing (zone, subject, codes, since, until, due) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (zone, subject) DO UPDATE SET codes = excluded.codes, since = excluded.since, "
        "until = excluded.until, due = excluded.due",
        [(zone, *row) for row in decision.written],
    )
    connection.executemany(
        "DELETE FROM listing WHERE zone = ? AND subject = ?", [(zone, subject) for subject in decision.left]
    )
    connection.executemany(
        "INSERT INTO listing_change (at, zone, subject, codes) VALUES (?, ?, ?, ?)",
        [(at, zone, subject, codes) for subject, codes in decision.journal],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO withheld (zone, subject, codes) VALUES (?, ?, ?)",
        [(zone, subject, codes) for subject, codes in decision.withheld],
    )
    connection.executemany(
        "DELETE FROM withheld WHERE zone = ? AND subject = ?", [(zone, subject) for subject in decision.given]
    )
    connection.executemany(  # as when an exemption ends: no listing changed, but whoever publishes is to look
        "INSERT INTO listing_change (at, zone, subject, codes) VALUES (?, '', ?, '')",
        [(at, subject) for subject in decision.looked],
    )
