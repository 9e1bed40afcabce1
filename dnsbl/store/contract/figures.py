"""What statistics are made from. Each reads a whole table: seconds where it has millions of rows, beside any change."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Figures"]


class Figures(Protocol):
    """Counts over whole tables."""

    def listing_figures(self) -> list[tuple[str, str, int]]:
        """(zone, codes with blanks between, how many subjects are listed so now)."""
        ...

    def change_figures(self, after: int, until: int) -> list[tuple[int, str, str, int]]:
        """(day since 1970, zone, codes, how many changes to that) of the journal's rows `after` < seq <= `until`. No
        codes: it left. Rows about no zone (exemptions) do not count."""
        ...

    def entry_figures(self) -> list[tuple[tuple[int, ...], int]]:
        """(numbers of list sources, ascending; how many subjects exactly these carry now), the most first."""
        ...
