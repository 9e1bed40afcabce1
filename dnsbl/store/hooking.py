"""What partners own, and who is told of it.

The journal of listings is followed from a kept number, and the number moves in the transaction that writes what is to
be delivered: a crash at any moment neither loses an event nor writes it twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from ..subjects import ancestors
from .base import Base
from .contract import Change
from .contract.hooks import Delivery, Due, Hook, Owned

__all__ = ["FOLLOWED", "HookingPart"]

FOLLOWED = "hooks_seq"  # in `meta`: the last line of the journal that was looked at
HOOK = "hook.id, source, url, nonce, created, failures, quiet, good, hook.said, dropped"
HOOK_FIELDS = HOOK.count(",") + 1
COUNTED = "(SELECT count(*) FROM delivery WHERE delivery.hook = hook.id AND state = '{state}')"
HOOKS = f"SELECT {HOOK}, {COUNTED.format(state='waiting')}, {COUNTED.format(state='failed')} FROM hook"
DELIVERIES = "SELECT id, hook, event, at, next, tries, state, said FROM delivery"
# Of every hook that may be sent something, what is due first.
DUE = """
SELECT first FROM (SELECT (
    SELECT id FROM delivery WHERE delivery.hook = hook.id AND state = 'waiting' AND next <= ? ORDER BY next, id LIMIT 1
) AS first FROM hook WHERE quiet <= ?) WHERE first IS NOT NULL
"""
OLDEST = "SELECT id FROM delivery WHERE hook = ? AND state = 'waiting' ORDER BY id LIMIT ?"


class HookingPart(Base):
    """What partners own, and who is told of it."""

    def owned(self, source: int | None = None) -> list[Owned]:
        rows = self.rows(
            "SELECT source, subject, since FROM owned WHERE source = ?1 OR ?1 IS NULL ORDER BY source, subject", source
        )
        return [Owned(*row) for row in rows]

    def owns(self, source: int, subject: bytes) -> bool:
        above = list(ancestors(subject))
        marks = ",".join("?" * len(above))
        return bool(self.rows(f"SELECT 1 FROM owned WHERE source = ? AND subject IN ({marks}) LIMIT 1", source, *above))

    def add_owned(self, source: int, subject: bytes, at: int) -> bool:
        with self.transaction() as connection:
            self.begin_to_watch(connection)
            statement = "INSERT OR IGNORE INTO owned (source, subject, since) VALUES (?, ?, ?)"
            return connection.execute(statement, (source, subject, at)).rowcount > 0

    def remove_owned(self, source: int, subject: bytes) -> bool:
        with self.transaction() as connection:
            statement = "DELETE FROM owned WHERE source = ? AND subject = ?"
            return connection.execute(statement, (source, subject)).rowcount > 0

    # hooks

    def hooks(self, source: int | None = None) -> list[Hook]:
        return [Hook(*row) for row in self.rows(f"{HOOKS} WHERE source = ?1 OR ?1 IS NULL ORDER BY id", source)]

    def add_hook(self, source: int, url: str, nonce: str, at: int) -> Hook:
        with self.transaction() as connection:
            self.begin_to_watch(connection)
            number = connection.execute(
                "INSERT INTO hook (source, url, nonce, created) VALUES (?, ?, ?, ?)", (source, url, nonce, at)
            ).lastrowid
        assert number is not None
        return Hook(number, source, url, nonce, at)

    def remove_hook(self, hook: int) -> bool:
        with self.transaction() as connection:
            connection.execute("DELETE FROM delivery WHERE hook = ?", (hook,))
            return connection.execute("DELETE FROM hook WHERE id = ?", (hook,)).rowcount > 0

    # following

    def watched(self) -> list[Owned]:
        rows = self.rows(
            "SELECT source, subject, since FROM owned WHERE source IN (SELECT source FROM hook) "
            "ORDER BY source, subject"
        )
        return [Owned(*row) for row in rows]

    def begin_to_watch(self, connection: sqlite3.Connection) -> None:
        """As long as nobody watched, the journal was not followed: who begins is not told of what was before."""
        if not self.watched():
            connection.execute(
                "INSERT OR REPLACE INTO meta (key, value) SELECT ?, CAST(coalesce(max(seq), 0) AS TEXT) "
                "FROM listing_change",
                (FOLLOWED,),
            )

    def journal(self, seq: int, limit: int) -> list[Change]:
        rows = self.rows(
            "SELECT seq, at, zone, subject, codes FROM listing_change WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit
        )
        return [Change._make(row) for row in rows]

    def codes_before(self, change: Change) -> str:
        rows = self.rows(
            "SELECT codes FROM listing_change WHERE subject = ? AND zone = ? AND seq < ? ORDER BY seq DESC LIMIT 1",
            change.subject,
            change.zone,
            change.seq,
        )
        return rows[0][0] if rows else ""

    def add_deliveries(
        self, after: int, upto: int, events: Mapping[int, Sequence[str]], at: int, most_waiting: int
    ) -> bool:
        with self.transaction() as connection:
            moved = connection.execute(
                "UPDATE meta SET value = ? WHERE key = ? AND value = ?", (str(upto), FOLLOWED, str(after))
            ).rowcount
            if not moved:
                return False
            hooks = connection.execute("SELECT id, source FROM hook").fetchall() if events else []
            for hook, source in hooks:
                connection.executemany(
                    "INSERT INTO delivery (hook, event, at, next) VALUES (?, ?, ?, ?)",
                    [(hook, event, at, at) for event in events.get(source, ())],
                )
                if source in events:
                    drop(connection, hook, most_waiting)
        return True

    # delivering

    def due(self, now: int) -> list[Due]:
        rows = self.rows(
            f"SELECT {HOOK}, delivery.id, hook, event, at, next, tries, state, delivery.said "
            f"FROM delivery JOIN hook ON hook.id = hook WHERE delivery.id IN ({DUE}) ORDER BY next, delivery.id",
            now,
            now,
        )
        return [Due(Hook(*row[:HOOK_FIELDS]), Delivery(*row[HOOK_FIELDS:])) for row in rows]

    def delivery_taken(self, delivery: Delivery, at: int) -> None:
        with self.transaction() as connection:
            note(connection, delivery, "delivered", at, "")
            connection.execute(
                "UPDATE hook SET failures = 0, quiet = 0, good = ?, said = '' WHERE id = ?", (at, delivery.hook)
            )

    def delivery_not_taken(self, delivery: Delivery, at: int, said: str, next: int | None, quiet: int) -> None:
        with self.transaction() as connection:
            note(connection, delivery, "failed" if next is None else "waiting", at if next is None else next, said)
            connection.execute(
                "UPDATE hook SET failures = failures + 1, quiet = ?, said = ? WHERE id = ?",
                (quiet, said, delivery.hook),
            )

    def deliveries(self, hook: int, limit: int) -> list[Delivery]:
        rows = self.rows(f"{DELIVERIES} WHERE hook = ? ORDER BY id DESC LIMIT ?", hook, limit)
        return [Delivery(*row) for row in rows]

    def forget_deliveries(self, given_up: int, before: int, said: str) -> int:
        with self.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET state = 'failed', said = CASE said WHEN '' THEN ? ELSE said END "
                "WHERE state = 'waiting' AND at < ?",
                (said, given_up),
            )
            return connection.execute("DELETE FROM delivery WHERE at < ?", (before,)).rowcount


def drop(connection: sqlite3.Connection, hook: int, most: int) -> None:
    """Of what waits for a hook the oldest goes, where it is too much."""
    waiting = connection.execute(
        "SELECT count(*) FROM delivery WHERE hook = ? AND state = 'waiting'", (hook,)
    ).fetchone()[0]
    if waiting > most:
        connection.execute(f"DELETE FROM delivery WHERE id IN ({OLDEST})", (hook, waiting - most))
        connection.execute("UPDATE hook SET dropped = dropped + ? WHERE id = ?", (waiting - most, hook))


def note(connection: sqlite3.Connection, delivery: Delivery, state: str, next: int, said: str) -> None:
    connection.execute(
        "UPDATE delivery SET state = ?, next = ?, tries = tries + 1, said = ? WHERE id = ?",
        (state, next, said, delivery.id),
    )
