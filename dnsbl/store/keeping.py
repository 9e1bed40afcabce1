"""What is kept beside the flow: feeds' health, API keys, the audit of deeds; check and backup."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .base import Base
from .contract import FeedState, Key
from .schema import LISTED_SQL

__all__ = ["KeepingPart"]

BACKUP_PAGES = 4096  # copied at once; between two such steps writers get their turn
COUNTED = ("report", "evidence", "entry", "listing", "touched", "exemption", "listing_change", "key", "source")

# What would make derived tables lie, each as a query that finds a row where there should be none.
DIFFERENT_EVIDENCE = f"""
SELECT count(*) FROM (
    SELECT {LISTED_SQL} AS listed, source, category, reporter, count(*), min(at), max(at) FROM report
    GROUP BY listed, source, category, reporter
    EXCEPT SELECT subject, source, category, reporter, hits, first_seen, last_seen FROM evidence)
"""
ORPHANS = {
    "reports of a source that is not there": "SELECT count(*) FROM report WHERE source NOT IN (SELECT id FROM source)",
    "entries of a source that is not there": "SELECT count(*) FROM entry WHERE source NOT IN (SELECT id FROM source)",
    "evidence that is not the fold of its reports": DIFFERENT_EVIDENCE,
    "listings that no journal line explains": """SELECT count(*) FROM (SELECT zone, subject FROM listing
        EXCEPT SELECT zone, subject FROM listing_change WHERE codes != '')""",
}


class KeepingPart(Base):
    def feed_states(self) -> dict[str, FeedState]:
        names = [f.name for f in FeedState.__dataclass_fields__.values()]
        found = {}
        for row in self.rows(f"SELECT {', '.join(names)} FROM feed ORDER BY name"):
            values = dict(zip(names, row, strict=True))
            values["unmapped"] = json.loads(values["unmapped"])
            found[values["name"]] = FeedState(**values)
        return found

    def put_feed_state(self, state: FeedState) -> None:
        row = asdict(state) | {"unmapped": json.dumps(state.unmapped)}
        with self.transaction():
            self.tables.table("feed").upsert(row, pk="name")

    # keys

    def add_key(
        self, name: str, digest: bytes, source: int, scopes: list[str], created: int, expires: int | None
    ) -> Key:
        if any(key.name == name for key in self.all_keys()):
            raise StoreError(f"a key named {name!r} exists: choose another name, or revoke it first")
        with self.transaction():
            self.tables.table("key").insert(
                {
                    "name": name,
                    "digest": digest,
                    "source": source,
                    "scopes": json.dumps(scopes),
                    "created": created,
                    "expires": expires,
                },
                pk="id",
            )
        return next(key for key in self.all_keys() if key.name == name)

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

    # audit

    def audit(self, at: int, who: str, what: str, subject: str, why: str) -> None:
        with self.transaction():
            self.tables.table("audit").insert(
                {"at": at, "who": who, "what": what, "subject": subject, "why": why}, pk="id"
            )

    def audit_rows(self, limit: int = 100) -> list[dict[str, Any]]:
        rows = self.rows("SELECT at, who, what, subject, why FROM audit ORDER BY id DESC LIMIT ?", limit)
        return [dict(zip(("at", "who", "what", "subject", "why"), row, strict=True)) for row in rows]

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
            for what, query in ORPHANS.items():
                count = self.rows(query)[0][0]
                if count:
                    wrong.append(f"{count:,} {what}: run `dnsbl store rebuild`")
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
            with self.said(), closing(sqlite3.connect(aside)) as copy:
                self.reader.backup(copy, pages=BACKUP_PAGES)
            aside.rename(to)
        except OSError as error:
            raise StoreError(f"{to}: cannot be written ({error.strerror})") from error
        finally:
            aside.unlink(missing_ok=True)


KEYS = "SELECT id, name, source, scopes, created, expires, last_used, revoked FROM key"


def key_of(row: tuple) -> Key:  # type: ignore[type-arg]
    return Key(row[0], row[1], row[2], json.loads(row[3]), *row[4:])
