"""How much a zone lists: one figure for the head of every export, manifests, and what a mirror says of itself. Pure.

Counted are the ranges and addresses that answer, neighbours with the same codes as one, or the listed names: before a
format cuts them into networks or joins them, and without the test points (RFC 5782 section 5).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..config import ZoneDef
from . import exact
from .table import Deep, Pieces

__all__ = ["LOOPBACK", "count_addresses", "count_names"]

LOOPBACK = (127 << 24, (128 << 24) - 1)  # 127.0.0.0/8, where the test points are and nothing else is listed


def count_addresses(ip4: Pieces, ip6: Pieces, deep: Sequence[Deep]) -> int:
    """Of pieces that are all listed; those of the test points are in 127.0.0.0/8 and ::/64."""
    low, high = LOOPBACK
    tests = int(((ip4.first >= low) & (ip4.last <= high)).sum()) + int((ip6.last == 0).sum())
    return len(ip4) + len(ip6) - tests + sum(1 for piece in deep if piece.upper)


def count_names(zone: ZoneDef, listed: int) -> int:
    """Of so many listed names, the test points among them."""
    if zone.shutdown:  # it has none
        return listed
    return max(listed - (len(exact.test_points(zone)) if zone.exact else 1 + len(zone.categories)), 0)
