"""Keys that are part of names in DNS, and their use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..clock import DAY
from .base import Base
from .contract.querying import QueryKey, QueryUse

__all__ = ["QueryingPart"]

SCOPE = "query"
BATCHES = "query_usage_batches"  # in `meta`: the names of the batches added last
MAX_BATCHES = 256  # names remembered: a batch's file is gone soon after it was added


class QueryingPart(Base):
    def query_keys(self) -> list[QueryKey]:
        rows = self.rows("SELECT id, digest, scopes, limits, expires FROM key WHERE revoked IS NULL ORDER BY id")
        return [query_key(row) for row in rows if SCOPE in json.loads(row[2])]

    def keys_version(self) -> tuple[int, ...]:
        rows = self.rows("SELECT count(*), coalesce(max(id), 0), count(revoked), coalesce(max(revoked), 0) FROM key")
        return tuple(rows[0])

    def add_query_usage(self, batch: str, uses: Sequence[QueryUse]) -> bool:
        with self.transaction() as connection:
            said = connection.execute("SELECT value FROM meta WHERE key = ?", (BATCHES,)).fetchone()
            added = json.loads(said[0]) if said else []
            if batch in added:
                return False
            connection.executemany(
                "INSERT INTO query_usage (key, day, zone, queries, refused) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (key, day, zone) DO UPDATE SET queries = queries + excluded.queries, "
                "refused = refused + excluded.refused",
                uses,
            )
            connection.executemany(
                "UPDATE key SET last_used = max(coalesce(last_used, 0), ?) WHERE id = ?",
                [(use.day * DAY, use.key) for use in uses],
            )
            kept = json.dumps([*added, batch][-MAX_BATCHES:])
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (BATCHES, kept))
        return True

    def query_usage(self, since: int, key: int | None = None) -> list[QueryUse]:
        rows = self.rows(
            "SELECT key, day, zone, queries, refused FROM query_usage WHERE day >= ?1 AND (?2 IS NULL OR key = ?2) "
            "ORDER BY day, key, zone",
            since,
            key,
        )
        return [QueryUse(*row) for row in rows]


def query_key(row: tuple[Any, ...]) -> QueryKey:
    number, digest, _, said, expires = row
    limits = json.loads(said)
    return QueryKey(number, digest, tuple(limits.get("query_zones", ())), limits.get("queries"), expires)
