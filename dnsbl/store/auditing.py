"""The audit trail: who did what, when and why. It is only ever added to, and the oldest of it is forgotten.

Each entry has a link: SHA-256 of the link before it and of the entry itself. What was changed, put in or taken out
between two entries, or cut off at the end, is said by `check`. What no chain in one file can show is a trail that was
written anew as a whole, links and all: an export that is kept elsewhere has the links to compare with. Entries from
before there were links have none; the first one that has covers them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from .base import Base
from .contract import Deed

__all__ = ["AuditingPart"]

CHUNK = 10_000  # entries read at once: whoever follows the whole trail holds no more of it
FIRST_LINK = bytes(32)  # before the first entry
FIELDS = "id, at, who, what, subject, why, link"
NEWEST = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0)"
# What was forgotten: the number of the newest such entry, which the trigger `audit_is_kept` looks at, and its link.
FORGOTTEN, LINK = "audit_forgotten", "audit_link"
ADVICE = "restore a backup, or compare with an export that was kept elsewhere"


class AuditingPart(Base):
    def audit(self, at: int, who: str, what: str, subject: str, why: str) -> None:
        with self.transaction() as connection:
            number = connection.execute(NEWEST).fetchone()[0] + 1
            link = link_of(self.last_link(), Deed(number, at, who, what, subject, why))
            connection.execute(
                f"INSERT INTO audit ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, at, who, what, subject, why, link),
            )

    def audit_rows(
        self,
        limit: int = 100,
        before: int | None = None,
        who: str = "",
        subjects: Sequence[str] = (),
        since: int | None = None,
    ) -> list[dict[str, Any]]:
        wanted: list[tuple[str, list[object]]] = []
        if before is not None:
            wanted.append(("id < ?", [before]))
        if who:
            wanted.append(("who = ?", [who]))
        if subjects:
            wanted.append((f"subject IN ({', '.join('?' * len(subjects))})", [*subjects]))
        if since is not None:  # times rise with the numbers: what is older is not read
            wanted.append(
                ("id > coalesce((SELECT id FROM audit WHERE at < ? ORDER BY id DESC LIMIT 1), 0)", [since]),
            )
        where = f"WHERE {' AND '.join(condition for condition, _ in wanted)}" if wanted else ""
        values = [value for _, some in wanted for value in some]
        return [
            deed_of(row)._asdict()
            for row in self.rows(f"SELECT {FIELDS} FROM audit {where} ORDER BY id DESC LIMIT ?", *values, limit)
        ]

    def audit_trail(self, since: int | None = None) -> Iterator[list[Deed]]:
        last = self.rows("SELECT id FROM audit WHERE at < ? ORDER BY id DESC LIMIT 1", since) if since else ()
        number = last[0][0] if last else 0
        while rows := self.rows(f"SELECT {FIELDS} FROM audit WHERE id > ? ORDER BY id LIMIT ?", number, CHUNK):
            yield [deed_of(row) for row in rows]
            number = rows[-1][0]

    def forget_audit(self, before: int) -> int:
        """Forget the oldest of the trail, up to the first entry that is not older; the number of entries."""
        with self.transaction() as connection:
            kept = connection.execute("SELECT id FROM audit WHERE at >= ? ORDER BY id LIMIT 1", (before,)).fetchone()
            last = connection.execute(
                "SELECT max(id) FROM audit WHERE id < ?", (kept[0] if kept else 1 << 62,)
            ).fetchone()[0]
            if last is None:
                return 0
            connection.executemany(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                [(LINK, self.link_at(last)), (FORGOTTEN, last)],
            )
            return connection.execute("DELETE FROM audit WHERE id <= ?", (last,)).rowcount

    def audit_wrong(self) -> list[str]:
        """What is wrong with the trail: the first of it, as nothing behind it can be told."""
        with self.moment():
            return self.follow_trail()

    def follow_trail(self) -> list[str]:
        number, link = self.forgotten()
        linked = False
        for deeds in self.audit_trail():
            for deed in deeds:
                if deed.id > number + 1 and (linked or deed.link):
                    return [f"audit entries {number + 1:,} to {deed.id - 1:,} were taken out: {ADVICE}"]
                in_order = deed.id > number
                number, link = deed.id, link_of(link, deed)
                linked = linked or bool(deed.link)
                if not in_order or (linked and deed.link != link):
                    return [f"audit entry {number:,}, or one before it, is not as it was written: {ADVICE}"]
        newest = self.rows(NEWEST)[0][0]
        return [f"audit entries {number + 1:,} to {newest:,} were taken out: {ADVICE}"] if newest > number else []

    # links

    def last_link(self) -> bytes:
        last = self.rows("SELECT max(id) FROM audit")[0][0]
        return self.forgotten()[1] if last is None else self.link_at(last)

    def link_at(self, number: int) -> bytes:
        """The link of an entry: its own, or of one from before there were any what it would have been."""
        row = self.rows("SELECT link FROM audit WHERE id = ?", number)[0]
        if row[0]:
            return bytes(row[0])
        link = self.forgotten()[1]
        for deeds in self.audit_trail():
            for deed in deeds:
                if deed.id <= number:
                    link = link_of(link, deed)
        return link

    def forgotten(self) -> tuple[int, bytes]:
        """Number and link of the newest entry that was forgotten."""
        found = dict(self.rows("SELECT key, value FROM meta WHERE key IN (?, ?)", FORGOTTEN, LINK))
        return int(found.get(FORGOTTEN, 0)), bytes(found.get(LINK, FIRST_LINK))


def deed_of(row: tuple[Any, ...]) -> Deed:
    number, at, who, what, subject, why, link = row
    return Deed(number, at, who, what, subject, why, bytes(link))


def link_of(before: bytes, deed: Deed) -> bytes:
    """JSON of an entry's fields, so that no two entries are the same octets."""
    return sha256(before + json.dumps(deed[:6], separators=(",", ":")).encode()).digest()
