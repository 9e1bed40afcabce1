"""What leaves the store: a purge, which can be undone, and what is older than it may be kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..clock import DAY
from ..errors import StoreError
from .auditing import AuditingPart
from .claims import SUBJECTS_AT_ONCE, TOUCH, touch_source
from .contract import Purge, Sample
from .schema import LISTED_SQL

__all__ = ["ForgettingPart"]

MAX_SAMPLES = 5  # kept of one subject: more would say the same
COUNTED_DAYS = 30  # how long is known which listings were counted: more than any window of the guards
LINES_AT_ONCE = 100_000  # of the journal, found beside writers and forgotten in one transaction
EVIDENCE = "(subject, source, category, reporter, hits, first_seen, last_seen)"
GROUPS = "GROUP BY listed, source, category, reporter"
FOLDED = f"SELECT {LISTED_SQL} AS listed, source, category, reporter, count(*), min(at), max(at) FROM"
WITHIN = "source = ? AND at >= ? AND at < ?"
EVER = (0, 1 << 62)  # before and after any time
# Reports on the subjects of `expiring`, by the key's order: hosts of an IPv6 /64 stand behind their network. CROSS
# JOIN: else all reports there are would be scanned, while writers wait.
EXPIRING = """
SELECT report.subject, source, category, reporter, at, word FROM expiring CROSS JOIN report
ON report.subject = expiring.subject
UNION SELECT report.subject, source, category, reporter, at, word FROM expiring CROSS JOIN report
ON substr(expiring.subject, 1, 1) = x'36' AND substr(expiring.subject, 18, 1) = x'40'
AND report.subject > CAST(substr(expiring.subject, 1, 9) || x'000000000000000000' AS BLOB)
AND report.subject <= CAST(substr(expiring.subject, 1, 9) || x'ffffffffffffffff80' AS BLOB)
AND substr(report.subject, 18, 1) > x'40'
"""
# Lines of the journal within two numbers, in their order, that no longer say since when something is listed.
FORGETTABLE = """
SELECT seq FROM listing_change AS line WHERE seq > ? AND seq < ? AND (
    NOT EXISTS (SELECT 1 FROM listing WHERE listing.zone = line.zone AND listing.subject = line.subject)
    OR seq NOT IN (SELECT max(seq) FROM listing_change WHERE seq < ? GROUP BY zone, subject))
ORDER BY seq LIMIT ?
"""
# What was listed at a line of the journal and is not now, of what a source claims.
COMING = """
INSERT INTO coming SELECT zone, subject, codes FROM (
    SELECT zone, subject, codes, max(seq) FROM listing_change WHERE seq <= ? AND zone != '' AND subject IN
    (SELECT subject FROM evidence WHERE source = ? UNION SELECT subject FROM entry WHERE source = ?)
    GROUP BY zone, subject) AS line
WHERE codes != ''
AND NOT EXISTS (SELECT 1 FROM listing WHERE listing.zone = line.zone AND listing.subject = line.subject)
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
        "DELETE FROM meta WHERE key IN (SELECT 'purge ' || id FROM purge WHERE at < ?)",
        "DELETE FROM purge WHERE at < ?",
    ),
    "journal": (
        # A removal forgives what was claimed before it: it goes when there is nothing left to forgive.
        "DELETE FROM exemption WHERE ended = 1 AND until < ? AND (origin != 'removal' "
        "OR since < (SELECT min(first_seen) FROM (SELECT min(first_seen) AS first_seen FROM evidence "
        "UNION ALL SELECT min(since) FROM entry WHERE gone IS NOT NULL UNION ALL SELECT 1 << 62)))",
    ),
    "guards": (
        "DELETE FROM attempt WHERE last < ?",
        "DELETE FROM overturned WHERE at < ?",
        f"DELETE FROM spread WHERE day < ? / {DAY}",
        f"DELETE FROM counted WHERE day < max(? / {DAY}, (SELECT max(day) FROM spread) - {COUNTED_DAYS})",
        f"DELETE FROM key_day WHERE day < ? / {DAY}",
        f"DELETE FROM query_usage WHERE day < ? / {DAY}",
        # What was rejected stays rejected, and what waits waits: however old it is.
        "DELETE FROM hold WHERE state IN ('ended', 'approved') AND until < ?",
    ),
}


class ForgettingPart(AuditingPart):
    def purge(self, source: int, reason: str, at: int, since: int | None = None, until: int | None = None) -> Purge:
        """As the contract says; what took nothing away is not written, and its number is 0."""
        low, high = (EVER[0] if since is None else since), (EVER[1] if until is None else until)
        with self.transaction() as connection:
            before = connection.execute("SELECT simulated FROM source WHERE id = ?", (source,)).fetchone()[0]
            number = connection.execute(
                "INSERT INTO purge (source, at, since, until, reason, reports, entries, simulated) "
                "VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
                (source, at, since, until, reason, before),
            ).lastrowid
            assert number is not None
            connection.execute(
                "INSERT INTO meta (key, value) SELECT ?, coalesce(max(seq), 0) FROM listing_change",
                (remembered(number),),
            )
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
                touch_purged(connection, "purged_entry", number, afresh=True)
                connection.execute("DELETE FROM entry WHERE source = ?", (source,))
            connection.execute(f"DELETE FROM report WHERE {WITHIN}", (source, low, high))
            touch_purged(connection, "purged_report", number, afresh=True)
            fold_again(connection, source)
            if not reports + entries:
                connection.execute("DELETE FROM meta WHERE key = ?", (remembered(number),))
                connection.execute("DELETE FROM purge WHERE id = ?", (number,))
                return Purge(0, source, at, since, until, reason, 0, 0, None)
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
            release(connection, purge, row[1], at)
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
        """In steps of SUBJECTS_AT_ONCE, in their order: others write in between, and a stop half-way leaves what fits
        together."""
        forgotten, last = 0, b""
        while subjects := self.rows(
            "SELECT DISTINCT subject FROM evidence WHERE subject > ? AND first_seen < ? ORDER BY subject LIMIT ?",
            last, before, SUBJECTS_AT_ONCE,
        ):  # fmt: skip
            with self.transaction() as connection:
                forgotten += forget_some(connection, [subject for (subject,) in subjects], before)
            last = subjects[-1][0]
        return forgotten

    def forget_kept(self, kind: str, before: int) -> int:
        if kind == "audit":
            return self.forget_audit(before)
        forgotten = self.forget_journal(before) if kind == "journal" else 0
        with self.transaction() as connection:
            count = sum(connection.execute(statement, (before,)).rowcount for statement in OLD[kind])
            if kind == "journal" and count:
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'exemptions_version'")
        return forgotten + count

    def forget_journal(self, before: int) -> int:
        """What is listed keeps the line that says since when; and the newest line stays, as numbers only rise. Found
        by a reader: what may go now may go later, too."""
        found = self.rows("SELECT seq FROM listing_change WHERE at >= ? ORDER BY seq LIMIT 1", before)
        last = found[0][0] if found else self.rows("SELECT max(seq) FROM listing_change")[0][0]
        forgotten, seq = 0, 0
        while lines := self.rows(FORGETTABLE, seq, last, last, LINES_AT_ONCE):
            with self.transaction() as connection:
                connection.executemany("DELETE FROM listing_change WHERE seq = ?", lines)
            forgotten, seq = forgotten + len(lines), lines[-1][0]
        return forgotten


def touch_purged(connection: sqlite3.Connection, table: str, purge: int | None, afresh: bool = False) -> None:
    """Touch what a purge is about; `afresh`: what stays listed must be worth it by itself."""
    for queue in ("touched", "afresh") if afresh else ("touched",):
        connection.execute(
            f"INSERT OR IGNORE INTO {queue} SELECT DISTINCT {LISTED_SQL} FROM {table} WHERE purge = ?", (purge,)
        )


def release(connection: sqlite3.Connection, purge: int, source: int, at: int) -> None:
    """Once a purge is undone the source is simulated as it was before, and lists what it did. Where a later one stands,
    once that is undone: it remembers how it was before both, unless the source had been let live in between."""
    row = "SELECT simulated, value FROM purge JOIN meta ON key = ? WHERE id = ?"
    simulated, seq = connection.execute(row, (remembered(purge), purge)).fetchone()
    connection.execute("DELETE FROM meta WHERE key = ?", (remembered(purge),))
    later = connection.execute(
        "SELECT id, simulated FROM purge WHERE source = ? AND id > ? AND undone IS NULL ORDER BY id", (source, purge)
    ).fetchone()
    if later is None:
        connection.execute("UPDATE source SET simulated = ? WHERE id = ?", (simulated, source))
        list_again(connection, source, seq, at)
        touch_source(connection, source)  # all it ever said weighs otherwise
    elif later[1]:
        connection.execute("UPDATE purge SET simulated = ? WHERE id = ?", (simulated, later[0]))
        connection.execute("UPDATE meta SET value = ? WHERE key = ?", (seq, remembered(later[0])))


def remembered(purge: int) -> str:
    """The key under which a purge's place in the journal is kept."""
    return f"purge {purge}"


def list_again(connection: sqlite3.Connection, source: int, seq: int, at: int) -> None:
    """What was listed at that line of the journal, of all that a source claims. It is decided anew; but it is not new,
    and no guard counts it once more."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS coming (zone, subject, codes)")
    connection.execute("DELETE FROM coming")
    connection.execute(COMING, (seq, source, source))
    connection.execute("INSERT INTO listing SELECT zone, subject, codes, ?, NULL, NULL FROM coming", (at,))
    connection.execute(
        "INSERT INTO listing_change (at, zone, subject, codes) SELECT ?, zone, subject, codes FROM coming", (at,)
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
