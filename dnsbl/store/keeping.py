"""What is kept beside the flow: feeds' health, API keys; check and backup."""

from __future__ import annotations

import json
import sqlite3
import uuid
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .auditing import AuditingPart
from .base import Connection
from .contract import FeedState, Key, KeyDay, KeyLimits
from .schema import LISTED_SQL

__all__ = ["KeepingPart"]

BACKUP_PAGES = 4096  # copied at once; between two such steps writers get their turn
COUNTED = ("report", "evidence", "entry", "listing", "touched", "exemption", "listing_change", "key", "source")

# What would make derived tables lie, each as a query that finds a row where there should be none.
FOLDED = f"""
SELECT {LISTED_SQL} AS listed, source, category, reporter, count(*), min(at), max(at) FROM report
GROUP BY listed, source, category, reporter
"""
EVIDENCE = "SELECT subject, source, category, reporter, hits, first_seen, last_seen FROM evidence"
LISTED = "SELECT zone, subject, codes FROM listing"
JOURNALLED = """
SELECT zone, subject, codes FROM listing_change
WHERE codes != '' AND seq IN (SELECT max(seq) FROM listing_change WHERE zone != '' GROUP BY zone, subject)
"""
REBUILD = "run `dnsbl store rebuild`"
RESTORE = "restore a backup"
WRONG = {
    "reports of a source, category or reporter that is not there": (
        "SELECT 1 FROM report WHERE source NOT IN (SELECT id FROM source) "
        "OR category NOT IN (SELECT id FROM category) OR reporter NOT IN (SELECT id FROM reporter)",
        RESTORE,
    ),
    "list entries of a source or category that is not there": (
        "SELECT 1 FROM entry WHERE source NOT IN (SELECT id FROM source) OR category NOT IN (SELECT id FROM category)",
        RESTORE,
    ),
    "reports that evidence does not show": (f"{FOLDED} EXCEPT {EVIDENCE}", REBUILD),
    "rows of evidence that no reports explain": (f"{EVIDENCE} EXCEPT {FOLDED}", REBUILD),
    "listings that are not as the journal last said": (f"{LISTED} EXCEPT {JOURNALLED}", REBUILD),
    "listings withheld that are not there": (
        "SELECT zone, subject FROM withheld EXCEPT SELECT zone, subject FROM listing",
        REBUILD,
    ),
    "listings of the journal that are lost": (f"{JOURNALLED} EXCEPT {LISTED}", REBUILD),
}


class KeepingPart(AuditingPart):
    def feed_states(self) -> dict[str, FeedState]:
        names = [f.name for f in FeedState.__dataclass_fields__.values()]
        found = {}
        for row in self.rows(f"SELECT {', '.join(names)} FROM feed ORDER BY name"):
            values = dict(zip(names, row, strict=True))
            values["unmapped"] = json.loads(values["unmapped"])
            values["switched"] = None if values["switched"] is None else bool(values["switched"])
            found[values["name"]] = FeedState(**values)
        return found

    def put_feed_state(self, state: FeedState) -> None:
        row = asdict(state) | {"unmapped": json.dumps(state.unmapped)}
        del row["switched"]  # a pull that began before the switch must not put it back
        with self.transaction():
            self.tables.table("feed").upsert(row, pk="name")

    def switch_feed(self, name: str, on: bool | None) -> None:
        with self.transaction() as connection:
            if name not in self.feed_states():
                self.put_feed_state(FeedState(name))
            connection.execute("UPDATE feed SET switched = ? WHERE name = ?", (on, name))

    # keys

    def add_key(
        self,
        name: str,
        digest: bytes,
        source: int,
        scopes: list[str],
        created: int,
        expires: int | None,
        limits: KeyLimits | None = None,
        maker: str = "operator",
    ) -> Key:
        if any(key.name == name and key.revoked is None for key in self.all_keys()):
            raise StoreError(f"a key named {name!r} exists: revoke it first, or choose another name")
        with self.transaction():
            self.tables.table("key").insert(
                {
                    "name": name,
                    "digest": digest,
                    "source": source,
                    "scopes": json.dumps(scopes),
                    "created": created,
                    "expires": expires,
                    "limits": json.dumps(asdict(limits or KeyLimits())),
                    "maker": maker,
                },
                pk="id",
            )
        made = self.key_by_digest(digest)
        assert made is not None
        return made

    def key_by_digest(self, digest: bytes) -> Key | None:
        rows = self.rows(f"{KEYS} WHERE digest = ?", digest)
        return key_of(rows[0]) if rows else None

    def all_keys(self) -> list[Key]:
        return [key_of(row) for row in self.rows(f"{KEYS} ORDER BY id")]

    def revoke_key(self, name: str, at: int) -> int:
        with self.transaction() as connection:
            return connection.execute(
                "UPDATE key SET revoked = ? WHERE name = ? AND revoked IS NULL", (at, name)
            ).rowcount

    def key_used(self, key: int, at: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE key SET last_used = ? WHERE id = ?", (at, key))

    def count_key(self, key: int, use: KeyDay) -> None:
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO key_day (key, day, posts, taken, repeated, rejected) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (key, day) DO UPDATE SET posts = posts + excluded.posts, taken = taken + excluded.taken, "
                "repeated = repeated + excluded.repeated, rejected = rejected + excluded.rejected",
                (key, use.day, use.posts, use.taken, use.repeated, use.rejected),
            )

    def key_days(self, key: int, since: int) -> list[KeyDay]:
        rows = self.rows(
            "SELECT day, posts, taken, repeated, rejected FROM key_day WHERE key = ? AND day >= ? ORDER BY day",
            key,
            since,
        )
        return [KeyDay(*row) for row in rows]

    # keeping

    def meta(self, key: str) -> str | None:
        rows = self.rows("SELECT value FROM meta WHERE key = ?", key)
        return rows[0][0] if rows else None

    def set_meta(self, key: str, value: str) -> None:
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def counts(self) -> dict[str, int]:
        return {table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in COUNTED}

    def check(self) -> list[str]:
        try:
            wrong = [f"page damage: {row[0]}" for row in self.rows("PRAGMA integrity_check(20)") if row[0] != "ok"]
            if wrong:
                return wrong
            for what, (query, advice) in WRONG.items():
                count = self.rows(f"SELECT count(*) FROM ({query})")[0][0]
                if count:
                    wrong.append(f"{count:,} {what}: {advice}")
            wrong += self.audit_wrong()
        except StoreError as error:
            return [str(error)]
        return wrong

    def backup(self, to: Path) -> None:
        """A copy of one moment of the store, complete when it has its name: written aside, then renamed."""
        if to.exists():
            raise StoreError(f"{to} exists: name a file that is not there yet")
        aside = to.with_name(to.name + ".part")
        try:
            aside.unlink(missing_ok=True)
            aside.touch(mode=0o600, exist_ok=False)  # it has people's passwords' hashes and mailboxes
            with self.said(), closing(sqlite3.connect(aside)) as copy:
                self.read(lambda reader: copy_pages(reader, copy))
                # Once restored, it goes on from here: snapshots made of the original are no base for its deltas.
                copy.execute("UPDATE meta SET value = ? WHERE key = 'identity'", (uuid.uuid4().hex,))
                copy.commit()
            aside.rename(to)
        except OSError as error:
            raise StoreError(f"{to}: cannot be written ({error.strerror})") from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def copy_pages(reader: Connection, copy: sqlite3.Connection) -> None:
    """Copy what the reader's transaction sees. Without one SQLite would begin anew after every change of others, and
    beside a busy writer never end."""
    reader.execute("SELECT count(*) FROM meta").fetchone()  # now the transaction has its moment
    reader.backup(copy, pages=BACKUP_PAGES)


KEYS = "SELECT id, name, source, scopes, created, expires, last_used, revoked, limits, maker FROM key"


def key_of(row: tuple[Any, ...]) -> Key:
    number, name, source, scopes, created, expires, last_used, revoked, said, maker = row
    limits: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(said).items()
    }
    known = KeyLimits(**limits)
    return Key(number, name, source, json.loads(scopes), created, expires, last_used, revoked, known, maker)
