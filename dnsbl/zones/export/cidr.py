"""Plain networks, one a line: what firewalls, routers and scripts read.

`cidr` has the networks as they are listed, cut where the codes change; `cidr-aggregated` the fewest networks that say
the same, whatever the codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..blocks import networks
from ..contents import Contents
from ..written import network6
from .entries import NOTE, merged, networks6, public
from .text import chunked, header, networks4

__all__ = ["aggregated", "plain"]

NOTES = (NOTE, "Not in it: codes, texts and sublists. A single address has no /32 or /128.")
FAMILIES = {4: "IPv4", 6: "IPv6"}


def plain(*families: int) -> Callable[[Contents], Iterator[str]]:
    """The writer for these families (4, 6)."""
    return lambda held: lines(public(held), families)


def aggregated(*families: int) -> Callable[[Contents], Iterator[str]]:
    """The writer of the fewest networks."""
    return lambda held: lines(merged(public(held)), families)


def lines(held: Contents, families: tuple[int, ...]) -> Iterator[str]:
    others = [f"Only {FAMILIES[family]}." for family in families if len(families) == 1]
    yield header(held, "#", [*NOTES, *others])
    if 4 in families:
        yield from map(networks4, networks(held.ip4, 32))
    if 6 in families:
        yield from chunked(f"{network6(first, prefix)}\n" for first, prefix, _ in networks6(held))
