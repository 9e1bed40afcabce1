"""What follows: touched subjects, listings, and the journal of their changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..subjects import ancestors, inside
from .base import Base, Connection
from .claims import TOUCH, ask
from .contract import Change, Decision, ListingRow

__all__ = ["ListingsPart"]

CHUNK = 50_000  # rows read at once
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

    def listings_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, ListingRow]:
        def work(connection: Connection) -> dict[bytes, ListingRow]:
            ask(connection, subjects)
            found = connection.execute(
                "SELECT asked.subject, codes, since, until, due FROM asked "
                "CROSS JOIN listing ON listing.zone = ? AND listing.subject = asked.subject",
                (zone,),
            )
            return {row[0]: ListingRow._make(row) for row in found}

        return self.read(work)

    def decide(self, at: int, decisions: Mapping[str, Decision], settled: Sequence[bytes]) -> None:
        with self.transaction() as connection:
            for zone, decision in decisions.items():
                write_listings(connection, at, zone, decision)
            if settled:
                for queue in ("touched", "afresh"):
                    connection.execute(f"DELETE FROM {queue} WHERE subject BETWEEN ? AND ?", (settled[0], settled[-1]))

    # out

    def listing_chunks(self, zone: str, low: bytes, high: bytes) -> Iterator[list[tuple[bytes, str]]]:
        with self.said():
            # A cursor of its own: it reads one moment of the store to its end, whatever is written meanwhile.
            cursor = self.reader.execute(
                "SELECT subject, codes FROM listing WHERE zone = ? AND subject >= ? AND subject < ? ORDER BY subject",
                (zone, low, high),
            )
            while rows := cursor.fetchmany(CHUNK):
                yield rows

    def any_listing(self, zone: str, low: bytes, high: bytes) -> bool:
        return bool(
            self.rows(
                "SELECT EXISTS (SELECT 1 FROM listing WHERE zone = ? AND subject >= ? AND subject < ?)", zone, low, high
            )[0][0]
        )

    def listings_touching(self, zone: str, subject: bytes) -> list[tuple[bytes, str]]:
        low, high = inside(subject)
        above = list(ancestors(subject))
        marks = ",".join("?" * len(above))
        return self.rows(
            "SELECT subject, codes FROM listing WHERE zone = ? AND subject >= ? AND subject < ? "
            f"UNION SELECT subject, codes FROM listing WHERE zone = ? AND subject IN ({marks})",
            zone,
            low,
            high,
            zone,
            *above,
        )

    def listing_count(self, zone: str) -> int:
        count: int = self.rows("SELECT count(*) FROM listing WHERE zone = ?", zone)[0][0]
        return count

    def zones_listed(self) -> set[str]:
        """Names of the zones that have listings."""
        with self.said():
            return zones_in(self.reader)

    def changes_since(self, zone: str, seq: int, limit: int) -> list[Change]:
        rows = self.rows(
            "SELECT seq, at, zone, subject, codes FROM listing_change WHERE seq > ? AND zone IN (?, '') "
            "ORDER BY seq LIMIT ?",
            seq,
            zone,
            limit,
        )
        return [Change._make(row) for row in rows]

    def change_seq(self) -> int:
        seq: int = self.rows("SELECT coalesce(max(seq), 0) FROM listing_change")[0][0]
        return seq

    def identity(self) -> str:
        value: str = self.rows("SELECT value FROM meta WHERE key = 'identity'")[0][0]
        return value


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
