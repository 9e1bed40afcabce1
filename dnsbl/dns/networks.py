"""Clients by their networks: sets of networks that are asked for each query, and what counts as one client."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["Client", "Networks", "client_of", "share"]

Client = tuple[int, int] | None  # version and number; None: nobody knows who asks
Ranges = list[tuple[int, int]]  # first and last, disjoint and ascending

REMEMBERED = 4096  # clients: reading an address takes longer than all that is asked about it
QUOTA_BITS = {4: 24, 6: 64}  # what shares a quota: the smallest network that is routed, and what one site has


class Networks:
    """A set of networks. IPv4 in IPv6 (`::ffff:0:0/96`) is IPv4 to a client, and to no network here."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        found: dict[int, Ranges] = {4: [], 6: []}
        for network in networks:
            found[network.version].append((int(network[0]), int(network[-1])))
        self.ranges = {version: joined(sorted(ranges)) for version, ranges in found.items()}
        self.firsts = {version: [first for first, _ in ranges] for version, ranges in self.ranges.items()}

    def __contains__(self, client: Client) -> bool:
        if client is None:
            return False
        version, number = client
        place = bisect_right(self.firsts[version], number) - 1
        return place >= 0 and number <= self.ranges[version][place][1]


def joined(ranges: Ranges) -> Ranges:
    """Sorted ranges without those inside others, and without seams."""
    found: Ranges = []
    for first, last in ranges:
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


@lru_cache(REMEMBERED)
def client_of(text: str) -> Client:
    """A client by its address, as a socket gives it."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.version, int(address)


def share(client: tuple[int, int], bits: dict[int, int] = QUOTA_BITS) -> bytes:
    """The network that a client shares with others, as its octets: 3 of IPv4, 7 or 8 of IPv6."""
    version, number = client
    size = bits[version] // 8
    return number.to_bytes(4 if version == 4 else 16, "big")[:size]
