"""What leaves the store: a purge, which can be undone, and what is older than it may be kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..clock import DAY
from ..errors import StoreError
from .base import Base
from .claims import SUBJECTS_AT_ONCE, TOUCH
from .contract import Purge, Sample
from .schema import LISTED_SQL

__all__ = ["ForgettingPart"]

MAX_SAMPLES = 5  # kept of one subject: more would say the same
EVIDENCE = "(subject, source, category, reporter, hits, first_seen, last_seen)"
GROUPS = "GROUP BY listed, source, category, reporter"
FOLDED = f"SELECT {LISTED_SQL} AS listed, source, category, reporter, count(*), min(at), max(at) FROM"
WITHIN = "source = ? AND at >= ? AND at < ?"
EVER = (0, 1 << 62)  # before and after any time
# Reports on the subjects of `expiring`, by the key's order: hosts of an IPv6 /64 stand behind their network.
EXPIRING = """
SELECT report.subject, source, category, reporter, at, word FROM expiring JOIN report
ON report.subject = expiring.subject
UNION SELECT report.subject, source, category, reporter, at, word FROM expiring JOIN report
ON substr(expiring.subject, 1, 1) = x'36' AND substr(expiring.subject, 18, 1) = x'40'
AND report.subject > CAST(substr(expiring.subject, 1, 9) || x'000000000000000000' AS BLOB)
AND report.subject <= CAST(substr(expiring.subject, 1, 9) || x'ffffffffffffffff80' AS BLOB)
AND substr(report.subject, 18, 1) > x'40'
"""
PURGES = "SELECT id, source, at, since, until, reason, reports, entries, undone FROM purge"
OLD = {  # how long ago it was, by kind: the tables and what is old in them
    "samples": (
        "DELETE FROM sample_subject WHERE sample IN (SELECT id FROM sample WHERE at < ?)",
        "DELETE FROM sample WHERE at < ?",
    ),
    "purges": (
        "DELETE FROM purged_report WHERE purge IN (SELECT id FROM purge WHERE at < ?)",
        "DELETE FROM purged_entry WHERE purge IN (SELECT id FROM purge WHERE at < ?)",
        "DELETE FROM purge WHERE at < ?",
    ),
    "journal": (
        # What is listed keeps the line that says since when; and the newest line stays, as numbers only rise.
        "DELETE FROM listing_change WHERE at < ? AND seq NOT IN (SELECT max(seq) FROM listing_change "
        "GROUP BY zone, subject) AND seq < (SELECT max(seq) FROM listing_change)",
        "DELETE FROM exemption WHERE ended = 1 AND until < ?",
    ),
    "audit": ("DELETE FROM audit WHERE at < ?",),
    "guards": (
        "DELETE FROM attempt WHERE last < ?",
        "DELETE FROM overturned WHERE at < ?",
        f"DELETE FROM spread WHERE day < ? / {DAY}",
        f"DELETE FROM key_day WHERE day < ? / {DAY}",
    ),
}


class ForgettingPart(Base):
    def purge(self, source: int, reason: str, at: int, since: int | None = None, until: int | None = None) -> Purge:
        low, high = (EVER[0] if since is None else since), (EVER[1] if until is None else until)
        with self.transaction() as connection:
            before = connection.execute("SELECT simulated FROM source WHERE id = ?", (source,)).fetchone()[0]
            number = connection.execute(
                "INSERT INTO purge (source, at, since, until, reason, reports, entries, simulated) "
                "VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
                (source, at, since, until, reason, before),
            ).lastrowid
            reports = connection.execute(
                "INSERT INTO purged_report SELECT ?, subject, source, category, reporter, at, word FROM report "
                f"WHERE {WITHIN}",
                (number, source, low, high),
            ).rowcount
            entries = 0
            if since is None and until is None:
                entries = connection.execute(
                    "INSERT INTO purged_entry SELECT ?, subject, source, category, hits, since, gone FROM entry "
                    "WHERE source = ?",
                    (number, source),
                ).rowcount
                touch_purged(connection, "purged_entry", number)
                connection.execute("DELETE FROM entry WHERE source = ?", (source,))
            connection.execute(f"DELETE FROM report WHERE {WITHIN}", (source, low, high))
            touch_purged(connection, "purged_report", number)
            fold_again(connection, source)
            connection.execute("UPDATE purge SET reports = ?, entries = ? WHERE id = ?", (reports, entries, number))
            row = connection.execute(f"{PURGES} WHERE id = ?", (number,)).fetchone()
        return Purge(*row)

    def undo_purge(self, purge: int, at: int) -> Purge:
        with self.transaction() as connection:
            row = connection.execute(f"{PURGES} WHERE id = ?", (purge,)).fetchone()
            if row is None or row[8] is not None:
                raise StoreError(f"there is no purge {purge} to be undone; `dnsbl source purges` shows them")
            for table in ("report", "entry"):
                columns = "subject, source, category, reporter, at, word"
                if table == "entry":
                    columns = "subject, source, category, hits, since, gone"
                connection.execute(
                    f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {columns} FROM purged_{table} WHERE purge = ?",
                    (purge,),
                )
                touch_purged(connection, f"purged_{table}", purge)
                connection.execute(f"DELETE FROM purged_{table} WHERE purge = ?", (purge,))
            fold_again(connection, row[1])
            connection.execute("UPDATE purge SET undone = ? WHERE id = ?", (at, purge))
            connection.execute(
                "UPDATE source SET simulated = (SELECT simulated FROM purge WHERE id = ?) WHERE id = ?", (purge, row[1])
            )
            row = connection.execute(f"{PURGES} WHERE id = ?", (purge,)).fetchone()
        return Purge(*row)

    def purges(self) -> list[Purge]:
        return [Purge(*row) for row in self.rows(f"{PURGES} ORDER BY id DESC")]

    # samples

    def add_sample(self, source: int, kind: str, facts: Mapping[str, Any], subjects: Iterable[bytes], at: int) -> int:
        with self.transaction() as connection:
            wanted = [subject for subject in subjects if sample_count(connection, subject) < MAX_SAMPLES]
            if not wanted:
                return 0
            number = connection.execute(
                "INSERT INTO sample (at, source, kind, facts) VALUES (?, ?, ?, ?)",
                (at, source, kind, json.dumps(facts)),
            ).lastrowid
            assert number is not None
            connection.executemany(
                "INSERT OR IGNORE INTO sample_subject VALUES (?, ?)", [(subject, number) for subject in wanted]
            )
        return number

    def set_sample(self, sample: int, facts: Mapping[str, Any]) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE sample SET facts = ? WHERE id = ?", (json.dumps(facts), sample))

    def samples(self, subjects: Sequence[bytes], limit: int) -> list[Sample]:
        marks = ",".join("?" * len(subjects))
        rows = self.rows(
            "SELECT id, at, source, kind, facts FROM sample WHERE id IN "
            f"(SELECT sample FROM sample_subject WHERE subject IN ({marks})) ORDER BY at DESC, id DESC LIMIT ?",
            *subjects,
            limit,
        )
        return [Sample(number, at, source, kind, json.loads(facts)) for number, at, source, kind, facts in rows]

    # age

    def forget_reports(self, before: int) -> int:
        """In steps of SUBJECTS_AT_ONCE: others write in between, and a stop half-way leaves what fits together."""
        forgotten = 0
        while subjects := self.rows(
            "SELECT DISTINCT subject FROM evidence WHERE first_seen < ? LIMIT ?", before, SUBJECTS_AT_ONCE
        ):
            with self.transaction() as connection:
                forgotten += forget_some(connection, [subject for (subject,) in subjects], before)
        return forgotten

    def forget_kept(self, kind: str, before: int) -> int:
        with self.transaction() as connection:
            return sum(connection.execute(statement, (before,)).rowcount for statement in OLD[kind])


def touch_purged(connection: sqlite3.Connection, table: str, purge: int | None) -> None:
    connection.execute(
        f"INSERT OR IGNORE INTO touched SELECT DISTINCT {LISTED_SQL} FROM {table} WHERE purge = ?", (purge,)
    )


def fold_again(connection: sqlite3.Connection, source: int) -> None:
    """A source's evidence, made anew from its reports."""
    connection.execute("DELETE FROM evidence WHERE source = ?", (source,))
    connection.execute(f"INSERT INTO evidence {EVIDENCE} {FOLDED} report WHERE source = ? {GROUPS}", (source,))


def forget_some(connection: sqlite3.Connection, subjects: Sequence[bytes], before: int) -> int:
    """Forget old reports on some listed subjects, and fold what is left of them."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS expiring (subject BLOB PRIMARY KEY) WITHOUT ROWID")
    connection.execute("DELETE FROM expiring")
    connection.executemany("INSERT INTO expiring VALUES (?)", [(subject,) for subject in subjects])
    rows = connection.execute(EXPIRING).fetchall()
    old = [row for row in rows if row[4] < before]
    connection.executemany(
        "DELETE FROM report WHERE subject = ? AND source = ? AND category = ? AND reporter = ? AND at = ? AND word = ?",
        old,
    )
    connection.execute("DELETE FROM evidence WHERE subject IN (SELECT subject FROM expiring)")
    connection.execute(f"INSERT INTO evidence {EVIDENCE} {FOLDED} ({EXPIRING}) {GROUPS}")
    connection.executemany(TOUCH, [(subject,) for subject in subjects])
    return len(old)


def sample_count(connection: sqlite3.Connection, subject: bytes) -> int:
    count: int = connection.execute("SELECT count(*) FROM sample_subject WHERE subject = ?", (subject,)).fetchone()[0]
    return count
