"""Keys that are part of names in DNS, and what is asked with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["QueryKey", "QueryUse", "Querying"]


class QueryKey(NamedTuple):
    """What the DNS side is told of a key."""

    id: int
    digest: bytes  # SHA-256 of its secret
    zones: tuple[str, ...]  # where it is good; empty: everywhere
    queries: int | None  # a UTC day; None: no limit
    expires: int | None


class QueryUse(NamedTuple):
    """What was asked with a key in a zone on one UTC day (days since 1970)."""

    key: int
    day: int
    zone: str
    queries: int  # answered
    refused: int


class Querying(Protocol):
    """Keys for DNS, and their use by day."""

    def query_keys(self) -> list[QueryKey]:
        """Those with scope `query` that are not revoked."""
        ...

    def keys_version(self) -> tuple[int, ...]:
        """Something that is another whenever a key was made or revoked."""
        ...

    def add_query_usage(self, batch: str, uses: Sequence[QueryUse]) -> bool:
        """Add up a batch, and remember its name: of those added lately none is added again. False: it was there."""
        ...

    def query_usage(self, since: int, key: int | None = None) -> list[QueryUse]:
        """From this day on, by day, key and zone; of one key or of all."""
        ...
