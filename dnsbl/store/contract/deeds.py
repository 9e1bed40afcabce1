"""What is done at the desk and looked up there: the audit trail, switches, what needs two people, bounded reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from ..rows import Exemption, ListingRow

__all__ = ["Asked", "Deed", "Deeds"]


class Deed(NamedTuple):
    """One entry of the audit trail."""

    id: int  # numbers only rise
    at: int
    who: str
    what: str
    subject: str
    why: str
    link: bytes = b""  # to the entry before; b"": it is from before there were links


class Asked(NamedTuple):
    """What one person asked for that needs two."""

    deed: str
    who: str
    at: int


class Deeds(Protocol):
    """The audit trail, feeds' switches, what needs two people, and reads that are bounded however large the store."""

    def audit(self, at: int, who: str, what: str, subject: str, why: str) -> None: ...
    def audit_rows(
        self,
        limit: int = 100,
        before: int | None = None,
        who: str = "",
        subjects: Sequence[str] = (),
        since: int | None = None,
    ) -> list[dict[str, Any]]:
        """The newest entries, or the newest before the number `before`, as dicts of `Deed`'s fields."""
        ...

    def audit_trail(self, since: int | None = None) -> Iterator[list[Deed]]:
        """The whole trail, the oldest first, in chunks."""
        ...

    def audit_starting(self, text: str, limit: int) -> list[dict[str, Any]]:
        """The newest entries about a subject or by somebody who is called so; then some whose subject starts so."""
        ...

    def switch_feed(self, name: str, on: bool | None) -> None:
        """Switch a feed; None: it is as its file says."""
        ...

    def second(self, deed: str, who: str, at: int, since: int) -> bool:
        """Whether another person asked for this deed at `since` or later: then that is forgotten. Else it is noted who
        asks."""
        ...

    def asked(self, since: int) -> list[Asked]:
        """What waits for a second person, the newest first."""
        ...

    # bounded reads
    def exemption_page(self, limit: int, before: int | None = None, origin: str = "") -> list[Exemption]:
        """The newest exemptions, of all origins or one; or the newest before the number `before`."""
        ...

    def exemptions_near(self, subject: bytes, limit: int) -> list[Exemption]:
        """Exemptions of a subject, of what contains it, and of what lies in it."""
        ...

    def listings_between(self, zone: str, low: bytes, high: bytes, limit: int) -> list[ListingRow]:
        """The first listings with low <= subject < high, ascending."""
        ...

    def claims_between(self, source: int, low: bytes, high: bytes, limit: int) -> list[bytes]:
        """The first subjects with low <= subject < high that a source has evidence or entries on, ascending."""
        ...

    def claim_count(self, sources: Iterable[int], most: int) -> int:
        """How many reports and list entries there are of these sources; `most` and more are `most`."""
        ...

    def carried(self, source: int) -> dict[bytes, int]:
        """What a list has now: its subjects, and the hits of each."""
        ...
