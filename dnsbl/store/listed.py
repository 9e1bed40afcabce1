"""The listings as those read them who publish: all of them, or only what may be given away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..subjects import IP6_LISTING_PREFIX, ancestors, inside
from .base import Base, Connection
from .claims import ask
from .contract import Change, ListingRow

__all__ = ["Listed"]

CHUNK = 50_000  # rows read at once
FAMILY_KEY = 18  # bytes of the longest key of a network, and so above all of its family
HOSTS = {b"4": b"\x20", b"6": bytes((IP6_LISTING_PREFIX,))}  # the last byte of the narrowest that is listed: /32, /64


class Listed:
    """`dnsbl.store.contract.Listed` over one table: `listing` has all, the view `given` what may be given away."""

    def __init__(self, base: Base, table: str) -> None:
        self.base, self.table = base, table

    def listings_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, ListingRow]:
        def work(connection: Connection) -> dict[bytes, ListingRow]:
            ask(connection, subjects)
            found = connection.execute(
                "SELECT asked.subject, codes, since, until, due FROM asked "
                f"CROSS JOIN {self.table} AS listed ON listed.zone = ? AND listed.subject = asked.subject",
                (zone,),
            )
            return {row[0]: ListingRow._make(row) for row in found}

        return self.base.read(work)

    def listing_chunks(self, zone: str, low: bytes, high: bytes) -> Iterator[list[tuple[bytes, str]]]:
        with self.base.said():
            # A cursor of its own: it reads one moment of the store to its end, whatever is written meanwhile.
            cursor = self.base.reader.execute(
                f"SELECT subject, codes FROM {self.table} WHERE zone = ? AND subject >= ? AND subject < ? "
                "ORDER BY subject",
                (zone, low, high),
            )
            while rows := cursor.fetchmany(CHUNK):
                yield rows

    def any_listing(self, zone: str, low: bytes, high: bytes) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM {self.table} WHERE zone = ? AND subject >= ? AND subject < ?)"
        return bool(self.base.rows(sql, zone, low, high)[0][0])

    def listings_touching(self, zone: str, subject: bytes) -> list[tuple[bytes, str]]:
        low, high = inside(subject)
        above = list(ancestors(subject))
        marks = ",".join("?" * len(above))
        return self.base.rows(
            f"SELECT subject, codes FROM {self.table} WHERE zone = ? AND subject >= ? AND subject < ? "
            f"UNION SELECT subject, codes FROM {self.table} WHERE zone = ? AND subject IN ({marks})",
            zone,
            low,
            high,
            zone,
            *above,
        )

    def listings_touching_many(self, zone: str, networks: Sequence[bytes]) -> dict[bytes, str]:
        """To look for all 32 or 64 networks above each would take most of a publish: those that are listed are few, and
        SQLite finds them in a tenth of a second for a million rows."""
        if not networks:
            return {}
        family = networks[0][:1]
        inner = f"SELECT subject, codes FROM {self.table} WHERE zone = ? AND subject >= ? AND subject < ?"

        def work(connection: Connection) -> dict[bytes, str]:
            ends = family, family + b"\xff" * FAMILY_KEY
            found = dict(connection.execute(f"{inner} AND substr(subject, -1) != ?", (zone, *ends, HOSTS[family])))
            for network in networks:
                found.update(connection.execute(inner, (zone, *inside(network))))
            return found

        return self.base.read(work)

    def listing_count(self, zone: str) -> int:
        count: int = self.base.rows(f"SELECT count(*) FROM {self.table} WHERE zone = ?", zone)[0][0]
        return count

    def changes_since(self, zone: str, seq: int, limit: int) -> list[Change]:
        rows = self.base.rows(
            "SELECT seq, at, zone, subject, codes FROM listing_change WHERE seq > ? AND zone IN (?, '') "
            "ORDER BY seq LIMIT ?",
            seq,
            zone,
            limit,
        )
        return [Change._make(row) for row in rows]

    def change_seq(self) -> int:
        seq: int = self.base.rows("SELECT coalesce(max(seq), 0) FROM listing_change")[0][0]
        return seq

    def identity(self) -> str:
        value: str = self.base.rows("SELECT value FROM meta WHERE key = 'identity'")[0][0]
        return value
