"""What guards against poisoning remember: how much each source listed where, what waits for a person, what turned out
wrong, and who tried to have listed what may not be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, fields

from .base import Base
from .contract import Attempt, Hold, Overturned

__all__ = ["GuardingPart"]

MAX_ATTEMPTS = 1000  # subjects of one source that are remembered
AT_ONCE = 500  # subjects of one question
HOLD_FIELDS = ", ".join(field.name for field in fields(Hold))


class GuardingPart(Base):
    def spread(self, source: int, day: int, zone: str) -> dict[str, int]:
        return dict(
            self.rows("SELECT place, listings FROM spread WHERE source = ? AND day = ? AND zone = ?", source, day, zone)
        )

    def add_spread(self, source: int, day: int, zone: str, places: Mapping[str, int]) -> None:
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO spread (source, day, zone, place, listings) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (source, day, zone, place) DO UPDATE SET listings = listings + excluded.listings",
                [(source, day, zone, place, count) for place, count in sorted(places.items())],
            )

    def counted(self, zone: str, subjects: Sequence[bytes], since: int) -> list[tuple[bytes, int]]:
        found: list[tuple[bytes, int]] = []
        for start in range(0, len(subjects), AT_ONCE):
            some = subjects[start : start + AT_ONCE]
            marks = ",".join("?" * len(some))
            sql = f"SELECT subject, source FROM counted WHERE zone = ? AND subject IN ({marks}) AND day >= ?"
            found += self.rows(sql, zone, *some, since)
        return found

    def add_counted(self, source: int, day: int, zone: str, subjects: Collection[bytes]) -> None:
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO counted VALUES (?, ?, ?, ?) "
                "ON CONFLICT (zone, subject, source) DO UPDATE SET day = excluded.day",
                [(zone, subject, source, day) for subject in sorted(subjects)],
            )

    def listed_since(self, source: int, day: int) -> int:
        rows = self.rows(
            "SELECT coalesce(sum(listings), 0) FROM spread WHERE source = ? AND day >= ? AND place = ''", source, day
        )
        count: int = rows[0][0]
        return count

    def holds(self) -> list[Hold]:
        return [Hold(*row) for row in self.rows(f"SELECT {HOLD_FIELDS} FROM hold ORDER BY id")]

    def put_hold(self, hold: Hold) -> int:
        with self.transaction() as connection:
            connection.execute(
                f"INSERT INTO hold ({HOLD_FIELDS}) VALUES ({', '.join('?' * len(fields(Hold)))}) "
                "ON CONFLICT (source, zone, place) DO UPDATE SET at = excluded.at, listings = excluded.listings, "
                "share = excluded.share, why = excluded.why, state = excluded.state, until = excluded.until, "
                "decided = excluded.decided, note = excluded.note",
                (hold.id or None, *astuple(hold)[1:]),
            )
            number: int = connection.execute(
                "SELECT id FROM hold WHERE source = ? AND zone = ? AND place = ?", (hold.source, hold.zone, hold.place)
            ).fetchone()[0]
        return number

    def overturn(self, sources: Iterable[int], subject: bytes, at: int, why: str) -> None:
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO overturned (source, subject, at, why) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (source, subject) DO UPDATE SET at = excluded.at, why = excluded.why",
                [(source, subject, at, why) for source in sources],
            )

    def overturned(self, source: int, since: int) -> list[Overturned]:
        rows = self.rows(
            "SELECT subject, at, why FROM overturned WHERE source = ? AND at >= ? ORDER BY at, subject", source, since
        )
        return [Overturned(*row) for row in rows]

    def add_attempts(self, source: int, attempts: Mapping[bytes, str], at: int) -> None:
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO attempt (source, subject, why, first, last, count) VALUES (?, ?, ?, ?, ?, 1) "
                "ON CONFLICT (source, subject) DO UPDATE SET why = excluded.why, last = excluded.last, "
                "count = count + 1",
                [(source, subject, why, at, at) for subject, why in attempts.items()],
            )
            connection.execute(
                "DELETE FROM attempt WHERE source = ? AND subject IN "
                "(SELECT subject FROM attempt WHERE source = ? ORDER BY last DESC, subject LIMIT -1 OFFSET ?)",
                (source, source, MAX_ATTEMPTS),
            )

    def attempts(self, limit: int) -> list[Attempt]:
        rows = self.rows(
            "SELECT source, subject, why, first, last, count FROM attempt ORDER BY last DESC, source, subject LIMIT ?",
            limit,
        )
        return [Attempt(*row) for row in rows]
