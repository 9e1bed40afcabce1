"""What comes in: sources, reports folded into evidence, and the contents of lists."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from ..errors import StoreError
from ..model import OTHER, Report
from ..subjects import listing_key
from .base import Base, Connection
from .contract import Entry, Row, Source, Taken
from .few import FEW, evidence_of_few
from .schema import LISTED_SQL

__all__ = ["ClaimsPart"]

OWNERS = {"feed": "list", "import": "list"}  # a list may come by hand or be pulled; other kinds keep their names
MAX_HITS = 1000  # a list's count beyond this says no more
MAX_REPORTERS = 1000  # names a source; its further ones count as one, so that nobody can make a subject weigh tons
MORE = "(more)"
REPORTS_AT_ONCE = 250_000  # rows of one transaction's temporary table
SUBJECTS_AT_ONCE = 25_000

ROWS_AT_ONCE = 200  # of one statement: Python's lock changes hands after each statement, which must not be each row

# Reports that are new, into evidence: the same statements fold one report and a quarter million. What is no IPv6 is
# listed as it is, and comes grouped as `incoming` is ordered; only IPv6 has to be grouped anew, by its /64s.
IP6 = "subject >= x'36' AND subject < x'37'"


def folding(listed: str, which: str) -> str:
    """The statement that folds those of `incoming`. Nothing in it can be refused half-way, and `OR IGNORE` says so:
    else SQLite keeps a copy of every page, to take one statement back."""
    return f"""
INSERT OR IGNORE INTO evidence (subject, source, category, reporter, hits, first_seen, last_seen)
SELECT {listed} AS listed, source, category, reporter, count(*), min(at), max(at) FROM incoming
WHERE {which} GROUP BY listed, source, category, reporter
ON CONFLICT (subject, source, category, reporter) DO UPDATE SET
    hits = hits + excluded.hits,
    first_seen = min(first_seen, excluded.first_seen),
    last_seen = max(last_seen, excluded.last_seen)
"""


def touching(listed: str, which: str) -> str:
    return f"INSERT OR IGNORE INTO touched SELECT DISTINCT {listed} FROM incoming WHERE {which}"


FOLD = [
    statement(listed, which)
    for statement in (folding, touching)
    for listed, which in (("subject", f"NOT ({IP6})"), (LISTED_SQL, IP6))
]
INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS incoming (
    subject BLOB, source INTEGER, category INTEGER, reporter INTEGER, at INTEGER, word TEXT,
    PRIMARY KEY (subject, source, category, reporter, at, word)
) WITHOUT ROWID
"""
INSERT_ONE = "INSERT OR IGNORE INTO incoming VALUES (?, ?, ?, ?, ?, ?)"
INSERT_MANY = INSERT_ONE + ", (?, ?, ?, ?, ?, ?)" * (ROWS_AT_ONCE - 1)
DROP_KNOWN = """
DELETE FROM incoming WHERE EXISTS (
    SELECT 1 FROM report WHERE report.subject = incoming.subject AND report.source = incoming.source
    AND report.category = incoming.category AND report.reporter = incoming.reporter
    AND report.at = incoming.at AND report.word = incoming.word)
"""


class ClaimsPart(Base):
    def source(
        self, name: str, kind: str, *, trust: float, family: str = "", redistribute: bool = True, keep: bool = False
    ) -> Source:
        with self.transaction() as connection:
            before = connection.execute(f"{SOURCES} WHERE name = ?", (name,)).fetchone()
            if before is not None and OWNERS.get(before[2], before[2]) != OWNERS.get(kind, kind):
                raise StoreError(f"{name!r} is the name of another source ({before[2]}); choose another name")
            connection.execute(
                "INSERT INTO source (name, kind, trust, family, redistribute, granted) VALUES (?, ?, ?, ?, ?, ?) "
                + (
                    "ON CONFLICT (name) DO NOTHING"
                    if keep
                    else "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, family = excluded.family, "
                    "redistribute = excluded.redistribute, granted = excluded.granted, trust = excluded.trust "
                    # What mistakes cost it, it is not given back with a new key.
                    "* CASE WHEN granted > 0 AND trust < granted THEN trust / granted ELSE 1 END"
                ),
                (name, kind, trust, family or name, redistribute, trust),
            )
            row = connection.execute(f"{SOURCES} WHERE name = ?", (name,)).fetchone()
            if (
                before is not None and before[3:6] != row[3:6]
            ):  # another trust or family: what it claims weighs otherwise; other terms: it may be given away or not
                touch_source(connection, row[0])
        return source_of(row)

    def sources(self) -> dict[int, Source]:
        return {row[0]: source_of(row) for row in self.rows(SOURCES)}

    def set_source(self, source: int, **changes: Any) -> Source:
        row = {name: " ".join(value) if name == "zones" else value for name, value in changes.items()}
        with self.transaction() as connection:
            self.tables.table("source").update(source, row)
            if not WEIGHTLESS.issuperset(changes):
                touch_source(connection, source)
            found = connection.execute(f"{SOURCES} WHERE id = ?", (source,)).fetchone()
        return source_of(found)

    def touch_source(self, source: int) -> None:
        with self.transaction() as connection:
            touch_source(connection, source)

    def subjects_of(self, source: int) -> Iterator[list[bytes]]:
        with self.said():
            cursor = self.reader.execute(
                "SELECT subject FROM evidence WHERE source = ? UNION SELECT subject FROM entry WHERE source = ? "
                "ORDER BY subject",
                (source, source),
            )
            while rows := cursor.fetchmany(SUBJECTS_AT_ONCE):
                yield [subject for (subject,) in rows]

    def categories(self) -> dict[int, str]:
        return self.category_names

    # reports

    def take_reports(self, source: int, reports: Iterable[Report], idempotency: tuple[str, str] | None = None) -> Taken:
        taken = offered = 0
        with self.transaction() as connection:
            connection.execute(INCOMING)
            categories, reporters = self.category_ids, Reporters(connection, source)
            supply = iter(reports)
            while rows := [
                (subject, source, categories[category], reporters[reporter], at, word)
                for subject, category, at, reporter, word in islice(supply, REPORTS_AT_ONCE)
            ]:
                offered += len(rows)
                taken += fold(connection, rows)
            if idempotency:
                connection.execute("INSERT INTO idempotency (key, answer, at) VALUES (?, ?, unixepoch())", idempotency)
        return Taken(taken, offered - taken)

    def idempotent_answer(self, key: str) -> str | None:
        rows = self.rows("SELECT answer FROM idempotency WHERE key = ?", key)
        return rows[0][0] if rows else None

    def forget_idempotency(self, before: int) -> int:
        with self.transaction() as connection:
            return connection.execute("DELETE FROM idempotency WHERE at < ?", (before,)).rowcount

    def unmapped_words(self) -> dict[str, dict[str, int]]:
        """By source, the words that no mapping knew and how many reports have them."""
        found: dict[str, dict[str, int]] = {}
        for name, word, count in self.rows(
            "SELECT source.name, word, count(*) FROM report JOIN source ON source.id = report.source "
            "WHERE category = ? AND word != '' GROUP BY 1, 2",
            self.category_ids[OTHER],
        ):
            found.setdefault(name, {})[word] = count
        return found

    def rebuild_evidence(self) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM evidence")
            connection.execute(
                "INSERT INTO evidence (subject, source, category, reporter, hits, first_seen, last_seen) "
                f"SELECT {LISTED_SQL} AS listed, source, category, reporter, count(*), min(at), max(at) FROM report "
                "GROUP BY listed, source, category, reporter"
            )

    # lists

    def replace_entries(
        self, source: int, hits: Mapping[bytes, int], categories: Mapping[bytes, str], default: str, at: int
    ) -> Entry:
        wanted: dict[bytes, int] = {}  # hosts of one /64 are one: with the most hits, and the first host's category
        for subject, count in hits.items():
            key = listing_key(subject)
            wanted[key] = max(min(count, MAX_HITS), wanted.get(key, 0))
        first = sorted(categories.items(), reverse=True)
        named = {listing_key(subject): self.category_ids[category] for subject, category in first}
        usual = self.category_ids[default]
        with self.transaction() as connection:
            before = {
                row[0]: row[1:]
                for row in connection.execute(
                    "SELECT subject, category, hits, gone FROM entry WHERE source = ?", (source,)
                )
            }
            appeared: list[tuple[bytes, int, int, int, int]] = []
            changed: list[tuple[int, int, bytes, int]] = []
            for subject, count in wanted.items():
                category = named.get(subject) or usual
                old = before.get(subject)
                if old is None or old[2] is not None:
                    appeared.append((subject, source, category, count, at))
                elif old[:2] != (category, count):
                    changed.append((category, count, subject, source))
            left = [s for s, old in before.items() if old[2] is None and s not in wanted]
            write_entries(connection, source, appeared, changed, left, at)
        return Entry(len(appeared), len(left), len(changed), len(wanted))

    def forget_entries(self, source: int, before: int) -> int:
        """Drop what a list dropped before that moment."""
        with self.transaction() as connection:
            old = connection.execute(
                "SELECT subject FROM entry WHERE source = ? AND gone < ?", (source, before)
            ).fetchall()
            connection.executemany(
                "DELETE FROM entry WHERE subject = ? AND source = ?", [(subject, source) for (subject,) in old]
            )
            connection.executemany(TOUCH, old)
        return len(old)

    # evidence

    def evidence(self, subjects: Sequence[bytes]) -> list[Row]:
        read = evidence_rows if len(subjects) > FEW else evidence_of_few
        return self.read(lambda connection: read(connection, subjects))


SOURCE_FIELDS = "id, name, kind, trust, family, redistribute, granted, simulated, daily, half_weight, zones, network"
SOURCES = f"SELECT {SOURCE_FIELDS} FROM source"
WEIGHTLESS = frozenset(("granted", "daily"))  # fields that change nothing that is decided
TOUCH = "INSERT OR IGNORE INTO touched VALUES (?)"


def source_of(row: tuple[Any, ...]) -> Source:
    number, name, kind, trust, family, redistribute, granted, simulated, daily, half_weight, zones, network = row
    return Source(
        number, name, kind, trust, family, bool(redistribute), granted, bool(simulated), daily, half_weight,
        tuple(zones.split()), network,
    )  # fmt: skip


def touch_source(connection: sqlite3.Connection, source: int) -> None:
    for table in ("evidence", "entry"):
        connection.execute(
            f"INSERT OR IGNORE INTO touched SELECT DISTINCT subject FROM {table} WHERE source = ?", (source,)
        )


class Reporters(dict[str, int]):
    """Reporter names to their numbers, made as they come."""

    def __init__(self, connection: sqlite3.Connection, source: int) -> None:
        self.connection, self.source = connection, source
        self.count = -1  # of the source's names; known when first needed

    def __missing__(self, name: str) -> int:
        number = self.find(name)
        if number is None:
            if self.count < 0:
                count = self.connection.execute("SELECT count(*) FROM reporter WHERE source = ?", (self.source,))
                self.count = count.fetchone()[0]
            number = self[MORE] if self.count >= MAX_REPORTERS and name != MORE else self.make(name)
        if len(self) < MAX_REPORTERS:
            self[name] = number
        return number

    def find(self, name: str) -> int | None:
        row = self.connection.execute("SELECT id FROM reporter WHERE source = ? AND name = ?", (self.source, name))
        found = row.fetchone()
        return found[0] if found else None

    def make(self, name: str) -> int:
        made = self.connection.execute(
            "INSERT INTO reporter (source, name) VALUES (?, ?)", (self.source, name)
        ).lastrowid
        assert made is not None
        self.count += 1
        return made


def fold(connection: sqlite3.Connection, rows: list[tuple[bytes, int, int, int, int, str]]) -> int:
    """Keep the reports that are new, fold them, touch their subjects. Returns how many were new."""
    rows.sort(key=itemgetter(0))  # by subject, as the tables are: pages are written once
    whole = len(rows) - len(rows) % ROWS_AT_ONCE
    for start in range(0, whole, ROWS_AT_ONCE):
        connection.execute(INSERT_MANY, list(chain.from_iterable(rows[start : start + ROWS_AT_ONCE])))
    connection.executemany(INSERT_ONE, rows[whole:])
    connection.execute(DROP_KNOWN)
    new = connection.execute("INSERT OR IGNORE INTO report SELECT * FROM incoming").rowcount
    for statement in FOLD:
        connection.execute(statement)
    connection.execute("DELETE FROM incoming")
    return new


def write_entries(
    connection: sqlite3.Connection,
    source: int,
    appeared: list[tuple[bytes, int, int, int, int]],
    changed: list[tuple[int, int, bytes, int]],
    left: list[bytes],
    at: int,
) -> None:
    """Only what differs is written, in key order; what left keeps its row and decays from `at`."""
    appeared.sort()
    connection.executemany(
        "INSERT INTO entry (subject, source, category, hits, since) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (subject, source) DO UPDATE SET category = excluded.category, hits = excluded.hits, "
        "since = excluded.since, gone = NULL",
        appeared,
    )
    connection.executemany("UPDATE entry SET category = ?, hits = ? WHERE subject = ? AND source = ?", changed)
    left.sort()
    connection.executemany(
        "UPDATE entry SET gone = ? WHERE subject = ? AND source = ?", [(at, subject, source) for subject in left]
    )
    connection.executemany(TOUCH, [(row[2],) for row in changed])
    connection.execute(
        "INSERT OR IGNORE INTO touched SELECT subject FROM entry WHERE source = ? AND (since = ? OR gone = ?)",
        (source, at, at),
    )


def evidence_rows(connection: Connection, subjects: Sequence[bytes]) -> list[Row]:
    """Reports folded, then lists' entries, each in a fixed order: sums of floats come out the same every time."""
    ask(connection, subjects)
    rows = connection.execute(
        "SELECT place, source, category, reporter, hits, first_seen, last_seen, 0 FROM asked "
        "CROSS JOIN evidence USING (subject) ORDER BY place, source, category, reporter"
    ).fetchall()
    rows += connection.execute(
        "SELECT place, source, category, 0, hits, since, coalesce(gone, since), gone IS NULL FROM asked "
        "CROSS JOIN entry USING (subject) ORDER BY place, source"
    ).fetchall()
    return rows


def ask(connection: Connection, subjects: Sequence[bytes]) -> None:
    """Put subjects where a query can join them; the same ones again are there already."""
    if connection.asked == subjects:
        return
    connection.asked = None
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS asked (place INTEGER PRIMARY KEY, subject BLOB)")
    connection.execute("DELETE FROM asked")
    connection.executemany("INSERT INTO asked VALUES (?, ?)", enumerate(subjects))
    connection.asked = list(subjects)  # a copy: the caller's may change
