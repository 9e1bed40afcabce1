"""Counts over whole tables, for statistics."""

from __future__ import annotations

from .base import Base

__all__ = ["FiguresPart"]

MAX_SETS = 50_000  # sets of lists that share subjects: as many as there are would be 2^lists


class FiguresPart(Base):
    def listing_figures(self) -> list[tuple[str, str, int]]:
        return self.rows("SELECT zone, codes, count(*) FROM listing GROUP BY zone, codes")

    def change_figures(self, after: int, until: int) -> list[tuple[int, str, str, int]]:
        return self.rows(
            "SELECT at / 86400, zone, codes, count(*) FROM listing_change "
            "WHERE seq > ? AND seq <= ? AND zone != '' GROUP BY 1, 2, 3",
            after,
            until,
        )

    def entry_figures(self) -> list[tuple[tuple[int, ...], int]]:
        # The table is in this order: subjects are met one after another, and no table of them is made.
        rows = self.rows(
            "SELECT sources, count(*) FROM (SELECT group_concat(source) AS sources FROM "
            "(SELECT subject, source FROM entry WHERE gone IS NULL ORDER BY subject, source) GROUP BY subject) "
            "GROUP BY sources ORDER BY 2 DESC LIMIT ?",
            MAX_SETS,
        )
        return [(tuple(sorted(map(int, sources.split(",")))), count) for sources, count in rows]
